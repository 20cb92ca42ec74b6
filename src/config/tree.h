/*
 * tree: the blocks of a file as they are written, and what the sections share.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/where.h"
#include "config/config.h"

struct config_section;

/* One value and where it stands. Strings are in the arena. */
struct config_item {
	const char *text;
	const char *file;
	unsigned line;
};

struct config_list {
	struct config_item *items;
	unsigned n;
};

/* One block as written, or one that is there without being written. */
struct config_block {
	const struct config_section *section;
	const char *title;
	const char *file; /* NULL: not written */
	unsigned line;
	struct config_list *values; /* one per key of the section */
	void *data;                 /* the section's struct */
	struct config_block *next;
};

/* What config_load() hands out is the first member of this. */
struct config_all {
	struct config pub;
	const struct config *old; /* while it is loaded: see config_load() */
	struct arena arena;       /* every string and block */
	struct config_block *blocks, **blocks_end;
	struct config_block *top; /* the first block */
	bool builtin;
	bool whole; /* nothing is missing for an error in the file */
	char *cwd;  /* for relative paths; NULL: refuse them */
	bool failed_by_default;  /* below the spool */
	struct smtp_config smtp; /* but for what is a listener's own */
	char *greeting, *postmaster, *smarthost;
	struct config_route *routes;   /* see section_route.h */
	struct filter_config *filters; /* and these are pub.filters' */
	const char **names;
	char *redis_password;     /* in the arena, to be wiped */
	struct config_item at;    /* what names a route, while it is built */
	struct dnsbl *dnsbl;      /* see section_dnsbl.c */
	struct dnsbl_zone *zones; /* which are its own */
	char delimiter;
	unsigned keep_case; /* 0 fold, 1 keep */
};

/* A new block at the end of all->blocks; title and file must last. */
struct config_block *config_block_add(struct config_all *all,
    const struct config_section *s, const char *title, const char *file,
    unsigned line);
/* The first of this section, and the next of the same one; NULL: none. */
struct config_block *config_block_first(const struct config_all *all,
    const struct config_section *s);
struct config_block *config_block_next(const struct config_block *b);

/* What is written for a key. */
struct config_list *config_values(const struct config_block *b,
    const char *key);
/* Where the key is set; where the block is, without text, when it is not. */
struct config_item config_where(const struct config_block *b, const char *key);
/* The same for what is decided by it: a default has no place. */
struct where config_place(const struct config_block *b, const char *key);
void config_list_add(struct arena *a, struct config_list *l,
    struct config_item item);

/* Adds a copy of object to an array of *n such; returns it, or a larger one. */
void *config_array_add(struct arena *a, void *array, unsigned *n,
    const void *object, size_t size);

#endif
