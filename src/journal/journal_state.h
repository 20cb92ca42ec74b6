/*
 * journal_state: what the files of the journal share. For them alone.
 */
#ifndef JOURNAL_JOURNAL_STATE_H
#define JOURNAL_JOURNAL_STATE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "io/shared.h"
#include "journal/journal.h"
#include "journal/journal_dir.h"
#include "journal/record.h"
#include "journal/segment.h"

struct checkpoint;

STAILQ_HEAD(journal_queue, journal_entry);

struct journal {
	const struct journal_options *o;
	struct loop *loop;
	struct jobs *aside;     /* prepares segments, runs checkpoints */
	struct jobs *committer; /* one thread, for nothing else */
	struct crc32c crc;
	int spool;      /* the caller's */
	struct stat is; /* what it is */
	int root;       /* spool/journal */
	int damaged;    /* spool/damaged */
	struct journal_dir dir;

	struct journal_queue gathering, committing;
	struct segment_part *parts; /* of the commit under way */
	unsigned nparts;

	struct segment *current; /* NULL: none is ready */
	struct segment *spare;   /* begun, for when current is full */
	struct segment *retired; /* full or bad, until all is passed */
	struct segment *clean;   /* passed: to be used again */
	unsigned last_name;
	unsigned failures; /* commits in a row */
	bool preparing;
	bool stuck; /* the last checkpoint could not pass all it should */
	bool broken;
	atomic_uint moves; /* how often journal_doubt() was called */

	struct checkpoint *checkpoint; /* under way, or NULL */
	struct loop_event *timer;
};

/* How long one took, in ns. */
void journal_observe(const struct journal *j, enum shared_counter c,
    int64_t ns);

/* A segment with room for the first that waits; false: not yet. */
bool journal_have_segment(struct journal *j);
/* Begins the next one, unless there is one. */
void journal_prepare(struct journal *j);
/* One more failure in a row. */
void journal_failed(struct journal *j);
void journal_tell_all(struct journal_queue *q, int error);
void journal_start_commit(struct journal *j);

/* A segment that all checkpoints have passed: to be used again, or gone. */
void journal_recycle(struct journal *j, struct segment *s);
/* Nothing more is written to it; its records are still delivered. */
void journal_retire(struct journal *j, struct segment *s, bool bad);

#endif
