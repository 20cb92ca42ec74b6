/*
 * shared_places: a linear search, since there are few.
 *
 * A place that changes hands is nobody's in between, until its words are 0: no
 * name sees what another one left.
 */
#include "io/shared_places.h"

#include "io/neighbour_places.h"
#include "io/shared.h"

#define NOBODY 1 /* its words are about to be 0 */

static uint64_t
hash_of(const struct shared *s, struct span name)
{
	return shared_hash(s, name.ptr, name.len) | 2;
}

static struct shared_place *
find(struct shared_place *all, uint64_t hash)
{
	for (unsigned i = 0; i < SHARED_PLACES; i++)
		if (all[i].hash == hash)
			return &all[i];
	return NULL;
}

const struct shared_place *
shared_place_look(struct shared *s, struct span name)
{
	return find(shared_places(s), hash_of(s, name));
}

static struct shared_place *
cheapest(struct shared_place *all, shared_place_worth *worth)
{
	struct shared_place *r = NULL;

	for (unsigned i = 0; i < SHARED_PLACES; i++) {
		if (!all[i].hash)
			return &all[i];
		if (all[i].hash != NOBODY && (!r || worth(&all[i]) < worth(r)))
			r = &all[i];
	}
	return r;
}

struct shared_place *
shared_place(struct shared *s, struct span name, shared_place_worth *worth)
{
	struct shared_place *all = shared_places(s), *p;
	uint64_t hash = hash_of(s, name), seen;

	for (unsigned i = 0; i < SHARED_PLACES; i++) {
		p = find(all, hash);
		if (!p)
			p = cheapest(all, worth);
		if (!p || p->hash == hash)
			return p;
		seen = p->hash;
		/* what fails here another did, perhaps for the same name */
		if (!seen) { /* its words are 0 */
			atomic_compare_exchange_strong(&p->hash, &seen, hash);
			continue;
		}
		if (seen == NOBODY ||
		    !atomic_compare_exchange_strong(&p->hash, &seen, NOBODY))
			continue;
		for (unsigned k = 0; k < SHARED_PLACE_WORDS; k++)
			p->words[k] = 0;
		p->hash = hash;
	}
	return NULL;
}
