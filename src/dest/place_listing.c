/*
 * place_listing: an open-addressed table of names, at most half full.
 */
#include "dest/place_listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

#define SLOTS_MIN 64

static size_t
key_len(const char *entry)
{
	return strcspn(entry, ":");
}

static uint64_t
hash(const char *entry)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = {0};

	return siphash(key, entry, key_len(entry));
}

void
place_listing_free(struct place_listing *l)
{
	arena_reset(&l->arena);
	free(l->slots);
	*l = (struct place_listing){0};
}

/* Its slot, or the empty one where it would be. */
static struct place_entry *
find(const struct place_listing *l, uint64_t h, const char *name)
{
	size_t n = key_len(name);
	size_t i = (size_t)h & (l->nslots - 1);

	for (;; i = (i + 1) & (l->nslots - 1)) {
		struct place_entry *e = &l->slots[i];

		if (!e->name || (e->hash == h && key_len(e->name) == n &&
				    !memcmp(e->name, name, n)))
			return e;
	}
}

static void
grow(struct place_listing *l)
{
	struct place_entry *old = l->slots;
	size_t n = l->nslots;

	l->nslots = n ? 2 * n : SLOTS_MIN;
	l->slots = calloc(l->nslots, sizeof(l->slots[0]));
	if (!l->slots)
		abort();
	for (size_t i = 0; i < n; i++)
		if (old[i].name)
			*find(l, old[i].hash, old[i].name) = old[i];
	free(old);
}

void
place_listing_add(struct place_listing *l, const char *entry)
{
	uint64_t h = hash(entry);
	struct place_entry *e;

	if (2 * l->count >= l->nslots)
		grow(l);
	e = find(l, h, entry);
	l->count += !e->name;
	*e = (struct place_entry){h, arena_dup(&l->arena, span_str(entry))};
}

const char *
place_listing_find(const struct place_listing *l, const char *name)
{
	return l->nslots ? find(l, hash(name), name)->name : NULL;
}
