/*
 * drive_check: what must hold in every run.
 *
 * Looks only; what it finds is the drive's fault, and the first one stays.
 */
#include "drive_check.h"

#include <string.h>

void
drive_expect(struct drive *d, bool holds, const char *what)
{
	if (!holds && !d->fault)
		d->fault = what;
}

/* --- replies --- */

/* RFC 2034 section 4: every refusal has one, but in the greeting. */
static bool
status_fits(struct span line)
{
	return line.len > 9 && line.ptr[4] == line.ptr[0] &&
	       line.ptr[5] == '.' && line.ptr[7] == '.';
}

unsigned
drive_count_replies(struct drive *d, unsigned *refusals)
{
	struct span s = buf_span(&d->said);
	const char *code = NULL;
	unsigned n = 0;

	*refusals = 0;
	while (s.len) {
		const char *lf = memchr(s.ptr, '\n', s.len);
		size_t len = lf ? (size_t)(lf - s.ptr) + 1 : s.len;

		drive_expect(d, lf && len >= 6 && lf[-1] == '\r',
		    "a reply line");
		drive_expect(d, len <= DRIVE_LINE_MAX, "512 octets a line");
		if (d->fault)
			return n;
		drive_expect(d, !code || memcmp(code, s.ptr, 3) == 0,
		    "one code across a reply");
		drive_expect(d, s.ptr[3] == '-' || s.ptr[3] == ' ',
		    "its 4th octet");
		drive_expect(d, s.ptr[0] < '4' || !n || status_fits(s),
		    "an enhanced code of the reply's class");
		code = s.ptr[3] == '-' ? s.ptr : NULL;
		n += !code;
		*refusals += s.ptr[0] >= '4';
		span_skip(&s, len);
	}
	drive_expect(d, !code, "a whole reply");
	return n;
}

void
drive_check_refusal(struct drive *d)
{
	struct span out = buf_span(&d->out);
	struct span line = d->smtp.line;
	size_t at = d->smtp.reply_at;

	drive_expect(d, at < out.len && out.ptr[at] >= '4',
	    "reply_at is a refusal");
	if (d->fault)
		return;
	span_skip(&out, at);
	drive_expect(d, memchr(out.ptr, '\n', out.len) == out.ptr + out.len - 1,
	    "reply_at is the last reply");
	drive_expect(d,
	    !line.ptr || d->smtp.secret || span_equal(line, SPAN_LIT("DATA")) ||
		span_equal(line, SPAN_LIT("BDAT")) ||
		(line.ptr >= d->shown.ptr &&
		    line.ptr + line.len <= d->shown.ptr + d->shown.len),
	    "a line that aliases the input");
}

/* --- bodies --- */

bool
drive_decode_dots(struct span raw, struct buf *out)
{
	struct buf text = {0};
	const char *p;
	bool good;

	buf_append_str(&text, "\r\n");
	buf_append_span(&text, raw);
	p = memmem(text.data, text.len, "\r\n.\r\n", 5);
	good = p && p + 5 == text.data + text.len;
	for (size_t i = 2; good && i + 3 < text.len; i++)
		if (text.data[i] != '.' ||
		    memcmp(text.data + i - 2, "\r\n", 2) != 0)
			buf_append(out, text.data + i, 1);
	buf_free(&text);
	return good;
}

void
drive_check_body(struct drive *d)
{
	struct buf want = {0};

	if (d->smtp.state == SMTP_STATE_DATA)
		drive_expect(d, drive_decode_dots(buf_span(&d->raw), &want),
		    "only CRLF.CRLF ends a message");
	else
		buf_append_span(&want, buf_span(&d->raw));
	drive_expect(d, span_equal(buf_span(&d->body), buf_span(&want)),
	    "the body is what was sent");
	buf_free(&want);
}

void
drive_check_span(struct drive *d, struct span in)
{
	struct span b = d->smtp.body;

	drive_expect(d, b.len > 0, "a body that is not empty");
	drive_expect(d,
	    b.len == 1 || (b.ptr >= in.ptr && b.ptr + b.len <= in.ptr + in.len),
	    "a body that aliases the input");
	drive_expect(d, d->smtp.received <= d->smtp.size_max,
	    "no body past its size");
}
