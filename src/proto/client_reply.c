/*
 * client_reply: a line at a time, straight from the input. Only what is
 * beyond the limit of a line is taken before its end is there.
 */
#include "proto/client_reply.h"

#include <string.h>

#include "base/ascii.h"

#define HEAD 8 /* enough to see what else it may be */

static const char no_code[] = "a line without a code of a reply";

static enum client_reply_step
broken(struct client_reply *r, const char *why)
{
	r->broken = why;
	return CLIENT_REPLY_BROKEN;
}

/* Taken: n octets, and the line ends with the last of them or does not. */
static void
take(struct client_reply *r, struct span *in, size_t n, bool ends)
{
	bool cr = n > 1 ? in->ptr[n - 2] == '\r' : r->cr;

	r->octets += (uint32_t)n;
	r->length += (uint32_t)n;
	if (ends) {
		if (r->length > r->longest)
			r->longest = r->length;
		r->bare_lf |= !cr;
		r->length = 0;
	} else {
		r->cr = in->ptr[n - 1] == '\r';
	}
	r->skipping = !ends;
	span_skip(in, n);
}

/* The code, or 0. head: a whole line without its end, or HEAD octets of it. */
static unsigned
code_of(struct span head)
{
	unsigned code = 0;

	if (head.len < 3 ||
	    (head.len > 3 && head.ptr[3] != '-' && head.ptr[3] != ' '))
		return 0;
	for (int i = 0; i < 3; i++) {
		if (!ascii_is_digit(head.ptr[i]))
			return 0;
		code = code * 10 + (unsigned)(head.ptr[i] - '0');
	}
	return code >= 200 && code < 600 ? code : 0;
}

static enum client_reply_step
take_line(struct client_reply *r, struct span *in, size_t n, bool ends)
{
	struct span line = {in->ptr, n};
	unsigned code;

	if (ends)
		line.len -= n > 1 && line.ptr[n - 2] == '\r' ? 2 : 1;
	code = code_of(line);
	if (!code)
		return broken(r, no_code);
	if (r->code && code != r->code)
		return broken(r, "the code changes");
	if (r->lines == CLIENT_REPLY_LINES_MAX)
		return broken(r, "too many lines");
	r->code = code;
	r->last = line.len < 4 || line.ptr[3] == ' ';
	span_skip(&line, line.len < 4 ? line.len : 4);
	r->line = line;
	if (!r->lines++) {
		r->text_len = (uint8_t)(line.len < CLIENT_REPLY_TEXT_MAX
					    ? line.len
					    : CLIENT_REPLY_TEXT_MAX);
		memcpy(r->text, line.ptr, r->text_len);
	}
	take(r, in, n, ends);
	return CLIENT_REPLY_LINE;
}

enum client_reply_step
client_reply_step(struct client_reply *r, struct span *in)
{
	while (!r->broken && (r->skipping || !r->last)) {
		/* behind the first octet that is too many nothing counts */
		size_t max = CLIENT_REPLY_MAX + 1 - r->octets;
		const char *lf;
		size_t n;

		if (!r->skipping && max > CLIENT_REPLY_LINE_MAX)
			max = CLIENT_REPLY_LINE_MAX;
		n = in->len < max ? in->len : max;
		lf = n ? memchr(in->ptr, '\n', n) : NULL;
		if (lf)
			n = (size_t)(lf - in->ptr) + 1;
		if (!r->skipping && n >= HEAD && !code_of(*in))
			return broken(r, no_code);
		if (r->octets + n > CLIENT_REPLY_MAX)
			return broken(r, "too long");
		if (!r->skipping && (lf || n == CLIENT_REPLY_LINE_MAX))
			return take_line(r, in, n, lf != NULL);
		if (!r->skipping || !n)
			return CLIENT_REPLY_NEED_INPUT;
		take(r, in, n, lf != NULL);
	}
	return r->broken ? CLIENT_REPLY_BROKEN : CLIENT_REPLY_END;
}
