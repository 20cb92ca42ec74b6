/*
 * master: forks the workers and waits in sigtimedwait().
 *
 * No event loop, no octet from the network, nothing to attack. A worker that
 * dies is replaced at once, then after 1, 2 and 4 s. The write end of one
 * pipe tells the workers that their master lives: closing it is how they are
 * asked to leave, and how they find out that it was killed.
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/log.h"
#include "io/shared.h"
#include "notify.h"
#include "setup.h"
#include "worker.h"

#define BACKOFF_MAX 4000
#define LIVED_LONG  10000 /* after this a death is a first one again */

struct slot {
	pid_t pid;      /* 0: none */
	int64_t begun;  /* ms */
	int64_t due;    /* when to fork again */
	unsigned delay; /* ms, before the next try */
};

struct master {
	struct config *conf;
	struct identity identity;
	struct sockets sockets;
	struct shared *shared;
	struct slot slots[SHARED_SLOTS];
	int alive[2]; /* the workers hold the read end */
	int ready[2]; /* only until the first workers serve */
	bool leaving;
};

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- workers --- */

static void
become_worker(struct master *m, unsigned i)
{
	struct worker_start start = {.conf = m->conf,
	    .sockets = &m->sockets,
	    .identity = &m->identity,
	    .shared = m->shared,
	    .slot = i,
	    .alive = m->alive[0],
	    .ready = m->ready[1]};

	close(m->alive[1]);
	if (m->ready[0] >= 0)
		close(m->ready[0]);
	exit(worker_main(&start));
}

static void
start_worker(struct master *m, unsigned i)
{
	struct slot *s = &m->slots[i];

	s->begun = now_ms();
	s->pid = fork();
	if (s->pid == 0)
		become_worker(m, i);
	if (s->pid < 0) {
		log_event(LOG_ERROR, "fork", LOG_ERRNO(errno));
		s->pid = 0;
		s->due = s->begun + 1000;
	}
}

static void
log_death(unsigned i, pid_t pid, int status, unsigned delay)
{
	if (WIFSIGNALED(status))
		log_event(LOG_ERROR, "worker-died", LOG_UINT("slot", i),
		    LOG_INT("pid", pid),
		    LOG_STR("signal", strsignal(WTERMSIG(status))),
		    LOG_UINT("restart_ms", delay));
	else
		log_event(LOG_ERROR, "worker-died", LOG_UINT("slot", i),
		    LOG_INT("pid", pid), LOG_INT("status", WEXITSTATUS(status)),
		    LOG_UINT("restart_ms", delay));
}

/* What the worker counted went with it; when to try again. */
static void
bury(struct master *m, unsigned i, int status)
{
	struct slot *s = &m->slots[i];
	int64_t now = now_ms();

	shared_clear_slot(m->shared, i);
	if (!m->leaving || status) {
		if (now - s->begun > LIVED_LONG)
			s->delay = 0;
		log_death(i, s->pid, status, s->delay);
	}
	s->pid = 0;
	s->due = now + s->delay;
	s->delay = s->delay ? s->delay * 2 : 1000;
	if (s->delay > BACKOFF_MAX)
		s->delay = BACKOFF_MAX;
}

static void
reap(struct master *m)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < m->sockets.nslots; i++)
			if (m->slots[i].pid == pid)
				bury(m, i, status);
}

static unsigned
living(const struct master *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->sockets.nslots; i++)
		n += m->slots[i].pid != 0;
	return n;
}

/* Starts what is due; returns the ms until the next one, or -1. */
static int64_t
start_due(struct master *m)
{
	int64_t wait = -1;

	for (unsigned i = 0; i < m->sockets.nslots; i++) {
		struct slot *s = &m->slots[i];
		int64_t left = s->due - now_ms();

		if (s->pid)
			continue;
		if (left <= 0)
			start_worker(m, i);
		else if (wait < 0 || left < wait)
			wait = left;
	}
	return wait;
}

/* --- leaving --- */

/* The first time politely; the second time they need not finish. */
static void
leave(struct master *m, int sig)
{
	log_event(LOG_INFO, "stopping", LOG_STR("signal", strsignal(sig)));
	if (!m->leaving) {
		notify("STOPPING=1");
		m->leaving = true;
		/* nobody must wait in a queue that nobody will empty */
		sockets_close(&m->sockets);
		close(m->alive[1]);
		return;
	}
	for (unsigned i = 0; i < m->sockets.nslots; i++)
		if (m->slots[i].pid)
			kill(m->slots[i].pid, SIGTERM);
}

static void
wait_signal(struct master *m, const sigset_t *set, int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
	int sig =
	    ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &ts);

	if (sig == SIGCHLD)
		reap(m);
	else if (sig == SIGTERM || sig == SIGINT)
		leave(m, sig);
}

/* --- starting --- */

/* 0 once every worker serves; they say so, or their end of the pipe closes. */
static int
await_workers(struct master *m)
{
	unsigned n = 0;
	ssize_t got;
	char c;

	close(m->ready[1]);
	m->ready[1] = -1;
	do {
		got = read(m->ready[0], &c, 1);
		n += got == 1;
	} while (got > 0 || (got < 0 && errno == EINTR));
	close(m->ready[0]);
	m->ready[0] = -1;
	return n == m->sockets.nslots ? 0 : EXIT_FAILED;
}

static int
open_pipes(struct master *m)
{
	m->shared = shared_new();
	if (m->shared && pipe2(m->alive, O_CLOEXEC) == 0 &&
	    pipe2(m->ready, O_CLOEXEC) == 0)
		return 0;
	log_event(LOG_ERROR, "start", LOG_ERRNO(errno));
	return EXIT_FAILED;
}

static int
setup(struct master *m)
{
	int status = setup_identity(m->conf, &m->identity);

	if (!status)
		status = setup_directories(m->conf, &m->identity);
	if (!status)
		status = setup_lock(m->conf);
	if (!status)
		status = setup_auth_key(m->conf);
	if (!status)
		status = setup_sockets(m->conf, &m->sockets);
	if (!status)
		status = open_pipes(m);
	return status;
}

/* In the background, and serving: tells the parent, lets the terminal go. */
static void
detached(const struct master *m, int started)
{
	int null;

	if (started < 0)
		return;
	if (write(started, "", 1) < 0)
		log_event(LOG_WARN, "start", LOG_ERRNO(errno));
	close(started);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, 0);
	dup2(null, 1);
	if (m->conf->log_to != LOG_TO_STDERR)
		dup2(null, 2);
	close(null);
}

static int
serve(struct master *m, const sigset_t *set, int started)
{
	int status;

	start_due(m);
	status = await_workers(m);
	if (status) {
		leave(m, SIGTERM);
	} else {
		log_event(LOG_INFO, "ready",
		    LOG_UINT("workers", m->sockets.nslots),
		    LOG_STR("hostname", m->conf->hostname));
		notify("READY=1");
		detached(m, started);
	}
	while (!m->leaving || living(m))
		wait_signal(m, set, m->leaving ? -1 : start_due(m));
	log_event(LOG_INFO, "stopped", LOG_INT("status", status));
	return status;
}

/*
 * Into the background: the parent waits until the workers serve, so that
 * its exit status tells the truth. Returns the descriptor that is told.
 */
static int
detach(void)
{
	int p[2];
	char c;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_event(LOG_ERROR, "detach", LOG_ERRNO(errno));
		exit(EXIT_FAILED);
	}
	if (pid > 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) == 1 ? 0 : EXIT_FAILED);
	}
	close(p[0]);
	setsid();
	return p[1];
}

static void
log_warnings(struct span warnings)
{
	while (warnings.len) {
		const char *end = memchr(warnings.ptr, '\n', warnings.len);
		struct span line = {warnings.ptr, (size_t)(end - warnings.ptr)};

		log_event(LOG_WARN, "configuration", LOG_SPAN("at", line));
		span_skip(&warnings, line.len + 1);
	}
}

int
master_run(struct config *c, bool foreground, struct span warnings)
{
	struct master m = {.conf = c, .alive = {-1, -1}, .ready = {-1, -1}};
	int started, status;
	sigset_t set;

	umask(077);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	started = foreground ? -1 : detach();
	/* whoever starts it reads on the terminal why it does not start */
	log_open(LOG_TO_STDERR, c->log_format, c->log_level);
	log_warnings(warnings);
	status = setup(&m);
	if (!foreground)
		log_open(c->log_to, c->log_format, c->log_level);
	if (!status)
		status = serve(&m, &set, started);
	sockets_close(&m.sockets);
	return status;
}
