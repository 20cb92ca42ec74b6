/*
 * tables: what recipients are made of. For src/rcpt/recipients*.c alone;
 * all that is said in recipients.h about order and lifetime holds here.
 *
 * Names are kept in the form in which they are looked up: local parts folded,
 * where the options say so; "postmaster" always is (RFC 5321 4.5.1). Domains
 * as io/idn.h makes them.
 */
#ifndef RCPT_TABLES_H
#define RCPT_TABLES_H

#include <stdlib.h>

#include "base/hash.h"
#include "rcpt/recipients.h"
#include "rcpt/template.h"

/* Spreads a pointer over all bits, the uppermost first. */
#define POINTER_MIX UINT64_C(0x9e3779b97f4a7c15)

struct alias_target {
	const struct destination *dest; /* NULL: it is an address */
	struct smtp_path path;          /* as written */
	const char *domain; /* in the form in which it is looked up */
	struct alias_target *next;
};

/* A local part of a domain. It may be both: then the user wins. */
struct mail_name {
	const char *name;
	bool user;
	struct alias_target *targets; /* NULL: no alias */
	struct where user_at, alias_at;
	UT_hash_handle hh;
};

/* What each user of a domain gets a copy in. */
struct deliver_to {
	const struct destination *dest;
	struct template template; /* of the path below its root */
	struct deliver_to *next;
};

struct mail_domain {
	const char *name; /* as written, in lower case: %d */
	const char *key;  /* in the form in which it is looked up */
	uint64_t size;
	struct deliver_to *deliver;
	const char *users_from; /* %d is filled in; NULL: none */
	struct where users_from_at;
	struct mail_name *names;
	struct mail_name *catch_all; /* an alias without a name, or NULL */
	UT_hash_handle hh;           /* in the order in which they were added */
};

struct destination_node {
	struct destination *dest;
	struct destination_node *next;
};

struct host_node {
	const char *name;
	struct host_node *next;
};

struct recipients {
	struct recipients_options options;
	struct where at;    /* of what is added */
	struct arena arena; /* all of the tables but uthash's own */
	struct mail_domain *domains;
	struct destination_node *destinations, **destinations_end;
	struct host_node *hosts;      /* names of this server: a few */
	struct mail_name *postmaster; /* the top-level one, or NULL */
};

/* The form of a local part in which it is looked up. */
const char *recipients_key(const struct recipients *r, const char *local,
    struct arena *a);
/* Behind the first delimiter, if something stands before it; or NULL. */
const char *recipients_detail(const struct recipients *r, const char *local);
/* NULL if there is none of that key. */
struct mail_name *recipients_name(const struct recipients *r,
    const struct mail_domain *d, const char *key);
/* Is it a name of this server? */
bool recipients_host(const struct recipients *r, const char *name);
/* Finds or adds it. */
struct mail_name *recipients_intern(struct recipients *r, struct mail_domain *d,
    const char *key);
/* As recipients_deliver(), into *to. */
const char *recipients_destination(struct recipients *r, const char *text,
    struct deliver_to *to);

/*
 * Where a name leads, step by step (recipients_walk.c). A dry walk asks no
 * file system: where a directory could make somebody a user it does, and no
 * folder exists. Up to the first question that it left out it is the same as
 * one that asks, so what it found is sure unless it is unsure.
 */
enum walk_result {
	WALK_OK,
	WALK_NOBODY,  /* no user, no alias, no catch-all */
	WALK_FOREIGN, /* an alias leads to a domain that is not served */
	WALK_LOOP,    /* an alias leads back to itself */
	WALK_DEEP,    /* over RECIPIENTS_DEPTH_MAX aliases in a row */
	WALK_WIDE,    /* over RECIPIENTS_EXPAND_MAX mailboxes */
	WALK_AGAIN,   /* the file system did not answer */
	WALK_SHUT,    /* a mailbox is there and not ours to write: errno */
};

struct walk {
	const struct recipients *r;
	struct arena *arena;
	const char *address;        /* for the targets found */
	const struct smtp_path *at; /* that is looked up now, not empty */
	bool dry, unsure;
	struct targets found;
	const struct alias_target *culprit; /* the one that failed, or NULL */
	const struct mail_name *path[RECIPIENTS_DEPTH_MAX];
	unsigned depth;
	struct walk_seen *seen;
	unsigned nseen;
};

void walk_init(struct walk *w, const struct recipients *r, struct arena *arena,
    const char *address, bool dry);
enum walk_result walk_local(struct walk *w, const struct mail_domain *d,
    const struct smtp_path *at);
/* What p is in d; asks the file system. */
struct rcpt_origin walk_origin(struct walk *w, const struct mail_domain *d,
    const struct smtp_path *p);
/* On behalf of w->at. */
enum walk_result walk_alias(struct walk *w, const struct mail_domain *d,
    const struct mail_name *alias);

/* The same destination, with the same path or `to`? */
bool targets_have(const struct recipients *r, const struct targets *s,
    const struct target *t);
/* A copy of t, its strings as they are; nothing if it is there. */
void targets_add(const struct recipients *r, struct targets *s,
    const struct target *t, struct arena *a);

#endif
