/*
 * smtp_answer: what a yes or a no to each question does to the session.
 */
#include <assert.h>
#include <string.h>

#include "proto/smtp.h"
#include "proto/smtp_say.h"
#include "proto/smtp_verb.h"

static void
answer_connect(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	if (!no) {
		buf_append_str(out, "220 ");
		buf_append_str(out, s->conf->hostname);
		buf_append_str(out, " ");
		buf_append_str(out, s->conf->greeting);
		buf_append_str(out, "\r\n");
		s->state = SMTP_STATE_START;
	} else if (no->code == 421) {
		smtp_hangup(s, no, out);
	} else {
		struct smtp_reply greeting = {554, NULL, no->text};

		s->refused = true;
		s->reply_at = out->len;
		smtp_reply_write(out, &greeting, s->env->session);
		s->state = SMTP_STATE_REFUSED;
	}
}

static void
answer_mail(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	smtp_say(s, no ? no : SMTP_REPLY(250, "2.1.0", "Sender ok"), out);
	if (no)
		smtp_end_transaction(s);
	else
		s->state = SMTP_STATE_MAIL;
}

static void
answer_rcpt(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	s->rewind = no != NULL;
	if (!no)
		envelope_add_rcpt(s->env, &s->rcpt);
	smtp_say(s, no ? no : SMTP_REPLY(250, "2.1.5", "Recipient ok"), out);
}

static void
answer_data(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	if (s->state == SMTP_STATE_CHUNK) {
		s->begun = true;
		if (no) {
			s->refusal = *no;
			s->refusal.text =
			    arena_dup(&s->env->arena, span_str(no->text));
		}
		return;
	}
	if (no) {
		smtp_say(s, no, out);
		return;
	}
	smtp_body_init(&s->scan, s->conf->line);
	s->hops = (struct trace_hops){0};
	s->state = SMTP_STATE_DATA;
	smtp_say(s, SMTP_REPLY(354, NULL, "Go ahead, end with CRLF.CRLF"), out);
}

static void
answer_message(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	char id[MESSAGE_ID_MAX];
	char text[MESSAGE_ID_MAX + sizeof(" accepted")];
	struct smtp_reply yes = {250, "2.6.0", text};
	size_t n;

	if (!no) {
		envelope_message_id(s->env, id);
		n = strlen(id);
		memcpy(text, id, n);
		memcpy(text + n, " accepted", sizeof(" accepted"));
		s->errors = s->deferrals = 0;
	}
	smtp_say(s, no ? no : &yes, out);
	if (s->state != SMTP_STATE_CLOSED)
		smtp_end_transaction(s);
}

void
smtp_answer(struct smtp *s, const struct smtp_reply *reply, struct buf *out)
{
	static void (*const answers[])(struct smtp *, const struct smtp_reply *,
	    struct buf *) = {
	    [SMTP_ASK_CONNECT] = answer_connect,
	    [SMTP_ASK_MAIL] = answer_mail,
	    [SMTP_ASK_RCPT] = answer_rcpt,
	    [SMTP_ASK_DATA] = answer_data,
	    [SMTP_ASK_MESSAGE] = answer_message,
	    [SMTP_ASK_AUTH] = smtp_auth_answer,
	};
	enum smtp_ask ask = s->ask;

	assert(ask != SMTP_ASK_NONE);
	s->ask = SMTP_ASK_NONE;
	s->asked = ask;
	answers[ask](s, reply, out);
}
