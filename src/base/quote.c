/*
 * quote: octet by octet, a harmless one as it is. Owns nothing.
 */
#include "base/quote.h"

#include <stdint.h>
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"

static void
put_escape(struct buf *out, enum quote_escapes how, char c)
{
	static const char plain[] = "\n\r\t\"\\";
	static const char letter[] = "nrt\"\\";
	const char *p = c ? strchr(plain, c) : NULL;

	if (p)
		buf_printf(out, "\\%c", letter[p - plain]);
	else
		buf_printf(out, how == QUOTE_JSON ? "\\u%04x" : "\\x%02x",
		    (unsigned)(unsigned char)c);
}

void
quote_put(struct buf *out, enum quote_escapes how, size_t max, struct span s)
{
	size_t end = out->len + max;

	buf_append(out, "\"", 1);
	while (s.len && out->len < end) {
		char c = s.ptr[0];
		size_t n = 1;

		if ((unsigned char)c > 127)
			n = utf8_char(s);
		if (n == 0 || ascii_is_control(c) || c == '"' || c == '\\')
			put_escape(out, how, c);
		else
			buf_append(out, s.ptr, n);
		span_skip(&s, n ? n : 1);
	}
	buf_append_str(out, s.len ? "...\"" : "\"");
}

static void
put_unit(struct buf *out, uint32_t unit)
{
	buf_printf(out, "\\u%04x", (unsigned)unit);
}

/* Beyond the first plane JSON wants UTF-16's two halves. */
static void
put_code(struct buf *out, uint32_t c)
{
	if (c > 0xffff) {
		put_unit(out, 0xd800 + ((c - 0x10000) >> 10));
		c = 0xdc00 + ((c - 0x10000) & 0x3ff);
	}
	put_unit(out, c);
}

void
quote_json(struct buf *out, struct span s)
{
	buf_append(out, "\"", 1);
	while (s.len) {
		uint32_t c;
		size_t n = utf8_decode(s, &c);

		if (!n)
			put_unit(out, 0xfffd);
		else if (n > 1 || ascii_is_control((char)c))
			put_code(out, c);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", (int)c);
		else
			buf_append(out, s.ptr, 1);
		span_skip(&s, n ? n : 1);
	}
	buf_append(out, "\"", 1);
}
