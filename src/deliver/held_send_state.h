/*
 * held_send_state: what the files of held_send share. For them alone.
 */
#ifndef DELIVER_HELD_SEND_STATE_H
#define DELIVER_HELD_SEND_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "deliver/asking.h"
#include "deliver/held_claim.h"
#include "dest/destination.h"
#include "io/jobs.h"

struct held_lane {
	struct held_send *s;
	struct destination dest; /* route NULL: no route of this name */
	const char *shown;
	unsigned running;       /* claimed or asked for */
	unsigned ending;        /* to be settled */
	unsigned at;            /* in the files of the last look */
	int64_t since;          /* when it came back, or all was to be tried */
	bool down;              /* as of the last look */
	struct held_lane *next; /* of no route */
};

struct held_sending {
	struct job job; /* first */
	struct held_lane *lane;
	struct held_claim claim;
	struct asking asking;
	struct held_sendings *list;
	TAILQ_ENTRY(held_sending) next;
};
TAILQ_HEAD(held_sendings, held_sending);

struct held_send {
	struct job job; /* settles; first */
	struct deliver *d;
	struct crc32c crc;
	struct held_lane *lanes;             /* by their routes' numbers */
	struct held_lane *missing;           /* and those that have none */
	struct arena arena;                  /* of these */
	struct held_sendings claimed, asked; /* by a thread; of a route */
	struct held_sendings done;           /* to be settled */
	struct held_sendings settling;       /* the thread's */
	bool draining;
};

/* Can nobody be asked now? *reply: why; NULL: there is no such route. */
bool held_lane_is_away(const struct held_lane *l,
    const struct smtp_reply **reply);
/* One more for each route of the last look that there is none of. */
void held_lanes_add_missing(struct held_send *s);

/* What was said of the last parcel: who took it, or perhaps did. */
void held_send_log_told(const struct held_sending *x);
/* What became of the others. */
void held_send_log_settled(const struct held_sending *x);

#endif
