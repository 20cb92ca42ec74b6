/*
 * neighbour_places: what io/neighbour has in the mapping of io/shared.
 */
#ifndef IO_NEIGHBOUR_PLACES_H
#define IO_NEIGHBOUR_PLACES_H

#include "io/neighbour.h"

struct neighbour {
	_Atomic uint64_t hash; /* 0: never used */
	/* state, error << 2, since << 8; all 0: it may be taken */
	_Atomic uint64_t words[SHARED_SLOTS];
	_Atomic uint32_t connections[SHARED_SLOTS];
};

/* NEIGHBOURS of them, of this mapping. */
struct neighbour *shared_neighbours(struct shared *s);
uint64_t shared_hash(const struct shared *s, const void *data, size_t n);

/* Its worker has gone. */
void neighbour_clear_slot(struct neighbour *all, unsigned slot);

#endif
