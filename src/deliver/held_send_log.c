/*
 * held_send_log: what came of held mail that was sent, in words and in
 * counters. Owns nothing.
 */
#include "deliver/deliver_state.h"
#include "deliver/delivery_log.h"
#include "deliver/held_send_state.h"
#include "io/clock.h"
#include "io/log.h"

static void
count(const struct held_sending *x, enum shared_counter c)
{
	const struct shared_slot *to = &x->lane->s->d->counts;

	shared_add(to->shared, to->slot, c, 1);
}

static void
tell(const struct held_sending *x, const struct message_copy *c,
    enum log_level level, const char *event)
{
	bool taken = c->fate == FATE_TAKEN;

	delivery_log_copy(&x->claim.file.m, c, x->lane->shown, level, event,
	    taken ? clock_now() - x->asking.begun : -1);
}

static void
tell_failed(const struct held_sending *x, const struct message_copy *c)
{
	const struct shared_slot *to = &x->lane->s->d->counts;

	if (c->fate == FATE_REFUSED) {
		count(x, x->lane->dest.kind->count + (unsigned)COUNTER_LATE);
		tell(x, c, LOG_WARN, "refused-late");
	} else {
		tell(x, c, LOG_ERROR, "failed");
	}
	count(x, SHARED_FAILED);
	shared_set(to->shared, to->slot, SHARED_FAILED_AT, clock_wall() / 1000);
}

void
held_send_log_settled(const struct held_sending *x)
{
	const struct message *m = &x->claim.file.m;

	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (!c->error && c->fate != FATE_TAKEN)
			tell_failed(x, c);
		else if (c->error && c->fate != FATE_NONE)
			tell(x, c, LOG_WARN, "held");
	}
	if (x->claim.error)
		log_event(LOG_ERROR, "held-failed", LOG_STR("message", m->id),
		    LOG_STR("route", x->lane->shown),
		    LOG_ERRNO(x->claim.error));
}

void
held_send_log_told(const struct held_sending *x)
{
	const struct parcel *p = &x->asking.parcel;
	unsigned kind = x->lane->dest.kind->count;

	for (unsigned i = 0; i < p->n; i++) {
		const struct message_copy *c = p->copies[i];

		if (c->fate == FATE_TAKEN) {
			count(x, kind + COUNTER_TAKEN);
			tell(x, c, LOG_INFO, "delivered");
		} else if (c->fate == FATE_LOST) {
			count(x, kind + COUNTER_UNANSWERED);
			tell(x, c, LOG_WARN, "unanswered");
		}
	}
}
