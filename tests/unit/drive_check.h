/*
 * drive_check: what must hold in every run of drive.c; its own.
 */
#ifndef TESTS_DRIVE_CHECK_H
#define TESTS_DRIVE_CHECK_H

#include "drive.h"

/* If not, it is the drive's fault, unless it has one already. */
void drive_expect(struct drive *d, bool holds, const char *what);

/* All that was said: well-formed lines; returns how many replies they are. */
unsigned drive_count_replies(struct drive *d, unsigned *refusals);

/* A refusal for the log: its reply is the last one, its line is readable. */
void drive_check_refusal(struct drive *d);

/* A span of a body, just given out of in. */
void drive_check_span(struct drive *d, struct span in);

/*
 * The body that these octets of DATA mean, read all at once. False unless
 * they end in CRLF . CRLF and hold it nowhere else.
 */
bool drive_decode_dots(struct span raw, struct buf *out);

/* The whole body that was given out is the one that was sent. */
void drive_check_body(struct drive *d);

#endif
