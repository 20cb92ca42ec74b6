/*
 * smtp_reply: writes replies on the wire.
 *
 * The one place where reply text becomes octets, so that nothing from
 * outside can put a line end into a reply, and no line passes the 512
 * octets of RFC 5321 4.5.3.1.5.
 */
#include "proto/smtp_reply.h"

#include <string.h>

#include "base/ascii.h"

/* Leaves room for code, status, id and CRLF. */
#define TEXT_MAX 440

static void
write_text(struct buf *out, const char *text)
{
	size_t n = strnlen(text, TEXT_MAX);
	char *p = buf_reserve(out, n);

	for (size_t i = 0; i < n; i++)
		p[i] = ascii_is_control(text[i]) ? '?' : text[i];
	out->len += n;
}

void
smtp_reply_write(struct buf *out, const struct smtp_reply *r, const char *id)
{
	buf_append_uint(out, r->code % 1000, 3);
	buf_append(out, " ", 1);
	if (r->status) {
		buf_append_str(out, r->status);
		buf_append(out, " ", 1);
	}
	write_text(out, r->text);
	if (id && r->code >= 400) {
		buf_append(out, " [", 2);
		buf_append_str(out, id);
		buf_append(out, "]", 1);
	}
	buf_append(out, "\r\n", 2);
}

size_t
smtp_reply_status_len(struct span s)
{
	size_t n = 1;

	if (s.len < 5 || !ascii_is_digit(s.ptr[0]))
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t digits = 0;

		if (n == s.len || s.ptr[n++] != '.')
			return 0;
		while (n < s.len && ascii_is_digit(s.ptr[n]) && digits < 4) {
			n++;
			digits++;
		}
		if (digits < 1 || digits > 3)
			return 0;
	}
	return n == s.len || s.ptr[n] == ' ' ? n : 0;
}
