/*
 * sys: what a test's program asks of the kernel, as far as files on their way
 * to the disk are concerned: written down, failing or the program's end when
 * told, on any thread. What they are told is told while no other thread is at
 * work. In a header, since these stand before libc's in any program that they
 * are linked to.
 */
#ifndef SYS_H
#define SYS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* 0: nobody waits for it, where no order but that of the calls matters. */
#ifndef SYS_DISK
#define SYS_DISK 1
#endif
/* 0: nobody asks for sys_log(). */
#ifndef SYS_LOG
#define SYS_LOG 1
#endif

static struct {
	const char *name; /* NULL: none */
	unsigned nth;
	int error;
} sys_faults[2];

static pthread_mutex_t sys_lock = PTHREAD_MUTEX_INITIALIZER;
static const char *sys_where; /* NULL: anywhere */
static unsigned sys_changes, sys_last;

static char sys_text[16384];
static size_t sys_used;

/* Forgets all that is below. */
static inline void
sys_reset(void)
{
	sys_where = NULL;
	sys_changes = sys_last = 0;
	sys_faults[0].name = sys_faults[1].name = NULL;
	sys_text[0] = '\0';
	sys_used = 0;
}

/*
 * The nth call by this name from now on (1: the next) fails, once; for 0 each
 * one does. Two such at a time.
 */
static inline void
sys_fail(const char *name, unsigned nth, int error)
{
	int i = sys_faults[0].name != NULL;

	sys_faults[i].name = name;
	sys_faults[i].nth = nth;
	sys_faults[i].error = error;
}

/* Have all of these failed? */
static inline bool
sys_failed(void)
{
	return !sys_faults[0].name && !sys_faults[1].name;
}

/* And only what leads below this path of the working directory. */
static inline void
sys_fail_below(const char *path)
{
	sys_where = path;
}

/*
 * In place of the nth call that would change what is on the disk the program
 * ends, or what a test has instead. 0: it only counts them, in sys_changes.
 */
#ifndef SYS_DIE
#define SYS_DIE() _exit(7)
#endif
static inline void
sys_die(unsigned nth)
{
	sys_changes = 0;
	sys_last = nth;
}

/*
 * What changed names and what was synced since sys_reset(), a line each, as
 * "rename u/tmp/n u/new/n\n", below the working directory; a file without a
 * name is "#". Good until the next call of any.
 */
static inline const char *
sys_log(void)
{
	return sys_text;
}

/* Where a descriptor leads to, below the working directory; "." is itself. */
static const char *
sys_path(int fd, char path[PATH_MAX])
{
	char link[40], top[PATH_MAX];
	ssize_t len;
	size_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	path[len < 0 ? 0 : len] = '\0';
	if (strstr(path, "/#"))
		return "#";
	n = getcwd(top, sizeof(top)) ? strlen(top) : 0;
	if (strncmp(path, top, n) != 0)
		return path;
	return path[n] ? path + n + 1 : ".";
}

static bool
sys_is_told(const char *name, int fd)
{
	char path[PATH_MAX];
	int i = 0;

	while (i < 2 &&
	       (!sys_faults[i].name || strcmp(sys_faults[i].name, name) != 0))
		i++;
	if (i == 2 || (sys_where && strncmp(sys_path(fd, path), sys_where,
					strlen(sys_where)) != 0))
		return false;
	if (sys_faults[i].nth > 1) {
		sys_faults[i].nth--;
		return false;
	}
	if (sys_faults[i].nth)
		sys_faults[i].name = NULL;
	errno = sys_faults[i].error;
	return true;
}

static bool
sys_fails(const char *name, int fd)
{
	bool fails;

	pthread_mutex_lock(&sys_lock);
	fails = sys_is_told(name, fd);
	pthread_mutex_unlock(&sys_lock);
	return fails;
}

/* The same of a call that changes something. */
static bool
sys_stops(const char *name, int fd)
{
	bool dies;

	pthread_mutex_lock(&sys_lock);
	dies = ++sys_changes == sys_last;
	pthread_mutex_unlock(&sys_lock);
	if (dies)
		SYS_DIE();
	return sys_fails(name, fd);
}

/* word, then the path of name below fd, or of fd if it is NULL. */
static void
sys_put_locked(const char *word, int fd, const char *name, const char *end)
{
	char buf[PATH_MAX];
	const char *path;

	if (name && sscanf(name, "/proc/self/fd/%d", &fd) == 1)
		name = NULL;
	path = sys_path(fd, buf);
	if (!name)
		name = "";
	else if (!strcmp(path, "."))
		path = "";
	sys_used +=
	    (size_t)snprintf(sys_text + sys_used, sizeof(sys_text) - sys_used,
		"%s%s%s%s%s", word, path, *path && *name ? "/" : "", name, end);
	if (sys_used >= sizeof(sys_text))
		sys_used = sizeof(sys_text) - 1;
}

static void
sys_put(const char *word, int fd, const char *name, const char *end)
{
	int saved = errno;

	if (!SYS_LOG)
		return;
	pthread_mutex_lock(&sys_lock);
	sys_put_locked(word, fd, name, end);
	pthread_mutex_unlock(&sys_lock);
	errno = saved;
}

static int
sys_moved(const char *word, int from, const char *old, int to, const char *name,
    long r)
{
	if (r < 0)
		return -1;
	sys_put(word, from, old, " ");
	sys_put("", to, name, "\n");
	return (int)r;
}

int
openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode = 0;

	va_start(ap, flags);
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	return (flags & O_CREAT ? sys_stops : sys_fails)("openat", dir)
		   ? -1
		   : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int
fsync(int fd)
{
	if (sys_stops("fsync", fd))
		return -1;
	sys_put("sync ", fd, NULL, "\n");
	return SYS_DISK ? (int)syscall(SYS_fsync, fd) : 0;
}

/* What it syncs is no name: not in the log. */
int
fdatasync(int fd)
{
	if (sys_stops("fdatasync", fd))
		return -1;
	return SYS_DISK ? (int)syscall(SYS_fdatasync, fd) : 0;
}

int
syncfs(int fd)
{
	if (sys_stops("syncfs", fd))
		return -1;
	return SYS_DISK ? (int)syscall(SYS_syncfs, fd) : 0;
}

int
mkdirat(int dir, const char *name, mode_t mode)
{
	long r = sys_stops("mkdirat", dir)
		     ? -1
		     : syscall(SYS_mkdirat, dir, name, mode);

	if (!r)
		sys_put("mkdir ", dir, name, "\n");
	return (int)r;
}

int
unlinkat(int dir, const char *name, int flags)
{
	long r = sys_stops("unlinkat", dir)
		     ? -1
		     : syscall(SYS_unlinkat, dir, name, flags);

	if (!r)
		sys_put("unlink ", dir, name, "\n");
	return (int)r;
}

int
linkat(int from, const char *old, int to, const char *name, int flags)
{
	return sys_stops("linkat", to)
		   ? -1
		   : sys_moved("link ", from, old, to, name,
			 syscall(SYS_linkat, from, old, to, name, flags));
}

int
renameat(int from, const char *old, int to, const char *name)
{
	return sys_stops("renameat", to)
		   ? -1
		   : sys_moved("rename ", from, old, to, name,
			 syscall(SYS_renameat2, from, old, to, name, 0));
}

int
renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
	return sys_stops("renameat2", to)
		   ? -1
		   : sys_moved("rename ", from, old, to, name,
			 syscall(SYS_renameat2, from, old, to, name, flags));
}

int
fstat(int fd, struct stat *st)
{
	return sys_fails("fstat", fd) ? -1 : fstatat(fd, "", st, AT_EMPTY_PATH);
}

int
close(int fd)
{
	bool bad = sys_fails("close", fd);
	int saved = errno;
	int r = (int)syscall(SYS_close, fd);

	errno = bad ? saved : errno;
	return bad ? -1 : r;
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	return sys_stops("writev", fd) ? -1 : syscall(SYS_writev, fd, iov, n);
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	return sys_stops("pwritev", fd)
		   ? -1
		   : syscall(SYS_pwritev, fd, iov, n, at, (off_t)0);
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	return sys_stops("pwrite", fd) ? -1
				       : syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	return sys_fails("pread", fd) ? -1
				      : syscall(SYS_pread64, fd, to, n, at);
}

#endif
