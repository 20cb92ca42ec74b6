/*
 * reader: nonce, offset and checksum make a record.
 *
 * The whole range is read into memory, so that a body needs no second look;
 * what cannot be read is zeros, and zeros are no record. Blocks, logs
 * nothing.
 */
#include "journal/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "io/full_io.h"

#define READ (1 << 20)

/* Octets that cannot be read are zeros. NULL: no memory for them. */
static char *
read_range(int fd, uint64_t from, uint64_t to, unsigned *unreadable)
{
	size_t size = (size_t)(to - from);
	char *all = calloc(1, size);

	for (size_t at = 0; all && at < size; at += READ) {
		size_t n = size - at < READ ? size - at : READ;

		if (!full_pread(fd, all + at, n, from + at))
			continue;
		++*unreadable;
		memset(all + at, 0, n);
		for (size_t p = at; p < at + n; p += RECORD_ALIGN)
			if (full_pread(fd, all + p, RECORD_ALIGN, from + p) < 0)
				memset(all + p, 0, RECORD_ALIGN);
	}
	return all;
}

/* It has the nonce and the place of a record, or did not begin with zeros. */
static bool
was_record(struct span at, uint64_t nonce)
{
	return le_get(at.ptr, 8) == nonce;
}

static bool
is_stopped(const struct reader *r)
{
	return r->stop && atomic_load(r->stop);
}

/* 0, also when it is left out. */
static int
redo(struct reader *r, uint32_t version, uint64_t offset,
    const struct record *record)
{
	const struct journal_owner *o = r->owner;

	if (!r->at(r->ctx, offset))
		return 0;
	return o->redo(o->ctx, version, r->dirfd, record, r->how, &r->count);
}

int
reader_range(struct reader *r, int fd, const struct record_header *h,
    uint64_t from, uint64_t to)
{
	struct record record;
	struct span at;
	char *all;
	bool torn = false, failed = false;

	if (from >= to)
		return 0;
	all = read_range(fd, from, to, &r->count.damaged);
	if (!all)
		return -1;
	at = (struct span){all, (size_t)(to - from)};
	while (at.len >= RECORD_ALIGN && !is_stopped(r)) {
		uint64_t offset = from + (uint64_t)(at.ptr - all);
		size_t n = RECORD_ALIGN;
		bool whole =
		    record_decode(r->crc, at, h->nonce, offset, &record);

		if (whole || was_record(at, h->nonce)) {
			r->count.damaged += torn; /* it was not the last */
			torn = !whole;
		}
		if (whole) {
			failed |= redo(r, h->version, offset, &record) < 0;
			n = (record.size + n - 1) / n * n;
		}
		span_skip(&at, n < at.len ? n : at.len);
	}
	free(all);
	r->torn |= torn;
	errno = is_stopped(r) ? ECANCELED : EIO;
	return !failed && !is_stopped(r) ? 0 : -1;
}
