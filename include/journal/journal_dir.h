/*
 * journal_dir: the directories of journals, each held by one process.
 *
 * Whoever has the lock of journal/<id>/ owns it; the kernel gives the lock
 * back when that process ends, however it ends. Everything here blocks.
 */
#ifndef JOURNAL_JOURNAL_DIR_H
#define JOURNAL_JOURNAL_DIR_H

#include <stdbool.h>

#include "base/ident.h"

struct journal_dir {
	int root; /* spool/journal, the caller's */
	int fd;   /* of the directory, and its lock; -1: none */
	char name[IDENT_LEN + 1];
};

/*
 * spool/<name>, made and synced when it is missing (0700), open for reading.
 * -1 with errno.
 */
int journal_dir_open(int spool, const char *name);

/* A new one, locked before anybody can see it. 0, or -1 with errno. */
int journal_dir_make(int root, struct journal_dir *d);

/*
 * One that nobody holds, if there is any, but not the one of the name skip:
 * d->fd is -1 if not. What was left half made is removed on the way. 0, or -1
 * with errno.
 */
int journal_dir_adopt(int root, const char *skip, struct journal_dir *d);

/*
 * A sync of mailboxes failed: notes, on disk, that whoever reads this journal
 * back must write every record anew. 0, or -1 with errno.
 */
int journal_dir_doubt(const struct journal_dir *d);
bool journal_dir_doubted(const struct journal_dir *d);

/* Renames it to quarantine-<name> and lets it go. 0, or -1 with errno. */
int journal_dir_quarantine(struct journal_dir *d);

/* Removes it with all that is in it, and lets it go. 0, or -1 with errno. */
int journal_dir_remove(struct journal_dir *d);

/* Lets it go as it is. */
void journal_dir_close(struct journal_dir *d);

/* Calls fn for each name, but . and ..; -1 with errno. */
typedef int journal_dir_fn(void *ctx, const char *name);
int journal_dir_each(int fd, journal_dir_fn *fn, void *ctx);

#endif
