/*
 * record: what the files of a journal look like, octet by octet.
 *
 * A segment is a file of fixed size. Numbers are little-endian.
 *
 *	     0  header, one page of 4,096 octets, of which 48 are used
 *	 4,096  the header again; they are written in turns, and the one with
 *		the higher turn is the newer: a torn write spoils only one
 *	 8,192  records, each at a multiple of 512; what one commit writes
 *		begins and ends at a page, so that no later write touches what
 *		was acknowledged
 *
 * Header: magic 8 ("smtpdjnl"), version 4, CRC32C of these 48 octets 4 (taken
 * with itself as 0), nonce 8, turn 8, done 8 (records below it need nothing),
 * size of the segment 8. The version is of what the records say, and so their
 * owner's: here it is only compared with the highest that can be read.
 *
 * Record: nonce 8, its own offset 8, type 4, CRC32C 4 (of the nonce, this head
 * with itself as 0, the envelope and the body), length of the envelope 4, 0 4,
 * length of the body 8; then the envelope, then the body. The nonce is random
 * and drawn anew each time a segment is used: neither a stranger's body nor a
 * stale octet can pass for a record. Type and envelope are the owner's.
 */
#ifndef JOURNAL_RECORD_H
#define JOURNAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/crc32c.h"

#define RECORD_PAGE  4096
#define RECORD_FIRST 8192 /* where records begin */
#define RECORD_ALIGN 512
#define RECORD_HEAD  40
#define HEADER_LEN   48

struct record_header {
	uint32_t version;
	uint64_t nonce, turn, done, size;
};

void record_header_encode(const struct crc32c *c, const struct record_header *h,
    char out[HEADER_LEN]);
/*
 * False: it is damaged, no header, or says what none of ours does. Of a
 * version above the highest that is known the other numbers are not, either.
 */
bool record_header_decode(const struct crc32c *c, uint32_t highest,
    const char in[HEADER_LEN], struct record_header *h);

/* An empty out gets a head; the envelope is put behind it. */
void record_begin(struct buf *out, uint32_t type);

/* On any thread: all else of the head, once it is known. */
void record_seal(const struct crc32c *c, struct buf *record, struct span body,
    uint64_t nonce, uint64_t offset);

struct record {
	uint32_t type;
	struct span envelope;
	struct span body;
	size_t size; /* of all, unaligned */
};

/*
 * Is there a record of this nonce at this offset? at: everything from there
 * to the end of the segment; *r points into it.
 */
bool record_decode(const struct crc32c *c, struct span at, uint64_t nonce,
    uint64_t offset, struct record *r);

#endif
