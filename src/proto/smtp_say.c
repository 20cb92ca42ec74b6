/*
 * smtp_say: replies, and how transactions and sessions end.
 */
#include "proto/smtp_say.h"

/* So many 4xx weigh what one 5xx does. */
#define DEFERRALS 10

void
smtp_forget(struct smtp *s)
{
	envelope_reset(s->env);
	s->rcpt = (struct smtp_path){0};
	s->stale = false;
	s->whole = false;
}

void
smtp_end_transaction(struct smtp *s)
{
	/* a refusal is told with what it was about, and that is told next */
	s->stale = true;
	if (!s->refused)
		smtp_forget(s);
	s->rewind = false;
	s->refusal = (struct smtp_reply){0};
	s->begun = false;
	s->ask = SMTP_ASK_NONE;
	if (s->state > SMTP_STATE_READY && s->state < SMTP_STATE_CLOSED)
		s->state = SMTP_STATE_READY;
}

void
smtp_close(struct smtp *s)
{
	smtp_end_transaction(s);
	s->state = SMTP_STATE_CLOSED;
}

void
smtp_tell(struct smtp *s, const struct smtp_reply *r, struct buf *out)
{
	if (r->code >= 400) {
		s->refused = true;
		s->reply_at = out->len;
	}
	smtp_reply_write(out, r, s->env->session);
	if (r->code == 421)
		smtp_close(s);
}

/* One refusal too many since the last message that was accepted. */
static bool
tries_too_often(struct smtp *s, unsigned code)
{
	if (code >= 500)
		return s->errors++ >= s->conf->errors;
	return code >= 400 && s->deferrals++ >= s->conf->errors * DEFERRALS;
}

void
smtp_say(struct smtp *s, const struct smtp_reply *r, struct buf *out)
{
	if (tries_too_often(s, r->code))
		r = SMTP_REPLY(421, "4.7.0", "Too many errors");
	smtp_tell(s, r, out);
}

void
smtp_hangup(struct smtp *s, const struct smtp_reply *reply, struct buf *out)
{
	s->asked = SMTP_ASK_NONE;
	smtp_tell(s, reply, out);
	smtp_close(s); /* a 554 as well */
}
