/*
 * addresses: where the servers of a route are: what the configuration knows,
 * and what DNS says of the names that are left; and who of them failed lately.
 *
 * An answer is good for a minute. An older one serves for as long as the
 * resolver has none. Each name has one question under way.
 */
#ifndef DEST_ADDRESSES_H
#define DEST_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "dest/route.h"
#include "io/dial.h"

#define ADDRESSES_EACH 8 /* of one entry of `to`; more are ignored */
#define ADDRESSES_MAX  (ROUTE_PLACES_MAX * ADDRESSES_EACH)

_Static_assert(ADDRESSES_MAX <= DIAL_PLACES_MAX, "all in one dial");

struct addresses;
struct resolve;

struct address {
	struct dial_place place;
	const struct route_place *to; /* which entry it is of */
};

/* Asks at once, and waits for nothing. resolve: NULL, names lead nowhere. */
struct addresses *addresses_new(const struct route *r, struct resolve *resolve,
    void (*ready)(void *ctx), void *ctx);
void addresses_free(struct addresses **a);

/* False: something is asked first, and ready() is called when it is known. */
bool addresses_ready(struct addresses *a, int64_t now);

/* In the order of `to`, those that failed within a minute last. How many. */
unsigned addresses_list(const struct addresses *a, int64_t now,
    struct address out[ADDRESSES_MAX]);

/* It failed at this time (monotonic ms), or, 0, it works. */
void addresses_mark(struct addresses *a, const struct address *which,
    int64_t failed);

#endif
