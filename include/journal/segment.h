/*
 * segment: one file of a journal, full size from the first day: created,
 * zeros written (not merely promised), synced, its directory synced. Then a
 * commit is one pwritev and one fdatasync that changes no metadata, and the
 * file is used again and again.
 */
#ifndef JOURNAL_SEGMENT_H
#define JOURNAL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "journal/record.h"

#define SEGMENT_NAME_MAX 24
#define SEGMENT_MAX      ((uint64_t)1 << 30) /* octets of one */

/* A record in a segment, until a checkpoint has passed it. */
struct segment_mark {
	uint64_t offset;
	char *file; /* of its body, owned; NULL: none */
	bool finished;
	bool dropped; /* and not to be delivered: its client was told so */
};

struct segment {
	struct segment *next;
	const struct crc32c *crc;
	char name[SEGMENT_NAME_MAX];
	int fd;
	/* of the header alone: an error that a sync of one descriptor has
	 * reported, a sync of the same one does not report again */
	int header_fd;
	bool bad;        /* a write failed: nothing more is written to it */
	bool committing; /* a commit is under way */
	struct record_header header;
	uint64_t end; /* where the next commit goes */
	/* a sync of mailboxes failed: what is below was delivered by then or
	 * under way, and is written anew, whatever later syncs say */
	uint64_t doubt;

	/* of this use, in order */
	struct segment_mark *marks;
	unsigned nmarks, capacity;
	unsigned first; /* not yet passed */
};

/*
 * Blocks: makes the file, for records of this version. NULL with errno, and
 * nothing is left.
 */
struct segment *segment_create(const struct crc32c *c, uint32_t version,
    int dirfd, const char *name, uint64_t size);

/* Blocks: a new nonce, and so no record. 0, or -1 with errno. */
int segment_begin(struct segment *s);

/*
 * Blocks: the newer of a file's headers that is whole. False: neither is. Any
 * version; of one above the highest nothing else is known.
 */
bool segment_header(const struct crc32c *c, uint32_t highest, int fd,
    struct record_header *h);
/* Blocks: its `done`, over the older one, on disk. 0, or -1 with errno. */
int segment_pass(const struct crc32c *c, int fd, struct record_header *h,
    uint64_t done);

/* What is to be written next, gathered; the memory stays the caller's. */
struct segment_part {
	struct buf *record; /* begun and filled; sealed here */
	struct span body;
	uint64_t offset;
};

/* Room for a record of n octets at offset? Its place is then aligned. */
bool segment_fits(const struct segment *s, uint64_t offset, uint64_t n);

/*
 * Blocks: seals and writes all, in the order of their offsets, which begin at
 * s->end, and syncs. 0, or -1 with errno.
 */
int segment_commit(const struct segment *s, struct segment_part *parts,
    unsigned n);

/* Where the next commit begins, behind n octets of records at offset. */
uint64_t segment_next_record(uint64_t end);
uint64_t segment_next_commit(uint64_t end);

/* The mark of a record that was just written there. Takes file over. */
unsigned segment_mark(struct segment *s, uint64_t offset, char *file);

/*
 * Block: a file whose only record begins at RECORD_FIRST, written, without a
 * sync, and read: 0, or -1 with errno; what r points into, for free(), or NULL
 * with errno: EBADMSG: damaged, EPROTO: of a version above the highest. size:
 * of the file. *version_r: what its header says.
 */
int segment_write_lone(const struct crc32c *c, uint32_t version, int fd,
    struct buf *record, struct span body);
char *segment_read_lone(const struct crc32c *c, uint32_t highest, int fd,
    uint64_t size, struct record *r, uint32_t *version_r);

/* Closes; the file stays. */
void segment_free(struct segment **s);

#endif
