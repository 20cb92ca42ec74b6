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
#include "io/shared_cells.h"

#define SHARED_SLOTS 64

enum shared_counter {
	SHARED_SESSIONS,  /* let in and not yet gone: a level, not a count */
	SHARED_REFUSING,  /* refused, and lingering to hear it: a level */
	SHARED_ACCEPTED,  /* connections taken */
	SHARED_REFUSED,   /* connections that a limit sent away */
	SHARED_MESSAGES,  /* answered 250 */
	SHARED_REJECTED,  /* bodies answered 4xx or 5xx */
	SHARED_PRESSURED, /* sessions whose deadlines were shortened */
	SHARED_QUIRKS,    /* messages with a quirk */
	SHARED_JOURNAL,   /* octets in journals, or reserved there: a level */
	/* levels: committed, and not yet in mailboxes */
	SHARED_UNPLACED, /* octets */
	SHARED_UNPLACED_FILES,
	SHARED_COUNTERS
};

enum shared_table {
	SHARED_LOGIN_ADDRESSES, /* failures to log in, by address */
	SHARED_LOGIN_NAMES,     /* the same, by login */
	SHARED_TABLES
};

struct shared;

/* NULL with errno. */
struct shared *shared_new(void);

/*
 * The slot's levels and per-address counts, after its worker has gone. For
 * the master alone. What was not yet placed goes on being counted for the
 * worker's journal, if it had one.
 */
void shared_clear_slot(struct shared *s, unsigned slot);

#define SHARED_ID_LEN 16

/* The journal of the slot's worker: SHARED_ID_LEN octets. */
void shared_set_journal(struct shared *s, unsigned slot, const char *id);
/*
 * What workers that died had not placed: for whose journal gone() says true,
 * it is forgotten. id has SHARED_ID_LEN octets and no NUL.
 */
void shared_forget(struct shared *s, bool (*gone)(void *ctx, const char *id),
    void *ctx);

void shared_add(struct shared *s, unsigned slot, enum shared_counter c,
    int64_t n);
int64_t shared_total(const struct shared *s, enum shared_counter c);

/*
 * What of a level is this client address's (IPv6: its /64's). Enter returns
 * how many there are with this one, over all workers, and fills *cell for
 * shared_leave(); 0 when the table is full: the caller lets the client in.
 */
unsigned shared_enter(struct shared *s, unsigned slot, enum shared_counter of,
    const struct ipaddr *a, uint32_t *cell);
void shared_leave(struct shared *s, unsigned slot, uint32_t cell);

/*
 * Whether there is to be a line about this address at now (monotonic ms):
 * one a second for each, ten a second in all, over all workers. Yes takes the
 * number of those that were left out since the last line; NULL is a line
 * about nothing but them, and no if there are none.
 */
bool shared_may_log(struct shared *s, const struct ipaddr *a, int64_t now,
    uint64_t *left_out);

struct shared_cells shared_cells_of(struct shared *s, enum shared_table t);

#endif
