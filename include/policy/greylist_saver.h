/*
 * greylist_saver: writes the greylist to its file every ten minutes, if it has
 * changed: one worker for all, whoever comes first, on a thread. One that
 * leaves never does: it would write over what those after it know.
 */
#ifndef POLICY_GREYLIST_SAVER_H
#define POLICY_GREYLIST_SAVER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/jobs.h"
#include "io/shared.h"
#include "io/shared_grey.h"

/* A worker's. */
struct greylist_saver {
	struct shared_grey *table;
	struct jobs *jobs;
	const char *spool; /* its path */
	unsigned slot;
	bool left;
	uint64_t job; /* 0: none */
};

void greylist_saver_init(struct greylist_saver *s, struct shared *shared,
    unsigned slot, struct jobs *jobs, const char *spool);

/* Every few seconds; now: monotonic ms. Logs what goes wrong. */
void greylist_saver_look(struct greylist_saver *s, int64_t now);

/* From now on nothing of it is put in place. */
void greylist_saver_leave(struct greylist_saver *s);

#endif
