/*
 * arena: a list of chunks, allocated from the newest one upwards.
 *
 * Owns its chunks. The first is small, as most transactions are, and each
 * that follows is twice as large up to a limit; what would not fit gets a
 * chunk of its own size. Under AddressSanitizer all that was not handed out
 * is poisoned, with a gap behind each allocation, so that a byte too far is
 * caught as it would be with malloc.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_GAP 16
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ARENA_GAP                         0
#endif

#define ALIGN      alignof(max_align_t)
#define CHUNK_MIN  1024  /* bytes of malloc, header included */
#define CHUNK_GROW 65536 /* no chunk is doubled beyond this */
#define ALLOC_MAX  (SIZE_MAX / 2)

struct arena_chunk {
	struct arena_chunk *next; /* the older one */
	size_t cap;               /* bytes of data */
	size_t used;              /* of these, a multiple of ALIGN */
	alignas(max_align_t) char data[];
};

static size_t
chunk_cap(const struct arena_chunk *newest, size_t need)
{
	size_t size = CHUNK_MIN;
	size_t cap;

	if (newest)
		size = (newest->cap + sizeof(*newest)) * 2;
	if (size > CHUNK_GROW)
		size = CHUNK_GROW;
	cap = size - sizeof(struct arena_chunk);
	return cap < need ? need : cap;
}

static void
chunk_add(struct arena *a, size_t need)
{
	size_t cap = chunk_cap(a->chunks, need);
	struct arena_chunk *c = malloc(sizeof(*c) + cap);

	if (!c)
		abort();
	c->next = a->chunks;
	c->cap = cap;
	c->used = 0;
	ASAN_POISON_MEMORY_REGION(c->data, cap);
	a->chunks = c;
}

/* n bytes with whatever is in them. */
static void *
take(struct arena *a, size_t n)
{
	size_t need;
	char *p;

	if (n > ALLOC_MAX)
		abort();
	need = ((n ? n : 1) + ARENA_GAP + ALIGN - 1) / ALIGN * ALIGN;
	if (!a->chunks || need > a->chunks->cap - a->chunks->used)
		chunk_add(a, need);
	p = a->chunks->data + a->chunks->used;
	a->chunks->used += need;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	return memset(take(a, n), 0, n);
}

char *
arena_dup(struct arena *a, struct span s)
{
	char *p;

	if (s.len >= ALLOC_MAX) /* its NUL would be one too many */
		abort();
	p = take(a, s.len + 1);
	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return p;
}

struct arena_mark
arena_mark(const struct arena *a)
{
	return (struct arena_mark){a->chunks, a->chunks ? a->chunks->used : 0};
}

void
arena_rewind(struct arena *a, struct arena_mark m)
{
	struct arena_chunk *c;

	while ((c = a->chunks) != m.chunk) {
		assert(c); /* else the mark is of another arena */
		a->chunks = c->next;
		ASAN_UNPOISON_MEMORY_REGION(c->data, c->cap);
		free(c);
	}
	if (!c)
		return;
	assert(m.used <= c->used);
	c->used = m.used;
	ASAN_POISON_MEMORY_REGION(c->data + c->used, c->cap - c->used);
}

void
arena_reset(struct arena *a)
{
	arena_rewind(a, (struct arena_mark){0});
}
