/*
 * envelope: who sends what to whom. Filled by the engine, read by policy
 * and delivery. The session's part lives with the session; the rest is in
 * the arena and goes when the transaction ends.
 */
#ifndef PROTO_ENVELOPE_H
#define PROTO_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ident.h"
#include "base/ipaddr.h"
#include "proto/smtp_addr.h"

struct targets; /* rcpt/recipients.h: resolved destinations */

struct envelope_rcpt {
	struct smtp_path path;
	struct envelope_rcpt *next;
};

struct envelope {
	/* the session's */
	char session[IDENT_LEN + 1];
	struct ipaddr client;
	struct ipaddr via;    /* the proxy that named it, or none */
	struct ipaddr server; /* the address that it is connected to */
	uint16_t port;        /* the client's */
	bool esmtp;           /* it said EHLO */
	bool tls;
	const char *name; /* confirmed by DNS, not owned; NULL: none */
	char *helo;       /* as given, owned; NULL before HELO */
	const char *tls_version, *tls_cipher; /* constants of the library */
	char *login;           /* authenticated, owned; NULL: nobody */
	const char *mechanism; /* by which; constant */
	unsigned serial; /* transactions begun; <session>.<serial> is the id */

	/* the transaction's */
	struct arena arena;
	struct smtp_path sender;
	uint64_t size; /* declared, octets; 0: not declared */
	bool eightbit;
	bool utf8;
	unsigned nrcpts; /* accepted */
	struct envelope_rcpt *rcpts, **rcpts_end;
	struct targets *targets; /* in the arena; for whoever resolves */
	/* a filter's lines above our Received, each with its LF; in the arena
	 */
	struct span above;
};

/* "<session>.<serial>", with room for its NUL. */
#define MESSAGE_ID_MAX (IDENT_LEN + 12)
void envelope_message_id(const struct envelope *e, char out[MESSAGE_ID_MAX]);

void envelope_set_helo(struct envelope *e, struct span name, bool esmtp);

void envelope_set_login(struct envelope *e, const char *login);

/* The path's strings must be in e->arena already. */
void envelope_add_rcpt(struct envelope *e, const struct smtp_path *path);

/* Ends the transaction: frees the arena and clears what lived in it. */
void envelope_reset(struct envelope *e);

/* Ends the session: all of the above, and helo. */
void envelope_free(struct envelope *e);

#endif
