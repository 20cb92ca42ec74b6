/*
 * shared_cells: numbers that all workers know, one word for each key, in
 * tables of a fixed size within the mapping of io/shared.
 *
 * Sets of 8 words, one cache line each. Which set, and the tag in front of
 * the word, are a keyed hash of the key, so nobody outside can aim; another
 * key is taken for this one in 8 of 2^20 look-ups at most. A set that is full
 * forgets the word that its user says is worth least.
 *
 * A word changes by one compare-and-swap: there are no locks, nothing is
 * half written, and nothing is to be cleared when a worker dies. No pointer
 * and no size is in the mapping: what is wrong there is a wrong number.
 */
#ifndef IO_SHARED_CELLS_H
#define IO_SHARED_CELLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SHARED_CELLS_SET   8
#define SHARED_CELLS_VALUE ((UINT64_C(1) << 44) - 1) /* the largest */

/* In the mapping; zeroed: empty. */
struct shared_set {
	_Alignas(64) _Atomic uint64_t words[SHARED_CELLS_SET];
};

/* A process's view of a table. */
struct shared_cells {
	const uint8_t *hash_key; /* SIPHASH_KEY_LEN octets */
	struct shared_set *sets;
	uint32_t nsets; /* a power of two */
};

/* Where a key's word stands, or would, as it was at that look. */
struct shared_cell {
	_Atomic uint64_t *at;
	uint64_t tag;
	uint64_t word;
};

/* Of the values in a set, the one with the smallest is replaced. */
typedef uint64_t shared_cells_worth(uint64_t value);

/* The key's value; 0: it has none. *r is its place either way. */
uint64_t shared_cells_find(const struct shared_cells *c, struct span key,
    shared_cells_worth *worth, struct shared_cell *r);

/*
 * Gives the place to the key, with this value; 0 forgets it. False: it was
 * changed since the look, so look again.
 */
bool shared_cells_put(const struct shared_cell *cell, uint64_t value);

#endif
