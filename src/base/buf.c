/*
 * buf: growable bytes, and views of bytes.
 *
 * Owns what it allocates, gives it back in buf_free() alone, and never
 * shrinks before. Never reads what it holds: no format, no terminator.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ascii.h"

#define BUF_CAP_MIN 256

int
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

/* The next capacity that holds need bytes. */
static size_t
grown(size_t cap, size_t need)
{
	if (!cap)
		cap = BUF_CAP_MIN;
	while (cap < need) {
		if (cap > SIZE_MAX / 2)
			return need;
		cap *= 2;
	}
	return cap;
}

void
buf_grow(struct buf *b, size_t n)
{
	if (n > SIZE_MAX - b->len)
		abort();
	b->cap = grown(b->cap, b->len + n);
	b->data = realloc(b->data, b->cap);
	if (!b->data)
		abort();
}

void
buf_append_uint(struct buf *b, uint64_t n, unsigned width)
{
	size_t len = ascii_uint_len(n);

	if (len < width)
		len = width;
	ascii_put_uint(buf_reserve(b, len), n, len);
	b->len += len;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	size_t room;
	int n;

	/* one call where the text fits, as it does nearly always */
	buf_reserve(b, 1);
	room = b->cap - b->len;
	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(b->data + b->len, room, fmt, ap);
	assert(n >= 0);
	if ((size_t)n >= room)
		n = vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt,
		    again);
	va_end(again);
	va_end(ap);
	b->len += (size_t)n;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (!n)
		return;
	b->len -= n;
	if (b->len)
		memmove(b->data, b->data + n, b->len);
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

/* What growing left behind elsewhere is out of reach: reserve first. */
void
buf_wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}
