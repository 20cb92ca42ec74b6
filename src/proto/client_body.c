/*
 * client_body: all between two octets that change goes out in one piece.
 */
#include "proto/client_body.h"

#include <string.h>

#define LINE_MIN 32 /* octets of a line, on the average; shorter ones cost */

static void
blank_crs(char *data, size_t len)
{
	char *end = data + len;

	while (data < end && (data = memchr(data, '\r', (size_t)(end - data))))
		*data++ = ' ';
}

void
client_body_add(struct client_body *b, struct span s, bool dots,
    struct buf *out)
{
	bool bare = s.len && memchr(s.ptr, '\r', s.len);

	buf_reserve(out, s.len + s.len / LINE_MIN);
	while (s.len) {
		const char *lf = memchr(s.ptr, '\n', s.len);
		size_t n = lf ? (size_t)(lf - s.ptr) : s.len;

		if (dots && !b->inside && s.ptr[0] == '.')
			buf_append(out, ".", 1);
		buf_append(out, s.ptr, n);
		if (bare)
			blank_crs(out->data + out->len - n, n);
		if (lf)
			buf_append(out, "\r\n", 2);
		b->inside = !lf;
		span_skip(&s, lf ? n + 1 : n);
	}
}

void
client_body_end(struct client_body *b, bool dots, struct buf *out)
{
	if (b->inside)
		buf_append(out, "\r\n", 2);
	if (dots)
		buf_append(out, ".\r\n", 3);
	b->inside = false;
}
