/*
 * journal_dir: made under another name, locked, then renamed.
 *
 * So no other process ever sees a directory of ours that is not locked. One
 * that waits for a lock may get it when the name is gone already, or stands
 * for another directory: it compares inodes before it believes. Owns the
 * descriptor of the directory, which is its lock.
 */
#include "journal/journal_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/full_io.h"

#define MAKING     ".new-"
#define QUARANTINE "quarantine-"
#define DOUBT      "doubt"
#define MAKE_TRIES 100
#define DIR_FLAGS  (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int
journal_dir_open(int spool, const char *name)
{
	int fd = openat(spool, name, DIR_FLAGS);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	if ((mkdirat(spool, name, 0700) < 0 && errno != EEXIST) ||
	    full_sync_dir(spool) < 0)
		return -1;
	return openat(spool, name, DIR_FLAGS);
}

int
journal_dir_each(int fd, journal_dir_fn *fn, void *ctx)
{
	int copy = openat(fd, ".", DIR_FLAGS);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;
	int r = 0, err;

	if (!dir)
		return full_close(&copy);
	while (!r && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = fn(ctx, e->d_name);
	err = errno;
	closedir(dir);
	errno = err;
	return r || err ? -1 : 0;
}

void
journal_dir_close(struct journal_dir *d)
{
	full_close(&d->fd);
}

/* --- making --- */

static void
draw_name(char name[IDENT_LEN + 1])
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	ident_format((uint64_t)clock_wall(), random, name);
}

static int
make(struct journal_dir *d)
{
	char making[sizeof(MAKING) + IDENT_LEN];

	draw_name(d->name);
	snprintf(making, sizeof(making), MAKING "%s", d->name);
	if (mkdirat(d->root, making, 0700) < 0)
		return -1;
	d->fd = openat(d->root, making, DIR_FLAGS);
	if (d->fd >= 0 && !flock(d->fd, LOCK_EX | LOCK_NB) &&
	    !renameat(d->root, making, d->root, d->name) &&
	    !full_sync_dir(d->root))
		return 0;
	journal_dir_close(d);
	return -1;
}

/* Somebody who tidies up may take it before it is locked. */
int
journal_dir_make(int root, struct journal_dir *d)
{
	int r = -1;

	*d = (struct journal_dir){.root = root, .fd = -1};
	for (int i = 0; i < MAKE_TRIES && r < 0; i++) {
		r = make(d);
		if (r < 0 && errno != EWOULDBLOCK && errno != ENOENT)
			break;
	}
	return r;
}

/* --- adopting --- */

/* 1: it is ours now; 0: somebody's, gone, or not to be had. */
static int
lock(struct journal_dir *d, const char *name)
{
	struct stat held, named;

	d->fd = openat(d->root, name, DIR_FLAGS);
	if (d->fd < 0)
		return 0;
	if (!flock(d->fd, LOCK_EX | LOCK_NB) && !fstat(d->fd, &held) &&
	    !fstatat(d->root, name, &named, AT_SYMLINK_NOFOLLOW) &&
	    held.st_ino == named.st_ino && held.st_dev == named.st_dev)
		return 1;
	journal_dir_close(d);
	return 0;
}

struct adopt {
	struct journal_dir *d;
	const char *skip;
};

static int
try_one(void *ctx, const char *name)
{
	const struct adopt *a = ctx;
	struct journal_dir *d = a->d;
	int r;

	if (!strncmp(name, MAKING, strlen(MAKING))) {
		if (lock(d, name) == 1) { /* its maker died */
			unlinkat(d->root, name, AT_REMOVEDIR);
			journal_dir_close(d);
		}
		return 0;
	}
	if (strlen(name) != IDENT_LEN || !strcmp(name, a->skip))
		return 0; /* in quarantine, not ours, or not now */
	r = lock(d, name);
	if (r == 1)
		memcpy(d->name, name, IDENT_LEN + 1);
	return r;
}

int
journal_dir_adopt(int root, const char *skip, struct journal_dir *d)
{
	struct adopt a = {d, skip};

	*d = (struct journal_dir){.root = root, .fd = -1};
	return journal_dir_each(root, try_one, &a) < 0 && d->fd < 0 && errno
		   ? -1
		   : 0;
}

/* --- doubt --- */

int
journal_dir_doubt(const struct journal_dir *d)
{
	int fd = full_open(d->fd, DOUBT, O_WRONLY | O_CREAT, 0);

	/* it is the name that says so, whatever has it */
	if ((fd < 0 && errno != EMEDIUMTYPE) || (fd >= 0 && fsync(fd) < 0))
		return full_close(&fd);
	full_close(&fd);
	return full_sync_dir(d->fd);
}

bool
journal_dir_doubted(const struct journal_dir *d)
{
	return faccessat(d->fd, DOUBT, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

/* --- the end --- */

int
journal_dir_quarantine(struct journal_dir *d)
{
	char name[sizeof(QUARANTINE) + IDENT_LEN];

	snprintf(name, sizeof(name), QUARANTINE "%s", d->name);
	if (renameat(d->root, d->name, d->root, name) < 0 ||
	    full_sync_dir(d->root) < 0)
		return -1;
	journal_dir_close(d);
	return 0;
}

static int
unlink_one(void *ctx, const char *name)
{
	const struct journal_dir *d = ctx;

	return unlinkat(d->fd, name, 0);
}

int
journal_dir_remove(struct journal_dir *d)
{
	if (journal_dir_each(d->fd, unlink_one, d) < 0 ||
	    unlinkat(d->root, d->name, AT_REMOVEDIR) < 0 ||
	    full_sync_dir(d->root) < 0)
		return -1;
	journal_dir_close(d);
	return 0;
}
