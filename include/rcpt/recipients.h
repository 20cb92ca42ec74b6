/*
 * recipients: which mailboxes an address leads to. Tables are built once by
 * the configuration and constant afterwards, so threads may read them.
 *
 * Order: exact user, exact alias, user and then alias without the detail
 * behind the (first) delimiter, for postmaster the top-level postmaster,
 * catch-all. A bare postmaster is that of the first domain, and so are
 * postmaster and abuse of this server: of its names, unless they are domains,
 * and of the address the client is connected to (RFC 1123 5.2.17). Targets of
 * aliases are looked up in the same order; a detail is not passed on.
 * Aliases expand to local addresses and to destinations, never to addresses
 * elsewhere, so relaying is impossible by construction.
 */
#ifndef RCPT_RECIPIENTS_H
#define RCPT_RECIPIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/siphash.h"
#include "base/where.h"
#include "dest/destination.h"
#include "proto/smtp_addr.h"

#define RECIPIENTS_DEPTH_MAX  10
#define RECIPIENTS_EXPAND_MAX 100

struct recipients;
struct mail_domain;

struct recipients_options {
	uint8_t key[SIPHASH_KEY_LEN]; /* random */
	char delimiter;               /* 0: no subaddressing */
	bool fold;                    /* local parts fold ASCII case */
	unsigned targets;             /* of a transaction, at most */
	/*
	 * What is asked for mail to a remote destination of this text, which
	 * outlives the tables. NULL, or why there is none. No function: none
	 * has one.
	 */
	const char *(
	    *route)(void *ctx, const char *text, const struct route **r);
	void *ctx;
};

struct recipients *recipients_new(const struct recipients_options *o);
char recipients_delimiter(const struct recipients *r);
void recipients_free(struct recipients **r);

/*
 * deliver: a destination for its users, the path of a Maildir with %d, %u and,
 * in its last component only, %t; made sense of here, once. NULL: no user will
 * be added. Every function below that returns a string returns NULL for
 * success or a text, constant or of options.route, that says what is wrong and
 * what to write instead.
 */
const char *recipients_add_domain(struct recipients *r, const char *name,
    const char *deliver, struct mail_domain **domain_r);
/* One more, before any user is added: each of them gets a copy. */
const char *recipients_deliver(struct recipients *r, struct mail_domain *d,
    const char *deliver);
/* Where all stands that is added from here on. */
void recipients_at(struct recipients *r, struct where at);
/*
 * user, and every local part below, as an address writes it: quoted where it
 * must be. Adding a user twice is harmless.
 */
const char *recipients_add_user(struct recipients *r, struct mail_domain *d,
    const char *user);
/*
 * Whoever has a directory below path is a user, looked up live. path is
 * absolute and may hold %d.
 */
const char *recipients_users_from(struct recipients *r, struct mail_domain *d,
    const char *path);
/*
 * "name: target, target": the line of an alias file as well. A target is an
 * address, or a destination without %.
 */
const char *recipients_add_alias(struct recipients *r, struct mail_domain *d,
    const char *line);
/* One such target more. */
const char *recipients_catch_all(struct recipients *r, struct mail_domain *d,
    const char *target);
/* The top-level one, a whole address. */
const char *recipients_postmaster(struct recipients *r, const char *address);
/* A remote one that no address of ours leads to: the smarthost's. */
const char *recipients_remote(struct recipients *r, const char *text,
    const struct destination **d);
/* A name of this server; adding it twice is harmless. */
void recipients_add_host(struct recipients *r, const char *name);
void recipients_limit_size(struct mail_domain *d, uint64_t octets);

/*
 * After everything was added: alias targets that are foreign or lead to
 * nobody, loops, expansions that are too deep or too wide, a domain whose
 * postmaster leads nowhere. Calls fault() for each; domain and name say
 * whose alias it is (name NULL: the domain itself or its catch-all; domain
 * "": the top-level postmaster). warn: not an error (a domain without
 * abuse@). text is good during the call. Returns the number of errors.
 */
typedef void recipients_fault_fn(void *ctx, bool warn, const char *domain,
    const char *name, const char *text);
unsigned recipients_check(const struct recipients *r,
    recipients_fault_fn *fault, void *ctx);

/*
 * A remote destination is given the address whose look-up led to it, in `to`:
 * of a user its key, with the detail as it was written; behind an alias or a
 * catch-all the recipient as written, or the target of an alias that fell to
 * it. Its domain is in lower case.
 */

/* A Maildir that nobody is given, absolute: one more of those below. */
const struct destination *recipients_maildir(struct recipients *r,
    const char *path);
/* Each destination with a root, to make and open it: until it returns NULL. */
struct destination *recipients_place(struct recipients *r, unsigned i);

/* Is this a domain of ours, in whatever spelling? NULL if not. */
const struct mail_domain *recipients_domain(const struct recipients *r,
    const char *name);
/* Behind d, in the order in which they were added; NULL: the first, the end. */
const struct mail_domain *recipients_next_domain(const struct recipients *r,
    const struct mail_domain *d);
const char *mail_domain_name(const struct mail_domain *d);
/* 0: no limit of its own. */
uint64_t mail_domain_size(const struct mail_domain *d);

/* One place that a message goes to: a mailbox, if its kind has such. */
struct target {
	const struct destination *dest;
	const char *path; /* below its root, "." is the root itself; or NULL */
	const char *to;   /* the address that its route is given; or NULL */
	const char *address;              /* formatted, for Delivered-To */
	const struct mail_domain *domain; /* NULL: relayed */
	struct target *next;
	struct target *below[2]; /* the set's own */
};

/*
 * A set, unique by destination and path or to, in the order in which they were
 * found. Zeroed is empty; all that is in it lives in one arena.
 */
struct targets {
	struct target *first, *last;
	unsigned n;
	uint64_t octets; /* of all destinations, paths and addresses */
	uint64_t size;   /* the smallest limit of their domains; 0: none */
};

enum rcpt_result {
	RCPT_OK,
	RCPT_UNKNOWN, /* our domain, nobody there: 550 5.1.1 */
	RCPT_FOREIGN, /* not our domain: 550 5.7.1 */
	RCPT_AGAIN,   /* the lookup failed: 451 4.3.0 */
	RCPT_SHUT,    /* a mailbox cannot take mail, and errno says why */
	RCPT_LIVE,    /* the file system would have to be asked */
};

enum rcpt_how {
	RCPT_LOOK, /* in the tables alone, for the loop: it may be RCPT_LIVE */
	RCPT_ASK,  /* the file system as well (users-from, %t): on a job */
};

/*
 * Resolves p. server: the address that the client is connected to, or
 * IP_NONE. On RCPT_OK its mailboxes are in *found, which was empty. Arena a
 * gets them and all that was needed on the way: one for this call alone;
 * what is to stay is merged.
 */
enum rcpt_result recipients_resolve(const struct recipients *r,
    const struct smtp_path *p, const struct ipaddr *server, enum rcpt_how how,
    struct arena *a, struct targets *found);

/* What an address is in the tables, before any alias is followed. */
struct rcpt_origin {
	const char *what; /* "user", "directory", "alias", "postmaster",
			     "catch-all"; NULL: nobody */
	const char *name; /* of it, or NULL */
	struct where at;
};

/* Of p, as recipients_resolve() with RCPT_ASK. Arena a has the name. */
struct rcpt_origin recipients_origin(const struct recipients *r,
    const struct smtp_path *p, const struct ipaddr *server, struct arena *a);

/*
 * What t, one of *s, must take and does not: the targets of the top-level
 * postmaster are put in its place. False, and nothing has changed: it is one of
 * them, or there are none that the tables alone are sure of.
 */
bool recipients_instead(const struct recipients *r, struct targets *s,
    const struct target *t, struct arena *a);

/*
 * May this login say that it is `from`? Yes for its own address (the login,
 * when it is one; else login@ each domain), also with a detail, and for the
 * aliases that lead to its mailbox. Not for what only a catch-all takes.
 */
bool recipients_owns(const struct recipients *r, const char *login,
    const struct smtp_path *from);

/*
 * Copies the targets of from that *s lacks into arena a, where *s is, or is
 * made when it is NULL; the first address that led to a mailbox stays. False,
 * and nothing has changed: there would be more than the options allow.
 */
bool targets_merge(const struct recipients *r, struct targets **s,
    const struct targets *from, struct arena *a);

/*
 * Adds an address elsewhere, which the smarthost is given: the one way to a
 * target without a domain. Who may, others know.
 */
void targets_add_relayed(const struct recipients *r, struct targets *s,
    const struct destination *smarthost, const struct smtp_path *p,
    struct arena *a);

#endif
