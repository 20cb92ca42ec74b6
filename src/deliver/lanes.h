/*
 * lanes: messages into their mailboxes, in batches, each on a thread with the
 * mailboxes that it had open a moment ago.
 *
 * The queue is the owner's: a lane asks for the next that waits, and says of
 * each how it went.
 */
#ifndef DELIVER_LANES_H
#define DELIVER_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "io/jobs.h"
#include "mail/message.h"

/* One that waits; the message is the lane's until it is placed. */
struct lanes_item {
	struct message *message;
	uint64_t size; /* octets of memory */
	bool synced;   /* each copy is to be on disk when it is placed */
	int64_t ns;    /* placing took, when it is placed */
};

/*
 * On the loop. Of each copy the error says whether it is in its mailbox:
 * ECANCELED when the message was abandoned before its turn.
 */
typedef void placed_fn(void *ctx, const struct lanes_item *i);

struct lanes_options {
	unsigned lanes; /* threads at once, at most */
	unsigned batch; /* messages that one takes, at most */
	/* somebody waits for each: none gathers, those that were abandoned are
	 * left out, what a root took that is not where its path leads to by
	 * now is not placed, and each is told before the next is over */
	bool waited_for;
	unsigned reserve; /* percent of a file system, not for mailboxes */
	unsigned (*waiting)(void *ctx);
	/* the first of those; only while there is one */
	struct lanes_item (*next)(void *ctx);
	placed_fn *placed;
	/* a root is not what its path leads to: look at all of them */
	void (*look)(void *ctx);
	void *ctx;
};

struct lanes;

/* NULL with errno. */
struct lanes *lanes_new(const struct lanes_options *o, struct loop *loop,
    struct jobs *jobs);
/* After jobs_free(jobs). */
void lanes_free(struct lanes **l);

/* One more waits. */
void lanes_wake(struct lanes *l);

#endif
