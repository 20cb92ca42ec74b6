/*
 * deadline: RFC 5321 4.5.3.2 from the server's side.
 *
 * A command's time runs from the last complete one, not from the last octet,
 * so that a byte a minute buys nothing.
 */
#include "policy/deadline.h"

#define VERDICT_MS    120000 /* RFC 1047: clients give up, and send again */
#define RATE_AFTER_MS 60000
#define DRAIN_IDLE_MS 5000
#define REFUSED_MS    5000 /* whatever it says */
#define PRESSURE      10   /* patience is divided by this */

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
patience(const struct deadline *d, uint64_t ms)
{
	return (int64_t)(d->pressure ? ms / PRESSURE : ms);
}

static int64_t
session_end(const struct deadline *d, const struct deadline_config *c)
{
	return d->begun + patience(d, c->session);
}

/* When the octets so far are too few for the time so far. */
static int64_t
rate_end(const struct deadline *d, const struct deadline_config *c)
{
	uint64_t earned = d->octets / c->data_rate * 1000;

	/* a message has an upper size, so this stays far from overflow */
	return d->since + patience(d, RATE_AFTER_MS) + (int64_t)earned;
}

int64_t
deadline_next(const struct deadline *d, const struct deadline_config *c,
    bool in_transaction)
{
	int64_t idle = patience(d, c->idle);
	int64_t when;

	switch (d->phase) {
	case PHASE_VERDICT:
	case PHASE_DISK:
		return d->since + VERDICT_MS;
	case PHASE_BODY:
		when = d->octet + idle;
		if (c->data_rate)
			when = earlier(when, rate_end(d, c));
		break;
	case PHASE_PROXY:
	case PHASE_HANDSHAKE:
		when = d->since + patience(d, c->handshake);
		break;
	case PHASE_REFUSED:
		when = d->since + REFUSED_MS;
		break;
	case PHASE_COMMAND:
		if (d->drain && !in_transaction)
			idle = earlier(idle, DRAIN_IDLE_MS);
		when = d->since + idle;
		break;
	default:
		when = d->since + idle;
	}
	return earlier(when, session_end(d, c));
}

const struct smtp_reply *
deadline_reply(const struct deadline *d, const struct deadline_config *c,
    int64_t now)
{
	if (d->phase == PHASE_VERDICT)
		return SMTP_REPLY(451, "4.4.1", "It takes too long, try later");
	if (d->phase == PHASE_DISK)
		return SMTP_REPLY(421, "4.3.0", "The disk is too slow");
	if (now >= session_end(d, c) || d->phase == PHASE_REFUSED)
		return SMTP_REPLY(421, "4.4.2", "This session took too long");
	if (d->drain)
		return SMTP_REPLY(421, "4.3.2", "Going down, come back soon");
	if (d->phase == PHASE_BODY)
		return SMTP_REPLY(421, "4.4.2", "The message comes too slowly");
	return SMTP_REPLY(421, "4.4.2", "Idle for too long");
}
