/*
 * delivery_ask: a message that others are asked about before it is committed.
 *
 * Their yes cannot be taken back, so all that can fail here comes before, but
 * for the disk itself. What they did not take goes into held/ first, since no
 * journal may have it: a record is done again after a crash. On the loop.
 */
#include "deliver/delivery_ask.h"

#include <errno.h>

#include "deliver/copies.h"
#include "deliver/deliver_state.h"
#include "deliver/delivery_log.h"
#include "dest/destination.h"

/* --- held --- */

static void
on_kept(void *ctx, int error)
{
	struct delivery *v = ctx;

	if (error) {
		v->nkept = 0;
		delivery_refuse(v, error, delivery_reply(error));
		return;
	}
	if (atomic_load(&v->message.abandoned)) {
		delivery_refuse(v, ECANCELED, delivery_reply(ECANCELED));
		return;
	}
	delivery_log_kept(v);
	if (v->message.ncopies)
		delivery_commit(v);
	else
		delivery_become(v, DELIVERY_DONE);
}

void
delivery_enter_keeping(struct delivery *v)
{
	if (v->nkept)
		held_keep(v->d->held, &v->message, v->kept, v->nkept, on_kept,
		    v);
	else
		on_kept(v, 0);
}

/* What is being sent by now, or was, comes twice. */
static void
on_forgotten(void *ctx, int error)
{
	struct delivery *v = ctx;

	v->stays = error != 0;
	delivery_become(v, DELIVERY_REFUSED);
}

void
delivery_enter_forgetting(struct delivery *v)
{
	held_forget(v->d->held, &v->message, v->kept, v->nkept, on_forgotten,
	    v);
}

/* --- asked --- */

static void
settle(struct delivery *v, const struct ask_decision *d)
{
	const struct smtp_reply *reply = v->asking.copies[d->reply]->reply;

	delivery_log_settled(v);
	if (d->verdict == ASK_REPLY) {
		delivery_refuse(v, 0, reply ? reply : delivery_reply(EIO));
		return;
	}
	copies_settle(v);
	delivery_become(v, DELIVERY_KEEPING);
}

static void
go_on(struct delivery *v)
{
	struct ask_decision d;

	do
		d = asking_decide(&v->asking);
	while (d.verdict == ASK_NEXT && !asking_next(&v->asking));
	if (d.verdict != ASK_NEXT)
		settle(v, &d);
}

static void
on_told(void *ctx)
{
	struct delivery *v = ctx;

	delivery_log_told(v);
	go_on(v);
}

/* One of its routes. */
static bool
is_full(const struct delivery *v)
{
	const struct message *m = &v->message;
	bool full = false;

	for (unsigned i = v->nlocal; i < m->ncopies; i++)
		full |=
		    carriers_full(&v->d->carriers, m->copies[i].dest->route);
	return full;
}

/* One for which half of what may be held is held has no hold. */
static void
limit_hold(struct asking *a, const struct held *held)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->views[i].hold &&
		    held_route_full(held, a->copies[i]->dest->text))
			a->views[i].hold = false;
}

void
delivery_enter_asking(struct delivery *v)
{
	struct asking *a = &v->asking;

	if (is_full(v)) {
		delivery_refuse(v, 0, carriers_full_reply());
		return;
	}
	a->carriers = &v->d->carriers;
	a->fresh = true;
	a->octets = delivery_memory(v);
	a->told = on_told;
	a->ctx = v;
	asking_begin(a, &v->message);
	limit_hold(a, v->d->held);
	go_on(v);
}
