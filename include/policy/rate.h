/*
 * rate: so many of something in a time, for each client, over all workers.
 *
 * GCRA: a key's word is the time at which all that it has had is paid off, in
 * 1/64 ms since the machine was started; each one puts it off by the interval
 * between two. A count of n lets n through at once, then one each interval.
 * Who is refused pays nothing: there is no ban, and nothing to remember.
 */
#ifndef POLICY_RATE_H
#define POLICY_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/shared_cells.h"

struct rate {
	unsigned count; /* 0: any */
	unsigned unit;  /* ms */
};

/* Whose, and of what: kinds are counted apart. */
struct rate_key {
	const struct ipaddr *client; /* IPv6: its /64 */
	unsigned kind;
};

/*
 * Takes one at now (monotonic ms); false: there is none, and nothing was
 * taken. Yes to too many at once who change the same word.
 */
bool rate_take(const struct shared_cells *c, const struct rate *r,
    struct rate_key k, int64_t now);

/* One that was taken is given back. */
void rate_give_back(const struct shared_cells *c, const struct rate *r,
    struct rate_key k);

#endif
