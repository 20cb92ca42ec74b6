/*
 * drive: the engine with a caller around it that keeps every promise, for
 * tests: it feeds octets as they are cut, answers the questions, keeps what
 * was said and stored, and watches what must hold in every run.
 *
 * Byte by byte and with answers at once it sees each octet's effect, and
 * compares the body with a second decoder that reads whole bodies only.
 */
#ifndef TESTS_DRIVE_H
#define TESTS_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/smtp.h"

/* No reply line is longer, RFC 5321 4.5.3.1.5; nor may out grow past it. */
#define DRIVE_LINE_MAX 512
#define DRIVE_OUT_MAX  (32768 + 1024)

struct drive {
	/* the caller's, before the first octet */
	const struct smtp_reply *(*answer)(struct drive *d);
	uint64_t seed; /* for answer() */
	bool late;     /* a question stays open until the next octets come */
	bool bytes;    /* octets come one by one: watch each of them */

	/* what came of it */
	const char *fault; /* the first thing that did not hold; NULL: none */
	struct buf said;   /* every reply */
	struct buf stored; /* every accepted body, one behind the other */
	struct buf ends;   /* size_t: where each of them ends */
	struct buf envelopes; /* "<sender> <recipient> ..." LF of each */
	unsigned questions;   /* answered so far */
	bool closed;

	/* its own */
	struct smtp smtp;
	struct envelope env;
	struct buf in, out, body, raw;
	struct span shown; /* what the engine sees in this step */
	unsigned refusals; /* told by SMTP_REFUSED */
	bool asked;        /* the open question was seen already */
	unsigned replies;  /* expected so far, byte by byte */
};

void drive_init(struct drive *d, const struct smtp_config *conf);
void drive_feed(struct drive *d, struct span octets);
/* Answers what is open, and looks at all that was said. */
void drive_settle(struct drive *d);
void drive_free(struct drive *d);

/* NULL, or in what two runs over the same octets differ, or a fault. */
const char *drive_differs(const struct drive *a, const struct drive *b);

/* How a run cuts its octets: one by one, or at random; whole is 0. */
enum drive_cut { DRIVE_WHOLE, DRIVE_BYTES, DRIVE_RANDOM };
/* How many of the n octets left come next. */
size_t drive_next_cut(enum drive_cut cut, uint64_t *rng, size_t n);
uint64_t drive_random(uint64_t *state);

/* Feeds all of it, cut so; settles. */
void drive_run(struct drive *d, struct span octets, enum drive_cut cut,
    uint64_t rng);

#endif
