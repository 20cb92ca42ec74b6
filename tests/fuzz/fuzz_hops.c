/*
 * Hops: the body automaton and the count behind it, in any cutting, against
 * a second count that sees the whole header at once. The first octet cuts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/smtp_body.h"
#include "proto/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Lines end at LF; the first that is empty, but for a CR, ends the header. */
static unsigned
count(const struct buf *body)
{
	const char *p = body->data, *lf;
	size_t left = body->len;
	unsigned hops = 0;

	for (; left; left -= (size_t)(lf - p) + 1, p = lf + 1) {
		lf = memchr(p, '\n', left);
		if (lf && (lf == p || (lf == p + 1 && *p == '\r')))
			break;
		if (left >= 9 && strncasecmp(p, "received:", 9) == 0)
			hops++;
		if (!lf)
			break;
	}
	return hops;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t piece = n ? 1 + data[0] % 16 : 1;
	struct trace_hops hops = {0};
	struct smtp_body b;
	struct buf body = {0};
	struct span out;
	enum smtp_body_step step = SMTP_BODY_MORE;

	smtp_body_init(&b, 0);
	for (size_t at = 1; at < n && step != SMTP_BODY_END; at += piece) {
		struct span in = {(const char *)data + at,
		    n - at < piece ? n - at : piece};

		while (
		    (step = smtp_body_dot(&b, &in, &out)) == SMTP_BODY_SPAN) {
			buf_append_span(&body, out);
			trace_hops_feed(&hops, out);
		}
	}
	if (hops.count != count(&body))
		abort();
	buf_free(&body);
	return 0;
}
