/*
 * child: fork and exec, with nothing passed on but what is meant to be.
 *
 * The process that starts it has one thread. A pipe that exec closes says why
 * there was none.
 */
#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/full_io.h"

#define FILES 1024 /* that a program may have open */

static int
limit(__rlimit_resource_t what, rlim_t n)
{
	struct rlimit r;

	if (getrlimit(what, &r) < 0)
		return -1;
	if (n > r.rlim_max)
		n = r.rlim_max;
	r = (struct rlimit){n, n};
	return setrlimit(what, &r);
}

/* What is ignored would stay so in the program. */
static void
default_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All others close with exec, failed among them. */
static int
set_descriptors(int in, int out)
{
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		return -1;
	return close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

static _Noreturn void
become(char *const *argv, char *const *envp, int in, int out, int failed,
    uint32_t cpu)
{
	ssize_t n;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* with whoever waits for it */
	default_signals();
	umask(077);
	if (set_descriptors(in, out) == 0 && chdir("/") == 0 &&
	    limit(RLIMIT_CORE, 0) == 0 && limit(RLIMIT_CPU, cpu) == 0 &&
	    limit(RLIMIT_NOFILE, FILES) == 0)
		execve(argv[0], argv, envp);
	n = write(failed, &errno, sizeof(errno));
	_exit(n < 0 ? 126 : 127);
}

/* Signals wait: a handler of the parent's has no business in the child. */
static pid_t
fork_blocked(sigset_t *before)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, before);
	pid = fork();
	if (pid)
		sigprocmask(SIG_SETMASK, before, NULL);
	return pid;
}

int
child_start(struct child *c, char *const *argv, char *const *envp, int in,
    uint32_t cpu)
{
	int out[2], failed[2];
	sigset_t before;

	*c = (struct child){.pid = -1, .out = -1, .failed = -1};
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	c->out = out[0];
	if (fcntl(c->out, F_SETFL, O_NONBLOCK) < 0 ||
	    pipe2(failed, O_CLOEXEC | O_NONBLOCK) < 0) {
		full_close(&c->out);
		return full_close(&out[1]);
	}
	c->failed = failed[0];
	c->pid = fork_blocked(&before);
	if (!c->pid)
		become(argv, envp, in, out[1], failed[1], cpu);
	if (c->pid > 0)
		setpgid(c->pid, c->pid); /* whoever of the two is first */
	full_close(&out[1]);
	full_close(&failed[1]);
	if (c->pid < 0)
		child_close(c);
	return c->pid < 0 ? -1 : 0;
}

void
child_kill(const struct child *c)
{
	kill(-c->pid, SIGKILL);
	kill(c->pid, SIGKILL); /* should it have left its group */
}

int
child_failed(const struct child *c)
{
	int error;

	return read(c->failed, &error, sizeof(error)) == sizeof(error) ? error
								       : 0;
}

void
child_close(struct child *c)
{
	full_close(&c->out);
	full_close(&c->failed);
}
