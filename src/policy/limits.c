/*
 * limits: counts a session in at its start and out at its end.
 *
 * Whoever is refused is counted too until the refusal has been said: a
 * flood must not hide behind its own refusals.
 */
#include "policy/limits.h"

const struct smtp_reply *
limits_enter(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p)
{
	unsigned here;

	shared_add(l->shared, l->slot, SHARED_SESSIONS, 1);
	p->held = true;
	here = shared_enter(l->shared, l->slot, client, &p->cell);
	p->counted = here > 0;
	if (shared_total(l->shared, SHARED_SESSIONS) >
	    (int64_t)l->conf->sessions)
		return SMTP_REPLY(421, "4.3.2", "Too many sessions");
	if (here > l->conf->per_address)
		return SMTP_REPLY(421, "4.7.0",
		    "Too many sessions from your address");
	return NULL;
}

void
limits_leave(const struct limits *l, struct limits_place *p)
{
	if (!p->held)
		return;
	shared_add(l->shared, l->slot, SHARED_SESSIONS, -1);
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
