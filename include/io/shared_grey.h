/*
 * shared_grey: the words of the greylist (policy/greylist.h), in the mapping
 * of io/shared, and what is kept with them. They are there while nobody asks
 * for them, too, so that a reload can: pages that nobody touches cost nothing.
 */
#ifndef IO_SHARED_GREY_H
#define IO_SHARED_GREY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/siphash.h"
#include "io/shared_cells.h"

/* A power of two: 1,048,576 words in 8 MiB. */
#define SHARED_GREY_SETS 131072u

struct shared_grey {
	/* Drawn with the mapping, or the file's: written before any worker
	 * reads it. */
	uint8_t hash_key[SIPHASH_KEY_LEN];
	_Atomic uint32_t changed; /* since it was written to its file */
	/* Who writes the file now: slot + 1, or 0. Whoever finds that it is
	 * somebody else's by now does not put its file in place. */
	_Atomic uint32_t saver;
	_Atomic int64_t due; /* when it is written next, monotonic ms; 0: not
				thought of yet */
	struct shared_set sets[SHARED_GREY_SETS];
};

struct shared;

struct shared_grey *shared_grey(struct shared *s);

#endif
