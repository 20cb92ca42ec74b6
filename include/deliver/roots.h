/*
 * roots: destinations by their texts, each opened when it is asked for, with
 * their mailboxes. For one thread at a time.
 */
#ifndef DELIVER_ROOTS_H
#define DELIVER_ROOTS_H

#include "base/arena.h"
#include "dest/destination.h"
#include "dest/place.h"

struct recipients;

struct roots {
	struct place_boxes *boxes;
	struct arena arena;
	struct destination **all;
	unsigned n;
};

/* reserve: percent of a file system, not for mailboxes. */
void roots_init(struct roots *r, unsigned reserve);
void roots_free(struct roots *r);

/*
 * ctx: a struct roots. text: see destination_is_place(). Never NULL; one whose
 * root cannot be opened is `gone`.
 */
const struct destination *roots_find(void *ctx, const char *text);
/* The same, but it is not opened: always `gone`, unless it was found before. */
const struct destination *roots_name(void *ctx, const char *text);

/*
 * Blocks: all that was placed below them is on disk, and where their paths
 * lead to: 0, or -1 with errno; ESTALE, whatever else failed, when a path
 * leads elsewhere by now.
 */
int roots_sync(struct roots *r);
/* The same of those of the configuration, which lanes place mail in. */
int roots_sync_live(struct recipients *r);

#endif
