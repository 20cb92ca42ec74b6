/*
 * rate: one word a key, changed by compare-and-swap.
 *
 * A word that is further ahead than this rate can have put it, since it was
 * written under another one or is rubbish, counts as a bucket that is empty.
 */
#include "policy/rate.h"

#include <string.h>

#define TICKS 64 /* a ms */
/* More than so many changed the word meanwhile: let in. */
#define TRIES 4

/* Whoever has paid off the most is forgotten first. */
static uint64_t
paid_off(uint64_t value)
{
	return value;
}

struct key {
	uint8_t octets[sizeof(struct ipaddr) + 1];
};

static struct key
key_of(struct rate_key k)
{
	struct ipaddr net = ipaddr_client_net(k.client);
	struct key key = {{(uint8_t)k.kind}};

	memcpy(key.octets + 1, &net, sizeof(net));
	return key;
}

static uint64_t
find(const struct shared_cells *c, const struct key *k, struct shared_cell *at)
{
	return shared_cells_find(c,
	    (struct span){(const char *)k->octets, sizeof(k->octets)}, paid_off,
	    at);
}

/* Rounded down, to the client's good. */
static uint64_t
interval(const struct rate *r)
{
	return (uint64_t)r->unit * TICKS / r->count;
}

bool
rate_take(const struct shared_cells *c, const struct rate *r, struct rate_key k,
    int64_t now)
{
	uint64_t each, latest, tick = (uint64_t)now * TICKS;
	struct key key;
	struct shared_cell at;

	if (!r->count)
		return true;
	each = interval(r);
	latest = tick + each * r->count;
	key = key_of(k);
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t tat = find(c, &key, &at);

		if (tat > latest) {
			shared_cells_put(&at, latest);
			return false;
		}
		tat = (tat < tick ? tick : tat) + each;
		if (tat > latest)
			return false;
		if (shared_cells_put(&at, tat))
			break;
	}
	return true;
}

void
rate_give_back(const struct shared_cells *c, const struct rate *r,
    struct rate_key k)
{
	struct key key;
	struct shared_cell at;

	if (!r->count)
		return;
	key = key_of(k);
	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t tat = find(c, &key, &at), each = interval(r);

		if (!tat || shared_cells_put(&at, tat > each ? tat - each : 0))
			break;
	}
}
