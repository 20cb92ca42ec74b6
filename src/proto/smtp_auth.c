/*
 * smtp_auth: AUTH as the client sees it (RFC 4954): base64 in, base64 out.
 *
 * What the messages mean is not known here: each is a question, and the
 * answer is yes, no, or a challenge. Lines of an exchange are secret: they
 * are marked for wiping and never shown to the log.
 */
#include <string.h>

#include "base/ascii.h"
#include "base/base64.h"
#include "proto/smtp_say.h"
#include "proto/smtp_verb.h"

void
smtp_auth_abort(struct smtp *s)
{
	buf_wipe(&s->sasl);
	s->mechanism = (struct span){NULL, 0};
	if (s->state == SMTP_STATE_AUTH)
		s->state = SMTP_STATE_READY;
}

/* "=" is an empty message, where one may be missing; 0 or -1. */
static int
decode(struct smtp *s, struct span text)
{
	buf_wipe(&s->sasl);
	buf_reserve(&s->sasl, text.len + 1);
	return base64_decode(text, &s->sasl);
}

/* NULL, or why nobody can log in now. */
static const struct smtp_reply *
auth_refusal(const struct smtp *s)
{
	if (!s->env->tls)
		return SMTP_REPLY(530, "5.7.0", "Say STARTTLS first");
	if (!s->auth[0])
		return SMTP_REPLY(454, "4.7.0", "Nobody can log in now");
	if (s->env->login)
		return SMTP_REPLY(503, "5.5.1", "You are logged in");
	return NULL;
}

void
smtp_auth_begin(struct smtp *s, struct span args, struct buf *out)
{
	const struct smtp_reply *bad = auth_refusal(s);
	const char *sp = args.len ? memchr(args.ptr, ' ', args.len) : NULL;
	struct span initial = {NULL, 0};

	s->mechanism = args;
	if (sp) {
		s->mechanism.len = (size_t)(sp - args.ptr);
		initial = args;
		span_skip(&initial, s->mechanism.len + 1);
	}
	s->has_sasl = sp != NULL;
	if (initial.len == 1 && initial.ptr[0] == '=')
		initial.len = 0;
	if (!bad && !s->mechanism.len)
		bad = SMTP_REPLY(501, "5.5.4", "Say AUTH and a mechanism");
	if (!bad && decode(s, initial) < 0)
		bad = SMTP_REPLY(501, "5.5.2", "That is no base64");
	if (bad) {
		smtp_auth_abort(s);
		smtp_say(s, bad, out);
		return;
	}
	s->ask = SMTP_ASK_AUTH;
}

void
smtp_auth_line(struct smtp *s, struct span line, struct buf *out)
{
	const struct smtp_reply *bad = NULL;

	if (line.len == 1 && line.ptr[0] == '*')
		bad = SMTP_REPLY(501, "5.7.0", "Given up");
	else if (decode(s, line) < 0)
		bad = SMTP_REPLY(501, "5.5.2", "That is no base64");
	if (bad) {
		smtp_auth_abort(s);
		smtp_say(s, bad, out);
		return;
	}
	s->mechanism = (struct span){NULL, 0};
	s->has_sasl = true;
	s->ask = SMTP_ASK_AUTH;
}

void
smtp_challenge(struct smtp *s, struct span data, struct buf *out)
{
	buf_append_str(out, "334 ");
	base64_encode(data, out);
	buf_append_str(out, "\r\n");
	buf_wipe(&s->sasl);
	s->ask = SMTP_ASK_NONE;
	s->asked = SMTP_ASK_AUTH;
	s->state = SMTP_STATE_AUTH;
}

void
smtp_auth_answer(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	smtp_auth_abort(s);
	smtp_say(s, no ? no : SMTP_REPLY(235, "2.7.0", "Welcome"), out);
}
