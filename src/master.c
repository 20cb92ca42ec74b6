/*
 * master: starts generations of workers and waits in sigtimedwait().
 *
 * No event loop, no octet from the network, nothing to attack. SIGHUP makes
 * a new generation from the file as it is now; the old one stops accepting
 * once all of the new one serve, so no client finds nobody. A file with an
 * error, or a generation that does not start, changes nothing.
 */
#include "master.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "generation.h"
#include "io/log.h"
#include "io/shared.h"
#include "notify.h"
#include "setup.h"

#define LOG_AGAIN_MS 1000

struct master {
	const struct master_options *options;
	struct identity identity;
	struct generations all;
	struct generation *current;
	int lock;
	int started; /* tells the parent, in the background; else -1 */
	bool leaving;
	bool reload; /* asked for, and not done yet */
};

static struct generation *
other(struct master *m)
{
	return &m->all.gens[!m->current->half];
}

/* --- reload --- */

static void
log_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	(void)ctx;
	log_event(warn ? LOG_WARN : LOG_ERROR,
	    warn ? "configuration" : "reload-failed", LOG_STR("file", file),
	    LOG_UINT("line", line), LOG_STR("text", text));
}

static int
prepare(struct master *m, struct config *conf, struct sockets *sockets)
{
	const struct generation *now = m->current;
	int spool;
	int status = setup_directories(conf, &m->identity, &spool);

	if (!status) {
		status = setup_auth_key(conf, spool);
		close(spool);
	}
	if (status ||
	    setup_sockets(conf, now->conf, &now->sockets, sockets) != 0)
		return -1;
	if (conf->workers < sockets->nslots)
		log_event(LOG_WARN, "configuration", LOG_STR("key", "workers"),
		    LOG_UINT("kept", sockets->nslots),
		    LOG_STR("text", "fewer of them take a restart"));
	return 0;
}

/* What the command line says is above any file. */
static void
override(const struct master_options *o, struct config *c)
{
	if (o->verbose)
		c->log_level = LOG_TRACE;
	if (o->foreground)
		c->log_to = LOG_TO_STDERR;
}

/* The new one serves: the old one may go. */
static void
replace(struct master *m)
{
	struct generation *old = m->current;

	m->current = other(m);
	generation_leave(old);
	/* a port that is not served any more refuses from now on */
	sockets_release(&old->sockets, &m->current->sockets);
	log_open(m->current->conf->log_to, m->current->conf->log_format,
	    m->current->conf->log_level);
	log_event(LOG_INFO, "reloaded",
	    LOG_UINT("workers", m->current->sockets.nslots));
}

static void
try_reload(struct master *m)
{
	struct config *conf = NULL;
	struct sockets sockets = {.fds = NULL};

	config_load(m->options->file, m->current->conf, log_fault, NULL, &conf);
	if (!conf)
		return;
	override(m->options, conf);
	config_keep(conf, m->current->conf, log_fault, NULL);
	if (prepare(m, conf, &sockets) < 0) {
		log_event(LOG_ERROR, "reload-failed",
		    LOG_STR("text", "see above"));
		sockets_release(&sockets, &m->current->sockets);
		config_free(&conf);
		return;
	}
	if (generation_start(&m->all, other(m), conf, &sockets) == 0) {
		replace(m);
		return;
	}
	/* its workers leave, and are buried like those of any other */
	log_event(LOG_ERROR, "reload-failed",
	    LOG_STR("text", "the new workers do not start: see above"));
	sockets_release(&other(m)->sockets, &m->current->sockets);
}

static void
reload(struct master *m)
{
	struct timespec ts;
	char state[80];

	m->reload = false;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	notify(state);
	try_reload(m);
	notify("READY=1");
}

/* --- signals --- */

static void
reap(struct master *m)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!generation_reap(&m->all, m->current, pid, status))
			generation_reap(&m->all, other(m), pid, status);
}

/* It may have gone, or never have had anybody: no signal tells the latter. */
static void
free_other(struct master *m)
{
	if (other(m)->conf && !generation_living(other(m)))
		generation_free(other(m), m->current);
}

/* The first time politely; the second time they need not finish. */
static void
leave(struct master *m, int sig)
{
	struct sockets *s = &m->current->sockets;

	log_event(LOG_INFO, "stopping", LOG_STR("signal", strsignal(sig)));
	if (m->leaving) {
		generation_hurry(m->current);
		generation_hurry(other(m));
		return;
	}
	notify("STOPPING=1");
	m->leaving = true;
	/* nobody must wait in a queue that nobody will empty */
	for (unsigned i = 0; i < s->nslots * s->nlistens; i++)
		if (s->fds[i] >= 0) {
			close(s->fds[i]);
			s->fds[i] = -1;
		}
	generation_leave(m->current);
}

static void
wait_signal(struct master *m, const sigset_t *set, int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
	int sig =
	    ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &ts);

	if (sig == SIGCHLD)
		reap(m);
	else if (sig == SIGHUP)
		m->reload = true;
	else if (sig == SIGTERM || sig == SIGINT)
		leave(m, sig);
}

static bool
is_over(struct master *m)
{
	return m->leaving && !generation_living(m->current) &&
	       !generation_living(other(m));
}

static void
run(struct master *m, const sigset_t *set)
{
	int fd;

	while (!is_over(m)) {
		int64_t wait = -1;

		free_other(m);
		/* two generations at most: a third waits for the first */
		if (m->reload && !m->leaving && !other(m)->conf)
			reload(m);
		if (!m->leaving)
			wait = generation_start_due(&m->all, m->current);
		if (!log_flush(&fd) && (wait < 0 || wait > LOG_AGAIN_MS))
			wait = LOG_AGAIN_MS;
		wait_signal(m, set, wait);
	}
	free_other(m);
}

/* --- starting --- */

/*
 * Into the background: the parent waits until the workers serve or will not,
 * and exits with what it is told.
 */
static void
detach(struct master *m)
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
		_exit(read(p[0], &c, 1) == 1 ? c : EXIT_FAILED);
	}
	close(p[0]);
	setsid();
	m->started = p[1];
}

/* The parent, if there is one, exits with this status. */
static void
tell(const struct master *m, int status)
{
	const char c = (char)status;

	if (m->started < 0)
		return;
	if (write(m->started, &c, 1) < 0)
		log_event(LOG_WARN, "start", LOG_ERRNO(errno));
	close(m->started);
}

/* In the background, and serving: tells the parent, lets the terminal go. */
static void
detached(const struct master *m)
{
	int null;

	if (m->started < 0)
		return;
	tell(m, 0);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, 0);
	dup2(null, 1);
	if (m->current->conf->log_to != LOG_TO_STDERR)
		dup2(null, 2);
	close(null);
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

/* Promise 3 ends where the log does. */
static void
warn_of_terminal(const struct config *c)
{
	if (c->log_to == LOG_TO_STDERR && isatty(STDERR_FILENO))
		log_event(LOG_WARN, "log-on-terminal",
		    LOG_STR("why", "it ends with this terminal"),
		    LOG_STR("help",
			"write log { to = syslog }, or smtpd -d 2>>FILE"));
}

static int
setup_files(struct master *m, struct config *c)
{
	int spool;
	int status = setup_directories(c, &m->identity, &spool);

	if (status)
		return status;
	status = setup_spool(c, spool);
	if (!status)
		status = setup_lock(c, spool, &m->lock);
	if (!status)
		status = setup_auth_key(c, spool);
	close(spool);
	return status;
}

static int
setup(struct master *m, struct config *c, struct sockets *sockets)
{
	int status = setup_identity(c, &m->identity);

	*sockets = (struct sockets){.fds = NULL};
	if (!status)
		status = setup_files(m, c);
	if (!status)
		status = setup_sockets(c, NULL, NULL, sockets);
	m->all.identity = &m->identity;
	m->all.shared = shared_new();
	if (!status && !m->all.shared) {
		log_event(LOG_ERROR, "start", LOG_ERRNO(errno));
		status = EXIT_FAILED;
	}
	return status;
}

static int
serve(struct master *m, struct config *c, const struct sockets *sockets,
    const sigset_t *set)
{
	int status = 0;

	if (generation_start(&m->all, m->current, c, sockets) < 0) {
		status = EXIT_FAILED;
		leave(m, SIGTERM);
		tell(m, status);
	} else {
		log_event(LOG_INFO, "ready",
		    LOG_UINT("workers", sockets->nslots),
		    LOG_STR("hostname", c->hostname));
		notify("READY=1");
		detached(m);
	}
	run(m, set);
	log_event(LOG_INFO, "stopped", LOG_INT("status", status));
	generation_free(m->current, NULL);
	setup_unlock(m->lock);
	return status;
}

static void
block_signals(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
master_run(struct config *c, const struct master_options *o,
    struct span warnings)
{
	struct master m = {.options = o, .started = -1};
	struct sockets sockets;
	int status;
	sigset_t set;

	umask(077);
	override(o, c);
	block_signals(&set);
	m.current = &m.all.gens[0];
	if (!o->foreground)
		detach(&m);
	/* whoever starts it reads on the terminal why it does not start */
	log_open(LOG_TO_STDERR, c->log_format, c->log_level);
	log_warnings(warnings);
	status = setup(&m, c, &sockets);
	log_open(c->log_to, c->log_format, c->log_level);
	if (!status) {
		if (m.started >= 0)
			warn_of_terminal(c);
		return serve(&m, c, &sockets, &set);
	}
	tell(&m, status);
	sockets_release(&sockets, NULL);
	config_free(&c);
	return status;
}
