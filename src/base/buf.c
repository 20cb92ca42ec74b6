/*
 * buf: growable bytes, and views of bytes.
 *
 * Owns what it allocates, gives it back in buf_free() alone, and never
 * shrinks before. Never reads what it holds: no format, no terminator.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAP_MIN 64

struct span
span_str(const char *s)
{
	return (struct span){s, strlen(s)};
}

int
span_equal(struct span a, struct span b)
{
	return a.len == b.len && (!a.len || !memcmp(a.ptr, b.ptr, a.len));
}

void
span_skip(struct span *s, size_t n)
{
	assert(n <= s->len);
	if (!n) /* an empty span may have no pointer to add to */
		return;
	s->ptr += n;
	s->len -= n;
}

struct span
buf_span(const struct buf *b)
{
	return (struct span){b->data, b->len};
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

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t cap;

	if (n > SIZE_MAX - b->len)
		abort();
	cap = grown(b->cap, b->len + n);
	if (cap != b->cap) {
		b->data = realloc(b->data, cap);
		if (!b->data)
			abort();
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_append(struct buf *b, const void *data, size_t n)
{
	if (!n)
		return;
	memcpy(buf_reserve(b, n), data, n);
	b->len += n;
}

void
buf_append_span(struct buf *b, struct span s)
{
	buf_append(b, s.ptr, s.len);
}

void
buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void
buf_append_uint(struct buf *b, uint64_t n, unsigned width)
{
	char digits[20];
	unsigned len = 0;

	while (n || len < width || !len) {
		digits[sizeof(digits) - ++len] = (char)('0' + n % 10);
		n /= 10;
	}
	buf_append(b, digits + sizeof(digits) - len, len);
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
