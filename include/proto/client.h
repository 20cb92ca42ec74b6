/*
 * client: the side of SMTP (RFC 5321) and LMTP (RFC 2033) that sends. One
 * connection: greeting, EHLO, STARTTLS, AUTH, then one transaction after the
 * other. No I/O and no clock: octets in, octets out.
 *
 *	while ((step = client_step(&c, &in, &out)) != CLIENT_NEED_INPUT)
 *		if (!carry_handle(...))
 *			break;
 */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client_body.h"
#include "proto/client_reply.h"
#include "proto/fate.h"
#include "proto/smtp_reply.h"

enum client_tls {
	CLIENT_TLS_OFF,
	CLIENT_TLS_OFFERED, /* STARTTLS where it is offered */
	CLIENT_TLS_REQUIRED,
};

struct client_options {
	bool lmtp;
	const char *helo; /* our name */
	enum client_tls tls;
	bool implicit;     /* the connection begins in TLS, and is */
	const char *login; /* NULL: no AUTH */
	struct span secret;
	bool may_log_in; /* in clear as well: nobody is on the way (loopback) */
};

/* What EHLO said; all of it is forgotten with STARTTLS. */
struct client_caps {
	bool pipelining, eightbit, utf8, starttls;
	bool auth_plain, auth_login;
	bool size;         /* it has SIZE */
	uint64_t size_max; /* 0: no limit is said */
	unsigned rcpt_max; /* LIMITS RCPTMAX (RFC 9422); 0: none is said */
};

/* One recipient of a transaction. */
struct client_rcpt {
	const char *to; /* as it stands between < and >, without CR, LF, NUL */
	bool utf8;      /* not ASCII alone */
	enum fate fate;
	/* What our own client is to hear; in the arena of the mail, or
	 * constant. NULL with FATE_NONE; with FATE_TAKEN it is what was said
	 * to the message, for the log. */
	const struct smtp_reply *reply;
	/* FATE_NONE, since there was no room for it: it is for another
	 * transaction, which may begin at once. */
	bool later;
	bool accepted; /* the engine's: its RCPT had 2xx */
};

struct client_mail {
	const char *sender; /* "" is <> */
	bool sender_utf8;
	bool eightbit, utf8; /* declared by who sent it to us */
	uint64_t wire;       /* octets as they will be on the wire, dots not */
	struct client_rcpt *rcpts;
	unsigned n;
	/* One recipient that is refused ends it before its dot; who was not
	 * refused stays FATE_NONE, or has another fate of its own. */
	bool whole;
	/* No message: MAIL, RCPT, RSET. TAKEN: a message may come. Where <>
	 * is no sender everybody is DOWN: it says nothing of them. */
	bool verify;
	struct arena *arena; /* for texts of replies */
};

/* What is awaited, for who has a clock. */
enum client_wait {
	CLIENT_WAIT_NOTHING,
	CLIENT_WAIT_HELLO,   /* greeting, EHLO, TLS, AUTH: 20 s each */
	CLIENT_WAIT_COMMAND, /* 30 s */
	CLIENT_WAIT_BODY,    /* 30 s without an octet taken */
	CLIENT_WAIT_DOT,     /* the caller's own time */
};

enum client_step {
	CLIENT_NEED_INPUT,
	CLIENT_NEED_BODY, /* client_content(), at last client_end(); said until
			     then, however much of a reply is there */
	CLIENT_START_TLS, /* a handshake, then client_secured() */
	CLIENT_READY,     /* for client_begin(); said once each time */
	CLIENT_DONE,      /* every recipient of the transaction has its fate;
			     READY or BROKEN follows */
	CLIENT_BROKEN,    /* close it: broken says why, and whether that is
			     about how we are set up */
};

struct client {
	struct client_options options;
	struct client_caps caps;
	int state; /* enum client_state, of client_state.h */
	struct client_reply reply;
	struct client_mail *mail; /* NULL: no transaction */
	struct client_body body;
	unsigned asked, answered; /* RCPT, and replies to them */
	unsigned at;              /* whose reply is awaited */
	bool secured;
	bool unfinished;    /* the server may have half a transaction */
	bool dot_sent;      /* of this transaction: from here on LOST */
	bool misconfigured; /* a reply that speaks of our own set-up */
	bool said_421;
	const char *broken;                   /* constant; NULL: it is not */
	char why[CLIENT_REPLY_TEXT_MAX + 16]; /* the reply behind it, or "" */
	unsigned transactions;                /* begun */
};

/* The options must last. */
void client_init(struct client *c, const struct client_options *o);

/*
 * Takes what it can of *in and appends to *out. Secrets go into out: it is to
 * be wiped once written.
 */
enum client_step client_step(struct client *c, struct span *in,
    struct buf *out);
enum client_wait client_waits(const struct client *c);

/* Behind READY: the transaction begins. m must last until CLIENT_DONE or
 * client_lost(); what its recipients had is forgotten. */
void client_begin(struct client *c, struct client_mail *m, struct buf *out);
/* NEED_BODY: lines end in LF. */
void client_content(struct client *c, struct span s, struct buf *out);
void client_end(struct client *c, struct buf *out);

/* START_TLS: the handshake is done. */
void client_secured(struct client *c);
/*
 * The connection has ended, or its time has: whoever has no fate gets one, and
 * BROKEN is what remains. down: no server was reached at all.
 */
void client_lost(struct client *c, bool down);
/* QUIT, which is not waited for, and BROKEN; nothing unless between
 * transactions. */
void client_quit(struct client *c, struct buf *out);

#endif
