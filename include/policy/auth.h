/*
 * auth: who is this? PLAIN, LOGIN, SCRAM-SHA-256 and SCRAM-SHA-256-PLUS
 * against a password file; or what of them Dovecot's auth service offers.
 *
 * An unknown user costs what a wrong password costs and gets the same reply.
 * Secrets are wiped as soon as they are used, and never logged.
 */
#ifndef POLICY_AUTH_H
#define POLICY_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"
#include "io/ask.h"
#include "io/jobs.h"
#include "io/loop.h"
#include "io/shared.h"
#include "proto/smtp_reply.h"

/* --- the password file: read by the configuration, constant then --- */

struct auth_users;

struct auth_users *auth_users_new(void);
void auth_users_free(struct auth_users **u);
/*
 * For the salts of users that are none: the same in every worker and after
 * a restart, or a stranger could tell them apart. Kept in the spool.
 */
void auth_users_set_key(struct auth_users *u, const uint8_t key[32]);
/*
 * Which domains are ours: as long as no login of the file holds an @, one
 * that is sent as user@ one of these is the login user.
 */
typedef bool auth_serves_fn(const void *ctx, struct span domain);
void auth_users_serve(struct auth_users *u, auth_serves_fn *serves,
    const void *ctx);
/*
 * "user:$y$...[:SCRAM-SHA-256$<iterations>:<salt>$<stored>:<server>]": what
 * `smtpd passwd` prints. NULL, or a constant text that says what is wrong.
 */
const char *auth_users_add(struct auth_users *u, struct span line);
unsigned auth_users_count(const struct auth_users *u);

/*
 * The line of a password file for this user, as `smtpd passwd` prints it.
 * scram: with the keys of SCRAM, which whoever has the file attacks more
 * cheaply than the hash. 0, or -1: the password is longer than crypt(3)
 * takes, or holds a NUL, or this system has no yescrypt.
 */
#define AUTH_PASSWORD_MAX 511 /* octets */
int auth_password_line(struct span user, struct span password, bool scram,
    struct buf *out);

/* --- a worker's --- */

enum auth_mechanism {
	AUTH_PLAIN = 1,
	AUTH_LOGIN = 2,
	AUTH_SCRAM = 4,
	AUTH_SCRAM_PLUS = 8,
};

struct auth_options {
	struct auth_users *users; /* NULL: nobody can log in */
	const char *dovecot;      /* path of its socket, instead of users */
	unsigned mechanisms;      /* wanted: enum auth_mechanism */
	unsigned hashes;          /* at once, on as many threads; 0: 2 */
};

struct auth;

/*
 * o must outlive it. Freed after its jobs, they after its exchanges. shared:
 * where all workers count failures. NULL with errno: the path of the socket
 * is too long. That nobody listens there is logged, and tried again.
 */
struct auth *auth_new(const struct auth_options *o, struct loop *loop,
    struct jobs *jobs, struct shared *shared);
void auth_free(struct auth **a);

/*
 * What EHLO may list, "PLAIN LOGIN SCRAM-SHA-256"; "" while there is none.
 * Valid until auth_free(); the text changes as Dovecot comes and goes.
 * binding: this TLS connection has an exporter (TLS 1.3).
 */
const char *auth_list(const struct auth *a, bool binding);

/* --- one exchange --- */

enum auth_result {
	AUTH_CHALLENGE, /* say `data` (334) and come again with the answer */
	AUTH_YES,       /* `login` is logged in */
	AUTH_NO,        /* wrong, or no such user: 535 5.7.8 */
	AUTH_MALFORMED, /* 501 5.5.2, in `text` */
	AUTH_UNKNOWN,   /* no such mechanism here: 504 5.5.4 */
	AUTH_DOWN,      /* who would know is away: 454 4.7.0 */
	AUTH_BUSY,      /* too many of this address at once: 454 4.7.0 */
};

struct auth_outcome {
	enum auth_result result;
	struct span data;      /* of a challenge */
	const char *text;      /* malformed: in what way; constant */
	const char *mechanism; /* NULL: what was asked for could be none */
	/*
	 * Who it is, with a NUL behind it; unless it is a yes, who it wants
	 * to be as far as that is known and could be a login, for the log.
	 */
	struct span login;
};

/* Valid during the call. Never called before the call returns. */
typedef void auth_fn(void *ctx, const struct auth_outcome *o);

struct auth_channel {
	struct ipaddr client;
	bool bound;           /* exporter is filled */
	uint8_t exporter[32]; /* RFC 9266 */
};

/*
 * Begins; message is the initial response, ptr NULL when there was none
 * (an empty one is not none). fn is called once per auth_start() and
 * auth_continue(), the latter with what the former returned; after anything
 * but a challenge the exchange is over, and what was returned is gone. A no is
 * late, the more failures there were from this address and for this login: see
 * auth_delay. Two messages of an address are looked at at once, and 16 wait.
 * What is cancelled, either way, counts as a failure if it was begun.
 */
struct ask *auth_start(struct auth *a, struct span mechanism,
    const struct auth_channel *channel, struct span message, auth_fn *fn,
    void *ctx);
void auth_continue(struct ask *x, struct span message);

#endif
