/*
 * asking: sorts, cuts and asks. On the loop; owns its question in flight.
 */
#include "deliver/asking.h"

#include <stdlib.h>

#include "deliver/verify.h"
#include "dest/destination.h"
#include "io/clock.h"

/* --- parcels --- */

/* Local, or when it is asked. */
static unsigned
order(const struct message_copy *c)
{
	return c->dest->kind->ask ? c->dest->kind->order : 0;
}

static int
compare(const void *p, const void *q)
{
	const struct message_copy *a = *(struct message_copy *const *)p;
	const struct message_copy *b = *(struct message_copy *const *)q;

	if (order(a) != order(b))
		return order(a) < order(b) ? -1 : 1;
	if (order(a) && a->dest->route != b->dest->route)
		return a->dest->route->number < b->dest->route->number ? -1 : 1;
	return a < b ? -1 : a > b; /* all are in one array */
}

static bool
is_next_parcel(const struct message_copy *last, const struct message_copy *c,
    unsigned n)
{
	return last->dest->route != c->dest->route ||
	       n == c->dest->kind->parcel_max;
}

static void
cut(struct asking *a)
{
	unsigned parcel = 0, n = 0;

	for (unsigned i = 0; i < a->n; i++) {
		const struct message_copy *c = a->copies[i];

		if (!order(c)) {
			a->views[i].local = true;
			continue;
		}
		if (n && is_next_parcel(a->copies[i - 1], c, n)) {
			parcel++;
			n = 0;
		}
		n++;
		a->views[i].parcel = parcel;
		a->views[i].hold = c->dest->route->hold;
	}
}

void
asking_begin(struct asking *a, struct message *m)
{
	a->n = m->ncopies;
	a->copies = arena_alloc(&m->arena, a->n * sizeof(a->copies[0]));
	a->views = arena_alloc(&m->arena, a->n * sizeof(a->views[0]));
	for (unsigned i = 0; i < a->n; i++)
		a->copies[i] = &m->copies[i];
	qsort(a->copies, a->n, sizeof(a->copies[0]), compare);
	cut(a);
	a->parcel = (struct parcel){.m = m, .copies = a->copies};
	while (a->parcel.copies < a->copies + a->n && !order(*a->parcel.copies))
		a->parcel.copies++;
}

struct ask_decision
asking_decide(struct asking *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->views[i].fate = a->copies[i]->fate;
	return ask_decide(a->views, a->n, a->asked);
}

/* --- asking --- */

static const struct route *
route(const struct asking *a)
{
	return a->parcel.copies[0]->dest->route;
}

static bool
has_taken(const struct asking *a)
{
	bool taken = false;

	for (unsigned i = 0; i < a->n; i++)
		taken |= a->copies[i]->fate == FATE_TAKEN;
	return taken;
}

/* Those behind the last one. */
static void
take_parcel(struct asking *a)
{
	struct parcel *p = &a->parcel;
	const struct ask_copy *v;
	unsigned left;

	p->copies += p->n;
	v = a->views + (p->copies - a->copies);
	left = a->n - (unsigned)(p->copies - a->copies);
	for (p->n = 1; p->n < left && v[p->n].parcel == v->parcel;)
		p->n++;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Too late for an end of data: nobody was asked. */
static bool
is_late(struct asking *a)
{
	if (a->begun < a->dot_by)
		return false;
	for (unsigned i = 0; i < a->parcel.n; i++) {
		a->parcel.copies[i]->fate = FATE_AGAIN;
		a->parcel.copies[i]->reply = SMTP_REPLY(451, "4.4.1",
		    "No time was left for the server of this address");
	}
	a->asked++;
	return true;
}

static void
on_told(void *ctx)
{
	struct asking *a = ctx;

	a->ask = NULL;
	carriers_take(a->carriers, route(a), a->octets);
	for (unsigned i = 0; i < a->parcel.n; i++)
		verify_settled(a->carriers, route(a), a->parcel.copies[i]->to,
		    a->parcel.copies[i]->fate, clock_now());
	a->asked++;
	a->told(a->ctx);
}

bool
asking_has_next(const struct asking *a)
{
	return a->parcel.copies + a->parcel.n < a->copies + a->n;
}

bool
asking_next(struct asking *a)
{
	struct parcel *p = &a->parcel;
	const struct route *r;

	take_parcel(a);
	a->begun = clock_now();
	if (is_late(a))
		return false;
	r = route(a);
	p->whole = a->fresh && !has_taken(a);
	p->held = !a->fresh;
	p->handed = false;
	p->deadline = a->wait_by;
	if (a->fresh)
		p->deadline =
		    earlier(a->begun + (int64_t)r->timeout, a->wait_by);
	p->dot_by = earlier(p->deadline, a->dot_by);
	carriers_add(a->carriers, r, a->octets);
	a->ask = r->kind->ask(carriers_find(a->carriers, r), p, on_told, a);
	return true;
}

void
asking_abandon(struct asking *a)
{
	carriers_take(a->carriers, route(a), a->octets);
	ask_cancel(&a->ask, ASK_ABANDON);
}
