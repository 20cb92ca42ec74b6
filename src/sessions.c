/*
 * sessions: the list of a worker's sessions, and what is done to all.
 */
#include "sessions.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>
#include <utlist.h>

#include "session.h"
#include "session_time.h"

/* Sessions that only hear a refusal, above the limit. */
#define REFUSING_MAX 256

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

void
sessions_accept(struct sessions *all, unsigned which, int fd,
    const struct ipaddr *client, uint16_t port)
{
	/* beyond this not even a refusal is worth its memory */
	if (all->count >= all->conf->limits.sessions + REFUSING_MAX) {
		close(fd);
		return;
	}
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
	buf_free(&all->out);
}
