/*
 * config_tree: blocks and lists, and the reading of whole files.
 */
#include "config/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define READ_STEP 65536

struct config_block *
config_block_add(struct config_all *all, const struct config_section *s,
    const char *title, const char *file, unsigned line)
{
	struct config_block *b = arena_alloc(&all->arena, sizeof(*b));

	b->section = s;
	b->title = title;
	b->file = file;
	b->line = line;
	b->values = arena_alloc(&all->arena, s->nkeys * sizeof(*b->values));
	b->data = s->size ? arena_alloc(&all->arena, s->size) : all;
	*all->blocks_end = b;
	all->blocks_end = &b->next;
	return b;
}

struct config_list *
config_block_list(struct config_block *b, const struct config_key *k)
{
	return &b->values[k - b->section->keys];
}

struct config_item
config_where(const struct config_block *b, const char *key)
{
	const struct config_key *k = config_key_find(b->section, span_str(key));
	const struct config_list *l = &b->values[k - b->section->keys];

	if (l->n)
		return l->items[0];
	return (struct config_item){NULL, b->file, b->line};
}

void
config_list_add(struct arena *a, struct config_list *l, struct config_item item)
{
	if (l->n == l->cap) {
		unsigned cap = l->cap ? 2 * l->cap : 4;
		struct config_item *items =
		    arena_alloc(a, cap * sizeof(*items));

		if (l->n)
			memcpy(items, l->items, l->n * sizeof(*items));
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n++] = item;
}

static int
read_all(int fd, struct buf *out)
{
	size_t start = out->len;
	ssize_t n;

	for (;;) {
		n = read(fd, buf_reserve(out, READ_STEP), READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		out->len += (size_t)n;
		if (out->len - start > CONFIG_FILE_MAX) {
			errno = EFBIG;
			return -1;
		}
	}
}

/* Some editors put a byte order mark in front: it is no part of any name. */
static void
drop_bom(struct buf *b, size_t from)
{
	static const char bom[3] = {'\xef', '\xbb', '\xbf'};

	if (b->len - from < sizeof(bom) ||
	    memcmp(b->data + from, bom, sizeof(bom)) != 0)
		return;
	b->len -= sizeof(bom);
	memmove(b->data + from, b->data + from + sizeof(bom), b->len - from);
}

int
config_read(const char *path, struct buf *out)
{
	size_t from = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r, saved;

	if (fd < 0)
		return -1;
	r = read_all(fd, out);
	saved = errno;
	close(fd);
	errno = saved;
	if (r == 0)
		drop_bom(out, from);
	return r;
}
