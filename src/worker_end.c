/*
 * worker_end: the kernel sends SIGALRM when the master has gone, and that sets
 * an alarm, which kills.
 */
#include "worker_end.h"

#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Behind the drain, for a loop that does not turn any more. */
#define HANG_S 10

static volatile sig_atomic_t hang_s;

static void
on_master_gone(int sig)
{
	(void)sig;
	alarm((unsigned)hang_s); /* the handler is used up: this one kills */
}

bool
worker_end_with(pid_t master, uint64_t drain)
{
	const struct sigaction gone = {.sa_handler = on_master_gone,
	    .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

	hang_s = (int)(drain / 1000) + HANG_S;
	return sigaction(SIGALRM, &gone, NULL) == 0 &&
	       prctl(PR_SET_PDEATHSIG, SIGALRM) == 0 && getppid() == master;
}
