/*
 * http_answer: a status that speaks of the endpoint never refuses mail: a
 * deploy that answers 404 for a while must bounce nothing. What an application
 * says of the mail itself it says with 4xx, and may choose the reply by its
 * first line.
 */
#include "dest/http_answer.h"

#include <string.h>

#include "base/ascii.h"

#define TEXT_MAX 200

const struct smtp_reply *
http_reply_down(void)
{
	return SMTP_REPLY(451, "4.4.1",
	    "The server for this address is not there now");
}

const struct smtp_reply *
http_reply_again(void)
{
	return SMTP_REPLY(451, "4.3.0",
	    "The server for this address does not take it now");
}

bool
http_is_misconfigured(const struct http_answer *a)
{
	switch (a->status) {
	case 401:
	case 403:
	case 404:
	case 405:
	case 407:
		return true;
	default:
		return a->status / 100 == 3;
	}
}

/* 5.2.2 and a blank: takes it off, class and all; NULL: there is none such. */
static const char *
take_status(struct span *s, char class, struct arena *arena)
{
	struct span status = {s->ptr, smtp_reply_status_len(*s)};

	if (!status.len || status.len == s->len || s->ptr[0] != class)
		return NULL;
	span_skip(s, status.len + 1);
	return arena_dup(arena, status);
}

/* Likewise with 552 in front: takes them off. A 421 would end our client's
 * session. */
static bool
take_code(struct span *s, struct arena *arena, struct smtp_reply *r)
{
	struct span rest = *s;
	uint64_t code;

	if (s->len < 4 || s->ptr[3] != ' ' ||
	    ascii_parse_u64((struct span){s->ptr, 3}, 599, &code) < 0 ||
	    code < 400)
		return false;
	span_skip(&rest, 4);
	r->status = take_status(&rest, s->ptr[0], arena);
	if (!r->status)
		return false;
	r->code = code == 421 ? 451 : (unsigned)code;
	*s = rest;
	return true;
}

static struct span
first_line(const struct http_answer *a)
{
	struct span line = a->body;
	const char *lf = line.len ? memchr(line.ptr, '\n', line.len) : NULL;

	if (!a->text)
		return (struct span){"", 0};
	if (lf)
		line.len = (size_t)(lf - line.ptr);
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

static const char *
printable(struct span s, struct arena *arena)
{
	char *text;

	s = ascii_trim(s);
	if (s.len > TEXT_MAX)
		s.len = TEXT_MAX;
	if (!s.len)
		return "The server for this address does not want it";
	text = arena_dup(arena, s);
	ascii_mask(text, s.len);
	return text;
}

/* What the application says of the mail. */
static enum fate
refuse(const struct http_answer *a, struct arena *arena,
    const struct smtp_reply **reply)
{
	struct smtp_reply *r = arena_alloc(arena, sizeof(*r));
	struct span line = first_line(a);

	*reply = r;
	if (!take_code(&line, arena, r)) {
		if (a->status == 400) { /* of a proxy, as likely as not */
			*reply = http_reply_again();
			return FATE_AGAIN;
		}
		*r = (struct smtp_reply){550, "5.7.1", NULL};
	}
	r->text = printable(line, arena);
	return r->code < 500 ? FATE_AGAIN : FATE_REFUSED;
}

static enum fate
unanswered(const struct http_answer *a, const struct smtp_reply **reply)
{
	if (!a->reached) {
		*reply = http_reply_down();
		return FATE_DOWN;
	}
	*reply = http_reply_again();
	if (!a->whole)
		return FATE_AGAIN;
	*reply =
	    SMTP_REPLY(451, "4.4.2", "No answer to the end of the message");
	return FATE_LOST;
}

enum fate
http_verdict(const struct http_answer *a, struct arena *arena,
    const struct smtp_reply **reply)
{
	*reply = NULL;
	if (!a->status)
		return unanswered(a, reply);
	if (a->status / 100 == 2 && a->whole)
		return FATE_TAKEN;
	if (http_is_misconfigured(a)) {
		*reply = SMTP_REPLY(451, "4.3.5",
		    "The server for this address is not set up for mail");
		return FATE_DOWN;
	}
	if (a->status == 413) {
		*reply = SMTP_REPLY(552, "5.3.4",
		    "Too big for the server for this address");
		return FATE_REFUSED;
	}
	*reply = http_reply_again();
	switch (a->status) {
	case 408:
	case 421:
	case 425:
	case 429:
		return FATE_AGAIN;
	default:
		return a->status / 100 == 4 ? refuse(a, arena, reply)
					    : FATE_AGAIN;
	}
}
