/*
 * journal: the log of one worker, on which a message is before it is
 * answered with 250, and until it is on disk in its mailboxes.
 *
 * While one commit runs the next one gathers: one pwritev and one fdatasync
 * for all that came meanwhile, without a timer. What was delivered is passed
 * by a checkpoint, which syncs the mailboxes' file systems first.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "io/jobs.h"
#include "io/loop.h"

struct journal;
struct record;
struct segment;
struct shared_slot;

enum redo_how {
	REDO_AGAIN,   /* perhaps done: found, whole or not, or missing */
	REDO_REWRITE, /* done or not, done anew, and on disk afterwards */
};

/* Copies that were placed, held, or neither; records that make no sense. */
struct redo_count {
	unsigned placed, held, lost, damaged;
};

/*
 * What a record says, and what is done again when it is not known to be on
 * disk, is its owner's business. Both functions block, on a thread, one call
 * at a time for each ctx: a journal and a recovery have one each, since a sync
 * that failed is reported but once through a descriptor.
 */
struct journal_owner {
	uint32_t version; /* of its records, and the highest that it can read */
	void *ctx;
	/*
	 * A record from a segment of this version. dirfd: the directory of its
	 * journal, where bodies lie. 0, also when it makes no sense; -1: it is
	 * neither placed nor held, but may be another time. Adds to *n.
	 */
	int (*redo)(void *ctx, uint32_t version, int dirfd,
	    const struct record *r, enum redo_how how, struct redo_count *n);
	/*
	 * All that was placed by redo is on disk: 0, or -1 with errno. ESTALE,
	 * whatever else failed: not where its path leads to by now.
	 */
	int (*sync)(void *ctx);
};

struct journal_options {
	const char *spool;   /* its path */
	uint64_t segment;    /* octets of each file */
	uint64_t checkpoint; /* ms */
	struct journal_owner owner;
	const struct shared_slot *counts; /* NULL: nowhere */
	/*
	 * On a thread: as the owner's, of all that was placed before its record
	 * was finished. Covers every file system, and fails if one fails.
	 */
	int (*sync)(void *ctx);
	/* two commits in a row failed, in two files: take no more mail */
	void (*broken)(void *ctx);
	/* the spool or a root is not what was opened: look at all of them */
	void (*look)(void *ctx);
	/* every checkpoint's time, whether there is anything to do or not */
	void (*tick)(void *ctx);
	void *ctx;
};

/*
 * Makes a directory below spool (a descriptor). aside: job threads of which
 * this takes two at most. NULL with errno. The options must outlive it.
 */
struct journal *journal_new(const struct journal_options *o, int spool,
    struct loop *l, struct jobs *aside);

/*
 * After jobs_free(aside). An empty journal's directory is removed; any other
 * is left for the next worker to read back.
 */
void journal_free(struct journal **j);

/* Where bodies of their own have their names. */
int journal_dirfd(const struct journal *j);

/* Of its directory: IDENT_LEN octets and a NUL. */
const char *journal_name(const struct journal *j);

/* A record of n octets has room in a segment. */
bool journal_takes(const struct journal *j, uint64_t n);

/* What is to be written, embedded in its owner's struct. */
struct journal_entry {
	struct buf record; /* of record_begin() */
	struct span body;  /* the owner's, until done() */
	/* the body's file, unlinked in the end, or NULL; the journal's own
	 * once done() was called without an error */
	char *file;
	/* on the loop, when it is on disk, or not: errno; ESTALE when the spool
	 * was moved away */
	void (*done)(struct journal_entry *e, int error);

	/* the journal's */
	STAILQ_ENTRY(journal_entry) next;
	struct segment *segment;
	uint64_t offset;
	unsigned mark;
};
void journal_commit(struct journal *j, struct journal_entry *e);

/*
 * It is in its mailboxes, or held: the next checkpoint passes it. Nothing of
 * the entry is used afterwards.
 */
void journal_finish(struct journal *j, const struct journal_entry *e);

/* The same, but it is not to be delivered at all. */
void journal_drop(struct journal *j, const struct journal_entry *e);

/*
 * What was placed up to now may be where nobody finds it: it is placed again
 * before a checkpoint passes it.
 */
void journal_doubt(struct journal *j);

/* The segment of a committed entry was damaged since: deliver it synced. */
bool journal_entry_at_risk(const struct journal_entry *e);

/* Octets that are not yet passed by a checkpoint. */
uint64_t journal_size(const struct journal *j);

/* Nothing is under way, and no checkpoint could pass anything more. */
bool journal_settled(const struct journal *j);
/* A checkpoint now, if it would pass anything. */
void journal_wind_up(struct journal *j);

#endif
