/*
 * held_claim: a file in held/ that waits for a route: taken, so that it can be
 * sent, and settled, when it was. Whoever has the lock of a file has it.
 */
#ifndef DELIVER_HELD_CLAIM_H
#define DELIVER_HELD_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/held_file.h"

/* "code status text" of a reply. */
#define HELD_WHY_MAX 256

enum held_claim_state {
	HELD_CLAIM_NOT,     /* gone, another's, or not due: nothing was done */
	HELD_CLAIM_ASK,     /* its copies are to be asked for */
	HELD_CLAIM_SETTLED, /* nobody could be asked; see held_claim_settle() */
};

struct held_claim {
	/* in */
	const struct crc32c *crc;
	int held;           /* the directory */
	unsigned reserve;   /* percent of a file system, not for mailboxes */
	uint64_t expire;    /* ms */
	const char *failed; /* a Maildir */
	char *name;         /* malloc'ed */
	int64_t since;      /* clock_boot(): not tried since then, it is due */
	bool away;          /* nobody can be asked */
	char why[HELD_WHY_MAX]; /* then: the reason */
	/* out */
	enum held_claim_state state;
	struct held_file file; /* open, with its lock, unless NOT */
	struct held_block block;
	bool expired; /* what is not taken now, never is */
	int error;    /* its file could not be written */
};

/*
 * By what this block says: which a file of this name has, whose waits differ a
 * little from those of others. Of what is away only its age is to grow.
 */
bool held_claim_is_due(const struct held_claim *c, const char *name,
    const struct held_block *b, int64_t now);

/* Blocks. */
void held_claim_take(struct held_claim *c);

/*
 * Blocks: copies that have an error stay, or are put into failed: those that
 * are REFUSED, or all that have expired; whose error is then 0. The note of
 * each says why. What is done with is gone, but held/ is not synced.
 */
void held_claim_settle(struct held_claim *c);

/* On the loop. */
void held_claim_free(struct held_claim *c);

#endif
