/*
 * door: how a question goes through the table of the checks.
 *
 * From row to row, in their order. A row that lacks a fact waits for it, with
 * the facts of the rows behind it begun as well; the next fact that comes goes
 * on from there. So what comes of it depends on no order but the table's.
 */
#include "policy/door.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "policy/door_state.h"

/* --- the door --- */

struct door {
	struct ask ask; /* the open question */
	const struct doors *all;
	const struct door_tables *tables;
	struct door_subject subject;

	struct facts facts;
	unsigned begun;                    /* mask: was asked for */
	struct ask *asked[DOOR_FACTS_MAX]; /* as in the table */

	unsigned allowed; /* mask of enum check_scope */
	bool unallowed;   /* a recipient was taken that none of them covers */
	uint32_t judged;  /* rows that are kept for the transaction */
	const struct check *kept_by; /* NULL: all of those have passed */
	struct verdict kept;

	door_fn *fn; /* of the open question; NULL: there is none */
	void *ctx;
	enum policy_stage stage;
	unsigned row;
	const struct check *said_by;
	struct verdict said; /* the last no */
	char status[sizeof("4.999.999")];

	door_observed_fn *on_observed;
	void *observed_ctx;
	struct trail trail;
};

bool
door_config_is_on(const struct door_config *c)
{
	return c->helo.act || c->fcrdns.act || c->sender_domain.act ||
	       c->dnsbl.act || c->greylist.act ||
	       (c->pregreet_wait && c->pregreet.act) || c->access;
}

static void
cancel_question(struct ask *a, enum ask_end end)
{
	struct door *d = (struct door *)a;

	(void)end;
	d->fn = NULL;
}

struct door *
door_new_with(const struct doors *all, const struct door_subject *s,
    const struct door_tables *t)
{
	struct door *d = mem_new(sizeof(*d));

	assert(t->nchecks <= DOOR_CHECKS_MAX && t->nfacts <= DOOR_FACTS_MAX);
	d->ask.cancel = cancel_question;
	d->all = all;
	d->tables = t;
	d->subject = *s;
	return d;
}

struct door *
door_new(const struct doors *all, const struct door_subject *s)
{
	return door_new_with(all, s, &door_tables);
}

static void
forget_facts(struct door *d, unsigned mask)
{
	for (unsigned i = 0; i < d->tables->nfacts; i++)
		if (d->tables->facts[i].which & mask)
			ask_cancel(&d->asked[i], ASK_ABANDON);
	d->begun &= ~mask;
	d->facts.known &= ~mask;
}

void
door_free(struct door **d)
{
	struct door *old = *d;

	*d = NULL;
	if (!old)
		return;
	forget_facts(old, ~0u);
	free(old);
}

void
door_reset(struct door *d)
{
	forget_facts(d, FACT_SENDER | FACT_GREY);
	d->facts.sender = SENDER_UNKNOWN;
	d->facts.grey = GREY_UNKNOWN;
	d->allowed &= SCOPE_SESSION;
	d->unallowed = false;
	d->judged = 0;
	d->kept_by = NULL;
}

/* --- facts --- */

static struct check_case
case_of(const struct door *d)
{
	return (struct check_case){.all = d->all,
	    .conf = d->all->conf,
	    .subject = &d->subject,
	    .facts = &d->facts,
	    .now = clock_now(),
	    .wall = clock_wall()};
}

static struct check_action
action_of(const struct door *d, const struct check *c)
{
	const struct check_action on = {.act = ACTION_REJECT};

	return c->action ? c->action(d->all->conf) : on;
}

/* Nobody asks for its reputation. */
static bool
is_covered(const struct door *d)
{
	return d->allowed || d->subject.submission || d->subject.env->login;
}

/* Is this row asked, if not before? */
static bool
is_asked(const struct door *d, const struct check *c)
{
	return action_of(d, c).act != ACTION_OFF &&
	       !(c->reputation && is_covered(d));
}

static unsigned
needs(const struct check *c, const struct check_case *with)
{
	return c->needs ? c->needs(with) : 0;
}

/* A number that is the session's own, or nearly so. */
static uint32_t
stranger(const struct door *d)
{
	uint32_t n = 0;

	for (const char *p = d->subject.env->session; *p; p++)
		n = n * 31 + (uint8_t)*p;
	return n ? n : 1;
}

static void on_fact(void *ctx, enum fact which);

/* What nobody gathers is known to be unknown. */
static void
begin(struct door *d, unsigned mask, int64_t now)
{
	const struct fact_from from = {.all = d->all,
	    .env = d->subject.env,
	    .stranger = stranger(d),
	    .deadline = now + (int64_t)d->all->conf->dns_timeout};

	mask &= ~d->begun;
	d->begun |= mask;
	for (unsigned i = 0; i < d->tables->nfacts; i++) {
		const struct door_fact *f = &d->tables->facts[i];

		if (f->which & mask)
			d->asked[i] = f->ask(&from, &d->facts, on_fact, d);
		if (d->asked[i])
			mask &= ~(unsigned)f->which;
	}
	d->facts.known |= mask;
}

/* What the checks will want to know, of what can be known by now. */
static void
begin_early(struct door *d, const struct check_case *with,
    enum policy_stage when)
{
	unsigned wanted = 0, now = 0;

	for (unsigned i = 0; i < d->tables->nchecks; i++) {
		const struct check *c = &d->tables->checks[i];

		if (is_asked(d, c))
			wanted |= needs(c, with) | c->wants;
	}
	for (unsigned i = 0; i < d->tables->nfacts; i++)
		if (d->tables->facts[i].begins == when)
			now |= d->tables->facts[i].which;
	if (wanted & now)
		begin(d, wanted & now, with->now);
}

void
door_begin(struct door *d)
{
	const struct check_case with = case_of(d);

	begin_early(d, &with, POLICY_CONNECT);
}

/* --- a question --- */

/* The rejection's, with a 4: "5.7.1" is "4.7.1". */
static void
defer(struct door *d, const struct check *c, struct verdict *v)
{
	size_t n = strnlen(v->status, sizeof(d->status) - 1);

	memcpy(d->status, v->status, n);
	d->status[0] = '4';
	d->status[n] = '\0';
	v->kind = VERDICT_DEFER;
	v->code = c->defer;
	v->status = d->status;
}

static bool
is_no(const struct verdict *v)
{
	return v->kind >= VERDICT_DEFER && !v->observed;
}

/* Before the greeting there are but two. */
static void
fit_greeting(struct verdict *v)
{
	if (v->kind >= VERDICT_DEFER)
		v->code = v->kind == VERDICT_DEFER ? 421 : 554;
}

static void
count(const struct door *d, const struct check *c, const struct verdict *v)
{
	unsigned result = v->observed                ? COUNTER_OBSERVED
			  : v->kind == VERDICT_DEFER ? COUNTER_DEFERRED
						     : COUNTER_REJECTED;

	if (c->counter)
		shared_add(d->all->shared, d->all->slot, c->counter + result,
		    1);
}

/* What comes of what was found. */
static void
act(struct door *d, const struct check *c, struct verdict *v)
{
	struct check_action a = action_of(d, c);

	if (!v->at.file)
		v->at = a.at;
	if (a.act == ACTION_OBSERVE && v->kind != VERDICT_PASS)
		v->observed = true;
	if (d->stage == POLICY_CONNECT)
		fit_greeting(v);
	if (a.act == ACTION_DEFER && v->kind == VERDICT_REJECT && is_no(v))
		defer(d, c, v);
	if (v->kind == VERDICT_ALLOW && !v->observed)
		d->allowed |= c->scope;
	trail_add(&d->trail, c->name, v);
	if (v->kind >= VERDICT_DEFER)
		count(d, c, v);
	if (v->observed && d->on_observed)
		d->on_observed(d->observed_ctx, c->name, v);
}

/* True: it says no. */
static bool
judge(struct door *d, const struct check *c, const struct check_case *with)
{
	struct verdict v = {0};

	c->judge(with, &v);
	act(d, c, &v);
	if (c->once)
		d->judged |= UINT32_C(1) << d->row;
	if (!is_no(&v))
		return false;
	if (c->once) {
		d->kept = v;
		d->kept_by = c;
	}
	d->said = v;
	d->said_by = c;
	return true;
}

static bool
is_kept(const struct door *d, const struct check *c)
{
	return c->once && d->judged >> d->row & 1;
}

/* Of all rows from here on. */
static void
begin_missing(struct door *d, const struct check_case *with)
{
	for (unsigned i = d->row; i < d->tables->nchecks; i++) {
		const struct check *c = &d->tables->checks[i];

		if (c->stage == d->stage && is_asked(d, c))
			begin(d, needs(c, with), with->now);
	}
}

static bool
lacks(const struct check *c, const struct check_case *with)
{
	return needs(c, with) & ~with->facts->known;
}

static bool
must_wait(struct door *d, const struct check *c, const struct check_case *with)
{
	if (!lacks(c, with))
		return false;
	begin_missing(d, with);
	return lacks(c, with);
}

enum run { RUN_YES, RUN_NO, RUN_WAITS };

static enum run
run(struct door *d)
{
	const struct check_case with = case_of(d);

	for (; d->row < d->tables->nchecks; d->row++) {
		const struct check *c = &d->tables->checks[d->row];

		if (c->stage != d->stage || !is_asked(d, c))
			continue;
		if (is_kept(d, c)) {
			if (d->kept_by != c)
				continue;
			d->said = d->kept;
			d->said_by = c;
			return RUN_NO;
		}
		if (must_wait(d, c, &with))
			return RUN_WAITS;
		if (judge(d, c, &with))
			return RUN_NO;
	}
	if (d->stage == POLICY_MAIL)
		begin_early(d, &with, POLICY_MAIL);
	return RUN_YES;
}

static void
on_fact(void *ctx, enum fact which)
{
	struct door *d = ctx;
	door_fn *fn = d->fn;
	enum run r;

	for (unsigned i = 0; i < d->tables->nfacts; i++) {
		if (d->tables->facts[i].which != which || !d->asked[i])
			continue;
		d->asked[i] = NULL;
		d->facts.known |= which;
		if (!fn || (r = run(d)) == RUN_WAITS)
			return;
		d->fn = NULL;
		fn(d->ctx, r == RUN_NO ? &d->said : NULL);
		return; /* it may be gone */
	}
}

/* What a stage begins. */
static void
enter_stage(struct door *d, enum policy_stage stage)
{
	d->stage = stage;
	d->row = 0;
	if (stage == POLICY_MAIL)
		door_reset(d);
	d->allowed &= ~(unsigned)SCOPE_RCPT;
	/* of all recipients, if each of them was allowed */
	if (stage == POLICY_DATA && !d->unallowed)
		d->allowed |= SCOPE_RCPT;
}

struct ask *
door_ask(struct door *d, enum policy_stage stage, const struct smtp_path *rcpt,
    const struct verdict **no, door_fn *fn, void *ctx)
{
	assert(!d->fn);
	d->subject.rcpt = rcpt;
	enter_stage(d, stage);
	*no = NULL;
	switch (run(d)) {
	case RUN_NO:
		*no = &d->said;
		/* fallthrough */
	case RUN_YES:
		return NULL;
	case RUN_WAITS:
		break;
	}
	d->fn = fn;
	d->ctx = ctx;
	return &d->ask;
}

/* --- what the session tells, and what it is told --- */

void
door_took_rcpt(struct door *d)
{
	d->unallowed |= !is_covered(d);
}

bool
door_allows_session(const struct door *d)
{
	return d->allowed & SCOPE_SESSION;
}

void
door_spoke_early(struct door *d)
{
	d->subject.early = true;
}

const char *
door_client_name(const struct door *d)
{
	return d->facts.known & FACT_NAME && d->facts.name == NAME_CONFIRMED
		   ? d->facts.client_name
		   : NULL;
}

struct smtp_reply
verdict_reply(const struct verdict *v)
{
	return (
	    struct smtp_reply){v->code, v->status, v->text ? v->text : v->said};
}

void
door_trail(const struct door *d, struct buf *out)
{
	trail_format(&d->trail, out);
}

void
door_on_observed(struct door *d, door_observed_fn *fn, void *ctx)
{
	d->on_observed = fn;
	d->observed_ctx = ctx;
}

const char *
door_said(const struct door *d)
{
	return d->said_by ? d->said_by->name : NULL;
}
