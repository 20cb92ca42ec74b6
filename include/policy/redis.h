/*
 * redis: a worker's connection to a Redis, Valkey or the like, in which
 * several nodes keep one greylist.
 *
 * It may be slow, away, or in strange hands: each question has its time, what
 * it says is bounded, and when it is not there all goes on as if there were
 * none. One that has said nothing for five times as long as an answer may take,
 * or five errors in a row, or has closed the connection, is not asked for 1 s,
 * then 2, 4 and up to 30. One that is only slow is asked.
 */
#ifndef POLICY_REDIS_H
#define POLICY_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"
#include "io/ask.h"

struct loop;
struct resolve;
struct stream_pool;

#define REDIS_ADDRS_MAX 8 /* more are ignored */

/* Constant; zeroed: there is none. */
struct redis_config {
	const char *server; /* as written */
	const char *path;   /* of a Unix socket; NULL: it is at host and port */
	const char *host;
	uint16_t port;
	const struct ipaddr *addrs; /* of the host; none: the DNS is asked */
	unsigned naddrs;
	struct span password; /* empty: none is sent */
	const char *prefix;   /* of all keys */
	uint64_t timeout;     /* ms for one question */
};

struct redis_services {
	struct loop *loop;
	struct stream_pool *pool;
	struct resolve *resolve; /* may be NULL if nothing is to be resolved */
};

struct redis;

#ifdef SMTPD_NO_REDIS

/* The configuration lets nobody ask for one. */
static inline struct redis *
redis_new(const struct redis_config *c, const struct redis_services *s)
{
	(void)c;
	(void)s;
	return NULL;
}

static inline void
redis_free(struct redis **r)
{
	*r = NULL;
}

static inline bool
redis_is_up(const struct redis *r)
{
	(void)r;
	return false;
}

#else

/* Begins to connect. Never NULL; what c leads to must last. */
struct redis *redis_new(const struct redis_config *c,
    const struct redis_services *s);
/* After the loop: silence for all that are open. */
void redis_free(struct redis **r);

/* It would be asked now. r may be NULL. */
bool redis_is_up(const struct redis *r);
const struct redis_config *redis_conf(const struct redis *r);

#define REDIS_WORDS 6
struct redis_command {
	struct span words[REDIS_WORDS];
	unsigned n;
};

#define REDIS_TEXT_MAX 64
struct redis_reply {
	enum {
		REDIS_NIL,
		REDIS_NUMBER,
		REDIS_STATUS, /* "OK" */
		REDIS_TEXT,
		REDIS_ERROR,
	} kind;
	int64_t number;
	unsigned len; /* of text; an error's is cut */
	char text[REDIS_TEXT_MAX];
};

#define REDIS_COMMANDS 4
/* One reply for each command, none of which is an error; NULL: no answer. */
typedef void redis_fn(void *ctx, const struct redis_reply *replies);

/*
 * Sends up to REDIS_COMMANDS at once. fn is called once, from the loop and
 * never before this returns, at the latest after the timeout. NULL: it is not
 * up, and fn is not called. Cancelled, either way: silence.
 */
struct ask *redis_ask(struct redis *r, const struct redis_command *c,
    unsigned n, redis_fn *fn, void *ctx);

/* Nobody waits for what comes of it. */
void redis_tell(struct redis *r, const struct redis_command *c);

#endif

#endif
