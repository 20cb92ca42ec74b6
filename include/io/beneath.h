/*
 * beneath: opening a path that an address had a part in.
 *
 * openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS: the kernel itself
 * refuses whatever would lead out of dirfd, so that a check forgotten above
 * is a failed delivery and never an open door.
 */
#ifndef IO_BENEATH_H
#define IO_BENEATH_H

#include <limits.h>

/*
 * O_CLOEXEC is added; mode is for O_CREAT only and 0 without it. A symbolic
 * link anywhere on the way is ELOOP, a way out EXDEV. -1 with errno.
 */
int beneath_open(int dirfd, const char *path, int flags, unsigned mode);

/* A directory, for its entries (O_PATH), or to be fsynced as well. */
int beneath_dir(int dirfd, const char *path);
int beneath_dir_sync(int dirfd, const char *path);

/* Is there one? 1, 0 (also for a symbolic link), or -1 with errno. */
int beneath_is_dir(int dirfd, const char *path);

/*
 * Takes the first component off the front of *path, with the slashes around
 * it. 1, 0 at the end, or -1 with errno (ENAMETOOLONG).
 */
int beneath_step(const char **path, char name[NAME_MAX + 1]);

#endif
