/*
 * door: who may speak, for sessions that come in: checks of the client, of
 * what it says it is, and of whom it writes for.
 *
 * What must be asked of somebody is a fact: gathered in parallel, at most
 * once, begun when it can be. What decides is a judge, a pure function. The
 * order is that of a table (policy/check.h); the first no is the answer, and
 * nothing depends on the order in which facts come.
 */
#ifndef POLICY_DOOR_H
#define POLICY_DOOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"
#include "base/where.h"
#include "io/ask.h"
#include "io/shared.h"
#include "policy/policy.h"
#include "policy/verdict.h"
#include "proto/envelope.h"

struct access; /* policy/access.h: rules */
struct dnsbl;  /* policy/dnsbl.h: lists and their weights */
struct dnsbl_watch;
struct greylist; /* policy/greylist.h: times */
struct loop;
struct redis; /* policy/redis.h: a worker's connection */
struct resolve;

/* What `checks` says of one check, and where. */
struct check_action {
	enum action act;
	struct where at;
};

/* Constant; zeroed: no check is on. */
struct door_config {
	struct check_action helo, fcrdns, sender_domain, dnsbl, greylist,
	    pregreet;
	uint64_t pregreet_wait; /* ms before the greeting; 0: none */
	unsigned refuse_at, vouch_at;
	uint64_t dns_timeout;        /* ms */
	const struct access *access; /* NULL: no rules */
	const struct dnsbl *lists;   /* NULL: none */
	const struct greylist *grey; /* NULL: off */
	/* Is this domain one of ours? */
	bool (*serves)(const void *ctx, struct span domain);
	const void *serves_ctx;
	const char *hostname; /* the machine's; a listener has its own */
};

/* A check that is on, or rules, or lists. */
bool door_config_is_on(const struct door_config *c);

/* A worker's; all but conf and loop may be NULL. */
struct doors {
	const struct door_config *conf;
	struct loop *loop;
	struct resolve *resolve;
	struct shared *shared;
	unsigned slot;
	struct redis *redis;
	struct dnsbl_watch *lists; /* tests them */
};

/* A session's, as it is while a question is open: all of it outlives that. */
struct door_subject {
	const struct envelope *env;
	const struct smtp_path *rcpt; /* at POLICY_RCPT */
	const char *hostname;         /* what this listener greets with */
	bool submission;
	bool early; /* it spoke before the greeting */
};

struct door;

/* Never NULL. env as in the subject; it has the client's address by now. */
struct door *door_new(const struct doors *all, const struct door_subject *s);
/* Cancels what it has asked, also its open question, without a word. */
void door_free(struct door **d);

/*
 * At the first EHLO or HELO, and harmless again: begins to gather what the
 * checks that are on will want to know. Nothing on submission.
 */
void door_begin(struct door *d);

/* An ALLOW covers the whole session. */
bool door_allows_session(const struct door *d);

/* It spoke before it was greeted. */
void door_spoke_early(struct door *d);

typedef void door_fn(void *ctx, const struct verdict *no);

/*
 * May this go on? NULL: answered before it returned, *no is NULL (yes), or the
 * verdict, good until the next question. Else fn is called once with that, from
 * the loop and never before this returns, at the latest dns.timeout after the
 * last fact was asked for. One question at a time. Cancelled, either way:
 * silence, and facts that are on their way stay. CONNECT, MAIL and DATA are
 * asked in that order, RCPT between; MESSAGE is the filters'.
 */
struct ask *door_ask(struct door *d, enum policy_stage stage,
    const struct smtp_path *rcpt, const struct verdict **no, door_fn *fn,
    void *ctx);

/* RCPT was taken in the end: greylisting wants to know whether all were
 * allowed, and whether there is one. */
void door_took_rcpt(struct door *d);

/* A transaction or the session's greeting begins anew: MAIL, RSET, EHLO. */
void door_reset(struct door *d);

/* NULL: not known, or not confirmed by its addresses. */
const char *door_client_name(const struct door *d);

/* The reply behind a verdict; its text is the verdict's. */
struct smtp_reply verdict_reply(const struct verdict *v);

/* What the checks have said so far, a line each without a newline at the end:
 * "dnsbl pass value /etc/smtpd/smtpd.conf:42". */
void door_trail(const struct door *d, struct buf *out);

/* Observed verdicts, as they happen; env and the rest are the session's. */
typedef void door_observed_fn(void *ctx, const char *check,
    const struct verdict *v);
void door_on_observed(struct door *d, door_observed_fn *fn, void *ctx);

/* Whose verdict the last no was: "dnsbl". */
const char *door_said(const struct door *d);

#endif
