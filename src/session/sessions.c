/*
 * sessions: the list of a worker's sessions, and what is done to all.
 */
#include "session/sessions.h"

#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>

#include "io/log.h"
#include "session/session.h"
#include "session/time.h"

/* No refusal for so long: the flood is over. */
#define QUIET_MS 1000

/* When the slots run short or free up, everybody's patience changes. */
static void
check_pressure(struct sessions *all)
{
	bool pressure = limits_pressure(&all->limits);
	struct session *s;

	if (pressure == all->pressure)
		return;
	all->pressure = pressure;
	DL_FOREACH (all->list, s)
		session_time_pressure(s, pressure);
}

/* Asked for many at once: a system call for each session would be felt. */
uint32_t
sessions_random(struct sessions *all)
{
	if (!all->nrandom) {
		if (getrandom(all->random, sizeof(all->random), 0) < 0)
			abort();
		all->nrandom = SESSIONS_RANDOM;
	}
	return all->random[--all->nrandom];
}

static void
on_quiet(void *ctx)
{
	struct sessions *all = ctx;
	uint64_t n;

	if (shared_may_log(all->shared, NULL, loop_now(all->loop), &n))
		log_event(LOG_INFO, "refused", LOG_UINT("suppressed", n));
}

bool
sessions_may_log(struct sessions *all, const struct ipaddr *client,
    uint64_t *left_out)
{
	if (shared_may_log(all->shared, client, loop_now(all->loop), left_out))
		return true;
	if (!all->quiet)
		all->quiet = loop_timer(all->loop, on_quiet, all);
	if (all->quiet)
		loop_timer_set(all->quiet, QUIET_MS);
	return false;
}

void
sessions_accept(struct sessions *all, unsigned which, int fd,
    const struct ipaddr *client, uint16_t port)
{
	shared_add(all->shared, all->limits.slot, SHARED_ACCEPTED, 1);
	session_new(all, &all->conf->listens[which], fd, client, port);
	check_pressure(all);
}

void
sessions_drain(struct sessions *all)
{
	struct session *s;

	all->draining = true;
	DL_FOREACH (all->list, s)
		session_drain(s);
}

void
sessions_hangup(struct sessions *all)
{
	struct session *s, *next;

	DL_FOREACH_SAFE (all->list, s, next)
		session_hangup(s,
		    SMTP_REPLY(421, "4.3.2", "Going down, come back soon"));
}

void
sessions_free(struct sessions *all)
{
	struct session *s, *next;

	all->on_empty = NULL;
	DL_FOREACH_SAFE (all->list, s, next)
		session_free(&s);
	loop_event_free(&all->quiet);
	buf_free(&all->out);
}
