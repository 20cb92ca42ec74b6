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
 * size of the segment 8.
 *
 * Record: nonce 8, its own offset 8, type 4, CRC32C 4 (of the nonce, this head
 * with itself as 0, the envelope and the body), length of the envelope 4, 0 4,
 * length of the body 8; then the envelope, then the body. The nonce is random
 * and drawn anew each time a segment is used: neither a stranger's body nor a
 * stale octet can pass for a record.
 *
 * Envelope: strings, each with its length (4) before it: message id, the
 * Return-Path line, the Received lines, the name of the body's file ("" when
 * the body is in the record). Then octets of that file's head 8, its size 8,
 * when the message came 8, number of recipients 4, and for each four strings:
 * the address of Delivered-To, the Maildir root, the mailbox below it, the
 * name of the file. Nothing else is needed to deliver it.
 *
 * A version reads its own format and the one before. This is the first.
 */
#ifndef JOURNAL_RECORD_H
#define JOURNAL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "mail/message.h"

#define RECORD_VERSION  1
#define RECORD_PAGE     4096
#define RECORD_FIRST    8192 /* where records begin */
#define RECORD_ALIGN    512
#define RECORD_HEAD     40
#define HEADER_LEN      48
#define RECORD_BODY_MAX ((uint64_t)1 << 40) /* octets in a file of its own */
#define RECORD_WHEN_MAX ((uint64_t)1 << 40) /* seconds since 1970 */

enum record_type {
	RECORD_MAIL = 1, /* the body follows */
	RECORD_FILE,     /* the body is in a file of its own */
	RECORD_PENDING,  /* reserved: remote destinations are being asked */
	RECORD_SETTLED,  /* reserved: their answer */
};

struct record_header {
	uint32_t version;
	uint64_t nonce, turn, done, size;
};

void record_header_encode(const struct crc32c *c, const struct record_header *h,
    char out[HEADER_LEN]);
/*
 * False: it is damaged, no header, or says what none of ours does. Of a
 * version that is unknown the other numbers are, too.
 */
bool record_header_decode(const struct crc32c *c, const char in[HEADER_LEN],
    struct record_header *h);

/*
 * The head, to be sealed, and the envelope. file: the name that the body's
 * file has, NULL when it is in memory.
 */
void record_encode(struct buf *out, const struct message *m, const char *file);

/* On any thread: nonce, offset and checksum, once all is known. */
void record_seal(const struct crc32c *c, struct buf *record, struct span body,
    uint64_t nonce, uint64_t offset);

struct record {
	enum record_type type;
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

/*
 * A message from a record, of which nothing is kept but r->body. root() opens
 * a Maildir's root or finds it opened, never NULL. *file is the body's file,
 * "" if there is none; then m->body.fd is to be filled in. False: the envelope
 * makes no sense; m is empty.
 */
typedef const struct maildir_root *record_root_fn(void *ctx, const char *path);
bool record_message(const struct record *r, record_root_fn *root, void *ctx,
    struct message *m, const char **file);

#endif
