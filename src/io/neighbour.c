/*
 * neighbour: a linear search, since there are few and it is done once for
 * each. A word that is not 0 holds the place.
 *
 * Places are used from the first on, and one that was used is taken only when
 * none is left: two workers that begin at once, and open the same name, find
 * the same place.
 */
#include "io/neighbour.h"

#include <string.h>

#include "base/buf.h"
#include "io/neighbour_places.h"

const char *const neighbour_errors[NEIGHBOUR_ERRORS] = {
    [NEIGHBOUR_NO_ERROR] = "",
    [NEIGHBOUR_NO_ADDRESS] = "no address for its name",
    [NEIGHBOUR_NO_CONNECTION] = "no connection",
    [NEIGHBOUR_SILENT] = "no answer in time",
    [NEIGHBOUR_NO_TLS] = "no TLS",
    [NEIGHBOUR_REFUSES] = "it refuses us",
    [NEIGHBOUR_SETUP] = "it is not set up for us",
    [NEIGHBOUR_WENT] = "it went away",
    [NEIGHBOUR_NONSENSE] = "what it says makes no sense",
    [NEIGHBOUR_BUSY] = "too many wait for it",
};

static uint64_t
word_of(enum neighbour_state st, enum neighbour_error e, int64_t now)
{
	return (uint64_t)st | (uint64_t)e << 2 | (uint64_t)now << 8;
}

/* Never 0. */
static uint64_t
hash_of(const struct shared *s, enum neighbour_kind kind, const char *name)
{
	struct buf key = {0};
	uint64_t hash;

	buf_append_uint(&key, kind, 1);
	buf_append_str(&key, name);
	hash = shared_hash(s, key.data, key.len) | 1;
	buf_free(&key);
	return hash;
}

static bool
is_free(const struct neighbour *n)
{
	for (unsigned i = 0; i < SHARED_SLOTS; i++)
		if (n->words[i] || n->connections[i])
			return false;
	return true;
}

static struct neighbour *
find(struct neighbour *all, uint64_t hash)
{
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		if (all[i].hash == hash)
			return &all[i];
	return NULL;
}

/* Perhaps by another worker, for the same name. */
static bool
claim(struct neighbour *n, uint64_t seen, uint64_t hash)
{
	return atomic_compare_exchange_strong(&n->hash, &seen, hash) ||
	       seen == hash;
}

/* NULL: all have somebody. */
static struct neighbour *
take(struct neighbour *all, uint64_t hash)
{
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		if (claim(&all[i], 0, hash))
			return &all[i];
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		uint64_t seen = all[i].hash;

		if (is_free(&all[i]) && claim(&all[i], seen, hash))
			return &all[i];
	}
	return NULL;
}

struct neighbour *
neighbour_open(struct shared *s, unsigned slot, enum neighbour_kind kind,
    const char *name, int64_t now)
{
	struct neighbour *n = NULL;
	uint64_t hash;

	if (!s)
		return NULL;
	hash = hash_of(s, kind, name);
	do {
		if (n)
			n->words[slot] = 0;
		n = take(shared_neighbours(s), hash);
		neighbour_set(n, slot, NEIGHBOUR_UP, NEIGHBOUR_NO_ERROR, now);
	} while (n && n->hash != hash); /* taken before it was held */
	return n;
}

void
neighbour_close(struct neighbour *n, unsigned slot)
{
	if (!n)
		return;
	n->connections[slot] = 0;
	n->words[slot] = 0;
}

void
neighbour_set(struct neighbour *n, unsigned slot, enum neighbour_state st,
    enum neighbour_error e, int64_t now)
{
	if (n)
		n->words[slot] = word_of(st, e, now);
}

void
neighbour_use(struct neighbour *n, unsigned slot, int by)
{
	if (n)
		n->connections[slot] += (uint32_t)by;
}

unsigned
neighbour_in_use(const struct neighbour *n)
{
	unsigned sum = 0;

	for (unsigned i = 0; n && i < SHARED_SLOTS; i++)
		sum += n->connections[i];
	return sum;
}

struct neighbour_view
neighbour_look(struct shared *s, enum neighbour_kind kind, const char *name)
{
	struct neighbour_view v = {0};
	const struct neighbour *n =
	    find(shared_neighbours(s), hash_of(s, kind, name));

	for (unsigned i = 0; n && i < SHARED_SLOTS; i++) {
		uint64_t word = n->words[i];
		unsigned e = word >> 2 & 63;

		v.in_use += n->connections[i];
		v.workers += word != 0;
		if ((word & 3) != NEIGHBOUR_DOWN)
			continue;
		v.down++;
		if (!v.since || (int64_t)(word >> 8) < v.since) {
			v.since = (int64_t)(word >> 8);
			v.error = (enum neighbour_error)(
			    e < NEIGHBOUR_ERRORS ? e : 0);
		}
	}
	return v;
}

void
neighbour_clear_slot(struct neighbour *all, unsigned slot)
{
	/* read first: an untouched page must stay untouched */
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		if (all[i].hash &&
		    (all[i].words[slot] || all[i].connections[slot]))
			neighbour_close(&all[i], slot);
}
