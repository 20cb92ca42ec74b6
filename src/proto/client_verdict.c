/*
 * client_verdict: what a reply means to whose it is, and what our own client
 * hears of it. A 421 is never passed on, since it would end a connection that
 * it is not about; what speaks of us, and not of the mail, is not either.
 */
#include <string.h>

#include "base/ascii.h"
#include "proto/client_state.h"

static void
set(struct client_rcpt *r, enum fate fate, const struct smtp_reply *reply)
{
	r->fate = fate;
	r->reply = reply;
}

void
client_refuse(struct client_rcpt *r, const struct smtp_reply *reply)
{
	set(r, FATE_REFUSED, reply);
}

bool
client_is_stopped(const struct client *c)
{
	const struct client_mail *m = c->mail;

	for (unsigned i = 0; m->whole && !c->dot_sent && i < m->n; i++)
		if (m->rcpts[i].fate == FATE_REFUSED)
			return true;
	return false;
}

void
client_forget_later(struct client *c)
{
	for (unsigned i = 0; i < c->mail->n; i++)
		c->mail->rcpts[i].later = false;
}

/* --- the end of a connection --- */

void
client_give_up(struct client *c, enum client_end why)
{
	static const struct {
		enum fate fate;
		struct smtp_reply reply;
	} ends[] = {
	    [CLIENT_END_NONSENSE] = {FATE_AGAIN,
		{451, "4.5.0", "The server for this address makes no sense"}},
	    [CLIENT_END_GONE] = {FATE_AGAIN,
		{451, "4.4.2", "The server for this address went away"}},
	    [CLIENT_END_UNREACHED] = {FATE_DOWN,
		{451, "4.4.1", "The server for this address is not there now"}},
	    [CLIENT_END_SILENT] = {FATE_LOST,
		{451, "4.4.2", "No answer to the end of the message"}},
	};
	struct client_mail *m = c->mail;
	enum client_end how = c->dot_sent ? CLIENT_END_SILENT : why;

	if (!c->dot_sent) /* of what is lost they are no part */
		client_forget_later(c);
	if (client_is_stopped(c))
		return;
	for (unsigned i = 0; i < m->n; i++)
		if (!m->rcpts[i].fate && !m->rcpts[i].later)
			set(&m->rcpts[i], ends[how].fate, &ends[how].reply);
}

/* --- a reply --- */

/* As it was said, for our own client. */
static const struct smtp_reply *
passed_on(const struct client *c)
{
	struct arena *a = c->mail->arena;
	struct smtp_reply *r = arena_alloc(a, sizeof(*r));
	struct span text = {c->reply.text, c->reply.text_len};
	size_t n = smtp_reply_status_len(text);
	char *s;

	r->code = c->reply.code;
	if (n && (unsigned)(text.ptr[0] - '0') == client_class(c)) {
		r->status = arena_dup(a, (struct span){text.ptr, n});
		span_skip(&text, n < text.len ? n + 1 : n);
	} else {
		r->status = client_class(c) == 2   ? "2.0.0"
			    : client_class(c) == 4 ? "4.0.0"
						   : "5.0.0";
	}
	s = arena_dup(a, text);
	ascii_mask(s, text.len);
	r->text = s;
	return r;
}

/* Codes that speak of what we said, or who we are. */
static bool
is_about_us(const struct client *c)
{
	static const uint16_t codes[] = {500, 501, 502, 503, 530, 534, 535,
	    538};

	/* an address that it cannot read is the mail's */
	if (c->reply.code == 501 &&
	    (c->state == CLIENT_MAIL || c->state == CLIENT_RCPT))
		return false;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == c->reply.code)
			return true;
	return false;
}

/* Whoever asks about a recipient says <>, which everybody must take. */
static bool
is_no_sender(const struct client *c)
{
	return c->state == CLIENT_MAIL && c->mail->verify &&
	       !c->mail->sender[0];
}

struct verdict {
	enum fate fate;
	const struct smtp_reply *reply;
};

/* Not to be called twice for one reply. */
static struct verdict
judge(struct client *c)
{
	bool us = is_about_us(c), down = is_no_sender(c);

	if (client_class(c) == 2)
		return (struct verdict){FATE_TAKEN, passed_on(c)};
	if (!us && !down)
		return (struct verdict){client_class(c) == 4 ? FATE_AGAIN
							     : FATE_REFUSED,
		    passed_on(c)};
	down |= c->reply.code >= 530 &&
		(c->state == CLIENT_MAIL || c->state == CLIENT_DATA);
	client_note(c);
	c->misconfigured |= us || client_class(c) == 5;
	return (struct verdict){down ? FATE_DOWN : FATE_AGAIN,
	    SMTP_REPLY(451, "4.3.5",
		"The server for this address does not take it from us")};
}

static bool
has_words(struct span text, const char *words)
{
	size_t n = strlen(words);

	for (; text.len >= n; span_skip(&text, 1))
		if (ascii_equal_str((struct span){text.ptr, n}, words))
			return true;
	return false;
}

/* RFC 5321 4.5.3.1.10: those who were accepted go first. */
static bool
is_for_later(const struct client *c)
{
	struct span text = {c->reply.text, c->reply.text_len};
	bool some = false;

	for (unsigned i = 0; i < c->at; i++)
		some |= c->mail->rcpts[i].accepted;
	return some && c->state == CLIENT_RCPT && c->reply.code == 452 &&
	       (has_words(text, "too many") ||
		   (text.len >= 5 && memcmp(text.ptr, "4.5.3", 5) == 0));
}

void
client_judge(struct client *c, struct client_rcpt *r)
{
	struct verdict v;

	if (is_for_later(c)) {
		r->later = true;
		return;
	}
	v = judge(c);
	set(r, v.fate, v.reply);
}

void
client_judge_all(struct client *c)
{
	const struct verdict v = judge(c);

	for (unsigned i = 0; i < c->mail->n; i++) {
		struct client_rcpt *r = &c->mail->rcpts[i];

		if (r->fate || (c->state != CLIENT_MAIL && !r->accepted))
			continue;
		r->later = false;
		set(r, v.fate, v.reply);
	}
}
