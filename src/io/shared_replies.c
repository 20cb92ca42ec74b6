/*
 * shared_replies: an open-addressed table that cannot grow. The last cell
 * takes what is beyond it, so whoever makes up codes fills nothing.
 */
#include "io/shared_replies.h"

#include <stdatomic.h>

#define OTHER (SHARED_REPLIES - 1)

static struct shared_reply_cell *
find(struct shared_reply_cell *cells, uint64_t key)
{
	uint64_t first = key * 0x9e3779b97f4a7c15ull >> 32;

	for (unsigned i = 0; i < OTHER; i++) {
		struct shared_reply_cell *c = &cells[(first + i) % OTHER];

		if (!c->key)
			c->key = key;
		if (c->key == key)
			return c;
	}
	return &cells[OTHER];
}

void
shared_replies_add(struct shared_reply_cell *cells, unsigned code,
    uint32_t status)
{
	struct shared_reply_cell *c =
	    find(cells, (uint64_t)code << 32 | status);

	atomic_fetch_add_explicit(&c->n, 1, memory_order_relaxed);
}

static struct shared_reply_count *
place(struct shared_reply_count *r, unsigned *n, uint32_t code, uint32_t status)
{
	for (unsigned i = 0; i < *n; i++)
		if (r[i].code == code && r[i].status == status)
			return &r[i];
	if (*n == SHARED_REPLIES)
		return &r[0];
	r[*n] = (struct shared_reply_count){code, status, 0};
	return &r[(*n)++];
}

unsigned
shared_replies_merge(const struct shared_reply_cell *cells,
    struct shared_reply_count *r, unsigned n)
{
	for (unsigned i = 0; i < SHARED_REPLIES; i++) {
		uint64_t key = cells[i].key;

		if (cells[i].n)
			place(r, &n, (uint32_t)(key >> 32), (uint32_t)key)->n +=
			    cells[i].n;
	}
	return n;
}
