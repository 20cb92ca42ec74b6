/*
 * What a disk may hold in the place of a journal: headers, records, and
 * envelopes whose checksum was right. Nothing of it may be believed further
 * than it reaches, and a message that is read is whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct maildir_root *
root(void *ctx, const char *path)
{
	if (path[0] != '/')
		abort();
	return ctx;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = {(const char *)data, size};
	struct maildir_root r = {0};
	struct record_header h;
	struct record record = {.type = size ? data[0] % 5 : 0,
	    .envelope = all,
	    .body = {all.ptr, size / 2}};
	struct message m;
	struct crc32c crc;
	const char *file;

	crc32c_init(&crc);
	if (size >= HEADER_LEN)
		(void)record_header_decode(&crc, all.ptr, &h);
	if (record_message(&record, root, &r, &m, &file)) {
		for (unsigned i = 0; i < m.ncopies; i++)
			if (!*m.copies[i].name || strchr(m.copies[i].name, '/'))
				abort();
		message_free(&m);
	}
	if (size >= 16 && record_decode(&crc, all, 0, 0, &record) &&
	    record.size > size)
		abort();
	return 0;
}
