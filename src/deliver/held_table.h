/*
 * held_table: the mailboxes for which something is held, the files that wait
 * for them, and what became of those. Nothing here blocks or touches a file.
 */
#ifndef DELIVER_HELD_TABLE_H
#define DELIVER_HELD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "base/hash.h"
#include "deliver/held_file.h"

/* "root", a slash, "path"; or a root alone, with what is held below it. */
struct held_box {
	UT_hash_handle hh;
	uint64_t size;
	unsigned mailboxes; /* of a root */
	int error;          /* why; 0: nobody knows */
	size_t root;        /* octets of its name in front */
	char name[];
};

/* Finds or adds it. */
struct held_box *held_box_add(struct held_box **set, const char *root,
    const char *path);
/* NULL if it is not there. */
const struct held_box *held_box_find(const struct held_box *set,
    const char *root, const char *path);
/* Adds what is in from, each with its part of these octets. */
void held_boxes_merge(struct held_box **set, const struct held_box *from,
    uint64_t size);
/* Fills roots, and returns what of all counts against this limit. */
uint64_t held_boxes_count(const struct held_box *set, uint64_t limit,
    struct held_box **roots);
void held_boxes_free(struct held_box **set);

/* What a round, or a look, knows of a file from an earlier one. */
struct held_known {
	UT_hash_handle hh;
	/* without either it was not read yet */
	struct held_box *boxes;
	char *route; /* its text; such a file has no mailboxes */
	uint64_t size;
	uint64_t block_at; /* where its block stands */
	struct held_block block;
	struct timespec changed; /* its mtime, when the block was read */
	bool seen;
	/* that it cannot be read; or it was half made before; of a look: it was
	 * read */
	bool told;
	char name[];
};

/* Finds or adds it. */
struct held_known *held_known_add(struct held_known **set, const char *name);
/* Frees those that are not `seen`. */
void held_known_forget(struct held_known **set);

/* What came of a copy, or of a file. */
enum held_fate {
	HELD_DELIVERED,
	HELD_FAILED,
	HELD_UNREADABLE,
	HELD_NEWER, /* a newer version's: left alone */
	HELD_ASIDE, /* no file of ours, and in damaged/ now */
};
struct held_event {
	enum held_fate fate;
	char *name; /* of the file; NULL: it is about a copy */
	char id[MESSAGE_ID_MAX];
	char *address, *mailbox;
	const struct destination_kind *kind;
	int error; /* why it was held, or cannot be read */
	STAILQ_ENTRY(held_event) next;
};
STAILQ_HEAD(held_events, held_event);

void held_tell_file(struct held_events *l, enum held_fate fate,
    const char *name, int error);
void held_tell_copy(struct held_events *l, enum held_fate fate, const char *id,
    const struct message_copy *c, int error);
void held_events_free(struct held_events *l);

#endif
