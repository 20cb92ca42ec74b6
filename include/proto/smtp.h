/*
 * smtp: the engine. Bytes in, questions and replies out (RFC 5321).
 *
 * It has no I/O, no clock, no callback. The caller owns the bytes: it calls
 * smtp_step() in a loop and does what the step says. While a question is
 * open every further step says SMTP_NEED_VERDICT again and reads nothing,
 * so bytes behind it wait in the caller's buffer and replies gather in out:
 * that is PIPELINING.
 *
 *	while ((step = smtp_step(&s, &in, &out)) != SMTP_NEED_INPUT)
 *		...
 *
 * What is left in `in` after SMTP_NEED_INPUT is a partial line of at most
 * SMTP_AUTH_LINE_MAX octets; the caller shows it again with more behind it.
 */
#ifndef PROTO_SMTP_H
#define PROTO_SMTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/envelope.h"
#include "proto/smtp_addr.h"
#include "proto/smtp_body.h"
#include "proto/smtp_foreign.h"
#include "proto/smtp_reply.h"
#include "proto/trace.h"

/* A command line with its CRLF; RFC 5321 asks 512 and the extensions. */
#define SMTP_LINE_MAX 2048
/* The same for AUTH and what answers its challenges (RFC 4954 section 4). */
#define SMTP_AUTH_LINE_MAX 12288

enum smtp_step {
	SMTP_NEED_INPUT,   /* flush out, wait for more bytes */
	SMTP_NEED_VERDICT, /* s->ask says about what: smtp_answer() */
	SMTP_HAVE_BODY,    /* s->body: message octets, aliasing the input */
	SMTP_FLUSH,        /* out is long: flush it, then step again */
	SMTP_REFUSED,      /* s->reply_at: a 4xx or 5xx for the log; env still
			      has the transaction that it refuses or ends */
	SMTP_START_TLS,    /* flush out, handshake, smtp_tls_started() */
	SMTP_CLOSE,        /* flush out, then close */
};

enum smtp_ask {
	SMTP_ASK_NONE,
	SMTP_ASK_CONNECT, /* may this client speak? yes: the greeting */
	SMTP_ASK_MAIL,    /* env->sender, env->size */
	SMTP_ASK_RCPT,    /* s->rcpt, in env->arena */
	SMTP_ASK_DATA,    /* a body follows; yes: 354, or BDAT is read */
	SMTP_ASK_MESSAGE, /* the body is complete; yes: 250, it is on disk */
	SMTP_ASK_AUTH,    /* s->mechanism, s->sasl; or smtp_challenge() */
};

enum smtp_state {
	SMTP_STATE_CONNECT, /* nothing said yet */
	SMTP_STATE_REFUSED, /* 554 greeting: only QUIT is served */
	SMTP_STATE_START,   /* before HELO or EHLO */
	SMTP_STATE_READY,   /* no transaction */
	SMTP_STATE_MAIL,    /* sender taken, no recipient tried */
	SMTP_STATE_RCPT,    /* at least one recipient tried */
	SMTP_STATE_DATA,    /* reading a body up to its dot */
	SMTP_STATE_CHUNK,   /* reading the octets of a BDAT */
	SMTP_STATE_BETWEEN, /* behind a BDAT that was not the last */
	SMTP_STATE_AUTH,    /* the next line answers a challenge */
	SMTP_STATE_TLS,     /* the next octets are the TLS library's */
	SMTP_STATE_CLOSED,
};

/* Odd but harmless things seen, for the log and the counters. */
enum smtp_quirk {
	SMTP_QUIRK_SPACE = 1,     /* a space after FROM: or TO: */
	SMTP_QUIRK_LONG_LINE = 2, /* a text line over 1,000 octets */
	SMTP_QUIRK_BARE = 4,      /* bare CR or LF, taken */
	SMTP_QUIRK_NAME = 8,      /* a HELO name that RFC 5321 has not */
	SMTP_QUIRK_SENDER = 16,   /* a sender, the same */
};

/* Constant; one per listener. */
struct smtp_config {
	const char *hostname;
	const char *greeting;
	uint64_t message_size; /* octets, as SIZE says; never 0 */
	uint64_t line;         /* octets of a text line, without CRLF */
	unsigned recipients;   /* per transaction, RCPTMAX */
	unsigned errors;       /* 5xx, or ten times as many 4xx, before 421 */
	bool submission;       /* MAIL needs AUTH */
	bool starttls;         /* offered until TLS is there */
};

/* A session of the daemon's has one: enums are no wider than they must be. */
struct smtp {
	const struct smtp_config *conf;
	struct envelope *env;
	struct span body;      /* with SMTP_HAVE_BODY, until the next step */
	struct smtp_path rcpt; /* with SMTP_ASK_RCPT */
	const char *auth;      /* for EHLO, not owned; "": none; NULL: never */
	struct span mechanism; /* with SMTP_ASK_AUTH; empty: as before */
	struct buf sasl;       /* with SMTP_ASK_AUTH: the client's message */
	uint64_t received;     /* content octets of this message */
	uint64_t size_max;     /* of this message; smtp_limit_size() */
	struct span line;      /* the last command; NULL: only its length */
	const char *verb;      /* its verb, when its octets are gone, or NULL */
	size_t reply_at;       /* with SMTP_REFUSED: where in out it begins */
	unsigned commands;     /* complete lines and bodies so far */
	unsigned quirks;       /* of this message: enum smtp_quirk */
	enum smtp_ask ask : 8; /* the open question */
	enum smtp_ask asked : 8;       /* what its last one was, if any */
	enum smtp_foreign foreign : 8; /* what it spoke instead; it is closed */
	bool has_sasl; /* with SMTP_ASK_AUTH: whether there was a message */
	bool secret;   /* secrets were read: wipe the input, clear this */
	bool whole;    /* with SMTP_REFUSED: a message that has come */
	bool quit;     /* it has said so */

	/* the engine's own */
	enum smtp_state state : 8;
	enum smtp_state after : 8; /* a BDAT: where its refusal leaves us */
	bool spoken;               /* a line that is not empty */
	bool normalize; /* bare-newline = normalize for this client */
	bool nobody;    /* no client is named: see smtp_verb.c; the caller's */
	bool skip;      /* the rest of a refused line is being skipped */
	bool skip_cr;   /* and its last octet was a CR */
	bool last;      /* this BDAT is the last one */
	bool begun;     /* a BDAT of this message was taken or refused */
	bool draining;
	bool odd_name;  /* of the last HELO or EHLO */
	bool pipelined; /* octets stood behind this command */
	bool wary;      /* behind AUTH: what is no command may be secret */
	bool refused;   /* SMTP_REFUSED is due */
	bool stale;     /* the envelope is an ended transaction's */
	bool rewind;    /* the last RCPT left something in the arena */
	struct smtp_body scan;
	struct trace_hops hops;
	struct arena_mark mark;    /* before this RCPT; a no goes back to it */
	struct smtp_reply refusal; /* of the BDAT being read; code 0: none */
	unsigned errors;           /* 5xx since the last accepted message */
	unsigned deferrals;        /* and 4xx */
	unsigned beyond;           /* RCPTs past the limit of recipients */
	unsigned empty;            /* lines that the session begins with */
};

/* env is the caller's, zeroed but for session, client and port. */
void smtp_init(struct smtp *s, const struct smtp_config *conf,
    struct envelope *env);

/*
 * One step. Takes octets from the front of *in, appends replies to *out.
 * Idempotent while a question is open. Never returns SMTP_HAVE_BODY with an
 * empty body.
 */
enum smtp_step smtp_step(struct smtp *s, struct span *in, struct buf *out);

/*
 * Answers the open question. NULL is yes, in the engine's own words; else
 * the reply, copied. A 421 closes. CONNECT takes 421 and 554 only.
 */
void smtp_answer(struct smtp *s, const struct smtp_reply *reply,
    struct buf *out);

/* The session ends now, unasked: 421 and SMTP_CLOSE; any question is void. */
void smtp_hangup(struct smtp *s, const struct smtp_reply *reply,
    struct buf *out);

/* With SMTP_ASK_AUTH: 334 and this; the answer is the next question. */
void smtp_challenge(struct smtp *s, struct span data, struct buf *out);

/*
 * The handshake is done; env says with what. The session begins anew, but
 * for its count of errors (RFC 3207 section 4.2).
 */
void smtp_tls_started(struct smtp *s);

/* An exchange is open: a question, or a challenge that waits. */
bool smtp_in_auth(const struct smtp *s);

/* The session is over: frees and wipes what the engine holds. */
void smtp_free(struct smtp *s);

/* No new transaction: the next MAIL is 421 4.3.2. */
void smtp_drain(struct smtp *s);

/* This message may have at most n octets (a domain's message-size). */
void smtp_limit_size(struct smtp *s, uint64_t n);

/* A message is being received: from DATA's yes to the final verdict. */
bool smtp_receiving(const struct smtp *s);
/* Between MAIL and its end. */
bool smtp_in_transaction(const struct smtp *s);
/* The next octets are content, not a command. */
bool smtp_in_body(const struct smtp *s);

#endif
