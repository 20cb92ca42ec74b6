/*
 * setup: identity, directories, lock and sockets, in this order.
 *
 * It runs before there is anything to lose, so every doubt stops the start;
 * and it says what would end the doubt.
 */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "deliver/maildir.h"
#include "deliver/recipients.h"
#include "io/log.h"

/* --- identity --- */

static int
no_such_user(const char *user)
{
	char help[160];

	snprintf(help, sizeof(help),
	    "make it: useradd --system --user-group --no-create-home "
	    "--home-dir / --shell /usr/sbin/nologin %.60s",
	    user);
	log_event(LOG_ERROR, "no-such-user", LOG_STR("user", user),
	    LOG_STR("help", help));
	return EXIT_CONFIG;
}

static int
no_such_group(const char *group)
{
	char help[120];

	snprintf(help, sizeof(help), "make it: groupadd --system %.60s", group);
	log_event(LOG_ERROR, "no-such-group", LOG_STR("group", group),
	    LOG_STR("help", help));
	return EXIT_CONFIG;
}

int
setup_identity(const struct config *c, struct identity *id)
{
	const struct passwd *pw;
	const struct group *gr;

	*id = (struct identity){false, geteuid(), getegid()};
	if (geteuid() != 0) {
		log_event(LOG_INFO, "user-ignored", LOG_STR("user", c->user),
		    LOG_STR("why", "not started as root"));
		return 0;
	}
	pw = getpwnam(c->user);
	if (!pw)
		return no_such_user(c->user);
	*id = (struct identity){true, pw->pw_uid, pw->pw_gid};
	if (!c->group)
		return 0;
	gr = getgrnam(c->group);
	if (!gr)
		return no_such_group(c->group);
	id->gid = gr->gr_gid;
	return 0;
}

int
setup_become(const struct identity *id)
{
	if (!id->change)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(id->gid) < 0 ||
	    setuid(id->uid) < 0)
		return -1;
	/* a kernel that lets us back would make all of this a decoration */
	if (id->uid != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

/* --- directories --- */

static int
dir_fault(const char *path, const char *what)
{
	log_event(LOG_ERROR, "directory", LOG_STR("path", path),
	    LOG_STR("why", what), LOG_ERRNO(errno));
	return EXIT_CONFIG;
}

/* Can the workers' user write there? Asked as that user. */
static int
check_writable(const char *path, const struct identity *id)
{
	int ok, err;

	if (id->change && (setegid(id->gid) < 0 || seteuid(id->uid) < 0))
		return dir_fault(path, "cannot try it as the user");
	ok = faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS);
	err = errno;
	if (id->change && (seteuid(0) < 0 || setegid(0) < 0))
		abort();
	errno = err;
	if (ok < 0)
		return dir_fault(path,
		    "the user of smtpd must be able to write there: chown it");
	return 0;
}

static int
make_directory(const char *path, const struct identity *id)
{
	bool created;

	if (maildir_root_make(path, &created) < 0)
		return dir_fault(path, "cannot make it");
	/* at a reload workers run that may write in what is above it */
	if (created && id->change && lchown(path, id->uid, id->gid) < 0)
		return dir_fault(path, "cannot give it to the user");
	return check_writable(path, id);
}

int
setup_directories(struct config *c, const struct identity *id)
{
	struct maildir_root *root;
	int status = make_directory(c->spool, id);

	for (unsigned i = 0; !status; i++) {
		root = recipients_root(c->deliver.recipients, i);
		if (!root)
			break;
		status = make_directory(root->path, id);
	}
	/* without a journal too: mail of earlier may be held */
	if (!status)
		status = make_directory(c->failed, id);
	return status;
}

/* --- the spool --- */

int
setup_spool(const struct config *c)
{
	struct statfs fs;

	if (statfs(c->spool, &fs) < 0)
		return dir_fault(c->spool, "cannot look at it");
	if (fs.f_type == OVERLAYFS_SUPER_MAGIC)
		log_event(LOG_WARN, "spool-on-overlay",
		    LOG_STR("path", c->spool),
		    LOG_STR("why", "an overlay promises less than a disk"),
		    LOG_STR("help", "set spool to a directory on a disk"));
	if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
		return 0;
	log_event(LOG_WARN, "NOT DURABLE", LOG_STR("path", c->spool),
	    LOG_STR("why", "the spool is in memory"));
	if (c->spool_volatile)
		return 0;
	log_event(LOG_ERROR, "spool-volatile", LOG_STR("path", c->spool),
	    LOG_STR("help", "use a disk, or say spool-volatile = yes"));
	return EXIT_CONFIG;
}

static int
lock_fault(const char *path, int err)
{
	log_event(LOG_ERROR, "lock", LOG_STR("path", path), LOG_ERRNO(err));
	return EXIT_FAILED;
}

static int
already_running(const struct config *c, pid_t pid)
{
	char help[80];

	snprintf(help, sizeof(help),
	    "kill -HUP %d makes it read its configuration, kill %d stops it",
	    (int)pid, (int)pid);
	log_event(LOG_ERROR, "already-running", LOG_INT("pid", pid),
	    LOG_STR("spool", c->spool), LOG_STR("help", help));
	return EXIT_FAILED;
}

/* For those who want to signal it. The lock holds without, on a full disk. */
static void
write_pid(int fd, const char *path)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		log_event(LOG_WARN, "lock", LOG_STR("path", path),
		    LOG_ERRNO(errno));
}

/* Nothing that leads elsewhere: the workers may write in the spool. */
static int
open_lock(const char *path)
{
	int fd = open(path,
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 ||
	    (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/*
 * A record lock, because it names its holder and does not pass to children:
 * workers that outlive a killed master must not keep the next one out.
 */
int
setup_lock(const struct config *c, int *fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *path = NULL;
	int status = 0;

	if (asprintf(&path, "%s/lock", c->spool) < 0)
		abort();
	*fd = open_lock(path);
	if (*fd < 0) {
		status = lock_fault(path, errno);
	} else if (fcntl(*fd, F_SETLK, &lock) < 0) {
		lock.l_pid = 0;
		fcntl(*fd, F_GETLK, &lock);
		close(*fd);
		status = already_running(c, lock.l_pid);
	} else {
		write_pid(*fd, path);
	}
	free(path);
	return status;
}

void
setup_unlock(int fd)
{
	/* a pid that may be somebody else's by then */
	if (ftruncate(fd, 0) < 0)
		log_event(LOG_WARN, "lock", LOG_ERRNO(errno));
	close(fd);
}
