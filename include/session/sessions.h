/*
 * sessions: all sessions of a worker, and what they share.
 */
#ifndef SESSION_SESSIONS_H
#define SESSION_SESSIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"
#include "deliver/deliver.h"
#include "io/loop.h"
#include "io/shared.h"
#include "io/stream.h"
#include "policy/auth.h"
#include "policy/door.h"
#include "policy/filter.h"
#include "policy/policy.h"

struct session;

#define SESSIONS_RANDOM 64

/* Owned by the worker. */
struct sessions {
	const struct config *conf;
	struct loop *loop;
	struct stream_pool *pool;
	struct deliver *deliver;
	struct auth *auth; /* NULL: nobody can log in */
	struct policy policy;
	struct filters *filters;   /* NULL: there are no milters */
	const struct doors *doors; /* NULL: no check is on */
	struct shared *shared;
	unsigned slot;  /* in it */
	struct buf out; /* the replies of the session that runs */
	struct session *list;
	struct loop_event *quiet; /* behind refusals that have no line */
	unsigned count;
	uint32_t random[SESSIONS_RANDOM]; /* drawn, not yet used */
	unsigned nrandom;
	/* For a trial: nothing is kept room for, nor delivered; each refusal
	 * is told while it is being said. */
	bool dry;
	void (*refused)(void *ctx, const struct session *s);
	bool draining;
	bool pressure;
	void (*on_empty)(void *ctx); /* the last one has gone; or NULL */
	void *ctx;
};

/* Takes fd over; greets or refuses. which: index of the listen block. */
void sessions_accept(struct sessions *all, unsigned which, int fd,
    const struct ipaddr *client, uint16_t port);

/* What makes a session's id its own. */
uint32_t sessions_draw(struct sessions *all);

/* 421 to the next MAIL, or after 5 s idle. */
void sessions_drain(struct sessions *all);

/* 421 to everybody now; open questions are abandoned. */
void sessions_hangup(struct sessions *all);

/* Closes everything without a word and frees it. */
void sessions_free(struct sessions *all);

#endif
