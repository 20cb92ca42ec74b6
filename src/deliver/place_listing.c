/*
 * place_listing: an open-addressed set of 64-bit hashes, at most half full.
 */
#include "deliver/place_listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"

#define SLOTS_MIN 64

/* Never 0, which is an empty slot. */
static uint64_t
hash(const char *entry)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = {0};

	return siphash(key, entry, strcspn(entry, ":")) | 1;
}

void
place_listing_clear(struct place_listing *l)
{
	if (l->slots)
		memset(l->slots, 0, l->nslots * sizeof(l->slots[0]));
	l->count = 0;
	l->quiet = false;
}

void
place_listing_free(struct place_listing *l)
{
	free(l->slots);
	*l = (struct place_listing){0};
}

static uint64_t *
find(const struct place_listing *l, uint64_t h)
{
	size_t i = (size_t)(h >> 1) & (l->nslots - 1);

	while (l->slots[i] && l->slots[i] != h)
		i = (i + 1) & (l->nslots - 1);
	return &l->slots[i];
}

static void
grow(struct place_listing *l)
{
	struct place_listing old = *l;

	l->nslots = old.nslots ? 2 * old.nslots : SLOTS_MIN;
	l->slots = calloc(l->nslots, sizeof(l->slots[0]));
	if (!l->slots)
		abort();
	for (size_t i = 0; i < old.nslots; i++)
		if (old.slots[i])
			*find(l, old.slots[i]) = old.slots[i];
	free(old.slots);
}

void
place_listing_add(struct place_listing *l, const char *entry)
{
	uint64_t h = hash(entry);
	uint64_t *slot;

	if (2 * l->count >= l->nslots)
		grow(l);
	slot = find(l, h);
	l->count += *slot == 0;
	*slot = h;
}

bool
place_listing_has(const struct place_listing *l, const char *name)
{
	return l->nslots && *find(l, hash(name)) != 0;
}
