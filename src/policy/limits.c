/*
 * limits: counts a session in at its start and out at its end, and takes what
 * has a rate.
 *
 * Whoever is refused is counted apart: it takes nothing from those who are
 * let in, not even for a moment, however often it comes back.
 */
#include "policy/limits.h"

#include <limits.h>

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

static const struct smtp_reply *
let_in(const struct limits *l, struct limits_ask *a, struct limits_place *p,
    enum shared_counter *why)
{
	const struct smtp_reply *no;

	*why = SHARED_REFUSED_ADDRESS;
	switch (take(l, a->client, p, l->conf->sessions,
	    a->unlimited ? UINT_MAX : l->conf->per_address)) {
	case TOO_MANY:
		*why = SHARED_REFUSED;
		return SMTP_REPLY(421, "4.3.2", "Too many sessions");
	case TOO_MANY_HERE:
		return SMTP_REPLY(421, "4.7.0",
		    "Too many sessions from your address");
	case FITS:
		break;
	}
	*why = SHARED_REFUSED_RATE;
	no = limits_take(l, LIMITS_CONNECTIONS, a);
	if (no)
		limits_leave(l, p);
	return no;
}

const struct smtp_reply *
limits_enter(const struct limits *l, struct limits_ask *a,
    struct limits_place *p)
{
	const struct smtp_reply *no;
	enum shared_counter why;

	*p = (struct limits_place){.level = SHARED_SESSIONS};
	no = let_in(l, a, p, &why);
	if (!no)
		return NULL;
	shared_add(l->shared, l->slot, why, 1);
	p->level = SHARED_REFUSING;
	take(l, a->client, p, REFUSING_MAX, REFUSING_PER_ADDRESS);
	p->apart = why != SHARED_REFUSED;
	return no;
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

static bool
has_rate(const struct limits *l, enum limits_rate r, const struct limits_ask *a)
{
	return l->conf->rates[r].count && !a->unlimited &&
	       (r == LIMITS_FAILED_LOGINS || !ipaddr_is_loopback(a->client));
}

const struct smtp_reply *
limits_take(const struct limits *l, enum limits_rate r, struct limits_ask *a)
{
	const struct limits_config *c = l->conf;
	struct shared_cells cells;

	if (!has_rate(l, r, a))
		return NULL;
	cells = shared_cells_of(l->shared, SHARED_RATES);
	if (rate_take(&cells, &c->rates[r], (struct rate_key){a->client, r},
		a->now))
		return NULL;
	shared_add(l->shared, l->slot, SHARED_EXCEEDED + r, 1);
	if (!c->observe)
		return &c->beyond[r];
	a->observed = &c->beyond[r];
	return NULL;
}

void
limits_give_back(const struct limits *l, enum limits_rate r,
    const struct limits_ask *a)
{
	struct shared_cells cells = shared_cells_of(l->shared, SHARED_RATES);

	if (has_rate(l, r, a))
		rate_give_back(&cells, &l->conf->rates[r],
		    (struct rate_key){a->client, r});
}

void
limits_say(struct limits_config *c, struct arena *a)
{
	static const struct smtp_reply beyond[] = {
	    [LIMITS_CONNECTIONS] = {421, "4.7.0", "connections"},
	    [LIMITS_MESSAGES] = {451, "4.7.0", "messages"},
	    [LIMITS_RECIPIENTS] = {451, "4.7.0", "recipients"},
	    [LIMITS_FAILED_LOGINS] = {454, "4.7.0", "failed logins"},
	};

	for (unsigned i = 0; i < LIMITS_RATES; i++) {
		struct rate r = c->rates[i];
		struct buf text = {0};

		buf_printf(&text,
		    "Too many %s from your address, at most %u %s",
		    beyond[i].text, r.count,
		    r.unit == 1000    ? "a second"
		    : r.unit == 60000 ? "a minute"
				      : "an hour");
		c->beyond[i] = beyond[i];
		c->beyond[i].text = arena_dup(a, buf_span(&text));
		buf_free(&text);
	}
}

bool
limits_pressure(const struct limits *l)
{
	return shared_total(l->shared, SHARED_SESSIONS) * 5 >
	       (int64_t)l->conf->sessions * 4;
}
