/*
 * shared_places: a few words that all workers know of each of a few names, in
 * the mapping of io/shared.
 *
 * A place is known by a hash of its name, and stays that name's while there
 * is room: a generation finds what the one before it knew. When there is none
 * the place that is worth least is taken. Whoever uses one finds it anew each
 * time; a word changes by compare-and-swap alone, and 0 is a new one.
 */
#ifndef IO_SHARED_PLACES_H
#define IO_SHARED_PLACES_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

#define SHARED_PLACES      64
#define SHARED_PLACE_WORDS 7

struct shared;

/* Zeroed: nobody's. */
struct shared_place {
	_Alignas(64) _Atomic uint64_t hash;
	_Atomic uint64_t words[SHARED_PLACE_WORDS];
};

typedef uint64_t shared_place_worth(const struct shared_place *p);

/* NULL: it has none. */
const struct shared_place *shared_place_look(struct shared *s,
    struct span name);
/* The name's, from now on. NULL: others took every one just now. */
struct shared_place *shared_place(struct shared *s, struct span name,
    shared_place_worth *worth);

#endif
