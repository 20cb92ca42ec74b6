/*
 * carriers: the routes at work in this worker, and how much waits for each.
 */
#ifndef DELIVER_CARRIERS_H
#define DELIVER_CARRIERS_H

#include <stdbool.h>
#include <stdint.h>

#include "dest/destination.h"

/* Octets of memory that wait for routes; for one of them half as many. */
#define WAITING_MAX (64u << 20)

struct carriers_route {
	struct carrier *carrier;
	struct verify_cache *cache; /* of its recipients */
	uint64_t waiting;
	unsigned parcels; /* under way */
};

struct carriers {
	struct carriers_route *routes; /* by their numbers */
	unsigned n;
	uint64_t waiting; /* of all */
};

/* *c is empty; s outlives it. */
void carriers_open(struct carriers *c, const struct route *const *routes,
    unsigned n, const struct dest_services *s);
/* What is under way is cut off, and nobody is told. Idempotent. */
void carriers_free(struct carriers *c);

struct carrier *carriers_find(const struct carriers *c, const struct route *r);

/* All that are DOWN find out now whether they still are. */
void carriers_again(const struct carriers *c);

/* A message waits for this one, or does no more. */
void carriers_add(struct carriers *c, const struct route *r, uint64_t octets);
void carriers_take(struct carriers *c, const struct route *r, uint64_t octets);
/* May no other wait for it? */
bool carriers_full(const struct carriers *c, const struct route *r);
/* What the client hears then. */
const struct smtp_reply *carriers_full_reply(void);

#endif
