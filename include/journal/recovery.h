/*
 * recovery: journals that nobody holds any more, read back.
 *
 * After a crash, a reload or an upgrade: one rule for all. A worker adopts
 * one at a time, on a thread, while it serves.
 */
#ifndef JOURNAL_RECOVERY_H
#define JOURNAL_RECOVERY_H

#include "io/jobs.h"
#include "journal/journal.h"

struct recovery;

/*
 * aside: job threads of which this takes one. NULL with errno; EPROTO when
 * there is a journal of a version that this one cannot read (and it was
 * logged which).
 */
struct recovery *recovery_new(int spool, const struct journal_owner *owner,
    struct jobs *aside);
/* After jobs_free(aside). */
void recovery_free(struct recovery **r);

/* What is being read back is left to the next worker, where it is. */
void recovery_stop(struct recovery *r);

/* Looks for one, unless one is being read back. */
void recovery_tick(struct recovery *r);

#endif
