/*
 * arena: memory that lives as long as one transaction.
 *
 * Allocation is a pointer bump in a list of chunks; nothing is freed one by
 * one. A zeroed struct arena is empty and owns nothing, so an idle session
 * pays only for the struct. Lack of memory aborts: callers bound their
 * input first.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/buf.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
};

/* A place to go back to: see arena_rewind. */
struct arena_mark {
	struct arena_chunk *chunk;
	size_t used;
};

/* n zeroed bytes, aligned for any object. */
void *arena_alloc(struct arena *a, size_t n);

/* A NUL-terminated copy (the bytes may hold NULs of their own). */
char *arena_dup(struct arena *a, struct span s);

/* Frees all that was allocated after the mark was taken. */
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

/* Frees everything; the arena is empty and usable again. */
void arena_reset(struct arena *a);

#endif
