/*
 * fake_clock: stands before libc's clock_gettime() and epoll_wait(), for
 * libevent as well, and lets time pass where a loop would wait.
 */
#include <errno.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"

/* Of the world, for a thread that is at work: then something hangs. */
#define PATIENCE 20000 /* ms */
/* For what was said on loopback: it is there at once, or nearly so. */
#define LOOPBACK 10

static struct {
	struct loop *loop;               /* NULL: the world's time */
	bool (*busy)(void);              /* NULL: there are no threads */
	struct timespec monotonic, wall; /* when it stopped */
	_Atomic int64_t passed;          /* ms since; threads read it, too */
	int64_t until;
	bool hangs;
} fake;

static int
real_clock(clockid_t id, struct timespec *ts)
{
	return (int)syscall(SYS_clock_gettime, id, ts);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	bool wall = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE;
	int64_t ns;

	if (!fake.loop || id == CLOCK_PROCESS_CPUTIME_ID ||
	    id == CLOCK_THREAD_CPUTIME_ID)
		return real_clock(id, ts);
	*ts = wall ? fake.wall : fake.monotonic;
	ns = ts->tv_nsec + fake.passed % 1000 * 1000000;
	ts->tv_sec += fake.passed / 1000 + ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	return 0;
}

/* What is there now, or comes from those who are at work. */
static int
wait_for_threads(int fd, struct epoll_event *events, int max)
{
	int n = 0;

	for (unsigned ms = 0; !n && ms < PATIENCE; ms++) {
		/* asked first: what ended before is seen below */
		bool busy = fake.busy ? fake.busy() : ms < LOOPBACK;

		n = epoll_pwait(fd, events, max, busy, NULL);
		if (!n && !busy)
			return 0;
	}
	fake.hangs = !n;
	return n;
}

int
epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
	int64_t left = fake.until - fake.passed;
	int n;

	if (!fake.loop || !timeout)
		return epoll_pwait(fd, events, max, timeout, NULL);
	n = wait_for_threads(fd, events, max);
	if (n)
		return n;
	if (!fake.hangs && timeout > 0 && timeout <= left) {
		fake.passed += timeout;
	} else {
		fake.passed = fake.until;
		loop_stop(fake.loop);
		event_base_loopbreak(fake.loop->base);
	}
	return 0;
}

void
clock_stop(struct loop *l, bool (*busy)(void))
{
	fake.loop = NULL;
	fake.busy = busy;
	fake.passed = fake.until = 0;
	fake.hangs = false;
	real_clock(CLOCK_MONOTONIC, &fake.monotonic);
	real_clock(CLOCK_REALTIME, &fake.wall);
	fake.loop = l;
}

void
clock_pass(int64_t ms)
{
	fake.until = fake.passed + ms;
	fake.loop->stop = 0;
	assert_int_equal(loop_run(fake.loop), 0);
	assert_false(fake.hangs);
}

void
clock_go(void)
{
	fake.loop = NULL;
}
