/*
 * held_look: what in held/ waits for routes, on a thread. It writes into no
 * mailbox and no file, so that one that hangs stops no route.
 */
#ifndef DELIVER_HELD_LOOK_H
#define DELIVER_HELD_LOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/hash.h"
#include "deliver/held_table.h"

struct held_wait {
	char *name;
	struct held_block block; /* of the last attempt, whoever made it */
	uint64_t size;           /* octets on the disk */
};

/* What waits for one route. */
struct held_route {
	UT_hash_handle hh;
	struct held_wait *files; /* oldest first */
	unsigned n, capacity;
	uint64_t size; /* of all of them */
	char text[];
};

struct held_look {
	/* in */
	const struct crc32c *crc;
	int dirfd;
	/* kept from look to look */
	struct held_known *known;
	struct timespec now; /* mtime of HELD_NOW */
	bool looked;
	/* out: for the loop, that frees it */
	struct held_route *routes;
	bool again; /* HELD_NOW was touched since the last look */
};

/* Blocks. What cannot be read is not seen: a round says so. */
void held_look_run(struct held_look *l);
void held_look_free(struct held_look *l);

/* NULL: nothing waits for it. */
const struct held_route *held_route_find(const struct held_route *set,
    const char *text);
/* Octets of all, of one route half of the limit at most. */
uint64_t held_routes_count(const struct held_route *set, uint64_t limit);
void held_routes_free(struct held_route **set);

#endif
