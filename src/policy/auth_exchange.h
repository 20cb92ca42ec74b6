/*
 * auth_exchange: what an exchange is, for those who take its steps.
 * policy/auth's own.
 */
#ifndef POLICY_AUTH_EXCHANGE_H
#define POLICY_AUTH_EXCHANGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/hash.h"
#include "policy/auth.h"
#include "policy/auth_delay.h"
#include "policy/auth_dovecot.h"
#include "policy/auth_password.h"
#include "policy/auth_scram.h"

#define AUTH_LIST_MAX     64
#define AUTH_CLIENT_LISTS 256 /* by a hash of the address */

/* An address (IPv6: a /64) from which somebody is logging in. */
struct auth_client {
	struct ipaddr net;
	unsigned busy;                 /* messages being looked at */
	unsigned waits;                /* and those who wait for that */
	struct auth_exchange *waiting; /* in the order of coming */
	struct auth_client *next;
};

struct auth {
	const struct auth_options *options;
	struct loop *loop;
	struct jobs *jobs;
	struct auth_dovecot *dovecot; /* NULL: the password file */
	struct auth_delay delay;
	struct auth_client *clients[AUTH_CLIENT_LISTS];
	struct auth_exchange *lingering; /* cancelled, their turn is not over */
	unsigned exchanges;
	struct auth_exchange *queue; /* waiting for a hash */
	unsigned hashing;
	unsigned offers;              /* now: enum auth_mechanism */
	char lists[2][AUTH_LIST_MAX]; /* without and with a binding */
};

/* What the client's next message means. */
typedef void auth_step_fn(struct auth_exchange *x, struct span message);

struct auth_exchange {
	struct ask ask;
	struct auth *auth;
	struct auth_exchange *prev, *next; /* on one list at most */
	auth_fn *fn;                       /* NULL: nobody waits any more */
	void *ctx;
	struct auth_channel channel;
	enum auth_mechanism mechanism;
	const char *name; /* of its mechanism; NULL: nobody has such a one */
	auth_step_fn *step;
	struct auth_client *client; /* it has a turn, or waits for one */
	bool waiting;
	struct buf message; /* of who waits */
	bool has_message;
	bool counted; /* as a failure, until it is something else */
	bool named;   /* the same for the login */
	int64_t delay;
	bool answered; /* the timer tells the result */
	bool queued;
	struct auth_check *check; /* the job, while it runs */
	uint32_t id;              /* with Dovecot, of this connection; or 0 */
	bool asked;               /* it has not answered yet */
	UT_hash_handle hh;        /* by id */
	struct loop_event *timer;
	enum auth_result result; /* when the timer fires */
	const char *text;        /* the same */
	struct buf data;         /* the challenge */
	struct buf user;         /* a NUL behind it with a yes */
	struct buf password;
	struct auth_scram scram;
};

struct auth_mechanism_row {
	const char *name;
	enum auth_mechanism bit;
	auth_step_fn *step; /* the first, with a password file */
	const char *prompt; /* when there was no initial response */
};

/* NULL: we know none of this name. */
const struct auth_mechanism_row *auth_mechanism_find(struct span name);
/* One that others know: NULL for what may be a password in the wrong place. */
const char *auth_mechanism_foreign(struct span name);

/* These are there now, of those that are wanted. */
void auth_offer(struct auth *a, unsigned mechanisms);
/* Is this one listed on such a connection? */
static inline bool
auth_offers(const struct auth *a, enum auth_mechanism m, bool binding)
{
	return a->offers & m && (binding || m != AUTH_SCRAM_PLUS);
}

/* Ends this call's part: fn hears it from the loop, a no after a delay. */
void auth_answer(struct auth_exchange *x, enum auth_result result);
/* The same, in so many ms, if nothing else is answered before. */
void auth_answer_by(struct auth_exchange *x, enum auth_result result,
    int64_t ms);
/* What it sent makes no sense: in what way. */
void auth_answer_malformed(struct auth_exchange *x, const char *text);
/* The user's name is in x->user. */
void auth_answer_yes(struct auth_exchange *x);
/* Who it wants to be is known. */
void auth_name(struct auth_exchange *x, struct span user);
/* data is a challenge; the answer to it is `next`'s. */
void auth_challenge(struct auth_exchange *x, struct span data,
    auth_step_fn *next);

/* x->user and x->password are there: yes or no comes from a job. */
void auth_hash(struct auth_exchange *x);
/* It is no longer wanted. */
void auth_hash_forget(struct auth_exchange *x);

/* Its step is taken with this message, as soon as its address has a turn;
 * the turn is over when the answer is told. */
void auth_turn_take(struct auth_exchange *x, struct span message);
void auth_turn_end(struct auth_exchange *x);

/* The first steps of each mechanism with a password file. */
auth_step_fn auth_step_plain, auth_step_login, auth_step_scram;

#endif
