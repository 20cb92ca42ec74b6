/*
 * smtp: the engine's loop: cuts lines, reads bodies, asks, answers.
 *
 * It owns nothing but a few numbers. Whatever it decides is decided by the
 * octets and their order, never by how a read cut them: a line that is
 * wrong is answered at the octet that makes it wrong, and the rest of it,
 * up to its CRLF, is skipped.
 */
#include "proto/smtp.h"

#include <assert.h>
#include <string.h>

#include "proto/smtp_line.h"
#include "proto/smtp_verb.h"

/* RFC 5321 6.3 */
#define HOPS_MAX 100
/* Replies gather up to here before they must be flushed. */
#define OUT_MAX 32768

void
smtp_init(struct smtp *s, const struct smtp_config *conf, struct envelope *env)
{
	*s = (struct smtp){.conf = conf, .env = env};
}

bool
smtp_in_body(const struct smtp *s)
{
	return s->state == SMTP_STATE_DATA || s->state == SMTP_STATE_CHUNK;
}

bool
smtp_receiving(const struct smtp *s)
{
	return smtp_in_body(s) || s->state == SMTP_STATE_BETWEEN;
}

bool
smtp_in_transaction(const struct smtp *s)
{
	return smtp_receiving(s) || s->state == SMTP_STATE_MAIL ||
	       s->state == SMTP_STATE_RCPT;
}

void
smtp_drain(struct smtp *s)
{
	s->draining = true;
}

void
smtp_limit_size(struct smtp *s, uint64_t n)
{
	if (n < s->size_max)
		s->size_max = n;
}

void
smtp_end_transaction(struct smtp *s)
{
	envelope_reset(s->env);
	s->rcpt = (struct smtp_path){0};
	s->rewind = false;
	s->refusal = (struct smtp_reply){0};
	s->begun = false;
	s->ask = SMTP_ASK_NONE;
	if (s->state > SMTP_STATE_READY && s->state < SMTP_STATE_CLOSED)
		s->state = SMTP_STATE_READY;
}

static void
close_session(struct smtp *s)
{
	smtp_end_transaction(s);
	s->state = SMTP_STATE_CLOSED;
}

void
smtp_say(struct smtp *s, const struct smtp_reply *r, struct buf *out)
{
	if (r->code >= 500 && s->errors++ >= s->conf->errors)
		r = SMTP_REPLY(421, "4.7.0", "Too many errors");
	if (r->code >= 400) {
		s->refused = true;
		s->reply_at = out->len;
	}
	smtp_reply_write(out, r, s->env->session);
	if (r->code == 421)
		close_session(s);
}

void
smtp_hangup(struct smtp *s, const struct smtp_reply *reply, struct buf *out)
{
	s->refused = true;
	s->reply_at = out->len;
	smtp_reply_write(out, reply, s->env->session);
	close_session(s);
}

/* --- lines --- */

/* One command; false when its line is not complete yet. */
static bool
read_command(struct smtp *s, struct span *in, struct buf *out)
{
	const struct smtp_reply *bad;
	struct span line;
	size_t len;

	if (s->skip && !smtp_line_skip(&s->skip_cr, in))
		return false;
	s->skip = false;
	line = *in;
	bad = smtp_line_scan(line, &len);
	if (!bad && !len)
		return false;
	span_skip(in, len);
	s->commands++;
	s->asked = SMTP_ASK_NONE;
	s->line = (struct span){line.ptr, bad ? len : len - 2};
	if (bad) {
		s->skip = true;
		s->skip_cr = line.ptr[len - 1] == '\r';
		smtp_say(s, bad, out);
		return true;
	}
	smtp_verb_run(s, s->line, out);
	return true;
}

/* --- bodies --- */

/* What the whole body earns; in this order, whatever came first in it. */
static const struct smtp_reply *
body_fault(const struct smtp *s)
{
	if (s->refusal.code)
		return &s->refusal;
	if (s->scan.bare && !s->keep_bare)
		return SMTP_REPLY(550, "5.6.0", "Bare CR or LF in the message");
	if (s->scan.overlong)
		return SMTP_REPLY(554, "5.6.0", "A line is too long");
	if (s->received > s->size_max)
		return SMTP_REPLY(552, "5.3.4", "Message too big");
	if (s->hops.count > HOPS_MAX)
		return SMTP_REPLY(554, "5.4.6", "Too many hops, a mail loop");
	return NULL;
}

static void
note_quirks(struct smtp *s)
{
	if (s->scan.long_line)
		s->quirks |= SMTP_QUIRK_LONG_LINE;
	if (s->scan.bare)
		s->quirks |= SMTP_QUIRK_BARE;
}

/* The body is complete: the fault's reply, or the question. */
static void
end_message(struct smtp *s, struct buf *out)
{
	const struct smtp_reply *fault = body_fault(s);

	note_quirks(s);
	if (!fault) {
		s->ask = SMTP_ASK_MESSAGE;
		return;
	}
	smtp_say(s, fault, out);
	if (s->state != SMTP_STATE_CLOSED)
		smtp_end_transaction(s);
}

/* The octets of a BDAT have been read. */
static void
end_chunk(struct smtp *s, struct buf *out)
{
	if (s->refusal.code && !s->begun) {
		s->state = s->after;
		smtp_say(s, &s->refusal, out);
		s->refusal.code = 0;
		return;
	}
	if (s->last) {
		smtp_body_finish(&s->scan);
		end_message(s, out);
		return;
	}
	s->state = SMTP_STATE_BETWEEN;
	smtp_say(s,
	    s->refusal.code ? &s->refusal
			    : SMTP_REPLY(250, "2.0.0", "Chunk taken"),
	    out);
}

static void
end_body(struct smtp *s, struct buf *out)
{
	s->commands++;
	if (s->state == SMTP_STATE_DATA)
		end_message(s, out);
	else
		end_chunk(s, out);
}

static enum smtp_step
read_body(struct smtp *s, struct span *in, struct buf *out)
{
	enum smtp_body_step step;

	while ((step = s->state == SMTP_STATE_DATA
			   ? smtp_body_dot(&s->scan, in, &s->body)
			   : smtp_body_bdat(&s->scan, in, &s->body)) ==
	       SMTP_BODY_SPAN) {
		s->received += s->body.len;
		trace_hops_feed(&s->hops, s->body);
		if (!body_fault(s))
			return SMTP_HAVE_BODY;
	}
	if (step == SMTP_BODY_MORE)
		return SMTP_NEED_INPUT;
	end_body(s, out);
	return SMTP_NEED_VERDICT;
}

/* --- questions --- */

static void
answer_connect(struct smtp *s, const struct smtp_reply *no, struct buf *out)
{
	if (!no) {
		buf_printf(out, "220 %s %s\r\n", s->conf->hostname,
		    s->conf->greeting);
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
		envelope_reset(s->env);
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
		s->errors = 0;
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
	};
	enum smtp_ask ask = s->ask;

	assert(ask != SMTP_ASK_NONE);
	s->ask = SMTP_ASK_NONE;
	s->asked = ask;
	answers[ask](s, reply, out);
}

/* --- the step --- */

enum smtp_step
smtp_step(struct smtp *s, struct span *in, struct buf *out)
{
	enum smtp_step step;

	if (s->state == SMTP_STATE_CONNECT)
		s->ask = SMTP_ASK_CONNECT;
	for (;;) {
		if (s->refused) {
			s->refused = false;
			return SMTP_REFUSED;
		}
		if (s->state == SMTP_STATE_CLOSED)
			return SMTP_CLOSE;
		if (s->ask != SMTP_ASK_NONE)
			return SMTP_NEED_VERDICT;
		if (out->len >= OUT_MAX)
			return SMTP_FLUSH;
		if (!smtp_in_body(s)) {
			if (!read_command(s, in, out))
				return SMTP_NEED_INPUT;
			continue;
		}
		step = read_body(s, in, out);
		if (step != SMTP_NEED_VERDICT)
			return step;
	}
}
