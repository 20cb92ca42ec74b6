/*
 * redo: the records of a journal, into their mailboxes again. What cannot be
 * delivered is held.
 */
#ifndef DELIVER_REDO_H
#define DELIVER_REDO_H

#include "journal/journal.h"

struct redo;

/*
 * held: the directory, the caller's. reserve: percent of a file system, not
 * for mailboxes.
 */
struct redo *redo_new(int held, unsigned reserve);
void redo_free(struct redo **r);

/* As a journal or a recovery calls it: each needs one of its own. */
struct journal_owner redo_owner(struct redo *r);

#endif
