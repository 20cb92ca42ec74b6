/*
 * neighbour: what workers think of the servers that they ask, and how many
 * connections they have there: NEIGHBOURS places in the mapping of io/shared.
 *
 * A place is known by a hash of kind and name. It belongs to whoever has it
 * open; one that nobody has is taken by the next who needs it. A worker writes
 * its own word and number, others read. Two that take one place in the same
 * moment for two names count together until one of them leaves: a wrong
 * number, no more.
 */
#ifndef IO_NEIGHBOUR_H
#define IO_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "io/shared.h"

#define NEIGHBOURS 64

enum neighbour_kind { NEIGHBOUR_ROUTE = 1, NEIGHBOUR_MILTER };

enum neighbour_state { NEIGHBOUR_CLOSED, NEIGHBOUR_UP, NEIGHBOUR_DOWN };

/* Why it is down. */
enum neighbour_error {
	NEIGHBOUR_NO_ERROR,
	NEIGHBOUR_NO_ADDRESS, /* its name leads nowhere */
	NEIGHBOUR_NO_CONNECTION,
	NEIGHBOUR_SILENT, /* no answer in time */
	NEIGHBOUR_NO_TLS,
	NEIGHBOUR_REFUSES,  /* it says no to all */
	NEIGHBOUR_SETUP,    /* it, or what we know of it, is set up wrongly */
	NEIGHBOUR_WENT,     /* it closed or reset the connection */
	NEIGHBOUR_NONSENSE, /* it does not keep to the protocol */
	NEIGHBOUR_BUSY,     /* others wait for it for too long */
	NEIGHBOUR_ERRORS
};

/* Constant words for people. */
extern const char *const neighbour_errors[NEIGHBOUR_ERRORS];

struct neighbour; /* a place */

/* UP from now (monotonic ms). NULL, which all below take: there is no mapping
 * or no place left, and everybody counts alone. */
struct neighbour *neighbour_open(struct shared *s, unsigned slot,
    enum neighbour_kind kind, const char *name, int64_t now);
void neighbour_close(struct neighbour *n, unsigned slot);

void neighbour_set(struct neighbour *n, unsigned slot, enum neighbour_state st,
    enum neighbour_error e, int64_t now);
/* by: 1, or -1 for what was added before. */
void neighbour_use(struct neighbour *n, unsigned slot, int by);
/* Connections of all workers. */
unsigned neighbour_in_use(const struct neighbour *n);

/* For the master. */
struct neighbour_view {
	unsigned workers; /* that have it open */
	unsigned down;    /* of these */
	enum neighbour_error error;
	int64_t since;   /* the first of them; 0: none is down */
	unsigned in_use; /* connections of all */
};
struct neighbour_view neighbour_look(struct shared *s, enum neighbour_kind kind,
    const char *name);

#endif
