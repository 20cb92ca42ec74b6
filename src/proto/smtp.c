/*
 * smtp: the engine's loop: cuts lines, reads bodies, asks.
 *
 * It owns nothing but a few numbers. Whatever it decides is decided by the
 * octets and their order, never by how a read cut them: a line that is
 * wrong is answered at the octet that makes it wrong, and the rest of it,
 * up to its CRLF, is skipped.
 */
#include "proto/smtp.h"

#include <string.h>

#include "base/ascii.h"
#include "proto/smtp_line.h"
#include "proto/smtp_say.h"
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

void
smtp_free(struct smtp *s)
{
	buf_wipe(&s->sasl);
}

void
smtp_tls_started(struct smtp *s)
{
	smtp_end_transaction(s);
	envelope_free(s->env);
	s->state = SMTP_STATE_START;
	s->empty = 0;
	s->spoken = false;
}

bool
smtp_in_auth(const struct smtp *s)
{
	return s->state == SMTP_STATE_AUTH || s->ask == SMTP_ASK_AUTH;
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

/* --- lines --- */

static bool
is_auth(const struct smtp *s, struct span in)
{
	return s->state == SMTP_STATE_AUTH ||
	       (in.len >= 5 &&
		   ascii_equal_str((struct span){in.ptr, 5}, "AUTH "));
}

/* A line that went wrong at its last octet: the rest of it is skipped. */
static void
refuse_line(struct smtp *s, const struct smtp_reply *bad, struct buf *out)
{
	smtp_auth_abort(s);
	s->skip = true;
	smtp_say(s, bad, out);
}

/* Not one command more from whoever does not mean us. */
static void
refuse_foreign(struct smtp *s, struct buf *out)
{
	if (s->foreign == SMTP_FOREIGN_HTTP)
		smtp_say(s, SMTP_REPLY(554, "5.5.0", "This is SMTP, not HTTP"),
		    out);
	else if (s->foreign == SMTP_FOREIGN_PROXY)
		smtp_say(s,
		    SMTP_REPLY(554, "5.5.0",
			"This is SMTP, without a PROXY header"),
		    out);
	else if (s->conf->starttls && !s->env->tls)
		smtp_say(s,
		    SMTP_REPLY(554, "5.5.0", "TLS begins with STARTTLS here"),
		    out);
	else
		smtp_say(s, SMTP_REPLY(554, "5.5.0", "This is SMTP, not TLS"),
		    out);
	smtp_close(s);
}

/* Only what a session begins with can be another protocol. */
static void
look_for_foreign(struct smtp *s, struct span in, bool secret, size_t *len)
{
	bool empty = *len == 2 && in.ptr[0] == '\r';

	if (s->state != SMTP_STATE_START || s->spoken)
		return;
	if (!secret)
		s->foreign = smtp_foreign_tell(in, s->empty, len);
	s->empty += empty;
	s->spoken = *len && !empty;
}

/* One command; false when its line is not complete yet. */
static bool
read_command(struct smtp *s, struct span *in, struct buf *out)
{
	const struct smtp_reply *bad;
	struct span line;
	bool secret;
	size_t len;

	if (s->skip && !smtp_line_skip(&s->skip_cr, in))
		return false;
	s->skip = false;
	line = *in;
	secret = is_auth(s, line);
	bad = smtp_line_scan(line, secret ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX,
	    &len);
	look_for_foreign(s, line, secret, &len);
	if (!bad && !len)
		return false;
	span_skip(in, len);
	s->commands++;
	s->asked = SMTP_ASK_NONE;
	s->pipelined = in->len > 0;
	s->secret = s->secret || secret;
	if (s->state == SMTP_STATE_AUTH)
		s->line = span_str(s->verb = "AUTH");
	else
		smtp_verb_show(s, (struct span){line.ptr, len});
	if (s->foreign) {
		refuse_foreign(s, out);
		return true;
	}
	if (bad) {
		s->skip_cr = line.ptr[len - 1] == '\r';
		if (secret && len == SMTP_AUTH_LINE_MAX)
			bad = SMTP_REPLY(500, "5.5.6", "Line too long");
		refuse_line(s, bad, out);
		return true;
	}
	line.len = len - 2;
	if (s->state == SMTP_STATE_AUTH)
		smtp_auth_line(s, line, out);
	else
		smtp_verb_run(s, line, out);
	return true;
}

/* --- bodies --- */

/* What the whole body earns; in this order, whatever came first in it. */
static const struct smtp_reply *
body_fault(const struct smtp *s)
{
	if (s->refusal.code)
		return &s->refusal;
	if (s->scan.bare && !s->normalize)
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
	s->whole = true;
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
		s->received = 0; /* what was swallowed is no message's */
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
	s->verb = s->state == SMTP_STATE_DATA ? "DATA" : "BDAT";
	s->line = span_str(s->verb);
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
		if (s->stale)
			smtp_forget(s);
		if (s->state == SMTP_STATE_CLOSED)
			return SMTP_CLOSE;
		if (s->state == SMTP_STATE_TLS)
			return SMTP_START_TLS;
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
