/*
 * client_state: where a connection stands, and what its parts may do to it.
 */
#ifndef PROTO_CLIENT_STATE_H
#define PROTO_CLIENT_STATE_H

#include "proto/client.h"

enum client_state {
	CLIENT_GREETING,
	CLIENT_EHLO,
	CLIENT_HELO,
	CLIENT_STARTTLS,
	CLIENT_HANDSHAKE,
	CLIENT_SECURED,
	CLIENT_AUTH_PLAIN,
	CLIENT_AUTH_LOGIN,
	CLIENT_AUTH_NAME,
	CLIENT_AUTH_SECRET,
	CLIENT_GREETED, /* READY is to be said */
	CLIENT_IDLE,    /* and was */
	CLIENT_RSET,
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DROP, /* what RCPT behind a refused MAIL is answered */
	CLIENT_DATA,
	CLIENT_VERIFIED, /* RSET instead of DATA */
	CLIENT_BODY,
	CLIENT_DOT,
	CLIENT_TOLD, /* DONE is to be said */
	CLIENT_OVER,
};

/* Writes the command whose reply the state awaits, if it has one. */
void client_command(struct client *c, enum client_state state, struct buf *out);
/* The only place where a state changes. */
void client_become(struct client *c, enum client_state state);
/* Both. */
void client_ask(struct client *c, enum client_state state, struct buf *out);

/* Not one octet more. why: constant. Of a transaction everybody has a fate. */
void client_break(struct client *c, const char *why);
/* The same because of this reply, which is noted. */
void client_break_reply(struct client *c, const char *why);
/* Keeps the reply to be read. */
void client_note(struct client *c);

/* The first digit of its code: 2 to 5. */
unsigned client_class(const struct client *c);

/* --- client_hello.c: until READY --- */

void client_on_greeting(struct client *c, struct buf *out);
void client_on_extension(struct client *c);
void client_on_ehlo(struct client *c, struct buf *out);
void client_on_helo(struct client *c, struct buf *out);
void client_on_starttls(struct client *c, struct buf *out);
void client_on_auth(struct client *c, struct buf *out);

void client_say_ehlo(struct client *c, struct buf *out);
void client_say_helo(struct client *c, struct buf *out);
void client_say_plain(struct client *c, struct buf *out);
void client_say_name(struct client *c, struct buf *out);
void client_say_secret(struct client *c, struct buf *out);

/* --- client_mail.c: a transaction --- */

void client_on_rset(struct client *c, struct buf *out);
void client_on_mail(struct client *c, struct buf *out);
void client_on_rcpt(struct client *c, struct buf *out);
void client_on_drop(struct client *c, struct buf *out);
void client_on_data(struct client *c, struct buf *out);
void client_on_verified(struct client *c, struct buf *out);
void client_on_body(struct client *c, struct buf *out);
void client_on_dot(struct client *c, struct buf *out);

void client_say_mail(struct client *c, struct buf *out);
void client_say_rcpt(struct client *c, struct buf *out);

/* --- client_verdict.c: who gets which fate --- */

/* What this reply means to one recipient; to all who wait for it, which are
 * those who were accepted, but behind MAIL. Whoever has a fate keeps it. */
void client_judge(struct client *c, struct client_rcpt *r);
void client_judge_all(struct client *c);
void client_refuse(struct client_rcpt *r, const struct smtp_reply *reply);

/* The connection is of no use any more: a fate for those who have none. */
enum client_end {
	CLIENT_END_NONSENSE,
	CLIENT_END_GONE,
	CLIENT_END_UNREACHED,
	CLIENT_END_SILENT, /* behind the dot all are this */
};
void client_give_up(struct client *c, enum client_end why);
/* A recipient that is refused has ended it for all. */
bool client_is_stopped(const struct client *c);
/* Nobody is for later any more. */
void client_forget_later(struct client *c);

#endif
