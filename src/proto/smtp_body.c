/*
 * smtp_body: the dot automaton and the BDAT counter.
 *
 * A state is what was read before: nothing more is remembered, so a message
 * means the same in one piece and in a thousand. Content is given as it lies
 * in the input. The one octet that is not there any more when it turns out
 * to be content is the CR of a line that begins with ". CR"; it comes from a
 * constant.
 */
#include "proto/smtp_body.h"

#include <string.h>

enum {
	LINE_START,  /* behind CRLF, or at the first octet */
	LINE_DOT,    /* behind the dot of CRLF . */
	LINE_DOT_CR, /* behind the CR of CRLF . CR */
	LINE_MIDDLE,
	LINE_CR, /* behind a CR that is content already */
};

/* RFC 5321 4.5.3.1.6, CRLF included. */
#define TEXT_LINE_MAX 1000

void
smtp_body_init(struct smtp_body *b, uint64_t line_max)
{
	*b = (struct smtp_body){.line_max = line_max};
}

/* n more octets of this line; with its CRLF a line may be line_max + 2. */
static void
count_line(struct smtp_body *b, size_t n)
{
	b->line_len += n;
	if (b->line_len > TEXT_LINE_MAX)
		b->long_line = true;
	if (b->line_max && b->line_len > b->line_max + 2)
		b->overlong = true;
}

static void
end_line(struct smtp_body *b, uint8_t state)
{
	b->line_len = 0;
	b->state = state;
}

/* From the middle of a line to behind its LF, or to the end of input. */
static const char *
read_line(struct smtp_body *b, const char *p, const char *end)
{
	size_t n = (size_t)(end - p);
	const char *lf = memchr(p, '\n', n);
	const char *cr;

	if (lf)
		n = (size_t)(lf - p);
	cr = n ? memchr(p, '\r', n) : NULL;
	if (cr && cr != p + n - 1)
		b->bare = true;
	if (!lf) {
		count_line(b, n);
		b->state = cr && p[n - 1] == '\r' ? LINE_CR : LINE_MIDDLE;
		return end;
	}
	if (cr && lf[-1] == '\r') {
		count_line(b, n + 1);
		end_line(b, LINE_START);
	} else { /* a line end counts two octets, also this one */
		count_line(b, n + 2);
		b->bare = true;
		end_line(b, LINE_MIDDLE);
	}
	return lf + 1;
}

/* The octet behind a CR decides whether that CR ended a line. */
static const char *
read_after_cr(struct smtp_body *b, const char *p)
{
	if (*p != '\n') {
		b->bare = true;
		b->state = LINE_MIDDLE;
		return p;
	}
	count_line(b, 1);
	end_line(b, LINE_START);
	return p + 1;
}

static enum smtp_body_step
give(struct span *in, const char *upto, struct span *out)
{
	*out = (struct span){in->ptr, (size_t)(upto - in->ptr)};
	span_skip(in, out->len);
	return out->len ? SMTP_BODY_SPAN : SMTP_BODY_MORE;
}

/* Drops one octet and remembers it as a state. */
static void
drop(struct smtp_body *b, struct span *in, uint8_t state)
{
	span_skip(in, 1);
	b->state = state;
}

/* The line began with ". CR" and did not end there. */
static enum smtp_body_step
give_pending_cr(struct smtp_body *b, struct span *out)
{
	*out = SPAN_LIT("\r");
	count_line(b, 1);
	b->state = LINE_CR;
	return SMTP_BODY_SPAN;
}

enum smtp_body_step
smtp_body_dot(struct smtp_body *b, struct span *in, struct span *out)
{
	const char *p = in->ptr;
	const char *end;

	*out = (struct span){NULL, 0};
	if (!in->len) /* perhaps without a pointer to add to */
		return SMTP_BODY_MORE;
	end = p + in->len;
	while (p < end) {
		switch (b->state) {
		case LINE_START:
			if (*p != '.') {
				b->state = LINE_MIDDLE;
				break;
			}
			if (p != in->ptr)
				return give(in, p, out);
			drop(b, in, LINE_DOT);
			p = in->ptr;
			break;
		case LINE_DOT: /* nothing is waiting to be given here */
			if (*p != '\r') {
				b->state = LINE_MIDDLE;
				break;
			}
			drop(b, in, LINE_DOT_CR);
			p = in->ptr;
			break;
		case LINE_DOT_CR:
			if (*p != '\n')
				return give_pending_cr(b, out);
			drop(b, in, LINE_START);
			return SMTP_BODY_END;
		case LINE_CR:
			p = read_after_cr(b, p);
			break;
		default:
			p = read_line(b, p, end);
		}
	}
	return give(in, p, out);
}

enum smtp_body_step
smtp_body_bdat(struct smtp_body *b, struct span *in, struct span *out)
{
	const char *p = in->ptr;
	const char *end;

	*out = (struct span){NULL, 0};
	if (b->chunk == 0)
		return SMTP_BODY_END;
	if (!in->len)
		return SMTP_BODY_MORE;
	end = p + (in->len < b->chunk ? in->len : (size_t)b->chunk);
	while (p < end)
		p = b->state == LINE_CR ? read_after_cr(b, p)
					: read_line(b, p, end);
	b->chunk -= (uint64_t)(end - in->ptr);
	return give(in, end, out);
}

void
smtp_body_finish(struct smtp_body *b)
{
	if (b->state == LINE_CR)
		b->bare = true;
	b->state = LINE_START;
}
