/*
 * parcel: a message for one route, and what a kind that asks needs to carry
 * it. No carrier knows a session, no session a carrier.
 */
#ifndef DEST_PARCEL_H
#define DEST_PARCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "dest/route.h"
#include "io/ask.h"
#include "mail/message.h"

struct jobs;
struct loop;
struct resolve;
struct runner;
struct shared;
struct stream_pool;

/* Of a worker; all of it outlives its carriers. */
struct dest_services {
	struct loop *loop;
	struct jobs *jobs;
	struct stream_pool *pool;
	struct resolve *resolve; /* NULL: no route has a name */
	struct runner *runner;   /* NULL: no route is a program */
	struct shared *shared;   /* NULL: alone */
	unsigned slot;
	int tmp; /* directory of unnamed files */
	const char *hostname;
	char delimiter; /* of a detail in a local part; 0: none */
};

/*
 * Of a worker that shares its programs with others: dest_services' runner, to
 * be started before its sandbox and attached behind it. By their numbers, from
 * 0. NULL: no route is a program (errno 0), or it cannot be had.
 */
struct runner *dest_runner(const struct route *const *routes, unsigned n,
    unsigned workers);

/* A route at work in this worker: the first member of each kind's own. */
struct carrier {
	const struct route *route;
};

/* The asker's, until it is told; then fate and reply of each copy are there. */
struct parcel {
	struct message *m;
	struct message_copy **copies;
	unsigned n;
	/* Fresh mail: while nobody has it a copy that is refused at its RCPT
	 * ends it for all before its dot. What is held goes on. */
	bool whole;
	bool held;        /* it waits behind what is fresh */
	bool handed;      /* out, at any time: perhaps they have all of it */
	int64_t deadline; /* monotonic ms: told by then */
	int64_t dot_by;   /* the same: no end of data later */
};

/* Its copy i may be with this route, and nobody will hear so. */
void parcel_log_unanswered(const struct parcel *p, unsigned i,
    const struct route *r);

/* From the loop, as the last thing that the carrier does. */
typedef void parcel_fn(void *ctx);

/* TAKEN: it may come. reply as a copy's; of the call alone. */
typedef void verify_fn(void *ctx, enum fate fate,
    const struct smtp_reply *reply);

enum carrier_health {
	CARRIER_UP,
	CARRIER_DOWN, /* told at once, no dial but its own */
};

#endif
