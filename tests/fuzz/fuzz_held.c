/*
 * What a disk may hold in the place of a held file, sealed or not, and behind
 * its record. It is looked at, never delivered.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/le.h"
#include "deliver/held_file.h"
#include "io/full_io.h"
#include "journal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet says how much of it is the record; odd: seal that. The second
 * one, odd: it is of the second version. */
static void
make_file(const struct crc32c *crc, int fd, struct span data)
{
	struct record_header h = {1, 1, 0, RECORD_FIRST, RECORD_FIRST};
	char head[HEADER_LEN];
	struct buf r = {0};

	buf_append(&r, data.ptr, data.len * (unsigned char)data.ptr[0] / 255);
	span_skip(&data, r.len);
	if (r.len > 1 && r.data[1] & 1)
		h.version = 2;
	if (r.len >= RECORD_HEAD && r.data[0] & 1) {
		le_put(r.data + 24, r.len - RECORD_HEAD, 4);
		le_put(r.data + 32, 0, 8);
		record_seal(crc, &r, (struct span){0}, 1, RECORD_FIRST);
	}
	record_header_encode(crc, &h, head);
	full_pwrite(fd, (struct span){head, HEADER_LEN}, 0);
	full_pwrite(fd, buf_span(&r), RECORD_FIRST);
	full_pwrite(fd, data, segment_next_record(RECORD_FIRST + r.len));
	buf_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int dirfd = open("/tmp", O_RDONLY | O_DIRECTORY), fd;
	struct held_file f;
	struct held_block b;
	struct crc32c crc;
	char name[32];

	snprintf(name, sizeof(name), "fuzz-held-%d", (int)getpid());
	crc32c_init(&crc);
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (size)
		make_file(&crc, fd, (struct span){(const char *)data, size});
	close(fd);
	if (!held_file_open(&f, &crc, dirfd, name, 0)) {
		b = held_block_read(f.fd, f.block_at);
		if (held_block_age(&b, INT64_MAX) < 0)
			abort();
		held_file_close(&f);
	}
	unlinkat(dirfd, name, 0);
	return close(dirfd);
}
