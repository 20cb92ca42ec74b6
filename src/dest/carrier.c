/*
 * carrier: who is carried by whom. Verifications come first, then parcels, in
 * order; each waits until a connection is READY, is carried, and is told from
 * a timer of its own: so nobody is called from inside a call, and nothing is
 * touched behind it.
 *
 * Each worker may have one connection, beyond that only while there are fewer
 * than the route may have, over all workers.
 */
#include "dest/carrier.h"

#include <stdlib.h>

#include "base/mem.h"
#include "dest/carrier_mail.h"
#include "io/clock.h"

/* --- errands --- */

static void
count_waiting(struct errand *e, int by)
{
	struct carrier_mail *c = e->home;

	if (e->list == &c->verifies || e->list == &c->parcels)
		c->waiting += (unsigned)by;
}

static void
become(struct errand *e, struct errands *list)
{
	count_waiting(e, -1);
	if (e->list)
		TAILQ_REMOVE(e->list, e, next);
	e->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, e, next);
	count_waiting(e, 1);
}

static void
time_until(struct errand *e, int64_t when)
{
	int64_t ms = when - clock_now();

	loop_timer_set(e->timer, ms > 0 ? (uint64_t)ms : 0);
}

static void
finish(struct errand *e)
{
	e->on = NULL;
	become(e, &e->home->over);
	loop_timer_set(e->timer, 0);
}

static void
finish_with(struct errand *e, enum fate fate, const struct smtp_reply *r)
{
	errand_end(e, fate, r);
	finish(e);
}

/* What is fresh before what is held. */
static void
queue(struct errand *e)
{
	struct errands *list = &e->home->parcels;
	struct errand *held = NULL;

	if (!e->p->held)
		TAILQ_FOREACH (held, list, next)
			if (held->p->held)
				break;
	become(e, list);
	if (!held)
		return;
	TAILQ_REMOVE(list, e, next);
	TAILQ_INSERT_BEFORE(held, e, next);
}

/* At its head, and with what time it has. */
static void
wait_again(struct errand *e)
{
	struct errands *list = e->p ? &e->home->parcels : &e->home->verifies;

	e->on = NULL;
	e->fresh = true;
	become(e, NULL);
	e->list = list;
	TAILQ_INSERT_HEAD(list, e, next);
	count_waiting(e, 1);
}

/* --- connections --- */

static void
drop(struct carrier_mail *c, struct carry *y)
{
	LIST_REMOVE(y, next);
	c->connections--;
	neighbour_use(c->place, c->s.slot, -1);
	carry_free(&y);
}

static unsigned
in_use(const struct carrier_mail *c)
{
	return c->place ? neighbour_in_use(c->place) : c->connections;
}

static bool
may_open(const struct carrier_mail *c)
{
	return !c->connections || in_use(c) < c->carrier.route->connections;
}

static void on_carry(void *owner, struct carry *y);

/* False: not now, or nowhere. */
static bool
open_one(struct carrier_mail *c)
{
	struct address places[ADDRESSES_MAX];
	int64_t now = clock_now();
	struct carry *y;
	unsigned n;

	c->names_wait = !addresses_ready(c->addresses, now);
	if (c->names_wait)
		return false;
	n = addresses_list(c->addresses, now, places);
	if (!n) {
		carrier_no_address(c);
		return false;
	}
	y = carry_open(c->carrier.route, c->lmtp, &c->s, c->addresses, places,
	    n, on_carry, c);
	LIST_INSERT_HEAD(&c->all, y, next);
	c->connections++;
	neighbour_use(c->place, c->s.slot, 1);
	return true;
}

/* NULL: none of these. transactions: at most so many it has had. */
static struct carry *
find(struct carrier_mail *c, enum carry_state state, unsigned transactions)
{
	struct carry *y;

	LIST_FOREACH (y, &c->all, next)
		if (y->state == state && y->client.transactions <= transactions)
			return y;
	return NULL;
}

static unsigned
count(const struct carrier_mail *c, enum carry_state state)
{
	const struct carry *y;
	unsigned n = 0;

	LIST_FOREACH (y, &c->all, next)
		n += y->state == state;
	return n;
}

/* --- who is carried by whom --- */

static void settle(struct carrier_mail *c, struct carry *y);

/* The connection is used, the others may grow old. */
static void
start(struct carrier_mail *c, struct carry *y, struct errand *e)
{
	LIST_REMOVE(y, next);
	LIST_INSERT_HEAD(&c->all, y, next);
	e->on = y;
	become(e, &c->carried);
	if (e->p)
		time_until(e, e->p->deadline);
	carry_start(y, e);
	settle(c, y);
}

/* Those of a list who can be. */
static void
start_all(struct carrier_mail *c, struct errands *list)
{
	struct errand *e = TAILQ_FIRST(list);

	while (e && !carrier_is_down(c)) { /* or the list is empty now */
		struct errand *next = TAILQ_NEXT(e, next);
		struct carry *y =
		    find(c, CARRY_READY, e->fresh ? 0 : CARRY_MESSAGES);

		if (y)
			start(c, y, e);
		else if (!e->fresh)
			return;
		e = next;
	}
}

/* An idle one is in the way of a fresh one, or of another worker's. */
static void
make_room(struct carrier_mail *c, bool wanted)
{
	struct carry *y;

	while (!wanted && c->connections > 1 &&
	       in_use(c) >= c->carrier.route->connections &&
	       (y = find(c, CARRY_READY, CARRY_MESSAGES)))
		drop(c, y);
	if (wanted && !may_open(c) &&
	    (y = find(c, CARRY_READY, CARRY_MESSAGES)))
		drop(c, y);
}

static void
work(struct carrier_mail *c)
{
	if (carrier_is_down(c))
		return;
	start_all(c, &c->verifies);
	start_all(c, &c->parcels);
	make_room(c, c->waiting);
	while (!carrier_is_down(c) && !c->patience &&
	       count(c, CARRY_DIALS) < c->waiting && may_open(c) && open_one(c))
		;
}

/* What has become of a connection; nobody is called. */
static void
settle(struct carrier_mail *c, struct carry *y)
{
	struct errand *e = y->errand;

	if (e && (y->over || y->again)) {
		y->errand = NULL;
		if (y->over)
			carrier_judge(c, y, e);
		if (y->over)
			finish(e);
		else if (carrier_is_down(c)) /* by another one meanwhile */
			finish_with(e, FATE_DOWN, c->reply);
		else
			wait_again(e);
		y->over = y->again = false;
	}
	if (y->state == CARRY_GONE)
		drop(c, y);
}

static void
on_carry(void *owner, struct carry *y)
{
	struct carrier_mail *c = owner;

	if (!y->over && (y->state == CARRY_DIALS || y->state == CARRY_BUSY))
		return; /* it goes on */
	if (y->state == CARRY_GONE && !y->reached)
		carrier_failed_dial(c, y);
	if (y->state == CARRY_READY && !y->client.transactions)
		carrier_reached(c);
	settle(c, y);
	work(c);
}

void
carrier_give_up(struct carrier_mail *c)
{
	struct errand *e;
	struct carry *y;

	while (
	    (e = TAILQ_FIRST(&c->verifies)) || (e = TAILQ_FIRST(&c->parcels)))
		finish_with(e, FATE_DOWN, c->reply);
	while ((y = find(c, CARRY_DIALS, 0)))
		drop(c, y);
}

/* --- what happens --- */

/* It knows where, or may dial again. */
static void
dial_again(struct carrier_mail *c)
{
	if (!carrier_is_down(c))
		work(c);
	else if (!find(c, CARRY_DIALS, 0))
		open_one(c); /* a probe */
}

static void
on_timer(void *ctx)
{
	struct carrier_mail *c = ctx;

	c->patience = false;
	dial_again(c);
}

static void
on_names(void *ctx)
{
	struct carrier_mail *c = ctx;

	if (c->names_wait)
		dial_again(c);
}

static void
on_errand(void *ctx)
{
	struct errand *e = ctx;

	if (e->list == &e->home->over) {
		become(e, NULL);
		errand_tell(e);
	} else if (e->on) {
		carry_expire(e->on);
	} else if (e->p) {
		finish_with(e, FATE_AGAIN,
		    SMTP_REPLY(451, "4.3.2",
			"Too much waits for a slow server"));
	} else {
		finish_with(e, FATE_AGAIN, &carrier_away);
	}
}

/* Who may have it, although nobody will hear so. */
static void
log_unanswered(const struct errand *e)
{
	const struct parcel *p = e->p;

	for (unsigned i = 0; p && i < e->n; i++)
		if (e->all[i].fate == FATE_TAKEN || e->all[i].fate == FATE_LOST)
			parcel_log_unanswered(p, i, e->home->carrier.route);
}

static void
on_cancel(struct ask *a, enum ask_end end)
{
	struct errand *e = (struct errand *)(void *)a;
	struct carrier_mail *c = e->home;
	struct carry *y = e->on;

	(void)end;
	if (y && y->client.dot_sent) {
		client_lost(&y->client, false);
		errand_take(e);
	}
	log_unanswered(e);
	become(e, NULL);
	errand_free(e);
	if (y) {
		drop(c, y);
		work(c);
	}
}

/* --- from outside --- */

static struct ask *
submit(struct carrier_mail *c, struct errand *e, int64_t until)
{
	e->ask.cancel = on_cancel;
	e->home = c;
	e->timer = loop_timer(c->s.loop, on_errand, e);
	if (!e->timer)
		abort();
	if (carrier_is_down(c)) {
		finish_with(e, FATE_DOWN, c->reply);
		return &e->ask;
	}
	if (e->p)
		queue(e);
	else
		become(e, &c->verifies);
	time_until(e, until);
	work(c);
	return &e->ask;
}

static struct carrier_mail *
mail_of(struct carrier *c)
{
	return (struct carrier_mail *)(void *)c;
}

struct ask *
carrier_ask(struct carrier *carrier, struct parcel *p, parcel_fn *fn, void *ctx)
{
	struct carrier_mail *c = mail_of(carrier);

	return submit(c, errand_parcel(p, fn, ctx),
	    p->deadline < p->dot_by ? p->deadline : p->dot_by);
}

struct ask *
carrier_verify(struct carrier *carrier, const char *sender, const char *to,
    int64_t deadline, verify_fn *fn, void *ctx)
{
	struct carrier_mail *c = mail_of(carrier);

	return submit(c, errand_verify(sender, to, fn, ctx), deadline);
}

enum carrier_health
carrier_health(const struct carrier *carrier, const struct smtp_reply **reply)
{
	const struct carrier_mail *c = (const void *)carrier;

	*reply = c->reply;
	return carrier_is_down(c) ? CARRIER_DOWN : CARRIER_UP;
}

static struct carrier *
open_it(const struct route *r, const struct dest_services *s, bool lmtp)
{
	struct carrier_mail *c = mem_new(sizeof(*c));

	*c = (struct carrier_mail){.carrier.route = r, .s = *s, .lmtp = lmtp};
	TAILQ_INIT(&c->verifies);
	TAILQ_INIT(&c->parcels);
	TAILQ_INIT(&c->carried);
	TAILQ_INIT(&c->over);
	LIST_INIT(&c->all);
	c->timer = loop_timer(s->loop, on_timer, c);
	if (!c->timer)
		abort();
	carrier_begin(c);
	c->addresses = addresses_new(r, s->resolve, on_names, c);
	return &c->carrier;
}

struct carrier *
carrier_open_smtp(const struct route *r, const struct dest_services *s)
{
	return open_it(r, s, false);
}

struct carrier *
carrier_open_lmtp(const struct route *r, const struct dest_services *s)
{
	return open_it(r, s, true);
}

static void
free_all(struct errands *list)
{
	struct errand *e;

	while ((e = TAILQ_FIRST(list))) {
		become(e, NULL);
		errand_free(e);
	}
}

void
carrier_free(struct carrier **p)
{
	struct carrier_mail *c = *p ? mail_of(*p) : NULL;

	*p = NULL;
	if (!c)
		return;
	while (!LIST_EMPTY(&c->all))
		drop(c, LIST_FIRST(&c->all));
	free_all(&c->verifies);
	free_all(&c->parcels);
	free_all(&c->carried);
	free_all(&c->over);
	addresses_free(&c->addresses);
	loop_event_free(&c->timer);
	neighbour_close(c->place, c->s.slot);
	loop_defer(c->s.loop, free, c);
}
