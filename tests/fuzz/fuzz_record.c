/*
 * What a disk may hold in the place of a journal: headers, records, and
 * envelopes whose checksum was right. Nothing of it may be believed further
 * than it reaches, and a message that is read is whole.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/message_record.h"
#include "dest/destination.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct destination *
find(void *ctx, const char *text)
{
	if (!destination_is_place(text))
		abort();
	return ctx;
}

static void
read_message(struct span all, uint32_t type, uint32_t version, bool held)
{
	struct record record = {.type = type,
	    .envelope = all,
	    .body = {all.ptr, all.len / 2}};
	struct destination d = {0};
	const struct message_record_from from = {version, held, find, &d};
	struct message m;
	const char *file;

	if (!message_record_decode(&from, &record, &m, &file))
		return;
	for (unsigned i = 0; i < m.ncopies; i++) {
		const struct message_copy *c = &m.copies[i];

		if (!*c->name || strchr(c->name, '/'))
			abort();
		if (!c->path == !c->to || (c->to && (!held || version < 2)))
			abort();
	}
	message_free(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = {(const char *)data, size};
	struct record_header h;
	struct record record;
	struct crc32c crc;

	crc32c_init(&crc);
	if (size >= HEADER_LEN)
		(void)record_header_decode(&crc, MESSAGE_RECORD_VERSION,
		    all.ptr, &h);
	for (uint32_t i = 0; i < 4; i++) {
		read_message(all, MESSAGE_RECORD_MAIL, 1 + i / 2, i % 2);
		read_message(all, MESSAGE_RECORD_FILE, 1 + i / 2, i % 2);
	}
	if (size >= 16 && record_decode(&crc, all, 0, 0, &record) &&
	    record.size > size)
		abort();
	return 0;
}
