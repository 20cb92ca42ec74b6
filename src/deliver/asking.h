/*
 * asking: a message's copies for routes, in parcels that are asked one after
 * the other: who judges content first, the smarthost, whose yes leaves the
 * house, last. One question in flight; it decides nothing.
 */
#ifndef DELIVER_ASKING_H
#define DELIVER_ASKING_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/ask_decide.h"
#include "deliver/carriers.h"
#include "dest/parcel.h"
#include "io/ask.h"
#include "mail/message.h"

/* Before the end of the time that there is for an answer, in ms: from then on
 * no end of data, and no waiting. */
#define ASKING_DOT_MS  45000
#define ASKING_WAIT_MS 5000

struct asking {
	/* for asking_begin(): */
	struct carriers *carriers;
	/* A client waits, and nobody has any of it: see parcel.whole. What is
	 * held has its own time, and not the route's. */
	bool fresh;
	int64_t dot_by;  /* monotonic ms; of all parcels */
	int64_t wait_by; /* the same */
	uint64_t octets; /* of memory, while it waits */
	parcel_fn *told; /* the last one has its answer; ctx */
	void *ctx;

	/* local copies first, then in the order in which they are asked */
	struct message_copy **copies; /* the message's arena's, as is: */
	struct ask_copy *views;       /* of each, for ask_decide() */
	unsigned n, asked;            /* copies; parcels with an answer */

	struct parcel parcel; /* in flight, or the last */
	int64_t begun;        /* when, in ms */
	struct ask *ask;      /* NULL: none is */
};

/* Sorts the copies of m, which must last. Those of routes need a carrier. */
void asking_begin(struct asking *a, struct message *m);

bool asking_has_next(const struct asking *a);
/*
 * Asks the next one, of which there must be one. False: it is answered, since
 * it is too late for it. Never calls told() before it returns.
 */
bool asking_next(struct asking *a);

/* What is known by now. */
struct ask_decision asking_decide(struct asking *a);

/* Silence: of the parcel in flight, and there is one, nothing is known. */
void asking_abandon(struct asking *a);

#endif
