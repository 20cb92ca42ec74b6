/*
 * smtp_addr: paths and names as commands carry them (RFC 5321 4.1.2, 4.1.3;
 * RFC 6531 3.3 for octets above 127).
 *
 * Strict in what it takes: no white space, comments, control octets or
 * obsolete forms. A source route is read and dropped.
 */
#ifndef PROTO_SMTP_ADDR_H
#define PROTO_SMTP_ADDR_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ipaddr.h"

#define SMTP_LOCAL_MAX  256 /* octets, decoded; RFC 5321 4.5.3.1.1 asks 64 */
#define SMTP_DOMAIN_MAX 255 /* octets; 4.5.3.1.2 */

/*
 * A reverse or forward path. Strings are NUL-terminated, never NULL, hold
 * no control character and none that steers how a line is shown, and
 * live in the arena they were parsed into.
 */
struct smtp_path {
	const char *local;  /* quotes and backslashes undone; "" in <> */
	const char *domain; /* as sent; "" in <> and <postmaster>; a literal
			       with its brackets */
	bool literal;       /* domain is an address literal */
	bool eightbit;      /* has octets above 127: needs SMTPUTF8 */
	bool odd;           /* dots or hyphens where no RFC has them */
};

/* What stands between the angle brackets may be: */
enum smtp_path_kind {
	SMTP_PATH_REVERSE, /* a mailbox, perhaps an odd one, or nothing (<>) */
	SMTP_PATH_FORWARD, /* a mailbox, or "postmaster" in any case */
};

/*
 * Parses "<...>" (all of s, brackets included). 0, or -1 for a syntax error,
 * an impossible literal, octets above 127 that utf8_shows() does not let by,
 * or a part that is too long. Copies go into the arena.
 */
int smtp_path_parse(struct span s, enum smtp_path_kind kind,
    struct arena *arena, struct smtp_path *r);

/* A bare mailbox "local@domain" as configuration files write it. */
int smtp_mailbox_parse(struct span s, struct arena *arena, struct smtp_path *r);

/*
 * "local@domain", the local part quoted when it must be (RFC 5321 4.1.2);
 * "" for the null path, "local" without a domain. No brackets.
 */
void smtp_path_format(const struct smtp_path *p, struct buf *out);
/* The same in the arena. */
const char *smtp_path_text(const struct smtp_path *p, struct arena *a);

bool smtp_path_is_null(const struct smtp_path *p);
/* The local part is "postmaster" in any case (RFC 5321 4.5.1). */
bool smtp_path_is_postmaster(const struct smtp_path *p);

/*
 * A domain: labels of letters, digits, '-', '_' and octets above 127, not
 * empty, at most 63 characters each and 255 octets in all, one dot between;
 * no dot at the end, no hyphen at either end of a label. '_' is no host name
 * but is met in real HELO names and domains.
 */
bool smtp_domain_valid(struct span s);
/* The same with hyphens anywhere, as senders and HELO names have them. */
bool smtp_domain_met(struct span s);

/* "[192.0.2.1]" or "[IPv6:...]", brackets included. 0 or -1. */
int smtp_literal_parse(struct span s, struct ipaddr *r);
/* The same, an IPv6 address also without its tag or with a zone. */
int smtp_literal_met(struct span s, struct ipaddr *r);

#define SMTP_LITERAL_MAX (IPADDR_STRLEN + sizeof("[IPv6:]"))
/* As smtp_literal_parse() reads it. Returns out. */
const char *smtp_literal_format(const struct ipaddr *ip,
    char out[SMTP_LITERAL_MAX]);

#endif
