/*
 * owner: of a journal in tests, to which its records are numbers. Notes what
 * it has to redo, and fails when it is told to.
 */
#ifndef OWNER_H
#define OWNER_H

#include <stdatomic.h>

#include "journal/journal.h"
#include "journal/segment.h"

#define OWNER_VERSION 7
#define OWNER_RECORDS 1024

struct owner {
	/* what it does */
	atomic_int refuses;  /* to redo this number; -1: none */
	bool makes_none;     /* sense of any: each is damaged */
	unsigned sync_fails; /* the next so many, like this: */
	int sync_error;

	/* what was asked of it */
	unsigned again[OWNER_RECORDS], rewritten[OWNER_RECORDS];
	unsigned syncs;
	uint32_t version;
	int dirfd;
};

void owner_init(struct owner *o);
struct journal_owner owner_of(struct owner *o);
/* ctx: an owner. */
int owner_sync(void *ctx);

/* Record number n, with a body of so many octets that nothing else has. */
void owner_record(struct buf *record, struct buf *body, unsigned n,
    size_t size);
/* Into the segment, a commit of its own; its offset. */
uint64_t owner_commit(struct segment *s, unsigned n, size_t size);

#endif
