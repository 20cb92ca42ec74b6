/*
 * place_listing: a hash table whose entries live in an arena.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "dest/place_listing.h"

struct place_entry {
	UT_hash_handle hh;
	char name[];
};

static size_t
key_len(const char *entry)
{
	return strcspn(entry, ":");
}

void
place_listing_free(struct place_listing *l)
{
	HASH_CLEAR(hh, l->entries);
	arena_reset(&l->arena);
	*l = (struct place_listing){0};
}

void
place_listing_add(struct place_listing *l, const char *entry)
{
	size_t n = strlen(entry) + 1;
	struct place_entry *e = arena_alloc(&l->arena, sizeof(*e) + n);

	memcpy(e->name, entry, n);
	HASH_ADD_KEYPTR(hh, l->entries, e->name, key_len(entry), e);
}

const char *
place_listing_find(const struct place_listing *l, const char *name)
{
	const struct place_entry *e;

	HASH_FIND(hh, l->entries, name, key_len(name), e);
	return e ? e->name : NULL;
}
