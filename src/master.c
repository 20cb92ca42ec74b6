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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detach.h"
#include "grey.h"
#include "io/clock.h"
#include "io/log.h"
#include "master_state.h"
#include "notify.h"

#define LOG_AGAIN_MS 1000

/* --- signals --- */

static void
reap(struct master *m)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->all.trial.pid)
			master_tried(m, status);
		else if (!generation_reap(&m->all, m->current, pid, status))
			generation_reap(&m->all, other(m), pid, status);
}

/* It may have gone, or never have had anybody: no signal tells the latter. */
static void
free_other(struct master *m)
{
	if (other(m)->conf && !generation_living(other(m)))
		generation_free(other(m), m->current);
}

static void
stop(struct master *m)
{
	struct sockets *s = &m->current->sockets;

	notify("STOPPING=1");
	m->leaving = true;
	master_end_trial(m);
	/* nobody must wait in a queue that nobody will empty */
	for (unsigned i = 0; i < s->nslots * s->nlistens; i++)
		if (s->fds[i] >= 0) {
			close(s->fds[i]);
			s->fds[i] = -1;
		}
	generation_leave(m->current);
}

/* The first time politely; the second time they need not finish. */
static void
leave(struct master *m, int sig)
{
	log_event(LOG_INFO, "stopping", LOG_STR("signal", strsignal(sig)));
	if (!m->leaving) {
		stop(m);
		return;
	}
	generation_hurry(m->current);
	generation_hurry(other(m));
}

static void
wait_signal(struct master *m, const sigset_t *set, int64_t ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};
	int sig = sigtimedwait(set, NULL, &ts);

	switch (sig) {
	case SIGCHLD:
		reap(m);
		break;
	case SIGHUP:
		m->reload = true;
		m->again = false;
		m->due = 0;
		break;
	case SIGUSR1:
		m->report = true;
		break;
	case SIGUSR2:
		m->upgrade = true;
		break;
	case SIGTERM:
	case SIGINT:
		leave(m, sig);
		break;
	default: /* the time is over */
		break;
	}
}

/* The ms until there is something to look at again. */
static int64_t
look(struct master *m)
{
	int64_t now = clock_now();
	bool again;

	watch_workers(&m->watch, &m->all, m->current, now);
	if (watch_certificates(&m->watch, m->current->conf, now, &again) &&
	    !m->reload) {
		m->reload = true;
		m->again = again;
	}
	return watch_due(&m->watch, now);
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < 0 || b < a ? b : a;
}

static void
report(struct master *m)
{
	m->report = false;
	m->status.waits = m->reload || m->upgrade;
	m->status.renewal_waits =
	    m->watch.told && m->watch.told == ~m->watch.seen;
	status_write(&m->status, &m->all, m->current, m->leaving);
}

static bool
is_over(struct master *m)
{
	return m->leaving && !generation_living(m->current) &&
	       !generation_living(other(m)) && !m->all.trial.pid;
}

/* Of the program before nobody is started again: with the last of them gone,
 * no client is to wait for one who never comes. */
static void
take_over(struct master *m)
{
	if (!m->current->taken || !master_is_free(m))
		return;
	if (m->due <= clock_now() || !generation_living(m->current))
		master_take_over(m);
	if (!m->current->taken || other(m)->conf ||
	    generation_living(m->current))
		return;
	log_event(LOG_ERROR, "stopping",
	    LOG_STR("why", "of the workers before the upgrade none is left"));
	m->result = EXIT_FAILED;
	stop(m);
}

/* What was asked for, one at a time; a third generation waits for the first. */
static void
change(struct master *m)
{
	if (m->all.trial.pid && m->all.trial.until <= clock_now())
		master_end_trial(m);
	take_over(m);
	if (m->reload && !m->current->taken && master_is_free(m))
		master_reload(m);
	if (m->upgrade && master_is_free(m))
		master_upgrade(m);
}

/* The ms until one of them is due; -1: only a signal brings one. */
static int64_t
change_due(struct master *m)
{
	int64_t at = m->all.trial.pid ? m->all.trial.until : INT64_MAX;
	int64_t now = clock_now();

	if (m->current->taken && master_is_free(m))
		at = m->due;
	if (at == INT64_MAX)
		return -1;
	return at > now ? at - now : 0;
}

static void
run(struct master *m, const sigset_t *set)
{
	int fd;

	while (!is_over(m)) {
		int64_t next = look(m);
		int64_t wait = -1;

		free_other(m);
		change(m);
		if (m->report)
			report(m);
		if (is_over(m)) /* without a signal */
			break;
		if (!m->leaving)
			wait = generation_start_due(&m->all, m->current);
		if (change_due(m) >= 0)
			wait = sooner(wait, change_due(m));
		if (!log_flush(&fd))
			wait = sooner(wait, LOG_AGAIN_MS);
		generations_show(&m->all, m->leaving ? NULL : m->current);
		wait_signal(m, set, sooner(wait, next));
	}
	free_other(m);
}

/* --- starting --- */

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
		status = sockets_open(c, NULL, sockets);
	if (!status)
		sandbox_dirs_add(&m->all.dirs, c);
	m->all.identity = &m->identity;
	m->all.shared = shared_new();
	if (!status && !m->all.shared) {
		log_event(LOG_ERROR, "start", LOG_ERRNO(errno));
		status = EXIT_FAILED;
	}
	if (!status)
		grey_read(m->all.shared, c->spool, true);
	return status;
}

static int
finish(struct master *m, const sigset_t *set)
{
	run(m, set);
	grey_write(m->all.shared, m->current->conf->spool, &m->identity);
	log_event(LOG_INFO, "stopped", LOG_INT("status", m->result));
	generation_free(m->current, NULL);
	sandbox_dirs_free(&m->all.dirs);
	upgrade_free(&m->from);
	setup_unlock(m->lock);
	return m->result;
}

static int
serve(struct master *m, struct config *c, const struct sockets *sockets,
    const sigset_t *set)
{
	if (generation_start(&m->all, m->current, c, sockets) < 0) {
		m->result = EXIT_FAILED;
		leave(m, SIGTERM);
		detach_tell(m->started, m->result);
	} else {
		log_event(LOG_INFO, "ready",
		    LOG_UINT("workers", sockets->nslots),
		    LOG_STR("hostname", c->hostname));
		notify("READY=1");
		detach_end(m->started, c->log_to == LOG_TO_STDERR);
	}
	return finish(m, set);
}

static void
block_signals(sigset_t *set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1,
	    SIGUSR2};

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
	sigprocmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* blocked, they come all the same; and it shows that they are known */
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file too large is an error like others */
}

/* The file that runs, now that nobody has replaced it yet. */
static void
find_program(struct master *m, const char *before)
{
	const char *name = m->options->argv[0];
	ssize_t n = 0;

	if (name[0] != '/' && before)
		name = before;
	if (name[0] == '/')
		snprintf(m->program, sizeof(m->program), "%s", name);
	else
		n = readlink("/proc/self/exe", m->program,
		    sizeof(m->program) - 1);
	if (n > 0)
		m->program[n] = '\0';
}

void
master_override(const struct master_options *o, struct config *c)
{
	if (o->verbose)
		c->log_level = LOG_TRACE;
	if (o->foreground)
		c->log_to = LOG_TO_STDERR;
}

int
master_resume(struct upgrade *u, const struct master_options *o)
{
	struct master m = {.options = o,
	    .started = -1,
	    .from = *u,
	    .lock = u->lock,
	    .reload = u->reload,
	    .status = u->status};
	sigset_t set;

	umask(077);
	master_override(o, &m.from.was);
	log_open(m.from.was.log_to, m.from.was.log_format,
	    m.from.was.log_level);
	block_signals(&set);
	find_program(&m, u->program);
	m.status.file = o->file;
	m.current = &m.all.gens[u->serving.half];
	*m.current = u->serving;
	m.current->conf = &m.from.was;
	m.all.dirs = u->dirs;
	m.from.dirs = (struct sandbox_dirs){.n = 0};
	m.all.identity = &m.identity;
	m.all.shared = shared_new();
	if (!m.all.shared)
		abort();
	reap(&m);
	return finish(&m, &set);
}

int
master_run(struct config *c, const struct master_options *o,
    struct span warnings)
{
	struct master m = {.options = o,
	    .started = -1,
	    .status = {.file = o->file,
		.started = clock_wall(),
		.generation = 1}};
	struct sockets sockets;
	int status;
	sigset_t set;

	umask(077);
	master_override(o, c);
	block_signals(&set);
	find_program(&m, NULL);
	m.current = &m.all.gens[0];
	if (!o->foreground)
		m.started = detach_begin();
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
	detach_tell(m.started, status);
	sandbox_dirs_free(&m.all.dirs);
	sockets_release(&sockets, NULL);
	config_free(&c);
	return status;
}
