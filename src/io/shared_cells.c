/*
 * shared_cells: finds a key's word in its set, or the one to be replaced.
 *
 * Two processes that bring the same new key in the same moment choose the
 * same place, and one of them looks again; where the set changed in between
 * they may choose two, of which the second is never found and grows old.
 */
#include "io/shared_cells.h"

#include "base/siphash.h"

uint64_t
shared_cells_find(const struct shared_cells *c, struct span key,
    shared_cells_worth *worth, struct shared_cell *r)
{
	uint64_t hash = siphash(c->hash_key, key.ptr, key.len);
	struct shared_set *set = &c->sets[hash & (c->nsets - 1)];
	uint64_t least = UINT64_MAX;

	r->tag = hash & ~SHARED_CELLS_VALUE;
	for (unsigned i = 0; i < SHARED_CELLS_SET; i++) {
		uint64_t word = set->words[i];
		uint64_t value = word & SHARED_CELLS_VALUE;
		uint64_t w = word ? worth(value) : 0;
		bool found = value && (word ^ value) == r->tag;

		if (found || i == 0 || w < least) {
			r->at = &set->words[i];
			r->word = word;
			least = w;
		}
		if (found)
			return value;
	}
	return 0;
}

bool
shared_cells_put(const struct shared_cell *cell, uint64_t value)
{
	uint64_t seen = cell->word;

	value &= SHARED_CELLS_VALUE;
	return atomic_compare_exchange_strong(cell->at, &seen,
	    value ? cell->tag | value : 0);
}
