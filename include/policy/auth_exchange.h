/*
 * auth_exchange: what an exchange is, for those who take its steps.
 * policy/auth's own.
 */
#ifndef POLICY_AUTH_EXCHANGE_H
#define POLICY_AUTH_EXCHANGE_H

#include <stdbool.h>
#include <uthash.h>

#include "base/buf.h"
#include "policy/auth.h"
#include "policy/auth_delay.h"
#include "policy/auth_dovecot.h"
#include "policy/auth_password.h"
#include "policy/auth_scram.h"

#define AUTH_LIST_MAX 64

struct auth {
	const struct auth_options *options;
	struct loop *loop;
	struct jobs *jobs;
	struct auth_dovecot *dovecot; /* NULL: the password file */
	struct auth_delay delay;
	unsigned exchanges;
	struct auth_exchange *queue; /* waiting for a hash */
	unsigned hashing;
	char lists[2][AUTH_LIST_MAX]; /* without and with a binding */
};

/* What the client's next message means. */
typedef void auth_step_fn(struct auth_exchange *x, struct span message);

struct auth_exchange {
	struct auth *auth;
	struct auth_exchange **owner;
	struct auth_exchange *prev, *next; /* in the queue */
	auth_fn *fn;
	void *ctx;
	struct auth_channel channel;
	enum auth_mechanism mechanism;
	auth_step_fn *step;
	bool queued;
	struct auth_check *check; /* the job, while it runs */
	uint32_t id;              /* with Dovecot, of this connection; or 0 */
	bool asked;               /* it has not answered yet */
	UT_hash_handle hh;        /* by id */
	struct loop_event *timer;
	enum auth_result result; /* when the timer fires */
	struct buf data;         /* the challenge */
	struct buf user;         /* a NUL behind it when it is known */
	struct buf password;
	struct auth_scram scram;
};

/* Is this one listed on such a connection? */
bool auth_offers(const struct auth *a, enum auth_mechanism m, bool binding);
/* 0: we know none of this name. */
unsigned auth_mechanism_of(struct span name);
/* What is offered has changed. */
void auth_make_lists(struct auth *a);

/* Ends this call's part: fn hears it from the loop, a no after a delay. */
void auth_answer(struct auth_exchange *x, enum auth_result result);
/* The same, in so many ms, if nothing else is answered before. */
void auth_answer_by(struct auth_exchange *x, enum auth_result result,
    int64_t ms);
/* The user's name is in x->user. */
void auth_answer_yes(struct auth_exchange *x);
/* data is a challenge; the answer to it is `next`'s. */
void auth_challenge(struct auth_exchange *x, struct span data,
    auth_step_fn *next);

/* x->user and x->password are there: yes or no comes from a job. */
void auth_hash(struct auth_exchange *x);
/* It is no longer wanted. */
void auth_hash_forget(struct auth_exchange *x);

/* The first steps of each mechanism with a password file. */
auth_step_fn auth_step_plain, auth_step_login, auth_step_scram;

#endif
