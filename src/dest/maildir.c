/*
 * maildir: the directories of one mailbox.
 *
 * tmp is the last directory of a mailbox to be made, after all that leads to
 * it is on disk, and so its presence says that the whole way is. Whoever
 * finds it missing fsyncs the way himself, made by him or by another worker
 * a moment ago: nobody answers 250 for a file in a directory that a power
 * cut can still take away.
 *
 * Never follows a symbolic link.
 */
#include "dest/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/beneath.h"
#include "io/full_io.h"

/* Has the mailbox this directory? 1, 0, or -1 with errno. */
static int
has_dir(int box, const char *name)
{
	struct stat st;

	if (fstatat(box, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	if (S_ISDIR(st.st_mode))
		return 1;
	errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
	return -1;
}

static int
is_complete(int box)
{
	static const char *const names[] = {"tmp", "new", "cur"};
	int r = 1;

	for (size_t i = 0; i < 3 && r == 1; i++)
		r = has_dir(box, names[i]);
	return r;
}

static int
make_dir(int at, const char *name)
{
	return mkdirat(at, name, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/* Makes what is missing in a mailbox, tmp last. */
static int
complete(int box)
{
	if (make_dir(box, "new") < 0 || make_dir(box, "cur") < 0 ||
	    full_sync_dir(box) < 0 || make_dir(box, "tmp") < 0 ||
	    full_sync_dir(box) < 0)
		return -1;
	return is_complete(box) == 1 ? 0 : -1;
}

/* One step down: makes it, puts it on disk, opens it, and closes at. */
static int
descend(int at, const char *name)
{
	int fd = -1;

	if (!make_dir(at, name) && !full_sync_dir(at))
		fd = beneath_dir_sync(at, name);
	full_close(&at);
	return fd;
}

/* Opens a mailbox, making and fsyncing every directory on the way. */
static int
make_way(int root, const char *rel)
{
	char name[NAME_MAX + 1];
	int fd = beneath_dir_sync(root, ".");
	int more = 1;

	while (fd >= 0 && (more = beneath_step(&rel, name)) > 0) {
		if (strcmp(name, ".") != 0)
			fd = descend(fd, name);
	}
	if (fd >= 0 && (more < 0 || complete(fd) < 0))
		full_close(&fd);
	return fd;
}

static int
open_box(const struct maildir_root *r, const char *rel)
{
	int box = beneath_dir(r->fd, rel);
	int ok = box < 0 ? (errno == ENOENT ? 0 : -1) : is_complete(box);

	if (ok != 1)
		full_close(&box);
	return ok ? box : make_way(r->fd, rel);
}

int
maildir_box_open(const struct maildir_root *r, const char *rel,
    struct maildir_box *b)
{
	struct stat st;

	*b = (struct maildir_box){open_box(r, rel), -1, -1, 0};
	if (b->dir >= 0)
		b->tmp = beneath_dir(b->dir, "tmp");
	if (b->tmp >= 0)
		b->new = beneath_dir_sync(b->dir, "new");
	if (b->new >= 0 && !fstat(b->new, &st)) {
		b->dev = st.st_dev;
		return 0;
	}
	maildir_box_close(b);
	return -1;
}

void
maildir_box_close(struct maildir_box *b)
{
	full_close(&b->dir);
	full_close(&b->tmp);
	full_close(&b->new);
}
