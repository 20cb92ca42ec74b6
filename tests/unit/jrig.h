/*
 * jrig: a journal in small, one at a time: a loop on which time stands still,
 * threads, and commits that are waited for. Its spool is scratch's spool/.
 */
#ifndef JRIG_H
#define JRIG_H

#include "io/jobs.h"
#include "io/loop.h"
#include "journal/journal.h"

extern struct jrig {
	struct loop loop;
	struct jobs *aside;
	struct journal_options options;
	struct journal *journal;
	unsigned answers; /* of commits */
	int error;        /* the last one's */
	unsigned broken;
} jrig;

/* o: its owner, and what syncs and looks; a segment is of 1 MiB if it is 0. */
void jrig_open(const struct journal_options *o, int spool);
void jrig_close(void);

/* All that can be done is done, and no checkpoint by itself. */
void jrig_turn(void);
/* Answered, whatever it is; the record is freed. */
void jrig_commit(struct journal_entry *e);
/* Until there is nothing more to pass. */
void jrig_settle(void);

#endif
