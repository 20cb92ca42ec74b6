/*
 * shared: one anonymous mapping, made by the master before the first fork,
 * in which workers count together without locks.
 *
 * There is no pointer in it and nothing in it is trusted for memory safety:
 * a wrong number makes a wrong count, never a wild access. Each worker
 * writes to its own slot; a total is the sum over the slots. When a worker
 * dies the master clears its slot, so no count can leak.
 */
#ifndef IO_SHARED_H
#define IO_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"

#define SHARED_SLOTS 64

enum shared_counter {
	SHARED_SESSIONS,  /* now open: a level, not a count */
	SHARED_ACCEPTED,  /* connections taken */
	SHARED_REFUSED,   /* connections answered 421 or 554 */
	SHARED_MESSAGES,  /* answered 250 */
	SHARED_REJECTED,  /* bodies answered 4xx or 5xx */
	SHARED_PRESSURED, /* sessions whose deadlines were shortened */
	SHARED_QUIRKS,    /* messages with a quirk */
	SHARED_JOURNAL,   /* octets in journals, or reserved there: a level */
	SHARED_COUNTERS
};

struct shared;

/* NULL with errno. */
struct shared *shared_new(void);

/* The slot's levels and per-address counts, after its worker has gone. */
void shared_clear_slot(struct shared *s, unsigned slot);

void shared_add(struct shared *s, unsigned slot, enum shared_counter c,
    int64_t n);
int64_t shared_total(const struct shared *s, enum shared_counter c);

/*
 * Sessions per client address (IPv6: per /64). Enter returns how many there
 * are with this one, over all workers, and fills *cell for shared_leave();
 * 0 when the table is full: the caller lets the client in.
 */
unsigned shared_enter(struct shared *s, unsigned slot, const struct ipaddr *a,
    uint32_t *cell);
void shared_leave(struct shared *s, unsigned slot, uint32_t cell);

#endif
