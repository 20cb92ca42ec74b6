/*
 * delivery_log: what came of a message, in words and in counters. Owns
 * nothing.
 */
#include "deliver/delivery_log.h"

#include <errno.h>
#include <string.h>

#include "deliver/copies.h"
#include "deliver/deliver_state.h"
#include "dest/destination.h"
#include "io/clock.h"
#include "io/log.h"

/* What the client hears about an error. */
const struct smtp_reply *
delivery_reply(int error)
{
	switch (error) {
	case ENOSPC:
	case EMSGSIZE: /* its record would be too large */
		return SMTP_REPLY(452, "4.3.1", "Insufficient system storage");
	case EDQUOT:
		return SMTP_REPLY(452, "4.2.2", "Mailbox full");
	default:
		return SMTP_REPLY(451, "4.3.0",
		    "Cannot store the message now, try again later");
	}
}

/* Where its deliver counts. */
static void
count(const struct delivery *v, enum shared_counter c, unsigned n)
{
	shared_add(v->d->counts.shared, v->d->counts.slot, c, n);
}

/* Of its Return-Path; "<>" as it is. */
static struct span
from(const struct message *m)
{
	struct span s = buf_span(&m->return_path);

	span_skip(&s, strlen("Return-Path: "));
	s.len--;
	if (s.len > 2) {
		span_skip(&s, 1);
		s.len--;
	}
	return s;
}

/* Refused by a route behind another's yes, and in failed now. */
static void
count_failed(const struct delivery *v)
{
	count(v, SHARED_FAILED, 1);
	shared_set(v->d->counts.shared, v->d->counts.slot, SHARED_FAILED_AT,
	    clock_wall() / 1000);
}

void
delivery_log_delivered(const struct delivery *v, int64_t ns)
{
	const struct message *m = &v->message;

	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (c->error)
			continue;
		if (c->note[0]) {
			count_failed(v);
			continue;
		}
		count(v, c->dest->kind->count, 1);
		log_event(LOG_INFO, "delivered", LOG_STR("message", m->id),
		    LOG_SPAN("from", from(m)), LOG_STR("rcpt", c->address),
		    LOG_STR("mailbox", c->path), LOG_UINT("size", c->size));
	}
	shared_observe(v->d->counts.shared, v->d->counts.slot,
	    m->copies[0].dest->kind->time, COUNTER_SECONDS, (uint64_t)ns);
}

void
delivery_log_discarded(const struct delivery *v)
{
	const struct message *m = &v->message;
	uint64_t size =
	    m->body.filed - m->body.from + (uint64_t)m->body.tail.len;

	if (atomic_load(&m->abandoned))
		return;
	count(v, SHARED_DISCARD, v->ndiscarded);
	for (unsigned i = 0; i < v->ndiscarded; i++)
		log_event(LOG_INFO, "discarded", LOG_STR("message", m->id),
		    LOG_STR("rcpt", v->discarded[i]), LOG_UINT("size", size));
}

/* --- others --- */

void
delivery_log_copy(const struct message *m, const struct message_copy *c,
    const char *route, enum log_level level, const char *event, int64_t ms)
{
	struct buf reply = {0};

	if (c->reply)
		copies_put_reply(&reply, c->reply);
	else if (c->fate != FATE_TAKEN && *c->note)
		buf_append_str(&reply, c->note);
	log_event(level, event, LOG_STR("message", m->id),
	    LOG_SPAN("from", from(m)), LOG_STR("rcpt", c->address),
	    LOG_STR("route", route), LOG_STR("peer", c->peer),
	    LOG_SPAN("reply", buf_span(&reply)),
	    LOG_INT(ms < 0 ? NULL : "ms", ms),
	    LOG_UINT(ms < 0 ? NULL : "size", c->size));
	buf_free(&reply);
}

static void
log_copy(const struct delivery *v, enum log_level level, const char *event,
    const struct message_copy *c)
{
	bool taken = level == LOG_INFO && c->fate == FATE_TAKEN;

	delivery_log_copy(&v->message, c, c->dest->route->shown, level, event,
	    taken ? clock_now() - v->asking.begun : -1);
}

void
delivery_log_told(const struct delivery *v)
{
	const struct parcel *p = &v->asking.parcel;

	for (unsigned i = 0; i < p->n; i++) {
		const struct message_copy *c = p->copies[i];
		unsigned kind = c->dest->kind->count;

		if (c->fate == FATE_TAKEN) {
			count(v, kind + COUNTER_TAKEN, 1);
			log_copy(v, LOG_INFO, "delivered", c);
		} else if (c->fate == FATE_LOST) {
			count(v, kind + COUNTER_UNANSWERED, 1);
			log_copy(v, LOG_WARN, "unanswered", c);
		}
	}
}

void
delivery_log_settled(const struct delivery *v)
{
	const struct asking *a = &v->asking;

	for (unsigned i = 0; i < a->n; i++) {
		const struct message_copy *c = a->copies[i];

		if (a->views[i].what == ASK_LATE) {
			count(v, c->dest->kind->count + (unsigned)COUNTER_LATE,
			    1);
			log_copy(v, LOG_WARN, "refused-late", c);
		} else if (a->views[i].what != ASK_NOTHING) {
			continue;
		} else if (c->fate == FATE_REFUSED) {
			log_copy(v, LOG_INFO, "remote-refused", c);
		} else if (c->fate == FATE_AGAIN || c->fate == FATE_DOWN) {
			log_copy(v, LOG_INFO, "remote-deferred", c);
		}
	}
}

void
delivery_log_kept(const struct delivery *v)
{
	for (unsigned i = 0; i < v->nkept; i++) {
		count(v, v->kept[i]->dest->kind->count + (unsigned)COUNTER_HELD,
		    1);
		log_copy(v, LOG_WARN, "held", v->kept[i]);
	}
}

/* It was refused, and will come again to those who have it. */
static void
log_doubled(const struct delivery *v)
{
	const struct asking *a = &v->asking;

	for (unsigned i = 0; i < a->n; i++) {
		const struct message_copy *c = a->copies[i];

		if (c->fate == FATE_TAKEN ||
		    (v->stays && a->views[i].what == ASK_KEEP))
			log_copy(v, LOG_WARN, "duplicate-likely", c);
	}
}

void
delivery_log_refused(const struct delivery *v)
{
	const struct message *m = &v->message;
	const struct message_copy *c = v->failed;
	bool full = v->error == ENOSPC || v->error == EDQUOT;

	log_doubled(v);
	if (!v->error)
		return; /* it was said of each copy, or will be again */
	if (v->error == ECANCELED && atomic_load(&m->abandoned))
		log_event(LOG_INFO | LOG_KEEP, "abandoned",
		    LOG_STR("message", m->id));
	else
		log_event((full ? LOG_WARN : LOG_ERROR) | LOG_KEEP,
		    "undelivered", LOG_STR("message", m->id),
		    LOG_STR("root", c ? c->dest->text : NULL),
		    LOG_STR("mailbox", c ? c->path : NULL),
		    LOG_STR("spool", c ? NULL : v->d->options->spool),
		    LOG_STR("error", maildir_error(v->error)));
}

void
delivery_log_held(const struct delivery *v, const char *help)
{
	const struct message *m = &v->message;

	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (!c->error)
			continue;
		if (!help)
			count(v, c->dest->kind->count + 1, 1);
		log_event(help ? LOG_ERROR : LOG_WARN, "held",
		    LOG_STR("message", m->id), LOG_STR("rcpt", c->address),
		    LOG_STR("mailbox", c->path),
		    LOG_STR("error", maildir_error(c->error)),
		    LOG_STR("help", help));
	}
}
