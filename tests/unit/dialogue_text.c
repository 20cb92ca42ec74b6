/*
 * dialogue_text: what stands behind C: and M:, as octets.
 */
#include <string.h>

#include "base/ascii.h"
#include "dialogue.h"

static int
hex(char c)
{
	c = ascii_lower(c);
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *decode(struct span s, struct buf *out);

/* "{N:text}" behind a backslash; *s is moved behind it. */
static const char *
decode_repeat(struct span *s, struct buf *out)
{
	const char *colon = memchr(s->ptr, ':', s->len);
	const char *bad = NULL;
	struct buf text = {0};
	struct span inner;
	uint64_t n;
	size_t end = 0;

	if (!colon)
		return "a repeat without a colon";
	if (ascii_parse_u64((struct span){s->ptr + 1,
				(size_t)(colon - s->ptr) - 1},
		1 << 24, &n))
		return "a bad repeat count";
	span_skip(s, (size_t)(colon - s->ptr) + 1);
	while (end < s->len && s->ptr[end] != '}')
		end += s->ptr[end] == '\\' ? 2 : 1;
	if (end >= s->len)
		return "a repeat without its end";
	inner = (struct span){s->ptr, end};
	span_skip(s, end + 1);
	bad = decode(inner, &text);
	while (!bad && n--)
		buf_append_span(out, buf_span(&text));
	buf_free(&text);
	return bad;
}

/* What stands behind a backslash; *s is moved behind it. */
static const char *
decode_escape(struct span *s, struct buf *out)
{
	static const char names[] = "rnt0\\}";
	static const char octets[] = "\r\n\t\0\\}";
	const char *at = memchr(names, s->ptr[0], sizeof(names) - 1);

	if (at) {
		buf_append(out, &octets[at - names], 1);
		span_skip(s, 1);
		return NULL;
	}
	if (s->ptr[0] == 'x' && s->len >= 3 && hex(s->ptr[1]) >= 0 &&
	    hex(s->ptr[2]) >= 0) {
		char c = (char)(hex(s->ptr[1]) << 4 | hex(s->ptr[2]));

		buf_append(out, &c, 1);
		span_skip(s, 3);
		return NULL;
	}
	return s->ptr[0] == '{' ? decode_repeat(s, out) : "a bad escape";
}

static const char *
decode(struct span s, struct buf *out)
{
	const char *bad = NULL;

	while (s.len && !bad) {
		char c = s.ptr[0];

		span_skip(&s, 1);
		if (c != '\\')
			buf_append(out, &c, 1);
		else if (s.len)
			bad = decode_escape(&s, out);
		else
			return "a backslash at the end";
	}
	return bad;
}

const char *
dialogue_decode(struct span s, struct buf *out)
{
	size_t slashes = 0;
	const char *bad;

	while (slashes < s.len && s.ptr[s.len - 1 - slashes] == '\\')
		slashes++;
	s.len -= slashes % 2;
	bad = decode(s, out);
	if (slashes % 2 == 0)
		buf_append_str(out, "\r\n");
	return bad;
}
