/*
 * shared: one anonymous mapping, made by the master before the first fork,
 * in which workers count together without locks.
 *
 * There is no pointer in it and nothing in it is trusted for memory safety:
 * a wrong number makes a wrong count, never a wild access. Each worker
 * writes to its own slot; a total is the sum over the slots. When a worker
 * dies the master clears its levels, so none can leak; counts stay.
 */
#ifndef IO_SHARED_H
#define IO_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/counters.h"
#include "io/shared_cells.h"
#include "io/shared_places.h"

#define SHARED_SLOTS 64
/* Each half of the others is a generation's workers. */
#define SHARED_MASTER  (SHARED_SLOTS - 1)
#define SHARED_WORKERS (SHARED_MASTER / 2)

/* Where somebody counts. */
struct shared_slot {
	struct shared *shared; /* NULL: nowhere */
	unsigned slot;
};

enum shared_table {
	SHARED_LOGIN_ADDRESSES, /* failures to log in, by address */
	SHARED_LOGIN_NAMES,     /* the same, by login */
	SHARED_RATES,           /* what has a rate, by address; a larger one */
	SHARED_WAITED,          /* for the greeting, by address; a small one */
};

struct shared;

/* Counting begins now. NULL with errno. */
struct shared *shared_new(void);

/*
 * The slot's levels and per-address counts, after its worker has gone. For
 * the master alone. What was not yet placed goes on being counted for the
 * worker's journal, if it had one.
 */
void shared_clear_slot(struct shared *s, unsigned slot);

/* When the slot's loop turned last (monotonic ms); 0: nobody said so. */
void shared_turned(struct shared *s, unsigned slot, int64_t now);
int64_t shared_last_turn(const struct shared *s, unsigned slot);

#define SHARED_ID_LEN 16

/* The journal of the slot's worker: SHARED_ID_LEN octets. */
void shared_set_journal(struct shared *s, unsigned slot, const char *id);
/*
 * What workers that died had not placed: for whose journal gone() says true,
 * it is forgotten. id has SHARED_ID_LEN octets and no NUL.
 */
void shared_forget(struct shared *s, bool (*gone)(void *ctx, const char *id),
    void *ctx);

/* These do nothing without a mapping. */
void shared_add(struct shared *s, unsigned slot, enum shared_counter c,
    int64_t n);
/* Of one slot. */
int64_t shared_of(const struct shared *s, unsigned slot, enum shared_counter c);
void shared_set(struct shared *s, unsigned slot, enum shared_counter c,
    int64_t n);
/* Into the bucket of a histogram of this kind: ns, or a number. */
void shared_observe(struct shared *s, unsigned slot, enum shared_counter c,
    enum counter_kind k, uint64_t value);

/* Over all slots: the sum, and for what each knows all of, the largest. */
int64_t shared_total(const struct shared *s, enum shared_counter c);
int64_t shared_largest(const struct shared *s, enum shared_counter c);

/*
 * Replies by code and enhanced status, "5.1.1" as SHARED_STATUS(5, 1, 1). A
 * slot tells SHARED_REPLIES - 1 of them apart.
 */
#define SHARED_STATUS(a, b, c) ((uint32_t)((a) << 20 | (b) << 10 | (c)))
#define SHARED_REPLIES         128
struct shared_reply_count {
	uint32_t code, status; /* status 0: it has none */
	uint64_t n;
};
void shared_reply(struct shared *s, unsigned slot, unsigned code,
    uint32_t status);
/* Fills up to SHARED_REPLIES and returns how many; the first are all others,
 * with the code 0. */
unsigned shared_replies(const struct shared *s, struct shared_reply_count *r);

/*
 * What of a level is this client address's (IPv6: its /64's), or a wider
 * network's: then `of` is a counter of its own. Enter returns
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
struct shared_place *shared_places(struct shared *s); /* SHARED_PLACES */

#endif
