/*
 * reader: walks the records of a segment, and has each one redone.
 *
 * A record counts when it is intact, whatever is before or behind it. Blocks;
 * for one thread.
 */
#ifndef JOURNAL_READER_H
#define JOURNAL_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "journal/journal.h"
#include "journal/record.h"

struct reader {
	const struct crc32c *crc;
	const struct journal_owner *owner;
	int dirfd; /* of the journal */
	enum redo_how how;
	const atomic_bool *stop; /* NULL, or whether to end before the next */
	/* called before each record; false: leave it out */
	bool (*at)(void *ctx, uint64_t offset);
	void *ctx;

	/* damaged: places as well where something was */
	struct redo_count count;
	/* the last record is but begun: a crash came during its commit */
	bool torn;
};

/*
 * From one offset to another of a segment. 0; -1 with errno: EIO when any
 * record could not be redone, ECANCELED when it was stopped, or ENOMEM.
 */
int reader_range(struct reader *r, int fd, const struct record_header *h,
    uint64_t from, uint64_t to);

#endif
