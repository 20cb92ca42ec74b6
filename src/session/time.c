/*
 * session_time: what a session waits for now, and until when.
 */
#include "session/time.h"

#include "io/clock.h"
#include "proto/smtp.h"

/* Replies that a client has not read; more, and it must read first. */
#define UNSENT_MAX 16384

bool
session_behind(const struct session *s)
{
	/* what comes behind the last reply in clear is TLS */
	size_t max = s->smtp.state == SMTP_STATE_TLS ? 0 : UNSENT_MAX;

	return stream_unsent(&s->stream) > max;
}

bool
session_blocked(const struct session *s)
{
	return s->smtp.ask != SMTP_ASK_NONE || s->full || s->stalled;
}

static enum phase
phase_now(const struct session *s)
{
	if (s->header)
		return PHASE_PROXY;
	if (s->handshaking)
		return PHASE_HANDSHAKE;
	if (s->smtp.ask != SMTP_ASK_NONE)
		return PHASE_VERDICT;
	if (s->full)
		return PHASE_DISK;
	if (s->stalled)
		return PHASE_FLUSH;
	if (s->smtp.state == SMTP_STATE_REFUSED)
		return PHASE_REFUSED;
	return smtp_in_body(&s->smtp) ? PHASE_BODY : PHASE_COMMAND;
}

static void
set_deadline(struct session *s)
{
	int64_t when = deadline_next(&s->time, &s->all->conf->deadlines,
	    smtp_in_transaction(&s->smtp));

	if (s->time.phase == PHASE_REFUSED && !s->place.held)
		when = clock_now(); /* too many are told no already */
	if (s->pause)
		when = s->time.pressure ? clock_now() : s->pause;
	stream_deadline(&s->stream, when);
}

void
session_time_update(struct session *s)
{
	enum phase phase = phase_now(s);
	int64_t now = clock_now();

	if (phase != s->time.phase ||
	    (s->commands != s->smtp.commands && phase != PHASE_REFUSED))
		s->time.since = now;
	s->commands = s->smtp.commands;
	s->time.phase = phase;
	s->time.octet = now;
	s->time.octets = s->smtp.received;
	set_deadline(s);
}

void
session_time_pressure(struct session *s, bool pressure)
{
	if (s->time.pressure == pressure || s->state != SESSION_OPEN)
		return;
	s->time.pressure = pressure;
	if (pressure)
		shared_add(s->all->shared, s->all->slot, SHARED_PRESSURED, 1);
	set_deadline(s);
}
