/*
 * smtp_line: cuts lines out of the input.
 *
 * A line that is wrong is wrong at one octet, the same one however the input
 * was cut; what stands behind it, up to CRLF, is no command.
 */
#include "proto/smtp_line.h"

#include <string.h>

const struct smtp_reply *
smtp_line_scan(struct span in, size_t max, size_t *len)
{
	size_t n = in.len < max ? in.len : max;

	for (size_t i = 0; i < n; i++) {
		char c = in.ptr[i];

		*len = i + 1;
		if (c == '\0')
			return SMTP_REPLY(500, "5.5.2", "NUL in a command");
		if (c == '\n')
			return SMTP_REPLY(500, "5.5.2",
			    "Bare LF: lines end in CRLF");
		if (c != '\r' || i + 1 == n)
			continue;
		if (in.ptr[i + 1] != '\n')
			return SMTP_REPLY(500, "5.5.2",
			    "Bare CR: lines end in CRLF");
		*len = i + 2;
		return NULL;
	}
	*len = n == max ? max : 0;
	return *len ? SMTP_REPLY(500, "5.5.2", "Line too long") : NULL;
}

bool
smtp_line_skip(bool *cr, struct span *in)
{
	while (in->len) {
		const char *lf = memchr(in->ptr, '\n', in->len);
		size_t n = lf ? (size_t)(lf - in->ptr) : in->len;
		bool ends = n ? in->ptr[n - 1] == '\r' : *cr;

		span_skip(in, n + (lf ? 1 : 0));
		*cr = !lf && ends;
		if (lf && ends)
			return true;
	}
	return false;
}
