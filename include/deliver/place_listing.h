/*
 * place_listing: the names in a cur/, up to their ':', as a set of hashes.
 * A hash that is there twice over is one look too many, never one too few.
 */
#ifndef DELIVER_PLACE_LISTING_H
#define DELIVER_PLACE_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Zeroed: nothing was listed. */
struct place_listing {
	struct stat when; /* of the directory, when it was read */
	bool quiet;       /* nothing changed while it was read */
	uint64_t *slots;
	size_t nslots, count;
};

/* Empty, and keeps its memory. */
void place_listing_clear(struct place_listing *l);
void place_listing_free(struct place_listing *l);

void place_listing_add(struct place_listing *l, const char *entry);
bool place_listing_has(const struct place_listing *l, const char *name);

#endif
