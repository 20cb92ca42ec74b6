/*
 * setup_directory: the spool, the Maildir roots and failed, made and opened
 * component by component.
 *
 * Workers own what is below them, and may have fallen into strange hands. So
 * nothing is done to a path here, only to descriptors, and root goes on as
 * the user behind the first directory that others than root can write in:
 * what lies there can stop a start, but not make root write elsewhere. Links
 * that root made are followed, others only by who is not root.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/beneath.h"
#include "io/full_io.h"
#include "io/log.h"
#include "rcpt/recipients.h"
#include "setup.h"

#define LINKS_MAX 40
#define HERE      (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NAME_ONE                                                               \
	"name a directory that is smtpd's alone: if it is missing, or empty "  \
	"and removed, it is made"

struct walk {
	const struct identity *id;
	struct identity_own own;
	int fd;       /* O_PATH: where it is */
	bool as_root; /* nobody but root can change where it is */
	unsigned links;
	char mount[PATH_MAX]; /* where the file system of fd begins */
	char rest[PATH_MAX];  /* the way from there */
};

/* --- what is wrong --- */

static const char *
help_read_only(const struct walk *w, const char *path, char *help, size_t n)
{
	snprintf(help, n,
	    "from %.200s on it is read-only: remount that, or in the unit "
	    "write ReadWritePaths=%.200s (below /home, /root, /run/user: "
	    "ProtectHome=no too)",
	    w->mount, path);
	return help;
}

static const char *
help_others(const struct walk *w, const char *path, char *help, size_t n)
{
	struct stat st;

	if (fstat(w->fd, &st) < 0 || st.st_uid != w->id->uid)
		return NAME_ONE;
	snprintf(help, n, "chmod go-w %.200s", path);
	return help;
}

static void
fault(const struct walk *w, const char *path, const char *why)
{
	int err = errno;
	char text[768];
	const char *help = NAME_ONE;

	if (err == EROFS)
		help = help_read_only(w, path, text, sizeof(text));
	else if (err == ELOOP)
		help = "links are followed only where root alone can write: "
		       "name what it leads to";
	else if (!err)
		help = help_others(w, path, text, sizeof(text));
	log_event(LOG_ERROR, "directory", LOG_STR("path", path),
	    LOG_STR("why", why), LOG_STR("error", err ? strerror(err) : NULL),
	    LOG_STR("help", help));
}

/* --- one component --- */

static bool
is_roots(const struct stat *st)
{
	return st->st_uid == 0 && (!(st->st_mode & (S_IWGRP | S_IWOTH)) ||
				      (st->st_mode & S_ISVTX));
}

static void
note_mount(struct walk *w)
{
	char link[40];
	struct statx sx;
	ssize_t n;

	if (statx(w->fd, "", AT_EMPTY_PATH, 0, &sx) < 0 ||
	    !(sx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	n = readlink(link, w->mount, sizeof(w->mount) - 1);
	w->mount[n < 0 ? 0 : n] = '\0';
}

/* fd, a directory, is where it is now. */
static int
arrive(struct walk *w, int fd, const struct stat *st)
{
	full_close(&w->fd);
	w->fd = fd;
	note_mount(w);
	if (!w->as_root || is_roots(st))
		return 0;
	w->as_root = false;
	return identity_assume(w->id, &w->own);
}

/*
 * It leads to a directory: nothing is made where a disk is missing. Root may
 * look, since only root can have made it.
 */
static int
follow(struct walk *w, const char *name, const struct stat *link)
{
	char target[PATH_MAX];
	int fd = -1;
	ssize_t n = -1;

	errno = ELOOP;
	if (w->id->change && !(w->as_root && link->st_uid == 0))
		return -1;
	if (++w->links <= LINKS_MAX)
		fd = openat(w->fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	close(fd);
	n = readlinkat(w->fd, name, target, sizeof(target));
	if (n < 0)
		return -1;
	errno = ENAMETOOLONG;
	if ((size_t)n + 1 + strlen(w->rest) >= sizeof(w->rest))
		return -1;
	memmove(w->rest + n + 1, w->rest, strlen(w->rest) + 1);
	memcpy(w->rest, target, (size_t)n);
	w->rest[n] = '/';
	if (target[0] != '/')
		return 0;
	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	close(w->fd);
	w->fd = fd;
	note_mount(w);
	return 0;
}

/* Whoever gets the last one must be able to pass through the others. */
static int
make(const struct walk *w, const char *name)
{
	bool last = !w->rest[0];
	mode_t mode = last ? 0700 : 0711; /* whatever the umask says */
	int at, fd, r = -1;

	if (mkdirat(w->fd, name, mode) < 0)
		return errno == EEXIST ? 0 : -1;
	fd = openat(w->fd, name, HERE);
	at = openat(w->fd, ".", HERE);
	if (fd >= 0 && at >= 0 && fchmod(fd, mode) == 0 &&
	    !(last && w->as_root && fchown(fd, w->id->uid, w->id->gid) < 0))
		r = full_sync_dir(at);
	full_close(&fd);
	full_close(&at);
	return r;
}

static int
enter(struct walk *w, const char *name)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(w->fd, name, flags);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT && make(w, name) == 0)
		fd = openat(w->fd, name, flags);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return arrive(w, fd, &st);
	errno = ENOTDIR;
	r = S_ISLNK(st.st_mode) ? follow(w, name, &st) : -1;
	close(fd);
	return r;
}

/* --- the whole way --- */

static int
begin(struct walk *w, const char *path)
{
	struct stat st;
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	w->as_root = w->id->change;
	snprintf(w->rest, sizeof(w->rest), "%s", path);
	errno = path[0] == '/' ? ENAMETOOLONG : EINVAL;
	if (fd < 0 || path[0] != '/' || strlen(path) >= sizeof(w->rest) ||
	    fstat(fd, &st) < 0) {
		w->fd = fd;
		return -1;
	}
	return arrive(w, fd, &st);
}

static int
go(struct walk *w, const char *path)
{
	char name[NAME_MAX + 1];
	const char *rest;
	int more, r = begin(w, path);

	while (!r) {
		rest = w->rest;
		more = beneath_step(&rest, name);
		if (more <= 0)
			return more;
		memmove(w->rest, rest, strlen(rest) + 1);
		r = enter(w, name);
	}
	return r;
}

/* Open, for reading; only the user may write there. */
static int
check(struct walk *w, const char *path)
{
	struct stat st;
	int fd;

	/* and by its path: root passes where the user may not */
	if ((w->as_root && identity_assume(w->id, &w->own) < 0) ||
	    faccessat(w->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0 ||
	    faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0) {
		fault(w, path, "the user of smtpd cannot write there");
		return -1;
	}
	fd = openat(w->fd, ".", HERE);
	if (fd < 0 || fstat(fd, &st) < 0) {
		fault(w, path, "cannot open it");
	} else if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		errno = 0;
		fault(w, path, "others than the user of smtpd can write there");
	} else {
		return fd;
	}
	return full_close(&fd);
}

int
setup_directory(const char *path, const struct identity *id)
{
	struct walk w = {.id = id, .fd = -1, .mount = "/"};
	int fd = -1;

	if (go(&w, path) < 0)
		fault(&w, path, "cannot make it or get there");
	else
		fd = check(&w, path);
	identity_resume(&w.own);
	full_close(&w.fd);
	return fd;
}

static int
make_one(const char *path, const struct identity *id)
{
	int fd = setup_directory(path, id);

	if (fd < 0)
		return EXIT_CONFIG;
	close(fd);
	return 0;
}

int
setup_directories(struct config *c, const struct identity *id, int *spool)
{
	const struct destination *place;
	int status = 0;

	*spool = setup_directory(c->spool, id);
	if (*spool < 0)
		return EXIT_CONFIG;
	for (unsigned i = 0; !status; i++) {
		place = recipients_place(c->deliver.recipients, i);
		if (!place)
			break;
		status = make_one(place->root.path, id);
	}
	/* without a journal too: mail of earlier may be held */
	if (!status)
		status = make_one(c->failed, id);
	if (status)
		close(*spool);
	return status;
}
