/*
 * buf: growable bytes, and span, a view of bytes that somebody else owns.
 *
 * A buf owns its memory; a span never does. Neither is NUL-terminated. A
 * zeroed struct buf is an empty one. Lack of memory aborts: callers bound
 * what they append before they append it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

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
struct span span_str(const char *s);

/* Non-zero when both hold the same bytes. */
int span_equal(struct span a, struct span b);

/* Removes n bytes from the front; n <= s->len. */
void span_skip(struct span *s, size_t n);

/* A view of what the buf holds; valid until the buf changes. */
struct span buf_span(const struct buf *b);

/* Room for n more bytes; returns where they go. Grows by doubling. */
char *buf_reserve(struct buf *b, size_t n);

void buf_append(struct buf *b, const void *data, size_t n);
void buf_append_span(struct buf *b, struct span s);
void buf_append_str(struct buf *b, const char *s);
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
