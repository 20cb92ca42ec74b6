/*
 * place_listing: the names in a cur/, found by what is before their ':'.
 */
#ifndef DEST_PLACE_LISTING_H
#define DEST_PLACE_LISTING_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/arena.h"

struct place_entry;

/* Zeroed: nothing was listed. */
struct place_listing {
	struct stat when;   /* of the directory, when it was read */
	bool quiet;         /* nothing changed while it was read */
	struct arena arena; /* of the entries */
	struct place_entry *entries;
};

void place_listing_free(struct place_listing *l);

void place_listing_add(struct place_listing *l, const char *entry);
/* The whole entry, with its flags; NULL: it is not in the listing. */
const char *place_listing_find(const struct place_listing *l, const char *name);

#endif
