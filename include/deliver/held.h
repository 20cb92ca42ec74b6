/*
 * held: mail that a mailbox could not take, in files of its own, and what
 * becomes of it.
 *
 * A file in held/ is a segment with one record: the copies that are still to
 * be delivered; behind it held_block.h says how they were tried. A body that
 * has a file lies beside it. Every worker looks there now and then; whoever
 * locks a file tries it. While something is held for a mailbox, it gets
 * nothing new.
 */
#ifndef DELIVER_HELD_H
#define DELIVER_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/held_block.h"
#include "io/jobs.h"
#include "io/loop.h"
#include "journal/record.h"
#include "proto/smtp_reply.h"

struct held_options {
	uint64_t limit;     /* octets; see held_full() */
	uint64_t expire;    /* ms, then it is put into failed */
	unsigned reserve;   /* percent of a file system, not for mailboxes */
	const char *failed; /* a Maildir; absolute */
};

struct held;

/* aside: job threads of which this takes one at most. NULL with errno. */
struct held *held_new(const struct held_options *o, int spool,
    struct jobs *aside);
/* After jobs_free(aside). */
void held_free(struct held **h);

int held_dirfd(const struct held *h);

/* Looks at what is there, and tries what is due, on a thread. */
void held_tick(struct held *h);

bool held_any(const struct held *h);
/*
 * Is anything held for this mailbox? As of the last look, or held_note().
 * *error_r: why, if it is known, else 0.
 */
bool held_has(const struct held *h, const char *root, const char *path,
    int *error_r);
/* What the client hears of a mailbox that cannot take mail: 4.2.x. */
const struct smtp_reply *held_reply(int error);
/* The copies of m that have an error are held now. */
void held_note(struct held *h, const struct message *m);
/*
 * As much as there may be, where one mailbox counts as a sixteenth of the
 * limit at most, and those below one root as half of it: no mailbox, and no
 * root, keeps mail from all others.
 */
bool held_full(const struct held *h);

/*
 * Blocks: writes the copies of m that have an error. The same copies have the
 * same file, so that doing it again is harmless. b: how they were tried until
 * now; NULL: once, a moment ago. 0 when it is on disk, or -1 with errno.
 */
int held_write(const struct crc32c *c, int held, const struct message *m,
    const struct held_block *b);

#endif
