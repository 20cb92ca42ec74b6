/*
 * buf: growable bytes, and span, a view of bytes that somebody else owns.
 *
 * A buf owns its memory; a span never does. Neither is NUL-terminated. A
 * zeroed struct buf is an empty one. Lack of memory aborts: callers bound
 * what they append before they append it. What each octet of a message meets
 * is inline.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *ptr;
	size_t len;
};

struct buf {
	char *data;
	size_t len;
	size_t cap;
};

#define SPAN_LIT(s) ((struct span){(s), sizeof(s) - 1})

/* The bytes of a NUL-terminated string, without the NUL. */
static inline struct span
span_str(const char *s)
{
	return (struct span){s, strlen(s)};
}

/* Non-zero when both hold the same bytes. */
int span_equal(struct span a, struct span b);

/* Removes n bytes from the front; n <= s->len. */
static inline void
span_skip(struct span *s, size_t n)
{
	assert(n <= s->len);
	if (!n) /* an empty span may have no pointer to add to */
		return;
	s->ptr += n;
	s->len -= n;
}

/* A view of what the buf holds; valid until the buf changes. */
static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){b->data, b->len};
}

/* For buf_reserve(): makes what room there is larger. */
void buf_grow(struct buf *b, size_t n);

/* Room for n more bytes; returns where they go. Grows by doubling. */
static inline char *
buf_reserve(struct buf *b, size_t n)
{
	if (!b->data || b->cap - b->len < n)
		buf_grow(b, n);
	return b->data + b->len;
}

static inline void
buf_append(struct buf *b, const void *data, size_t n)
{
	if (!n) /* perhaps there is no data then */
		return;
	assert(data);
	memcpy(buf_reserve(b, n), data, n);
	b->len += n;
}

static inline void
buf_append_span(struct buf *b, struct span s)
{
	buf_append(b, s.ptr, s.len);
}

static inline void
buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

/* In decimal, with zeros in front up to width (20); faster than printf. */
void buf_append_uint(struct buf *b, uint64_t n, unsigned width);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops n bytes from the front; n <= b->len. Empty keeps its memory. */
void buf_consume(struct buf *b, size_t n);

/* Overwrites what it holds and held, then gives the memory back. */
void buf_wipe(struct buf *b);

/* Gives the memory back; the buf is empty and usable again. */
void buf_free(struct buf *b);

#endif
