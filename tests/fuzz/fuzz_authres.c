/*
 * Whatever an Authentication-Results field holds: when our name is written
 * where its authserv-id is, it is ours, in any dress; and one that is somebody
 * else's stays so with anything behind its semicolon.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const names[] = {"mx.example.org"};

static bool
is_ours(const struct buf *b)
{
	return authres_is_ours(buf_span(b), names, 1);
}

/* Octets that a comment can hold: no backslash, no bracket. */
static void
put_comment(struct buf *out, struct span s)
{
	buf_append(out, "(", 1);
	for (size_t i = 0; i < s.len; i++)
		if (!memchr("\\()", s.ptr[i], 3))
			buf_append(out, s.ptr + i, 1);
	buf_append(out, ")", 1);
}

static void
put_quoted(struct buf *out, struct span s)
{
	buf_append(out, "\"", 1);
	for (size_t i = 0; names[0][i]; i++) {
		if (i < s.len && s.ptr[i] & 1)
			buf_append(out, "\\", 1);
		buf_append(out, names[0] + i, 1);
	}
	buf_append(out, "\"", 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = {(const char *)data, n};
	struct buf b = {0};

	buf_append_span(&b, in);
	is_ours(&b);
	b.len = 0;
	put_comment(&b, in);
	put_quoted(&b, in);
	put_comment(&b, in);
	buf_append(&b, ";", 1);
	buf_append_span(&b, in);
	if (!is_ours(&b))
		abort();
	b.len = 0;
	put_comment(&b, in);
	buf_append_str(&b, "other.example;");
	buf_append_span(&b, in);
	if (is_ours(&b))
		abort();
	buf_free(&b);
	return 0;
}
