/*
 * session_filter: what milters are told and what becomes of their word. It
 * decides nothing. A client that goes away while they look is not noticed, as
 * by delivery: whoever only ends its side still waits for its reply.
 */
#include "session/filter.h"

#include "mail/spool.h"
#include "rcpt/recipients.h"
#include "session/ask.h"
#include "session/count.h"
#include "session/log.h"

/* ms for all of them: a server that is asked behind them needs its time. */
#define ALL_MS    100000
#define REMOTE_MS 45000
#define MS        1000000 /* ns */

bool
session_is_filtered(const struct session *s)
{
	return !s->client->unfiltered &&
	       filters_want(s->all->filters, s->listen->smtp.submission);
}

static bool
is_remote(const struct envelope *e)
{
	const struct target *t = e->targets ? e->targets->first : NULL;

	while (t && !t->dest->route)
		t = t->next;
	return t != NULL;
}

static void
refuse(struct session *s, const struct filter_result *r)
{
	const struct smtp_reply no = {r->v.code, r->v.status, r->v.text};

	s->why = (struct session_why){r->by ? r->by->check : NULL,
	    *r->v.value ? r->v.value : NULL, r->v.at};
	session_answer(s, &no);
	if (s->why.value == r->v.value)
		s->why.value = NULL; /* it is the filter's */
}

static void
discard(struct session *s, const struct filter_result *r)
{
	spool_free(&s->spool);
	session_count_accepted(s);
	session_log_discarded(s, r);
	session_answer(s, NULL);
}

static void
on_result(void *ctx, const struct filter_result *r)
{
	struct session *s = ctx;
	const struct deliver_edit e = {.edited = r->edited,
	    .header = buf_span(&r->header),
	    .skip = r->head,
	    .above = buf_span(&r->above)};

	s->ask = NULL;
	session_count_filtered(s, r);
	if (r->v.kind) {
		refuse(s, r);
	} else if (r->discard) {
		discard(s, r);
	} else {
		session_log_filtered(s, r);
		s->filtered(s, &e);
	}
}

void
session_filter(struct session *s, session_filtered_fn *then)
{
	int64_t ms = is_remote(&s->env) ? REMOTE_MS : ALL_MS;
	const struct filter_message m = {.env = &s->env,
	    .body = spool_content(s->spool),
	    .hostname = s->listen->smtp.hostname,
	    .client_name = s->door ? door_client_name(s->door) : NULL,
	    .submission = s->listen->smtp.submission,
	    .port = s->listen->port,
	    .until = s->ended / MS + ms};

	session_server(s);
	s->filtered = then;
	s->ask = filter_start(s->all->filters, &m, on_result, s);
}
