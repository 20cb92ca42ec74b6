/*
 * limits: counts a session in at its start and out at its end.
 *
 * Whoever is refused is counted apart: it takes nothing from those who are
 * let in, not even for a moment, however often it comes back.
 */
#include "policy/limits.h"

/* They linger for two seconds at most: 256 in all. */
#define REFUSING_MAX         256
#define REFUSING_PER_ADDRESS 8

enum fit { FITS, TOO_MANY, TOO_MANY_HERE };

/* By address first: who has its share does not come near the total. */
static enum fit
take(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p, int64_t max, unsigned per_address)
{
	unsigned here =
	    shared_enter(l->shared, l->slot, p->level, client, &p->cell);
	enum fit fit = here > per_address ? TOO_MANY_HERE : FITS;

	p->counted = here > 0;
	if (fit == FITS && shared_total(l->shared, p->level) >= max)
		fit = TOO_MANY;
	if (fit == FITS) {
		shared_add(l->shared, l->slot, p->level, 1);
		p->held = true;
		/* others may have come in the same moment */
		if (shared_total(l->shared, p->level) > max)
			fit = TOO_MANY;
	}
	if (fit != FITS)
		limits_leave(l, p);
	return fit;
}

const struct smtp_reply *
limits_enter(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p)
{
	enum fit fit;

	*p = (struct limits_place){.level = SHARED_SESSIONS};
	fit = take(l, client, p, l->conf->sessions, l->conf->per_address);
	if (fit == FITS)
		return NULL;
	shared_add(l->shared, l->slot, SHARED_REFUSED, 1);
	p->level = SHARED_REFUSING;
	take(l, client, p, REFUSING_MAX, REFUSING_PER_ADDRESS);
	if (fit == TOO_MANY)
		return SMTP_REPLY(421, "4.3.2", "Too many sessions");
	return SMTP_REPLY(421, "4.7.0", "Too many sessions from your address");
}

void
limits_leave(const struct limits *l, struct limits_place *p)
{
	if (p->held)
		shared_add(l->shared, l->slot, p->level, -1);
	if (p->counted)
		shared_leave(l->shared, l->slot, p->cell);
	*p = (struct limits_place){0};
}

bool
limits_pressure(const struct limits *l)
{
	return shared_total(l->shared, SHARED_SESSIONS) * 5 >
	       (int64_t)l->conf->sessions * 4;
}
