/*
 * checkpoint: passes the records of a journal of which nothing more is to be
 * done, when what was placed for them is on disk. The journal's own.
 */
#ifndef JOURNAL_CHECKPOINT_H
#define JOURNAL_CHECKPOINT_H

#include <stdbool.h>

struct journal;

/* Starts one if it would pass anything and none is under way. */
void checkpoint_start(struct journal *j);
/* Would it? */
bool checkpoint_wanted(const struct journal *j);

#endif
