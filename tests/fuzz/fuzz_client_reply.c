/*
 * What a server answers: each line lies in the input, the bounds hold, and it
 * comes to the same thing whole and in pieces. The first octet is the size of
 * a piece.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/client_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static enum client_reply_step
run(struct client_reply *r, struct span all, size_t piece, uint64_t *sum)
{
	struct span in = {all.ptr, 0};
	enum client_reply_step step;
	size_t more;

	do {
		more = (size_t)(all.ptr + all.len - in.ptr) - in.len;
		in.len += more < piece ? more : piece;
		while (
		    (step = client_reply_step(r, &in)) == CLIENT_REPLY_LINE) {
			check(r->line.ptr >= all.ptr &&
			      r->line.ptr + r->line.len <= in.ptr);
			for (size_t i = 0; i < r->line.len; i++)
				*sum = *sum * 31 + (uint8_t)r->line.ptr[i];
		}
	} while (step == CLIENT_REPLY_NEED_INPUT && more > piece);
	check(r->lines <= CLIENT_REPLY_LINES_MAX &&
	      r->octets <= CLIENT_REPLY_MAX);
	check(step != CLIENT_REPLY_END || (r->code >= 200 && r->code < 600));
	return step;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct client_reply a = {0}, b = {0};
	struct span all = {(const char *)data + (n > 0), n - (n > 0)};
	uint64_t x = 0, y = 0;

	if (!n)
		return 0;
	check(run(&a, all, n, &x) == run(&b, all, data[0] + 1u, &y) && x == y &&
	      a.code == b.code && a.lines == b.lines && a.broken == b.broken &&
	      a.bare_lf == b.bare_lf &&
	      !memcmp(a.text, b.text, sizeof(a.text)));
	return 0;
}
