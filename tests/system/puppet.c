/*
 * puppet: a clock that is put on and a disk that stands still or fails, for
 * a daemon under test. Preloaded; the strings are in a file that the test
 * writes: see puppet.py.
 *
 * Whom a hold keeps waits until the string says something else: 1 before the
 * disk has it, 2 when it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct strings {
	_Atomic int64_t ahead;      /* seconds, of clocks that never go back */
	_Atomic int64_t hold;       /* no commit ends */
	_Atomic int64_t fail;       /* each commit fails */
	_Atomic int64_t commits;    /* begun so far, */
	_Atomic int64_t synced;     /* and on disk */
	_Atomic int64_t hold_names; /* no directory's sync ends */
	_Atomic int64_t names;      /* begun, */
	_Atomic int64_t names_synced; /* and on disk */
};

static struct strings *strings;

__attribute__((constructor)) static void
begin(void)
{
	int fd = open(getenv("PUPPET"), O_RDWR | O_CLOEXEC);

	strings = mmap(NULL, sizeof(*strings), PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	if (strings == MAP_FAILED)
		abort();
	close(fd);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (strings && clock != CLOCK_REALTIME &&
	    clock != CLOCK_REALTIME_COARSE)
		ts->tv_sec += strings->ahead;
	return r;
}

static bool
is_directory(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISDIR(st.st_mode);
}

static void
wait_while(const _Atomic int64_t *hold, int64_t is)
{
	while (*hold == is)
		usleep(1000);
}

int
fdatasync(int fd)
{
	int r;

	strings->commits++;
	wait_while(&strings->hold, 1);
	if (strings->fail) {
		errno = EIO;
		return -1;
	}
	r = (int)syscall(SYS_fdatasync, fd);
	strings->synced++;
	wait_while(&strings->hold, 2);
	return r;
}

int
fsync(int fd)
{
	bool names = is_directory(fd);
	int r;

	if (names) {
		strings->names++;
		wait_while(&strings->hold_names, 1);
	}
	r = (int)syscall(SYS_fsync, fd);
	if (names) {
		strings->names_synced++;
		wait_while(&strings->hold_names, 2);
	}
	return r;
}
