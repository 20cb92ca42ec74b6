/*
 * held_pass: one look at held/, on a thread.
 */
#ifndef DELIVER_HELD_PASS_H
#define DELIVER_HELD_PASS_H

#include <time.h>
#include <uthash.h>

#include "deliver/held.h"

/*
 * A mailbox for which something is held: "root", a slash, "path". Or a root
 * alone, with what is held below it.
 */
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

/* What came of a copy. */
enum held_fate {
	HELD_DELIVERED,
	HELD_FAILED,
	HELD_UNREADABLE,
	HELD_ASIDE, /* no file of ours, and in damaged/ now */
};
struct held_event {
	enum held_fate fate;
	char id[MESSAGE_ID_MAX];
	char *address, *mailbox;
	int error; /* why it was held */
	struct held_event *next;
};

/* What a pass knows of a file from an earlier one. */
struct held_file {
	UT_hash_handle hh;
	struct held_box *boxes;
	uint64_t size;
	uint64_t block_at; /* where its block stands */
	struct held_block block;
	struct timespec changed; /* its mtime, when the block was read */
	bool seen;
	bool told; /* that it cannot be read */
	char name[];
};

struct held_pass {
	/* in */
	const struct held_options *o;
	const struct crc32c *crc;
	int dirfd, damaged;
	/* kept from pass to pass */
	struct held_file *files;
	/* out: for the loop, that frees it */
	struct held_box *boxes, *roots;
	uint64_t size; /* what counts against the limit */
	struct held_event *events, **events_end;
	int error;
};

/* The file of this name, made when it is new. */
struct held_file *held_file_find(struct held_pass *p, const char *name);
/* Frees those that are not `seen`. */
void held_files_forget(struct held_pass *p);

void held_pass_run(struct held_pass *p);
void held_pass_free_events(struct held_pass *p);
void held_pass_free(struct held_pass *p);

#endif
