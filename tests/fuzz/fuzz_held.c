/*
 * What a disk may hold in the place of a held file, sealed or not, and behind
 * its record. It is looked at, never delivered.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/le.h"
#include "deliver/held_try.h"
#include "io/full_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first octet says how much of it is the record; odd: seal that. */
static void
make_file(const struct crc32c *crc, int fd, struct span data)
{
	struct record_header h = {1, 1, 0, RECORD_FIRST, RECORD_FIRST};
	char head[HEADER_LEN];
	struct buf r = {0};

	buf_append(&r, data.ptr, data.len * (unsigned char)data.ptr[0] / 255);
	span_skip(&data, r.len);
	if (r.len >= RECORD_HEAD && r.data[0] & 1) {
		le_put(r.data + 24, r.len - RECORD_HEAD, 4);
		le_put(r.data + 32, 0, 8);
		record_seal(crc, &r, (struct span){0}, 1, RECORD_FIRST);
	}
	record_header_encode(crc, &h, head);
	full_pwrite(fd, (struct span){head, HEADER_LEN}, 0);
	full_pwrite(fd, buf_span(&r), RECORD_FIRST);
	full_pwrite(fd, data, held_block_offset(RECORD_FIRST + r.len));
	buf_free(&r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crc32c crc;
	const struct held_options o = {0};
	struct held_pass p = {.o = &o, .crc = &crc, .events_end = &p.events};
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "fuzz-held-%d", (int)getpid());
	crc32c_init(&crc);
	held_file_find(&p, name);
	p.dirfd = open("/tmp", O_RDONLY | O_DIRECTORY);
	fd = openat(p.dirfd, name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (size)
		make_file(&crc, fd, (struct span){(const char *)data, size});
	close(fd);
	if (!held_try_look(&p, p.files) &&
	    held_block_age(&p.files->block, INT64_MAX) < 0)
		abort();
	held_pass_free(&p);
	unlinkat(p.dirfd, name, 0);
	return close(p.dirfd);
}
