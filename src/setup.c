/*
 * setup: the spool: whether it lasts, and whose it is.
 *
 * It runs before there is anything to lose, so every doubt stops the start;
 * and it says what would end the doubt.
 */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "io/full_io.h"
#include "io/log.h"

int
setup_spool(const struct config *c, int spool)
{
	struct statfs fs;

	if (fstatfs(spool, &fs) < 0) {
		log_event(LOG_ERROR, "directory", LOG_STR("path", c->spool),
		    LOG_ERRNO(errno));
		return EXIT_FAILED;
	}
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
lock_fault(const struct config *c)
{
	log_event(LOG_ERROR, "lock", LOG_STR("spool", c->spool),
	    LOG_ERRNO(errno),
	    LOG_STR("help",
		errno == EACCES
		    ? "it is of a start as root: chown it to the user"
		    : "remove the file lock there"));
	return EXIT_FAILED;
}

static int
already_running(const struct config *c, pid_t pid)
{
	char help[80] = "no process here: is it in another container?";

	if (pid > 0)
		snprintf(help, sizeof(help),
		    "kill -HUP %d makes it read its configuration, kill %d "
		    "stops it",
		    (int)pid, (int)pid);
	log_event(LOG_ERROR, "already-running",
	    LOG_INT(pid > 0 ? "pid" : NULL, pid), LOG_STR("spool", c->spool),
	    LOG_STR("help", help));
	return EXIT_FAILED;
}

/* For those who want to signal it. The lock holds without, on a full disk. */
static void
write_pid(const struct config *c, int fd)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		log_event(LOG_WARN, "lock", LOG_STR("spool", c->spool),
		    LOG_ERRNO(errno));
}

/* Nothing that leads elsewhere: the workers may write in the spool. */
static int
open_lock(int spool)
{
	int fd = openat(spool, "lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 ||
	    (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1))
		return fd;
	errno = EINVAL;
	full_close(&fd);
	return -1;
}

/*
 * A record lock, because it names its holder and does not pass to children:
 * workers that outlive a killed master must not keep the next one out.
 */
int
setup_lock(const struct config *c, int spool, int *fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	*fd = open_lock(spool);
	if (*fd < 0)
		return lock_fault(c);
	if (fcntl(*fd, F_SETLK, &lock) == 0) {
		write_pid(c, *fd);
		return 0;
	}
	lock.l_pid = 0;
	fcntl(*fd, F_GETLK, &lock);
	close(*fd);
	return already_running(c, lock.l_pid);
}

void
setup_unlock(int fd)
{
	/* a pid that may be somebody else's by then */
	if (ftruncate(fd, 0) < 0)
		log_event(LOG_WARN, "lock", LOG_ERRNO(errno));
	close(fd);
}
