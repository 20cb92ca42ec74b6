/*
 * spool_seal: a spool's file, with a name and on disk.
 *
 * The file was made without a name, so that whatever ends its transaction
 * before this leaves nothing behind. Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "io/full_io.h"
#include "mail/spool.h"

/* /proc stands in for AT_EMPTY_PATH, which asks for a capability. */
static int
name_it(int fd, int dirfd, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW);
}

/* Where a file that never had a name cannot be given one. */
static int
copy_it(int fd, uint64_t size, int dirfd, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int to = openat(dirfd, name, flags, 0600);
	int r;

	if (to < 0)
		return -1;
	r = full_copy(fd, 0, to, 0, size) < 0 ? -1 : fsync(to);
	full_close(&to);
	return r < 0 ? full_unlink(dirfd, name) : 0;
}

int
spool_seal(struct spool_content *c, int dirfd, const char *name)
{
	if (full_pwrite(c->fd, c->tail, c->filed) < 0 || fsync(c->fd) < 0)
		return -1;
	c->filed += c->tail.len;
	c->tail = (struct span){NULL, 0};
	if (name_it(c->fd, dirfd, name) < 0 &&
	    (errno == EEXIST || copy_it(c->fd, c->filed, dirfd, name) < 0))
		return -1;
	return full_sync_dir(dirfd);
}
