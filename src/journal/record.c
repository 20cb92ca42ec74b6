/*
 * record: the format of include/journal/record.h, both ways.
 *
 * Reading trusts nothing: a length is compared with what is there before it
 * is used, and the checksum comes before all else. Owns nothing, never
 * blocks.
 */
#include "journal/record.h"

#include <string.h>

#include "base/le.h"

#define MAGIC      SPAN_LIT("smtpdjnl")
#define HEADER_CRC 12
#define RECORD_CRC 20

/* --- headers --- */

void
record_header_encode(const struct crc32c *c, const struct record_header *h,
    char out[HEADER_LEN])
{
	memcpy(out, MAGIC.ptr, MAGIC.len);
	le_put(out + 8, h->version, 4);
	le_put(out + HEADER_CRC, 0, 4);
	le_put(out + 16, h->nonce, 8);
	le_put(out + 24, h->turn, 8);
	le_put(out + 32, h->done, 8);
	le_put(out + 40, h->size, 8);
	le_put(out + HEADER_CRC, crc32c(c, 0, (struct span){out, HEADER_LEN}),
	    4);
}

static bool
has_sense(const struct record_header *h, uint32_t highest)
{
	return h->version > highest ||
	       (h->done >= RECORD_FIRST && h->done <= h->size &&
		   (h->done == h->size || h->done % RECORD_ALIGN == 0));
}

bool
record_header_decode(const struct crc32c *c, uint32_t highest,
    const char in[HEADER_LEN], struct record_header *h)
{
	char copy[HEADER_LEN];

	memcpy(copy, in, HEADER_LEN);
	le_put(copy + HEADER_CRC, 0, 4);
	*h = (struct record_header){
	    .version = (uint32_t)le_get(in + 8, 4),
	    .nonce = le_get(in + 16, 8),
	    .turn = le_get(in + 24, 8),
	    .done = le_get(in + 32, 8),
	    .size = le_get(in + 40, 8),
	};
	return !memcmp(in, MAGIC.ptr, MAGIC.len) &&
	       le_get(in + HEADER_CRC, 4) ==
		   crc32c(c, 0, (struct span){copy, HEADER_LEN}) &&
	       has_sense(h, highest);
}

/* --- records --- */

void
record_begin(struct buf *out, uint32_t type)
{
	memset(buf_reserve(out, RECORD_HEAD), 0, RECORD_HEAD);
	out->len = RECORD_HEAD;
	le_put(out->data + 16, type, 4);
}

/* Of a head whose checksum is 0 and that has its nonce. */
static uint32_t
checksum(const struct crc32c *c, struct span head, struct span envelope,
    struct span body)
{
	uint32_t crc = crc32c(c, 0, (struct span){head.ptr, 8});

	crc = crc32c(c, crc, head);
	crc = crc32c(c, crc, envelope);
	return crc32c(c, crc, body);
}

void
record_seal(const struct crc32c *c, struct buf *record, struct span body,
    uint64_t nonce, uint64_t offset)
{
	struct span envelope = buf_span(record);
	char *head = record->data;

	span_skip(&envelope, RECORD_HEAD);
	le_put(head, nonce, 8);
	le_put(head + 8, offset, 8);
	le_put(head + 24, envelope.len, 4);
	le_put(head + 32, body.len, 8);
	le_put(head + RECORD_CRC, 0, 4);
	le_put(head + RECORD_CRC,
	    checksum(c, (struct span){head, RECORD_HEAD}, envelope, body), 4);
}

bool
record_decode(const struct crc32c *c, struct span at, uint64_t nonce,
    uint64_t offset, struct record *r)
{
	char head[RECORD_HEAD];
	uint64_t envelope, body;

	if (at.len < RECORD_HEAD || le_get(at.ptr, 8) != nonce ||
	    le_get(at.ptr + 8, 8) != offset)
		return false;
	memcpy(head, at.ptr, RECORD_HEAD);
	le_put(head + RECORD_CRC, 0, 4);
	envelope = le_get(head + 24, 4);
	body = le_get(head + 32, 8);
	if (envelope > at.len - RECORD_HEAD ||
	    body > at.len - RECORD_HEAD - envelope)
		return false;
	*r = (struct record){
	    .type = (uint32_t)le_get(head + 16, 4),
	    .envelope = {at.ptr + RECORD_HEAD, (size_t)envelope},
	    .body = {at.ptr + RECORD_HEAD + envelope, (size_t)body},
	    .size = (size_t)(RECORD_HEAD + envelope + body),
	};
	return le_get(at.ptr + RECORD_CRC, 4) ==
	       checksum(c, (struct span){head, RECORD_HEAD}, r->envelope,
		   r->body);
}
