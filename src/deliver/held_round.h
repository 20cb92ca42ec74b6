/*
 * held_round: a round of held mail, on a thread: what is in held/, and what
 * becomes of it.
 */
#ifndef DELIVER_HELD_ROUND_H
#define DELIVER_HELD_ROUND_H

#include "deliver/held.h"
#include "deliver/held_table.h"

struct held_round {
	/* in */
	const struct held_options *o;
	const struct crc32c *crc;
	int dirfd, damaged;
	/* kept from round to round */
	struct held_known *known;
	/* out: for the loop, that frees it */
	struct held_box *boxes, *roots;
	uint64_t size;   /* what counts against the limit */
	uint64_t octets; /* all of it */
	unsigned messages;
	struct held_events events;
	int error; /* the directory cannot be read or written */
	/* of this round alone: what just failed is not tried again */
	struct held_box *failing;
};

void held_round_run(struct held_round *r);
void held_round_free(struct held_round *r);

#endif
