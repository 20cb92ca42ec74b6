/*
 * client_mail: a transaction. Where the server takes commands in one piece
 * (RFC 2920; LMTP always, RFC 2033 5) all up to DATA go out at once, and each
 * reply is taken in its place, also when it has no meaning any more.
 */
#include <assert.h>
#include <string.h>

#include "proto/client_state.h"

static bool
in_one_piece(const struct client *c)
{
	return c->options.lmtp || c->caps.pipelining;
}

/* The first one from i on who is asked for, or n. */
static unsigned
next_asked(const struct client_mail *m, unsigned i)
{
	while (i < m->n && (m->rcpts[i].fate || m->rcpts[i].later))
		i++;
	return i;
}

/* The first one from i on who waits for the message, or n. */
static unsigned
next_accepted(const struct client_mail *m, unsigned i)
{
	while (i < m->n && (m->rcpts[i].fate || !m->rcpts[i].accepted))
		i++;
	return i;
}

static bool
nobody_waits(const struct client *c)
{
	return client_is_stopped(c) || next_accepted(c->mail, 0) == c->mail->n;
}

/* --- commands --- */

static void
say_path(const char *verb, const char *path, struct buf *out)
{
	assert(!strpbrk(path, "\r\n"));
	buf_append_str(out, verb);
	buf_append_str(out, path);
	buf_append_str(out, ">");
}

/* Is an address of it not ASCII? */
static bool
has_utf8(const struct client_mail *m)
{
	bool utf8 = m->utf8 || m->sender_utf8;

	for (unsigned i = 0; i < m->n; i++)
		utf8 |= m->rcpts[i].utf8;
	return utf8;
}

void
client_say_mail(struct client *c, struct buf *out)
{
	const struct client_mail *m = c->mail;

	say_path("MAIL FROM:<", m->sender, out);
	if (c->caps.size && !m->verify) {
		buf_append_str(out, " SIZE=");
		buf_append_uint(out, m->wire, 0);
	}
	if (c->caps.eightbit && m->eightbit)
		buf_append_str(out, " BODY=8BITMIME");
	if (c->caps.utf8 && has_utf8(m))
		buf_append_str(out, " SMTPUTF8");
	buf_append_str(out, "\r\n");
	c->unfinished = true;
}

void
client_say_rcpt(struct client *c, struct buf *out)
{
	say_path("RCPT TO:<", c->mail->rcpts[c->at].to, out);
	buf_append_str(out, "\r\n");
}

/* --- beginning and end --- */

/* All have what they get: told with the next step. */
static void
end(struct client *c)
{
	if (client_is_stopped(c))
		client_forget_later(c);
	client_become(c, CLIENT_TOLD);
}

/* The next command, which may be on its way already. */
static void
go_on(struct client *c, enum client_state state, struct buf *out)
{
	if (in_one_piece(c))
		client_become(c, state);
	else
		client_ask(c, state, out);
}

static enum client_state
last_command(const struct client *c)
{
	return c->mail->verify ? CLIENT_VERIFIED : CLIENT_DATA;
}

static void
say_all(struct client *c, struct buf *out)
{
	const struct client_mail *m = c->mail;

	if (c->unfinished)
		client_command(c, CLIENT_RSET, out);
	client_command(c, CLIENT_MAIL, out);
	c->at = next_asked(m, 0);
	while (c->at < m->n) {
		client_command(c, CLIENT_RCPT, out);
		c->at = next_asked(m, c->at + 1);
	}
	client_command(c, last_command(c), out);
}

/* What is known without asking. */
static void
foresee(struct client *c)
{
	struct client_mail *m = c->mail;
	const struct client_caps *caps = &c->caps;

	for (unsigned i = 0; i < m->n; i++) {
		struct client_rcpt *r = &m->rcpts[i];

		r->fate = FATE_NONE;
		r->reply = NULL;
		r->later = r->accepted = false;
		if (caps->size_max && m->wire > caps->size_max && !m->verify)
			client_refuse(r,
			    SMTP_REPLY(552, "5.3.4",
				"The server for this address takes no message "
				"of this size"));
		else if (!caps->utf8 && (m->sender_utf8 || r->utf8))
			client_refuse(r,
			    SMTP_REPLY(553, "5.6.7",
				"The server for this address takes ASCII "
				"addresses only"));
		else if (caps->rcpt_max && c->asked == caps->rcpt_max)
			r->later = true;
		else
			c->asked++;
	}
}

void
client_begin(struct client *c, struct client_mail *m, struct buf *out)
{
	bool reset = c->unfinished;

	assert(c->state == CLIENT_GREETED || c->state == CLIENT_IDLE);
	c->mail = m;
	c->asked = c->answered = 0;
	c->dot_sent = c->misconfigured = false;
	c->why[0] = '\0';
	c->transactions++;
	foresee(c);
	if (!c->asked || client_is_stopped(c)) {
		end(c);
		return;
	}
	if (in_one_piece(c))
		say_all(c, out);
	go_on(c, reset ? CLIENT_RSET : CLIENT_MAIL, out);
}

/* --- replies --- */

static void
make_no_sense(struct client *c)
{
	client_break_reply(c, "a reply that does not fit");
}

void
client_on_rset(struct client *c, struct buf *out)
{
	if (client_class(c) == 2)
		go_on(c, CLIENT_MAIL, out);
	else
		make_no_sense(c);
}

static void
ask_rcpt(struct client *c, unsigned i, struct buf *out)
{
	c->at = next_asked(c->mail, i);
	if (c->at < c->mail->n)
		go_on(c, CLIENT_RCPT, out);
	else if (in_one_piece(c))
		client_become(c, last_command(c));
	else if (nobody_waits(c))
		end(c);
	else
		client_ask(c, CLIENT_DATA, out);
}

void
client_on_mail(struct client *c, struct buf *out)
{
	if (client_class(c) == 2) {
		ask_rcpt(c, 0, out);
	} else if (client_class(c) == 3) {
		make_no_sense(c);
	} else {
		client_judge_all(c);
		if (in_one_piece(c))
			client_become(c, CLIENT_DROP);
		else
			end(c);
	}
}

void
client_on_rcpt(struct client *c, struct buf *out)
{
	struct client_rcpt *r = &c->mail->rcpts[c->at];

	if (client_class(c) == 3) {
		make_no_sense(c);
		return;
	}
	if (client_class(c) == 2)
		r->accepted = true;
	if (client_class(c) == 2 && c->mail->verify)
		r->fate = FATE_TAKEN;
	else if (client_class(c) != 2)
		client_judge(c, r);
	c->answered++;
	if (client_is_stopped(c) && !in_one_piece(c))
		end(c);
	else
		ask_rcpt(c, c->at + 1, out);
}

void
client_on_drop(struct client *c, struct buf *out)
{
	(void)out;
	if (++c->answered == c->asked)
		client_become(c, last_command(c));
}

/* No message follows for nobody, and a dot alone would be one. */
void
client_on_data(struct client *c, struct buf *out)
{
	const bool nobody = nobody_waits(c);

	(void)out;
	if (client_class(c) == 3 && !nobody) {
		client_become(c, CLIENT_BODY);
	} else if (client_class(c) == 3) {
		client_note(c);
		c->broken = "it waits for a message that is for nobody";
		end(c);
	} else if (client_class(c) == 2) {
		make_no_sense(c);
	} else {
		if (!nobody)
			client_judge_all(c);
		end(c);
	}
}

void
client_on_verified(struct client *c, struct buf *out)
{
	(void)out;
	if (client_class(c) != 2) {
		make_no_sense(c);
		return;
	}
	c->unfinished = false;
	end(c);
}

/* It does not want to hear the rest, nor could it tell its end. */
void
client_on_body(struct client *c, struct buf *out)
{
	(void)out;
	if (client_class(c) < 4) {
		make_no_sense(c);
		return;
	}
	client_note(c);
	client_judge_all(c);
	c->broken = "it answered before the end of the message";
	end(c);
}

void
client_on_dot(struct client *c, struct buf *out)
{
	struct client_mail *m = c->mail;

	(void)out;
	if (client_class(c) == 3) {
		make_no_sense(c);
		return;
	}
	if (c->options.lmtp) /* each in its turn (RFC 2033 4.2) */
		client_judge(c, &m->rcpts[next_accepted(m, 0)]);
	else
		client_judge_all(c);
	if (next_accepted(m, 0) < m->n)
		return;
	c->unfinished = false;
	end(c);
}

/* --- the message --- */

void
client_content(struct client *c, struct span s, struct buf *out)
{
	assert(c->state == CLIENT_BODY);
	client_body_add(&c->body, s, true, out);
}

void
client_end(struct client *c, struct buf *out)
{
	assert(c->state == CLIENT_BODY);
	client_body_end(&c->body, true, out);
	c->dot_sent = true;
	client_become(c, CLIENT_DOT);
}
