/*
 * tree: blocks and lists. Knows nothing of what they mean.
 */
#include "config/tree.h"

#include <string.h>

#include "config/section.h"

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

static struct config_block *
of_section(struct config_block *b, const struct config_section *s)
{
	while (b && b->section != s)
		b = b->next;
	return b;
}

struct config_block *
config_block_first(const struct config_all *all, const struct config_section *s)
{
	return of_section(all->blocks, s);
}

struct config_block *
config_block_next(const struct config_block *b)
{
	return of_section(b->next, b->section);
}

struct config_list *
config_values(const struct config_block *b, const char *key)
{
	return &b->values[config_key_find(b->section, span_str(key)) -
			  b->section->keys];
}

struct config_item
config_where(const struct config_block *b, const char *key)
{
	const struct config_list *l = config_values(b, key);

	if (l->n)
		return l->items[0];
	return (struct config_item){NULL, b->file, b->line};
}

struct where
config_place(const struct config_block *b, const char *key)
{
	struct config_item at = config_where(b, key);

	return at.text ? (struct where){at.file, at.line}
		       : (struct where){NULL, 0};
}

void
config_list_add(struct arena *a, struct config_list *l, struct config_item item)
{
	l->items = config_array_add(a, l->items, &l->n, &item, sizeof(item));
}

/* It is full, and doubled, at each power of two. */
void *
config_array_add(struct arena *a, void *array, unsigned *n, const void *object,
    size_t size)
{
	size_t used = *n * size;
	char *r = array;

	if ((*n & (*n - 1)) == 0) {
		r = arena_alloc(a, used ? 2 * used : size);
		if (used)
			memcpy(r, array, used);
	}
	memcpy(r + used, object, size);
	++*n;
	return r;
}
