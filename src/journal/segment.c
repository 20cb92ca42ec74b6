/*
 * segment: writes to the files of a journal.
 *
 * Owns the descriptor. Everything that blocks says so in the header and runs
 * on a thread; the marks are the loop's alone.
 */
#include "journal/segment.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/full_io.h"

#define ZEROS     (1 << 20)
#define PARTS_MAX 1023 /* of one pwritev: IOV_MAX, divisible by three */

static uint64_t
align(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* --- making --- */

static int
write_zeros(int fd, uint64_t size)
{
	char *zeros = calloc(1, ZEROS);
	int r = 0;

	if (!zeros)
		abort();
	for (uint64_t at = 0; !r && at < size; at += ZEROS) {
		uint64_t left = size - at;
		size_t n = left < ZEROS ? (size_t)left : ZEROS;

		r = full_pwrite(fd, (struct span){zeros, n}, at);
	}
	free(zeros);
	return r;
}

static int
make(int dirfd, const char *name, uint64_t size)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dirfd, name, flags, 0600);
	int err;

	if (fd < 0)
		return -1;
	if (!write_zeros(fd, size) && !fsync(fd) && !full_sync_dir(dirfd))
		return fd;
	err = errno;
	close(fd);
	unlinkat(dirfd, name, 0);
	errno = err;
	return -1;
}

struct segment *
segment_create(const struct crc32c *c, int dirfd, const char *name,
    uint64_t size)
{
	struct segment *s;
	int fd = make(dirfd, name, size);
	int header_fd = fd < 0 ? -1 : full_open(dirfd, name, O_RDWR, size);

	if (header_fd < 0) {
		int err = errno;

		if (fd >= 0) {
			close(fd);
			unlinkat(dirfd, name, 0);
		}
		errno = err;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->crc = c;
	s->fd = fd;
	s->header_fd = header_fd;
	s->header.version = RECORD_VERSION;
	s->header.size = size;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

static void
clear_marks(struct segment *s)
{
	for (unsigned i = 0; i < s->nmarks; i++)
		free(s->marks[i].file);
	s->nmarks = s->first = 0;
}

void
segment_free(struct segment **p)
{
	struct segment *s = *p;

	*p = NULL;
	if (!s)
		return;
	clear_marks(s);
	free(s->marks);
	close(s->fd);
	close(s->header_fd);
	free(s);
}

/* --- headers --- */

static int
write_header(struct segment *s, unsigned page)
{
	char head[HEADER_LEN];

	record_header_encode(s->crc, &s->header, head);
	return full_pwrite(s->header_fd, (struct span){head, sizeof(head)},
	    (uint64_t)page * RECORD_PAGE);
}

int
segment_begin(struct segment *s)
{
	struct record_header *h = &s->header;

	if (getrandom(&h->nonce, sizeof(h->nonce), 0) < 0)
		return -1;
	h->turn++;
	h->done = RECORD_FIRST;
	if (write_header(s, 0) < 0 || write_header(s, 1) < 0 ||
	    fdatasync(s->header_fd) < 0)
		return -1;
	clear_marks(s);
	s->end = RECORD_FIRST;
	s->doubt = 0;
	return 0;
}

int
segment_write_done(struct segment *s, uint64_t done)
{
	s->header.done = done;
	s->header.turn++;
	if (write_header(s, s->header.turn % 2) < 0)
		return -1;
	return fdatasync(s->header_fd);
}

/* --- records --- */

uint64_t
segment_next_record(uint64_t end)
{
	return align(end, RECORD_ALIGN);
}

uint64_t
segment_next_commit(uint64_t end)
{
	return align(end, RECORD_PAGE);
}

bool
segment_fits(const struct segment *s, uint64_t offset, uint64_t n)
{
	return offset <= s->header.size && n <= s->header.size - offset;
}

unsigned
segment_mark(struct segment *s, uint64_t offset, char *file)
{
	if (s->nmarks == s->capacity) {
		s->capacity = s->capacity ? 2 * s->capacity : 64;
		s->marks = realloc(s->marks, s->capacity * sizeof(s->marks[0]));
		if (!s->marks)
			abort();
	}
	s->marks[s->nmarks] =
	    (struct segment_mark){.offset = offset, .file = file};
	return s->nmarks++;
}

/* The record, the body, and zeros up to where the next one begins. */
static void
put_part(const struct segment *s, struct segment_part *p, uint64_t next,
    struct iovec iov[3])
{
	static const char zeros[RECORD_PAGE] = {0};
	uint64_t end = p->offset + p->record->len + p->body.len;

	assert(next >= end && next - end <= RECORD_PAGE);
	record_seal(s->crc, p->record, p->body, s->header.nonce, p->offset);
	iov[0] = full_part(buf_span(p->record));
	iov[1] = full_part(p->body);
	iov[2] = full_part((struct span){zeros, (size_t)(next - end)});
}

int
segment_commit(const struct segment *s, struct segment_part *parts, unsigned n)
{
	struct iovec iov[PARTS_MAX];
	uint64_t from = parts[0].offset;
	int used = 0;

	for (unsigned i = 0; i < n; i++) {
		struct segment_part *p = &parts[i];
		uint64_t end = p->offset + p->record->len + p->body.len;
		uint64_t next =
		    i + 1 < n ? parts[i + 1].offset : segment_next_commit(end);

		put_part(s, p, next, iov + used);
		used += 3;
		if (used < PARTS_MAX && i + 1 < n)
			continue;
		if (full_pwritev(s->fd, iov, used, from) < 0)
			return -1;
		from = next;
		used = 0;
	}
	return fdatasync(s->fd);
}
