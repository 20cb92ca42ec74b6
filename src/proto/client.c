/*
 * client: the loop of the side that sends. A row for each state says what is
 * awaited in it; client_hello has what comes before the first transaction,
 * client_mail the transactions, client_verdict what a reply means to whom.
 */
#include "proto/client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "proto/client_state.h"

struct client_row {
	enum client_wait wait;
	/* The command that is answered, if there is one, or what writes it. */
	const char *command;
	void (*say)(struct client *c, struct buf *out);
	/* A whole reply; NULL: none is awaited, not one octet. */
	void (*on)(struct client *c, struct buf *out);
	/* What the caller is told while nothing more comes. */
	enum client_step step;
};

#define HELLO(command, say, on)   CLIENT_WAIT_HELLO, command, say, on, 0
#define COMMAND(command, say, on) CLIENT_WAIT_COMMAND, command, say, on, 0
#define HEAR(wait, on, step)      wait, NULL, NULL, on, step
#define TELL(wait, step)          wait, NULL, NULL, NULL, step

static const struct client_row rows[] = {
    [CLIENT_GREETING] = {HELLO(NULL, NULL, client_on_greeting)},
    [CLIENT_EHLO] = {HELLO(NULL, client_say_ehlo, client_on_ehlo)},
    [CLIENT_HELO] = {HELLO(NULL, client_say_helo, client_on_helo)},
    [CLIENT_STARTTLS] = {HELLO("STARTTLS\r\n", NULL, client_on_starttls)},
    [CLIENT_HANDSHAKE] = {TELL(CLIENT_WAIT_HELLO, CLIENT_START_TLS)},
    [CLIENT_SECURED] = {TELL(CLIENT_WAIT_HELLO, CLIENT_NEED_INPUT)},
    [CLIENT_AUTH_PLAIN] = {HELLO(NULL, client_say_plain, client_on_auth)},
    [CLIENT_AUTH_LOGIN] = {HELLO("AUTH LOGIN\r\n", NULL, client_on_auth)},
    [CLIENT_AUTH_NAME] = {HELLO(NULL, client_say_name, client_on_auth)},
    [CLIENT_AUTH_SECRET] = {HELLO(NULL, client_say_secret, client_on_auth)},
    [CLIENT_GREETED] = {TELL(CLIENT_WAIT_NOTHING, CLIENT_READY)},
    [CLIENT_IDLE] = {TELL(CLIENT_WAIT_NOTHING, CLIENT_NEED_INPUT)},
    [CLIENT_RSET] = {COMMAND("RSET\r\n", NULL, client_on_rset)},
    [CLIENT_MAIL] = {COMMAND(NULL, client_say_mail, client_on_mail)},
    [CLIENT_RCPT] = {COMMAND(NULL, client_say_rcpt, client_on_rcpt)},
    [CLIENT_DROP] = {COMMAND(NULL, NULL, client_on_drop)},
    [CLIENT_DATA] = {COMMAND("DATA\r\n", NULL, client_on_data)},
    [CLIENT_VERIFIED] = {COMMAND("RSET\r\n", NULL, client_on_verified)},
    [CLIENT_BODY] = {HEAR(CLIENT_WAIT_BODY, client_on_body, CLIENT_NEED_BODY)},
    [CLIENT_DOT] = {HEAR(CLIENT_WAIT_DOT, client_on_dot, CLIENT_NEED_INPUT)},
    [CLIENT_TOLD] = {TELL(CLIENT_WAIT_NOTHING, CLIENT_DONE)},
    [CLIENT_OVER] = {TELL(CLIENT_WAIT_NOTHING, CLIENT_BROKEN)},
};

/* --- what its parts may do --- */

void
client_become(struct client *c, enum client_state state)
{
	c->state = (int)state;
}

void
client_command(struct client *c, enum client_state state, struct buf *out)
{
	if (rows[state].command)
		buf_append_str(out, rows[state].command);
	else
		rows[state].say(c, out);
}

void
client_ask(struct client *c, enum client_state state, struct buf *out)
{
	client_become(c, state);
	client_command(c, state, out);
}

unsigned
client_class(const struct client *c)
{
	return c->reply.code / 100;
}

/* A server may tell a secret back: of what answers AUTH only the code. */
void
client_note(struct client *c)
{
	bool secret =
	    c->state >= CLIENT_AUTH_PLAIN && c->state <= CLIENT_AUTH_SECRET;
	unsigned n = secret ? 0 : c->reply.text_len;

	if (c->misconfigured) /* the first that speaks of us says most */
		return;
	snprintf(c->why, sizeof(c->why), "%u", c->reply.code);
	if (!n)
		return;
	c->why[3] = ' ';
	memcpy(c->why + 4, c->reply.text, n);
	c->why[4 + n] = '\0';
	ascii_mask(c->why, 4 + n);
}

void
client_break(struct client *c, const char *why)
{
	c->broken = why;
	if (c->mail)
		client_give_up(c,
		    c->said_421 ? CLIENT_END_GONE : CLIENT_END_NONSENSE);
	client_become(c, c->mail ? CLIENT_TOLD : CLIENT_OVER);
}

void
client_break_reply(struct client *c, const char *why)
{
	client_note(c);
	client_break(c, why);
}

/* --- the loop --- */

void
client_init(struct client *c, const struct client_options *o)
{
	*c = (struct client){.options = *o, .secured = o->implicit};
	client_become(c, CLIENT_GREETING);
}

/* What is said when nothing is awaited. */
static enum client_step
tell(struct client *c, struct span *in, struct buf *out)
{
	const enum client_step step = rows[c->state].step;

	if (c->state == CLIENT_TOLD) {
		c->mail = NULL;
		client_become(c, c->broken ? CLIENT_OVER : CLIENT_GREETED);
		return step;
	}
	if (in->len && c->state != CLIENT_OVER) {
		client_break(c, "it speaks when nothing is awaited");
		return CLIENT_BROKEN;
	}
	if (c->state == CLIENT_SECURED)
		client_ask(c, CLIENT_EHLO, out);
	if (c->state == CLIENT_GREETED)
		client_become(c, CLIENT_IDLE);
	return step;
}

enum client_step
client_step(struct client *c, struct span *in, struct buf *out)
{
	while (rows[c->state].on) {
		switch (client_reply_step(&c->reply, in)) {
		case CLIENT_REPLY_NEED_INPUT:
			return rows[c->state].step;
		case CLIENT_REPLY_LINE:
			if (c->state == CLIENT_EHLO)
				client_on_extension(c);
			break;
		case CLIENT_REPLY_BROKEN:
			client_break(c, c->reply.broken);
			break;
		case CLIENT_REPLY_END:
			c->said_421 = c->reply.code == 421;
			if (c->said_421)
				client_break_reply(c, "it closes with 421");
			else
				rows[c->state].on(c, out);
			c->reply = (struct client_reply){0};
		}
	}
	return tell(c, in, out);
}

enum client_wait
client_waits(const struct client *c)
{
	return rows[c->state].wait;
}

/* --- from outside --- */

void
client_secured(struct client *c)
{
	assert(c->state == CLIENT_HANDSHAKE);
	c->secured = true;
	client_become(c, CLIENT_SECURED);
}

void
client_lost(struct client *c, bool down)
{
	if (!c->broken)
		c->broken = "it went away";
	if (c->mail)
		client_give_up(c,
		    down ? CLIENT_END_UNREACHED : CLIENT_END_GONE);
	c->mail = NULL;
	client_become(c, CLIENT_OVER);
}

void
client_quit(struct client *c, struct buf *out)
{
	if (c->state != CLIENT_GREETED && c->state != CLIENT_IDLE)
		return;
	buf_append_str(out, "QUIT\r\n");
	client_break(c, "we left");
}
