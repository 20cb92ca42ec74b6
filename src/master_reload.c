/*
 * master_reload: another generation, by this program or by the next one.
 * Whatever goes wrong, those who serve go on.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "grey.h"
#include "io/clock.h"
#include "io/log.h"
#include "master_state.h"
#include "notify.h"
#include "version.h"

#define TRY_MAX 60000

static void
log_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	struct master *m = ctx;

	if (!warn && !m->why[0])
		snprintf(m->why, sizeof(m->why), "%s:%u: %s", file, line, text);
	if (m->again)
		return;
	if (warn)
		log_event(LOG_WARN, "configuration", LOG_STR("file", file),
		    LOG_UINT("line", line), LOG_STR("text", text));
	else
		log_event(LOG_ERROR,
		    m->current->taken ? "upgrade-failed" : "reload-failed",
		    LOG_STR("file", file), LOG_UINT("line", line),
		    LOG_STR("text", text));
}

static void
failed(struct master *m, const char *why)
{
	snprintf(m->why, sizeof(m->why), "%s", why);
	log_event(LOG_ERROR,
	    m->current->taken ? "upgrade-failed" : "reload-failed",
	    LOG_STR("text", why));
}

static int
prepare(struct master *m, struct config *conf, struct sockets *sockets)
{
	int spool;
	int status = setup_directories(conf, &m->identity, &spool);

	if (!status) {
		status = setup_auth_key(conf, spool);
		close(spool);
	}
	if (status || sockets_open(conf, &m->current->sockets, sockets) != 0)
		return -1;
	sandbox_dirs_add(&m->all.dirs, conf);
	if (conf->workers < sockets->nslots)
		log_event(LOG_WARN, "configuration", LOG_STR("key", "workers"),
		    LOG_UINT("kept", sockets->nslots),
		    LOG_STR("text", "fewer of them take a restart"));
	return 0;
}

/* The new one serves: the old one may go. */
static void
replace(struct master *m)
{
	struct generation *old = m->current;

	m->current = other(m);
	m->status.generation++;
	m->watch.seen = m->watch.told = 0;
	generation_leave(old);
	/* a port that is not served any more refuses from now on */
	sockets_release(&old->sockets, &m->current->sockets);
	log_open(m->current->conf->log_to, m->current->conf->log_format,
	    m->current->conf->log_level);
}

static void
try(struct master *m)
{
	struct config *conf = NULL;
	struct sockets sockets = {.fds = NULL};

	m->why[0] = '\0';
	config_load(m->options->file, m->current->conf, log_fault, m, &conf);
	if (!conf)
		return;
	master_override(m->options, conf);
	config_keep(conf, m->current->conf, log_fault, m);
	if (prepare(m, conf, &sockets) < 0) {
		failed(m, "it cannot be set up: the log says why");
		sockets_release(&sockets, &m->current->sockets);
		config_free(&conf);
		return;
	}
	if (generation_start(&m->all, other(m), conf, &sockets) == 0) {
		replace(m);
		return;
	}
	/* its workers leave, and are buried like those of any other */
	failed(m, "the new workers do not start: the log says why");
	sockets_release(&other(m)->sockets, &m->current->sockets);
}

static void
announce(void)
{
	struct timespec ts;
	char state[80];

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	notify(state);
}

void
master_reload(struct master *m)
{
	m->reload = false;
	announce();
	try(m);
	if (!m->why[0])
		log_event(LOG_INFO, "reloaded",
		    LOG_UINT("workers", m->current->sockets.nslots));
	memcpy(m->status.fault, m->why, sizeof(m->why));
	shared_add(m->all.shared, SHARED_MASTER,
	    m->why[0] ? SHARED_RELOADS_FAILED : SHARED_RELOADS, 1);
	m->status.reloads++;
	m->status.reloaded = clock_wall();
	m->report = true;
	notify("READY=1");
}

/* --- upgrade --- */

/* What came of it is in why. */
static void
upgraded(struct master *m)
{
	memcpy(m->status.upgrade_fault, m->why, sizeof(m->why));
	shared_add(m->all.shared, SHARED_MASTER,
	    m->why[0] ? SHARED_UPGRADES_FAILED : SHARED_UPGRADES, 1);
	m->status.upgrades++;
	m->status.upgraded = clock_wall();
	m->upgrade = false;
	m->report = true;
	notify("READY=1");
}

static void
not_upgraded(struct master *m, const char *why)
{
	snprintf(m->why, sizeof(m->why), "%s", why);
	log_event(LOG_ERROR, "upgrade-failed", LOG_STR("text", why));
	upgraded(m);
}

void
master_take_over(struct master *m)
{
	const char *wrong = upgrade_check(&m->from);

	if (m->delay) /* or the program before has said so */
		announce();
	m->why[0] = '\0';
	if (!wrong && setup_identity(m->current->conf, &m->identity) != 0)
		wrong = "its user is missing: the log says why";
	if (wrong) {
		failed(m, wrong);
	} else {
		/* as those write it who serve until then */
		grey_read(m->all.shared, m->current->conf->spool, false);
		try(m);
	}
	if (m->why[0]) {
		m->delay = m->delay ? 2 * m->delay : 1000;
		if (m->delay > TRY_MAX)
			m->delay = TRY_MAX;
		m->due = clock_now() + m->delay;
	} else {
		log_event(LOG_INFO, "upgraded",
		    LOG_STR("from", m->from.version),
		    LOG_STR("to", SMTPD_VERSION),
		    LOG_UINT("workers", m->current->sockets.nslots));
	}
	upgraded(m);
}

/* For the next program. */
static struct upgrade
describe(struct master *m)
{
	static char version[] = SMTPD_VERSION;

	return (struct upgrade){.version = version,
	    .program = m->program,
	    .was = *m->current->conf,
	    .status = m->status,
	    .serving = *m->current,
	    .dirs = m->all.dirs,
	    .lock = m->lock,
	    .reload = m->reload};
}

void
master_upgrade(struct master *m)
{
	const struct upgrade u = describe(m);

	announce();
	if (upgrade_try(&m->all.trial, &u, m->options->argv) < 0)
		not_upgraded(m, strerror(errno));
}

void
master_tried(struct master *m, int status)
{
	char why[STATUS_WHY];
	const char *wrong =
	    upgrade_judge(&m->all.trial, status, why, sizeof(why));
	const struct upgrade u = describe(m);

	if (!wrong && m->leaving)
		wrong = "smtpd stops";
	if (!wrong && !upgrade_same(&m->all.trial, &u))
		wrong = "the file was replaced during its trial: try again";
	if (!wrong) {
		grey_write(m->all.shared, m->current->conf->spool,
		    &m->identity);
		upgrade_run(&u, m->options->argv);
		wrong = strerror(errno);
	}
	not_upgraded(m, wrong);
}

void
master_end_trial(struct master *m)
{
	if (!m->all.trial.pid)
		return;
	m->all.trial.late = clock_now() >= m->all.trial.until;
	m->all.trial.until = INT64_MAX;
	kill(m->all.trial.pid, SIGKILL);
}
