/*
 * maildir_root: the directories above all mailboxes, and what may become a
 * name below them.
 *
 * Roots come from the configuration, so symbolic links are followed here;
 * below a root none is. Blocks. Owns the descriptors it opens; the caller
 * owns the structs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/ascii.h"
#include "dest/maildir.h"
#include "io/beneath.h"
#include "io/full_io.h"

#define COMPONENT_MAX 200 /* leaves room in a name of 255 for a template */

bool
maildir_reserved(struct span name)
{
	return span_equal(name, SPAN_LIT("cur")) ||
	       span_equal(name, SPAN_LIT("new")) ||
	       span_equal(name, SPAN_LIT("tmp"));
}

bool
maildir_component_valid(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > COMPONENT_MAX || s[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '/' || ascii_is_control(s[i]))
			return false;
	}
	return !maildir_reserved(span_str(s));
}

/* cur/ is what every reader asks for; a directory alone may be anything. */
int
maildir_exists(const struct maildir_root *r, const char *rel)
{
	char *cur;
	int there, saved;

	if (asprintf(&cur, "%s/cur", rel) < 0)
		abort();
	there = beneath_is_dir(r->fd, cur);
	saved = errno;
	free(cur);
	errno = saved;
	return there;
}

int
maildir_access(const struct maildir_root *r, const char *rel)
{
	int fd = beneath_dir(r->fd, rel);
	int result;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	result = faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS);
	full_close(&fd);
	return result;
}

const char *
maildir_error(int error)
{
	if (error == ELOOP)
		return "Symbolic links are not followed";
	return error ? strerror(error) : NULL;
}

/* Where one syncfs() stands for the fsync of every file before it. */
static bool
is_trusted(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
	       fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == F2FS_SUPER_MAGIC;
}

int
maildir_root_open(struct maildir_root *r)
{
	struct stat st;
	int fd = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int sync;

	if (fd < 0)
		return -1;
	/* reading, because a directory is opened to be fsynced */
	if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0 ||
	    fstat(fd, &st) < 0) {
		full_close(&fd);
		return -1;
	}
	sync = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sync < 0) {
		errno = errno == EACCES ? ESTALE : errno;
		full_close(&fd);
		return -1;
	}
	maildir_root_close(r);
	r->fd = fd;
	r->dev = st.st_dev;
	r->each = r->gone = false;
	if (is_trusted(fd))
		r->sync = sync;
	else
		close(sync);
	return 0;
}

bool
maildir_root_sync_each(const struct maildir_root *r)
{
	return r->sync < 0 || r->each;
}

bool
maildir_root_changed(const struct maildir_root *r)
{
	bool same = full_same(r->path, r->fd) == 0;

	return r->gone ? same || errno == ESTALE : !same;
}

/* A thread may use both numbers at this very moment, so neither is closed. */
static void
take_over(struct maildir_root *r, struct maildir_root *now)
{
	bool each = now->sync < 0;

	r->gone = r->each = true;
	r->renewals++;
	dup3(now->fd, r->fd, O_CLOEXEC);
	if (!each && r->sync >= 0) {
		dup3(now->sync, r->sync, O_CLOEXEC);
	} else if (!each) {
		r->sync = now->sync;
		now->sync = -1;
	}
	r->dev = now->dev;
	r->each = each;
	r->gone = false;
}

int
maildir_root_renew(struct maildir_root *r)
{
	struct maildir_root now = {.path = r->path, .fd = -1, .sync = -1};

	if (full_same(r->path, r->fd) == 0) {
		r->gone = false;
		return 0;
	}
	if (maildir_root_open(&now) < 0) {
		r->gone = true;
		return -1;
	}
	take_over(r, &now);
	maildir_root_close(&now);
	return 1;
}

void
maildir_root_close(struct maildir_root *r)
{
	if (r->fd >= 0)
		close(r->fd);
	if (r->sync >= 0)
		close(r->sync);
	r->fd = -1;
	r->sync = -1;
}
