/*
 * filter: a message from one milter to the next.
 *
 * Owns the header while it changes; the body stays whoever's it is. One clock
 * runs over all that a milter costs: waiting for a connection, making it, and
 * the conversation.
 */
#include "policy/filter.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/resolve.h"
#include "io/shared.h"
#include "policy/filter_state.h"

#define HEAD_MS   5000  /* for the header, if no milter was there for it */
#define ANSWER_MS 5000  /* for the resolver; then an older answer does */
#define PLACES_MS 60000 /* for which an answer of the DNS does */

static const struct filter_config *
conf(const struct filter *f)
{
	return f->row->conf;
}

/* --- the end --- */

/* All that could call back. */
static void
release(struct filter *f)
{
	filter_leave(f);
	ask_cancel(&f->resolving, ASK_ABANDON);
	milter_free(&f->milter);
	content_free(&f->content);
	loop_event_free(&f->timer);
	f->all->heads -= f->weight;
	f->weight = 0;
}

static void
destroy(void *arg)
{
	struct filter *f = arg;

	buf_free(&f->block);
	buf_free(&f->result.header);
	buf_free(&f->result.above);
	header_free(&f->header);
	free(f);
}

static void
on_cancel(struct ask *a, enum ask_end end)
{
	struct filter *f = (struct filter *)(void *)a;

	(void)end;
	release(f);
	loop_defer(f->all->services.loop, destroy, f);
}

static void
finish(struct filter *f)
{
	struct filter_result *r = &f->result;

	release(f);
	r->edits = f->header.edits;
	/* who reads on behind what is no field would find fields that no milter
	 * has seen: an empty line is put there */
	r->edited =
	    !r->v.kind && !r->discard && (r->edits || r->forged || f->open);
	if (r->edited) {
		header_render(&f->header, &r->header);
		header_render_above(&f->header, &r->above);
	}
	loop_defer(f->all->services.loop, destroy, f);
	f->fn(f->ctx, r);
}

void
filter_refuse(struct filter *f, const struct smtp_reply *reply)
{
	struct verdict *v = &f->result.v;

	v->kind = reply->code < 500 ? VERDICT_DEFER : VERDICT_REJECT;
	v->code = reply->code;
	v->status = reply->status;
	v->text = reply->text;
	finish(f);
}

void
filter_unread(struct filter *f)
{
	filter_refuse(f,
	    SMTP_REPLY(451, "4.3.0", "The message cannot be read, try later"));
}

/* --- what a milter says --- */

static void next_row(struct filter *f);

static void
go_on(struct filter *f)
{
	f->at++;
	next_row(f);
}

static void
take_no(struct filter *f, const struct milter_verdict *v)
{
	const struct smtp_reply no = {v->no.code,
	    *v->no.status ? f->no.status : NULL,
	    *v->no.text ? f->no.text : "A filter refuses this message"};

	f->no = v->no;
	f->result.by = conf(f);
	f->result.v.at = conf(f)->at;
	filter_refuse(f, &no);
}

static void
take_down(struct filter *f, const struct milter_verdict *v)
{
	struct verdict *no = &f->result.v;

	filter_log_down(f->row, f, v);
	filter_row_down(f->row, v->gone);
	shared_add(f->all->services.shared, f->all->services.slot,
	    SHARED_FILTERS_DOWN, 1);
	if (conf(f)->observe || conf(f)->when_down == FILTER_ACCEPT) {
		f->result.unseen++;
		go_on(f);
		return;
	}
	f->result.by = conf(f);
	no->at = conf(f)->at;
	snprintf(no->value, sizeof(no->value), "%s", v->why);
	filter_refuse(f,
	    conf(f)->when_down == FILTER_REJECT
		? SMTP_REPLY(550, "5.7.1", "The filter is not there")
		: SMTP_REPLY(451, "4.7.1", "A filter is not there, try later"));
}

static struct header_field *
copy_fields(struct arena *a, const struct header_field *from)
{
	struct header_field *first = NULL, **end = &first;

	for (; from; from = from->next) {
		*end = arena_alloc(a, sizeof(**end));
		**end = *from;
		end = &(*end)->next;
	}
	return first;
}

/* All of its edits, or none. */
static bool
take_edits(struct filter *f)
{
	struct header *h = &f->header, before;

	if (conf(f)->observe || !milter_edits(f->milter))
		return true;
	before = *h;
	before.fields = copy_fields(&h->arena, h->fields);
	before.above = copy_fields(&h->arena, h->above);
	if (milter_edit(f->milter, h))
		return true;
	before.arena = h->arena;
	*h = before;
	return false;
}

static void
take(struct filter *f, const struct milter_verdict *v)
{
	bool word = v->end == MILTER_NO || v->end == MILTER_DISCARDS;

	if (word && conf(f)->observe) {
		filter_log_observed(f, v);
		go_on(f);
	} else if (v->end == MILTER_NO) {
		take_no(f, v);
	} else if (v->end == MILTER_DISCARDS) {
		f->result.by = conf(f);
		f->result.discard = true;
		finish(f);
	} else if (v->end == MILTER_UNREAD) {
		filter_unread(f);
	} else {
		go_on(f);
	}
}

static void
on_done(void *ctx, const struct milter_verdict *said)
{
	struct filter *f = ctx;
	struct milter_verdict v = *said;

	if (v.end == MILTER_PASS && !take_edits(f))
		v = (struct milter_verdict){.end = MILTER_GONE,
		    .gone = NEIGHBOUR_NONSENSE,
		    .why = "an edit that is not possible"};
	filter_leave(f);
	milter_free(&f->milter);
	if (v.end == MILTER_GONE) {
		filter_failed(f->row, v.gone);
		take_down(f, &v);
	} else {
		filter_worked(f->row);
		take(f, &v);
	}
}

void
filter_down(struct filter *f, enum neighbour_error e, const char *why)
{
	const struct milter_verdict v = {.end = MILTER_GONE,
	    .gone = e,
	    .why = why ? why : neighbour_errors[e]};

	filter_leave(f);
	ask_cancel(&f->resolving, ASK_ABANDON); /* it was for this row */
	take_down(f, &v);
}

/* --- time --- */

static void
set_deadline(struct filter *f)
{
	int64_t now = clock_now();

	f->deadline = now + (int64_t)conf(f)->timeout;
	if (f->deadline > f->message.until)
		f->deadline = f->message.until;
}

static void
arm(struct filter *f)
{
	int64_t ms = f->deadline - clock_now();

	loop_timer_set(f->timer, ms > 0 ? (uint64_t)ms : 0);
}

static void
on_progress(void *ctx)
{
	set_deadline(ctx);
}

static void
on_timer(void *ctx)
{
	struct filter *f = ctx;

	if (!f->deadline)
		next_row(f);
	else if (clock_now() < f->deadline)
		arm(f);
	else if (f->milter)
		milter_expire(f->milter);
	else if (f->content)
		filter_unread(f);
	else
		filter_down(f, f->waits ? NEIGHBOUR_BUSY : NEIGHBOUR_NO_ADDRESS,
		    NULL);
}

/* --- one after the other --- */

static bool
is_for(const struct filter_config *c, bool submission)
{
	return c->role == FILTER_ANY ||
	       (c->role == FILTER_SUBMISSION) == submission;
}

static void
next_row(struct filter *f)
{
	const struct filters_config *c = f->all->conf;

	f->row = NULL;
	while (f->at < c->n && !is_for(&c->all[f->at], f->message.submission))
		f->at++;
	if (f->at < c->n) {
		f->row = &f->all->rows[f->at];
		set_deadline(f);
		arm(f);
		filter_enter(f);
	} else {
		f->deadline = f->message.until + HEAD_MS;
		arm(f);
		filter_begin(f);
	}
}

void
filter_begin(struct filter *f)
{
	if (f->cut)
		filter_go_on(f);
	else
		filter_cut(f);
}

static void
talk(struct filter *f)
{
	int64_t ms = f->deadline - clock_now();
	const struct milter_task t = {.services = &f->all->services,
	    .message = &f->message,
	    .machine = f->all->conf->hostname,
	    .header = &f->header,
	    .body = f->rest,
	    .places = f->row->places,
	    .n = f->row->nplaces,
	    .within = ms > 1 ? (uint32_t)ms : 1,
	    .progress = on_progress,
	    .done = on_done,
	    .ctx = f};

	f->milter = milter_new(&t);
}

/* What the DNS has not, or does not say, is where it was. */
static void
on_host(void *ctx, const struct dns_answer *a)
{
	struct filter *f = ctx;
	struct filter_row *r = f->row;

	f->resolving = NULL;
	if (a->status == DNS_FOUND)
		r->nplaces = 0;
	for (unsigned i = 0; a->status == DNS_FOUND && i < a->n; i++)
		if (r->nplaces < FILTER_ADDRS_MAX)
			r->places[r->nplaces++] =
			    (struct dial_place){.addr = a->records[i].addr,
				.port = r->conf->port};
	if (r->nplaces) {
		r->places_until = clock_now() + PLACES_MS;
		talk(f);
		return;
	}
	filter_failed(r, NEIGHBOUR_NO_ADDRESS);
	filter_down(f, NEIGHBOUR_NO_ADDRESS, NULL);
}

void
filter_go_on(struct filter *f)
{
	struct filter_row *r = f->row;
	struct resolve *dns = f->all->services.resolve;

	if (!r)
		finish(f);
	else if (r->nplaces &&
		 (!r->places_until || clock_now() < r->places_until))
		talk(f);
	else if (dns && r->conf->host)
		f->resolving = resolve_host(dns, r->conf->host,
		    clock_now() + ANSWER_MS, on_host, f);
	else
		filter_down(f, NEIGHBOUR_NO_ADDRESS, NULL);
}

struct ask *
filter_start(struct filters *all, const struct filter_message *m, filter_fn *fn,
    void *ctx)
{
	struct filter *f = mem_new(sizeof(*f));

	*f = (struct filter){.ask.cancel = on_cancel,
	    .all = all,
	    .message = *m,
	    .fn = fn,
	    .ctx = ctx};
	f->timer = loop_timer(all->services.loop, on_timer, f);
	if (!f->timer)
		abort();
	loop_timer_set(f->timer, 0);
	return &f->ask;
}

/* --- a worker's --- */

bool
filters_want(const struct filters *all, bool submission)
{
	for (unsigned i = 0; all && i < all->conf->n; i++)
		if (is_for(&all->conf->all[i], submission))
			return true;
	return false;
}

static void
init_row(struct filters *all, unsigned i)
{
	struct filter_row *r = &all->rows[i];
	const struct filter_config *c = &all->conf->all[i];

	r->conf = c;
	r->all = all;
	if (c->path)
		r->places[r->nplaces++] = (struct dial_place){.path = c->path};
	for (unsigned k = 0; k < c->naddrs && k < FILTER_ADDRS_MAX; k++)
		r->places[r->nplaces++] =
		    (struct dial_place){.addr = c->addrs[k], .port = c->port};
	filter_line_open(r);
}

struct filters *
filters_new(const struct filters_config *c, const struct filter_services *s)
{
	struct filters *all = mem_new(sizeof(*all));

	*all = (struct filters){.conf = c, .services = *s};
	for (unsigned i = 0; i < c->n; i++)
		init_row(all, i);
	return all;
}

void
filters_free(struct filters **p)
{
	struct filters *all = *p;

	*p = NULL;
	if (!all)
		return;
	for (unsigned i = 0; i < all->conf->n; i++)
		filter_line_close(&all->rows[i]);
	free(all);
}
