"""Libraries that stand before libc in a daemon's processes."""

import subprocess


def preload(d, text):
    """Its processes call the text's functions for the library's."""
    source, lib = d.path / "s.c", d.path / "s.so"
    source.write_text(text)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", lib, source], check=True)
    d.env = {"LD_PRELOAD": str(lib),
             "ASAN_OPTIONS": "verify_asan_link_order=0"}


# Where a minute is one and a half seconds: for what comes once in a minute.
FAST = r"""
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { TIMES = 40 };

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);
	__int128 ns;

	if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE)
		return r;
	ns = ((__int128)ts->tv_sec * 1000000000 + ts->tv_nsec) * TIMES;
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);
	return r;
}

int
sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *ts)
{
	long long ns = (ts->tv_sec * 1000000000LL + ts->tv_nsec) / TIMES;
	struct timespec less = {ns / 1000000000, ns % 1000000000};

	return (int)syscall(SYS_rt_sigtimedwait, set, info, &less, 8);
}

int
epoll_wait(int fd, struct epoll_event *e, int n, int ms)
{
	if (ms > 0)
		ms = (ms + TIMES - 1) / TIMES;
	return (int)syscall(SYS_epoll_pwait, fd, e, n, ms, NULL, 8);
}
"""
