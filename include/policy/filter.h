/*
 * filter: the milters of a message, in the order of the configuration, each
 * in a conversation of its own behind the last dot. They judge a message and
 * edit its header; each sees it as those before changed it.
 *
 * Whatever a milter says is hostile until it makes sense: all of it is
 * bounded, its edits count when its last word has come, and when-down says
 * what becomes of a message that it does not answer for.
 */
#ifndef POLICY_FILTER_H
#define POLICY_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"
#include "io/ask.h"
#include "mail/spool.h"
#include "policy/verdict.h"
#include "proto/milter_wire.h"

struct envelope;
struct jobs;
struct loop;
struct resolve;
struct shared;
struct stream_pool;

#define FILTER_MILTERS_MAX 8
#define FILTER_ADDRS_MAX   8 /* of one milter; more are ignored */

/* Both in the order of the words. */
enum filter_role { FILTER_ANY, FILTER_MX, FILTER_SUBMISSION };
enum filter_down { FILTER_ACCEPT, FILTER_DEFER, FILTER_REJECT };

/* A `milter` block; constant. */
struct filter_config {
	const char *name;
	const char *check;  /* what the log calls it: milter "NAME" */
	const char *socket; /* as written */
	struct where at;
	const char *path; /* of a Unix socket; NULL: it is at host and port */
	const char *host;
	uint16_t port;
	const struct ipaddr *addrs; /* of the host; none: the DNS is asked */
	unsigned naddrs;
	enum filter_role role;
	enum filter_down when_down;
	uint64_t timeout;     /* ms for one conversation, with all waiting */
	unsigned connections; /* over all workers */
	bool observe;
};

struct filters_config {
	const struct filter_config *all;
	unsigned n;
	const char *hostname; /* the machine's */
	/* All that this server greets with: whose Authentication-Results
	 * nobody else may have written. */
	const char *const *names;
	unsigned nnames;
};

/* A worker's; all but loop, pool and jobs may be NULL. */
struct filter_services {
	struct loop *loop;
	struct stream_pool *pool;
	struct jobs *jobs;
	struct resolve *resolve;
	struct shared *shared;
	unsigned slot;
};

struct filters;

/* Never NULL; what c leads to must last. */
struct filters *filters_new(const struct filters_config *c,
    const struct filter_services *s);
/* When nothing is asked any more. */
void filters_free(struct filters **f);

/* Somebody wants to see such messages. f: NULL, nobody. */
bool filters_want(const struct filters *f, bool submission);

/* What env, hostname and client_name lead to outlives the question; of the
 * body what it has in memory, and its file. */
struct filter_message {
	const struct envelope *env;
	struct spool_content body;
	const char *hostname;    /* what this listener greets with */
	const char *client_name; /* confirmed; NULL: none */
	uint16_t port;           /* of the listener */
	bool submission;
	int64_t until; /* monotonic ms: by then the last one has answered */
};

/* In the memory of whoever calls fn. */
struct filter_result {
	struct verdict v; /* PASS, or DEFER or REJECT with its reply */
	const struct filter_config *by; /* whose no, or discard; NULL: ours */
	bool discard;                   /* it is to be taken and forgotten */
	bool edited;                    /* then: */
	size_t head;       /* octets at the front of the body that go, */
	struct buf header; /* and this comes in their place, without the
			      empty line behind it; */
	struct buf above;  /* and this above our own lines */
	unsigned edits;
	unsigned unseen; /* milters that were not there, with when-down =
			    accept */
	unsigned forged; /* Authentication-Results that were ours in name */
};
typedef void filter_fn(void *ctx, const struct filter_result *r);

/*
 * fn is called once, from the loop and never before this returns, at the
 * latest soon after m->until. Cancelled, either way: silence, and the
 * conversation is closed. Never NULL.
 */
struct ask *filter_start(struct filters *f, const struct filter_message *m,
    filter_fn *fn, void *ctx);

#endif
