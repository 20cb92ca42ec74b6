/*
 * filter_log: when a milter is not there, and what it would have said. One
 * that stays away has a line a minute.
 */
#include <stdio.h>

#include "io/clock.h"
#include "io/log.h"
#include "policy/filter_state.h"
#include "proto/envelope.h"

#define AGAIN_MS 60000

static const char *const actions[] = {
    [FILTER_ACCEPT] = "accept",
    [FILTER_DEFER] = "defer",
    [FILTER_REJECT] = "reject",
};

void
filter_log_down(struct filter_row *r, const struct filter *f,
    const struct milter_verdict *v)
{
	const struct filter_config *c = r->conf;
	struct log_field error = LOG_ERRNO(v->error);
	char id[MESSAGE_ID_MAX];
	int64_t now = clock_now();

	if (r->since && now - r->told < AGAIN_MS) {
		r->untold++;
		return;
	}
	if (!v->error)
		error.key = NULL;
	envelope_message_id(f->message.env, id);
	log_event(LOG_WARN, "filter-down", LOG_STR("message", id),
	    LOG_STR("milter", c->name), LOG_STR("socket", c->socket),
	    LOG_STR("reason", v->why), error,
	    LOG_STR("when-down", c->observe ? "accept" : actions[c->when_down]),
	    LOG_UINT("suppressed", r->untold));
	r->told = now;
	r->untold = 0;
}

void
filter_log_up(struct filter_row *r)
{
	log_event(LOG_INFO, "filter-up", LOG_STR("milter", r->conf->name),
	    LOG_UINT("suppressed", r->untold));
	r->untold = 0;
}

void
filter_log_observed(const struct filter *f, const struct milter_verdict *v)
{
	const struct filter_config *c = f->row->conf;
	char id[MESSAGE_ID_MAX];
	struct buf reply = {0};

	if (v->end == MILTER_DISCARDS)
		buf_append_str(&reply, "discard");
	else
		buf_printf(&reply, "%u %s %s", v->no.code, v->no.status,
		    v->no.text);
	envelope_message_id(f->message.env, id);
	log_event(LOG_INFO, "observed", LOG_STR("message", id),
	    LOG_IP("client", &f->message.env->client),
	    LOG_STR("check", c->check), LOG_SPAN("reply", buf_span(&reply)));
	buf_free(&reply);
}
