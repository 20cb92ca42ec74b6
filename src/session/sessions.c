/*
 * sessions: the list of a worker's sessions, and what is done to all.
 */
#include "session/sessions.h"

#include <stdlib.h>
#include <sys/random.h>
#include <utlist.h>

#include "session/session.h"
#include "session/time.h"

/* When the slots run short or free up, everybody's patience changes. */
static void
check_pressure(struct sessions *all)
{
	bool pressure = limits_pressure(&all->policy.limits);
	struct session *s;

	if (pressure == all->pressure)
		return;
	all->pressure = pressure;
	shared_set(all->shared, all->slot, SHARED_PRESSURE, pressure);
	DL_FOREACH (all->list, s)
		session_time_pressure(s, pressure);
}

void
sessions_accept(struct sessions *all, unsigned which, int fd,
    const struct ipaddr *client, uint16_t port)
{
	const struct config_listen *l = &all->conf->listens[which];

	shared_add(all->shared, all->slot,
	    l->role == ROLE_MX ? SHARED_CONNECTIONS
			       : SHARED_CONNECTIONS_SUBMISSION,
	    1);
	session_new(all, l, fd, client, port);
	check_pressure(all);
}

/* Asked for many at once: a system call for each session would be felt. */
uint32_t
sessions_draw(struct sessions *all)
{
	if (!all->nrandom) {
		if (getrandom(all->random, sizeof(all->random), 0) < 0)
			abort();
		all->nrandom = SESSIONS_RANDOM;
	}
	return all->random[--all->nrandom];
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
