/*
 * route: one server, program or web address that mail is handed to, and how.
 * A `route` block, or a destination's text alone with all defaults. Made by
 * the configuration, constant afterwards.
 */
#ifndef DEST_ROUTE_H
#define DEST_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ipaddr.h"

#define ROUTE_PLACES_MAX 8
#define ROUTE_ADDRS_MAX  4

/* What stands behind a kind's colon. */
enum route_syntax {
	ROUTE_NONE,    /* it hands mail to nobody */
	ROUTE_HOST,    /* "//host:port" */
	ROUTE_SOCKET,  /* the same, or the path of a Unix socket */
	ROUTE_WEB,     /* "//host:port/path?query" */
	ROUTE_PROGRAM, /* "/path argument argument" */
	ROUTE_NAME,    /* what a route block says */
};

enum route_tls { ROUTE_TLS_OPPORTUNISTIC, ROUTE_TLS_REQUIRED, ROUTE_TLS_OFF };

/* One entry of `to`. */
struct route_place {
	const char *text; /* as written */
	const char *host; /* without brackets; NULL: a Unix socket or program */
	uint16_t port;
	/* If host is an address, or /etc/hosts has it; else DNS is asked. */
	struct ipaddr addrs[ROUTE_ADDRS_MAX];
	unsigned naddrs;
	const char *path; /* of the socket; of http the path and query */
	bool tls;         /* from the first octet: smtps, https */
	bool local;       /* a Unix socket or loopback addresses alone */
};

struct tls_client;
struct destination_kind;

struct route {
	const struct destination_kind *kind;
	/* What records name: "route:NAME", or the URL as written. */
	const char *text;
	/* What people read: NAME; of a URL its scheme, host and port, or
	 * socket or program. */
	const char *shown;
	bool block; /* there is a route block */
	unsigned line;
	unsigned number; /* of the configuration's routes */

	struct route_place to[ROUTE_PLACES_MAX];
	unsigned nto;
	char *const *argv; /* of a program, with a NULL behind; else NULL */

	enum route_tls tls;
	/* Made by the master. NULL where tls is off. */
	struct tls_client *strict; /* verifies: required, smtps, https */
	struct tls_client *lax;    /* does not: opportunistic */
	const char *login;         /* NULL: none */
	struct span secret;        /* empty: none */
	unsigned connections;      /* over all workers */
	uint64_t timeout;          /* ms */
	bool hold;                 /* when-down */
	bool verify;               /* verify-recipients */
};

/*
 * One entry of `to`, or a destination's rest: what stands behind the colon of
 * a kind that asks. Nothing is opened or looked up. NULL, or a text in the
 * arena that says what is wrong and what to write instead.
 */
const char *route_parse_place(const struct destination_kind *kind,
    const char *text, struct arena *a, struct route_place *r);
/* The same of a program: blanks separate. */
const char *route_parse_program(const char *text, struct arena *a,
    char *const **argv_r);

/* Scheme, host and port, or path of a socket or program: no query, no
 * argument. text as above and parsed before; in the arena. */
const char *route_shown(const struct destination_kind *kind, const char *text,
    struct arena *a);

#endif
