/*
 * carry: one connection of a carrier: dials until a server is READY, and then
 * carries one errand after the other. It has the octets and the clock; what
 * they mean is the engine's.
 */
#ifndef DEST_CARRY_H
#define DEST_CARRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dest/addresses.h"
#include "dest/errand.h"
#include "io/neighbour.h"
#include "io/stream.h"
#include "mail/content.h"

#define CARRY_MESSAGES 100   /* of one connection */
#define CARRY_IDLE     10000 /* ms */

enum carry_state {
	CARRY_DIALS, /* up to the first READY */
	CARRY_READY,
	CARRY_BUSY,
	CARRY_GONE, /* for the carrier to forget */
};

struct carry;

/* Its state is another one, or its errand is over; the last thing it does. */
typedef void carry_fn(void *owner, struct carry *y);

struct carry {
	const struct route *route;
	const struct dest_services *s;
	struct addresses *addresses;
	carry_fn *fn;
	void *owner;
	LIST_ENTRY(carry) next;
	enum carry_state state;
	struct errand *errand; /* READY: none */
	bool reached;          /* it was READY */
	bool over;             /* its errand is done with */
	bool again;  /* it was not even begun with, since a connection that
			waited had ended */
	bool silent; /* time was up */

	/* GONE: why. */
	enum neighbour_error error;
	const char *why; /* constant, or in the engine */
	int err;         /* errno, instead */

	/* Of the address under way. */
	struct ask *dialling;
	bool clear; /* it has no TLS, whatever it says */
	bool lmtp;
	bool shaking;
	struct stream stream;
	struct client_options options;
	struct client client;

	struct buf out;
	struct content *content;
	struct span piece; /* of it, not sent */
	bool handed;       /* the server waits for the message, or has it */
	bool deaf;         /* it takes nothing more; what it said may come */
	uint64_t sent;     /* octets, to the stream */
	/* What there was when the time of this phase began, and its end. */
	int state_then;
	unsigned replies_then;
	uint64_t taken_then;
	int64_t limit;

	unsigned at, n, dialled; /* of the addresses */
	struct address places[ADDRESSES_MAX];
};

/* Dials, from the next turn on. places: 1 to ADDRESSES_MAX of addresses. */
struct carry *carry_open(const struct route *r, bool lmtp,
    const struct dest_services *s, struct addresses *addresses,
    const struct address *places, unsigned n, carry_fn *fn, void *owner);

/* READY: it may be over at once, without a call. */
void carry_start(struct carry *y, struct errand *e);

/* Its time is up: a call follows. */
void carry_expire(struct carry *y);

/* Silence. QUIT, if it is READY. */
void carry_free(struct carry **y);

#endif
