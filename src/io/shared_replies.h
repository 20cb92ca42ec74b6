/*
 * shared_replies: one slot's counts of replies, by their numbers.
 */
#ifndef IO_SHARED_REPLIES_H
#define IO_SHARED_REPLIES_H

#include "io/shared.h"

struct shared_reply_cell {
	_Atomic uint64_t key; /* code << 32 | status; 0: free */
	_Atomic uint64_t n;
};

/* cells: SHARED_REPLIES of them, which nobody else writes to. */
void shared_replies_add(struct shared_reply_cell *cells, unsigned code,
    uint32_t status);

/* Adds them to the n that are in r, of which the first are all others;
 * returns how many there are now. */
unsigned shared_replies_merge(const struct shared_reply_cell *cells,
    struct shared_reply_count *r, unsigned n);

#endif
