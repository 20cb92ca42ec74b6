/*
 * limits: counts a session in at its start and out at its end, and takes what
 * has a rate.
 *
 * In all it is counted when it comes, by its address and network when those
 * are known: behind a proxy that is later. Whoever is refused is counted
 * apart: it takes nothing from those who are let in, however often it comes
 * back.
 */
#include "policy/limits.h"

/* They linger for some seconds at most: 256 in all. */
#define REFUSING_MAX         256
#define REFUSING_PER_ADDRESS 8

/* What is counted as one network. */
#define NETWORK_V4 24
#define NETWORK_V6 48

const char *const limits_keys[LIMITS_KEYS] = {
    [LIMITS_CONNECTIONS] = "rate-connections",
    [LIMITS_MESSAGES] = "rate-messages",
    [LIMITS_RECIPIENTS] = "rate-recipients",
    [LIMITS_FAILED_LOGINS] = "rate-failed-logins",
    [LIMITS_SESSIONS] = "sessions",
    [LIMITS_PER_ADDRESS] = "per-address",
    [LIMITS_PER_NETWORK] = "per-network",
};

/* False: it is one too many. */
static bool
hold(const struct limits *l, struct limits_place *p, int64_t max)
{
	if (shared_total(l->shared, p->level) >= max)
		return false;
	shared_add(l->shared, l->slot, p->level, 1);
	p->held = true;
	/* others may have come in the same moment */
	return shared_total(l->shared, p->level) <= max;
}

/* The same among those of one address or network. */
static bool
count(const struct limits *l, struct limits_place *p, enum shared_counter of,
    const struct ipaddr *who, unsigned max)
{
	unsigned here =
	    shared_enter(l->shared, l->slot, of, who, &p->cells[p->ncells]);

	p->ncells += here > 0;
	return here <= max;
}

/* From those who are in to the few who may hear why they are not. */
void
limits_refuse(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p)
{
	limits_leave(l, p);
	p->level = SHARED_REFUSING;
	if (!count(l, p, p->level, client, REFUSING_PER_ADDRESS) ||
	    !hold(l, p, REFUSING_MAX))
		limits_leave(l, p);
}

static const struct smtp_reply *
turn_away(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p, enum shared_counter why,
    const struct smtp_reply *no)
{
	limits_refuse(l, client, p);
	shared_add(l->shared, l->slot, why, 1);
	p->apart = why != SHARED_REFUSED;
	return no;
}

const struct smtp_reply *
limits_enter(const struct limits *l, const struct ipaddr *peer,
    struct limits_place *p)
{
	*p = (struct limits_place){.level = SHARED_SESSIONS};
	if (hold(l, p, l->conf->sessions))
		return NULL;
	return turn_away(l, peer, p, SHARED_REFUSED,
	    SMTP_REPLY(421, "4.3.2", "Too many sessions"));
}

/* On this machine; what a proxy says is the network's. */
static bool
is_here(const struct limits_ask *a)
{
	return !a->proxied && ipaddr_is_loopback(a->client);
}

static bool
fits_network(const struct limits *l, const struct limits_ask *a,
    struct limits_place *p)
{
	unsigned bits = a->client->family == IP_V4 ? NETWORK_V4 : NETWORK_V6;
	struct ipaddr net = ipnet_of(a->client, bits).addr;

	return !l->conf->per_network || is_here(a) ||
	       count(l, p, SHARED_REFUSED_NETWORK, &net, l->conf->per_network);
}

const struct smtp_reply *
limits_client(const struct limits *l, struct limits_ask *a,
    struct limits_place *p)
{
	const struct smtp_reply *no;

	if (a->unlimited)
		return NULL;
	a->key = LIMITS_PER_ADDRESS;
	if (!count(l, p, SHARED_SESSIONS, a->client, l->conf->per_address))
		return turn_away(l, a->client, p, SHARED_REFUSED_ADDRESS,
		    SMTP_REPLY(421, "4.7.0",
			"Too many sessions from your address"));
	a->key = LIMITS_PER_NETWORK;
	if (!fits_network(l, a, p))
		return turn_away(l, a->client, p, SHARED_REFUSED_NETWORK,
		    SMTP_REPLY(421, "4.7.0",
			"Too many sessions from your network"));
	no = limits_take(l, LIMITS_CONNECTIONS, a);
	if (no)
		turn_away(l, a->client, p, SHARED_REFUSED_RATE, no);
	return no;
}

void
limits_leave(const struct limits *l, struct limits_place *p)
{
	if (p->held)
		shared_add(l->shared, l->slot, p->level, -1);
	while (p->ncells)
		shared_leave(l->shared, l->slot, p->cells[--p->ncells]);
	*p = (struct limits_place){0};
}

static bool
has_rate(const struct limits *l, enum limits_rate r, const struct limits_ask *a)
{
	return l->conf->rates[r].count && !a->unlimited &&
	       (r == LIMITS_FAILED_LOGINS || !is_here(a));
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
	shared_add(l->shared, l->slot, SHARED_EXCEEDED + (unsigned)r, 1);
	a->key = (enum limits_key)r;
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
