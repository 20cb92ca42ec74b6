/*
 * puppet: a clock that is put on and a disk that stands still or fails, for
 * a daemon under test. Preloaded; the strings are in a file that the test
 * writes: see puppet.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct strings {
	_Atomic int64_t ahead;   /* seconds, of clocks that never go back */
	_Atomic int64_t hold;    /* no commit ends */
	_Atomic int64_t fail;    /* each commit fails */
	_Atomic int64_t commits; /* begun so far */
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

int
fdatasync(int fd)
{
	strings->commits++;
	while (strings->hold)
		usleep(1000);
	if (strings->fail) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}
