/*
 * held_send: for each route of which mail is held, a lane: the files of the
 * last look, oldest first, of which a few are under way.
 *
 * A job claims a file, its copies are asked for one parcel after the other, and
 * a job settles what came of that, with all others that have come so far. A
 * route that is away, or that no configuration names, is asked nothing; then a
 * job only counts how long each file has waited. On the loop; owns the files
 * under way, and logs what came of them.
 */
#include "deliver/held_send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "deliver/copies.h"
#include "deliver/deliver_state.h"
#include "deliver/held_look.h"
#include "deliver/held_send_state.h"
#include "io/clock.h"
#include "io/full_io.h"

/* No client waits: up to the end of data, and behind it, in ms. */
#define DOT_MS  (10 * 60 * 1000)
#define WAIT_MS (10 * 60 * 1000)

/* Files of a lane that wait for a disk to hear what came of them. */
#define ENDING_MAX 64

static void
move(struct held_sending *x, struct held_sendings *to)
{
	if (x->list)
		TAILQ_REMOVE(x->list, x, next);
	x->list = to;
	if (to)
		TAILQ_INSERT_TAIL(to, x, next);
}

static void
job_free(struct job *job)
{
	(void)job; /* its owner's */
}

static void
free_send(void *ptr)
{
	struct held_sending *x = ptr;

	held_claim_free(&x->claim);
	free(x);
}

static void
drop(struct held_sending *x)
{
	move(x, NULL);
	loop_defer(x->lane->s->d->loop, free_send, x);
}

static void work(struct held_lane *l);

/* Its lane has room for the next one. */
static void
finish(struct held_sending *x)
{
	struct held_lane *l = x->lane;

	if (x->list == &l->s->settling)
		l->ending--;
	else
		l->running--;
	drop(x);
	work(l);
}

/* --- settling --- */

static void
settle_run(struct job *job)
{
	struct held_send *s = (struct held_send *)job;
	struct held_sending *x;

	for (x = TAILQ_FIRST(&s->settling); x; x = TAILQ_NEXT(x, next))
		held_claim_settle(&x->claim);
	/* what comes back is sent twice */
	(void)full_sync_dir(held_dirfd(s->d->held));
}

static void settle_done(struct job *job, void *ctx);

static void
settle_some(struct held_send *s)
{
	struct held_sending *x;

	if (!TAILQ_EMPTY(&s->settling) || TAILQ_EMPTY(&s->done))
		return;
	while ((x = TAILQ_FIRST(&s->done)))
		move(x, &s->settling);
	jobs_submit(s->d->aside, &s->job, settle_done, s);
}

static void
settle_done(struct job *job, void *ctx)
{
	struct held_send *s = ctx;
	struct held_sending *x;

	(void)job;
	while ((x = TAILQ_FIRST(&s->settling))) {
		held_send_log_settled(x);
		finish(x);
	}
	settle_some(s);
}

static void
settle(struct held_sending *x)
{
	struct held_lane *l = x->lane;
	struct message *m = &x->claim.file.m;

	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		c->error = c->fate == FATE_TAKEN ? 0 : EAGAIN;
		if (c->error && c->reply)
			c->note = copies_note(m, c);
	}
	move(x, &l->s->done);
	l->running--;
	l->ending++;
	settle_some(l->s);
	work(l);
}

/* --- asking --- */

static bool
is_away(const struct held_lane *l)
{
	const struct smtp_reply *reply;

	return held_lane_is_away(l, &reply);
}

/* A parcel that is refused keeps no other one from being asked for. */
static void
go_on(struct held_sending *x)
{
	struct asking *a = &x->asking;

	while (
	    asking_has_next(a) && !x->lane->s->draining && !is_away(x->lane)) {
		a->dot_by = clock_now() + DOT_MS;
		a->wait_by = a->dot_by + WAIT_MS;
		if (asking_next(a))
			return;
	}
	settle(x);
}

static void
on_told(void *ctx)
{
	struct held_sending *x = ctx;

	held_send_log_told(x);
	go_on(x);
}

static void
ask(struct held_sending *x)
{
	struct held_lane *l = x->lane;
	struct message *m = &x->claim.file.m;

	for (unsigned i = 0; i < m->ncopies; i++)
		m->copies[i].dest = &l->dest;
	x->asking = (struct asking){.carriers = &l->s->d->carriers,
	    .octets = m->body.tail.len,
	    .told = on_told,
	    .ctx = x};
	asking_begin(&x->asking, m);
	move(x, &l->s->asked);
	go_on(x);
}

/* --- claiming --- */

static void
claim_run(struct job *job)
{
	held_claim_take(&((struct held_sending *)job)->claim);
}

static void
claim_done(struct job *job, void *ctx)
{
	struct held_sending *x = ctx;
	struct held_lane *l = x->lane;

	(void)job;
	if (x->claim.state == HELD_CLAIM_SETTLED)
		held_send_log_settled(x);
	if (x->claim.state == HELD_CLAIM_ASK && !l->s->draining && !is_away(l))
		ask(x);
	else
		finish(x);
}

static struct held_claim
new_claim(const struct held_lane *l)
{
	struct held_send *s = l->s;
	const struct deliver_options *o = s->d->options;
	const struct smtp_reply *why;
	struct held_claim c = {.crc = &s->crc,
	    .held = held_dirfd(s->d->held),
	    .reserve = o->reserve,
	    .expire = o->expire,
	    .failed = o->failed,
	    .since = l->since,
	    .away = held_lane_is_away(l, &why),
	    .why = "no route of this name"};

	if (why)
		snprintf(c.why, sizeof(c.why), "%u %s %s", why->code,
		    why->status, why->text);
	return c;
}

static void
claim(struct held_lane *l, const struct held_claim *c, const char *name)
{
	struct held_sending *x = mem_new(sizeof(*x));

	x->job.run = claim_run;
	x->job.free = job_free;
	x->lane = l;
	x->claim = *c;
	x->claim.name = strdup(name);
	if (!x->claim.name)
		abort();
	l->running++;
	move(x, &l->s->claimed);
	jobs_submit(l->s->d->aside, &x->job, claim_done, x);
}

/* Half of its connections are for what is fresh, and all that it needs. */
static bool
has_room(const struct held_lane *l)
{
	const struct route *r = l->dest.route;
	unsigned half = r ? r->connections / 2 : 1;

	if (l->running >= (half ? half : 1) || l->ending >= ENDING_MAX ||
	    (r && carriers_full(&l->s->d->carriers, r)))
		return false;
	return !r || !r->connections ||
	       l->s->d->carriers.routes[r->number].parcels < r->connections;
}

static void
work(struct held_lane *l)
{
	const struct held_route *r =
	    held_route_find(held_routes(l->s->d->held), l->dest.text);
	struct held_claim c;
	int64_t now;

	if (!r || l->at == r->n || l->s->draining)
		return;
	c = new_claim(l);
	now = clock_boot();
	for (; l->at < r->n && has_room(l); l->at++) {
		const struct held_wait *w = &r->files[l->at];

		if (held_claim_is_due(&c, w->name, &w->block, now))
			claim(l, &c, w->name);
	}
}

/* --- lanes --- */

static void
go_round(struct held_lane *l)
{
	bool down = is_away(l);

	if (l->down && !down)
		l->since = clock_boot();
	l->down = down;
	l->at = 0;
	work(l);
}

static void
on_look(void *ctx, bool again)
{
	struct held_send *s = ctx;

	held_lanes_add_missing(s);
	if (again) /* somebody wants some tried now */
		carriers_again(&s->d->carriers);
	for (unsigned i = 0; i < s->d->options->nroutes; i++)
		go_round(&s->lanes[i]);
	for (struct held_lane *l = s->missing; l; l = l->next)
		go_round(l);
}

struct held_send *
held_send_new(struct deliver *d)
{
	const struct deliver_options *o = d->options;
	struct held_send *s = mem_new(sizeof(*s));

	s->job.run = settle_run;
	s->job.free = job_free;
	s->d = d;
	crc32c_init(&s->crc);
	TAILQ_INIT(&s->claimed);
	TAILQ_INIT(&s->asked);
	TAILQ_INIT(&s->done);
	TAILQ_INIT(&s->settling);
	s->lanes = mem_new((o->nroutes + 1) * sizeof(s->lanes[0]));
	for (unsigned i = 0; i < o->nroutes; i++) {
		const struct route *r = o->routes[i];

		s->lanes[i].s = s;
		s->lanes[i].shown = r->shown;
		s->lanes[i].dest = (struct destination){.kind = r->kind,
		    .text = r->text,
		    .route = r};
	}
	held_on_look(d->held, on_look, s);
	return s;
}

static void
free_all(struct held_sendings *list)
{
	struct held_sending *x;

	while ((x = TAILQ_FIRST(list)))
		drop(x);
}

void
held_send_free(struct held_send **p)
{
	struct held_send *s = *p;

	*p = NULL;
	if (!s)
		return;
	free_all(&s->claimed);
	free_all(&s->asked);
	free_all(&s->done);
	free_all(&s->settling);
	arena_reset(&s->arena);
	free(s->lanes);
	free(s);
}

/* --- the end --- */

static bool
is_taken(const struct held_sending *x)
{
	const struct message *m = &x->claim.file.m;
	bool any = false;

	for (unsigned i = 0; i < m->ncopies; i++)
		any |= m->copies[i].fate != FATE_NONE;
	return any;
}

/* What others have of it is not sent again. */
static void
give_up(struct held_sending *x)
{
	bool handed = x->asking.parcel.handed;

	asking_abandon(&x->asking);
	if (handed || is_taken(x))
		settle(x);
	else
		finish(x);
}

void
held_send_drain(struct held_send *s, bool end)
{
	struct held_sending *x, *next;

	if (!s)
		return;
	s->draining = true;
	for (x = TAILQ_FIRST(&s->asked); x; x = next) {
		next = TAILQ_NEXT(x, next);
		if (end || !x->asking.parcel.handed)
			give_up(x);
	}
}

bool
held_send_is_idle(const struct held_send *s)
{
	return !s || (TAILQ_EMPTY(&s->claimed) && TAILQ_EMPTY(&s->asked) &&
			 TAILQ_EMPTY(&s->done) && TAILQ_EMPTY(&s->settling));
}
