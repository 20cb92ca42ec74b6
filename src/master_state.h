/*
 * master_state: what the files of the master share. For them alone.
 */
#ifndef MASTER_STATE_H
#define MASTER_STATE_H

#include <limits.h>

#include "generation.h"
#include "master.h"
#include "status.h"
#include "upgrade.h"
#include "watch.h"

struct master {
	const struct master_options *options;
	char program[PATH_MAX]; /* to be run at an upgrade */
	struct identity identity;
	struct generations all;
	struct generation *current;
	int lock;
	int started; /* tells the parent, in the background; else -1 */
	int result;  /* to exit with */
	bool leaving;
	bool reload;  /* asked for, and not done yet */
	bool again;   /* for files of which was said before what is wrong */
	bool upgrade; /* asked for, and not done yet */
	bool report;  /* asked for by SIGUSR1 */
	struct watch watch;
	struct status status;
	char why[STATUS_WHY]; /* what is under way failed; "": not yet */

	/* of a program that took the place of another */
	struct upgrade from;
	int64_t due;   /* when to try again to take over, while it has not */
	int64_t delay; /* ms, before the next try */
};

static inline struct generation *
other(struct master *m)
{
	return &m->all.gens[!m->current->half];
}

/* Nobody leaves, and nobody is tried: there may be another generation. */
static inline bool
master_is_free(struct master *m)
{
	return !m->leaving && !other(m)->conf && !m->all.trial.pid;
}

/* A new generation from the file as it is now. */
void master_reload(struct master *m);

/* The same, in the place of what the program before has left. */
void master_take_over(struct master *m);

/* Tries the program that is there now. */
void master_upgrade(struct master *m);
/* What came of that: it runs, or this goes on. */
void master_tried(struct master *m, int status);
/* Ends it. */
void master_end_trial(struct master *m);

#endif
