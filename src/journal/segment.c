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

#include "base/mem.h"
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
	char *zeros = mem_new(ZEROS);
	int r = 0;

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

	if (fd < 0)
		return -1;
	if (!write_zeros(fd, size) && !fsync(fd) && !full_sync_dir(dirfd))
		return fd;
	full_close(&fd);
	return full_unlink(dirfd, name);
}

struct segment *
segment_create(const struct crc32c *c, uint32_t version, int dirfd,
    const char *name, uint64_t size)
{
	struct segment *s;
	int fd = make(dirfd, name, size);
	int header_fd = fd < 0 ? -1 : full_open(dirfd, name, O_RDWR, size);

	if (header_fd < 0) {
		if (fd >= 0)
			full_unlink(dirfd, name);
		full_close(&fd);
		return NULL;
	}
	s = mem_new(sizeof(*s));
	s->crc = c;
	s->fd = fd;
	s->header_fd = header_fd;
	s->header.version = version;
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
write_header(const struct crc32c *c, int fd, const struct record_header *h,
    unsigned page)
{
	char head[HEADER_LEN];

	record_header_encode(c, h, head);
	return full_pwrite(fd, (struct span){head, sizeof(head)},
	    (uint64_t)page * RECORD_PAGE);
}

bool
segment_header(const struct crc32c *c, uint32_t highest, int fd,
    struct record_header *h)
{
	struct record_header two[2];
	char head[HEADER_LEN];
	bool good[2];

	for (unsigned i = 0; i < 2; i++)
		good[i] = !full_pread(fd, head, sizeof(head),
			      (uint64_t)i * RECORD_PAGE) &&
			  record_header_decode(c, highest, head, &two[i]);
	if (!good[0] && !good[1])
		return false;
	*h = two[good[1] && (!good[0] || two[1].turn > two[0].turn)];
	return true;
}

/* Both, with a new nonce. */
static int
begin(const struct crc32c *c, int fd, struct record_header *h)
{
	h->done = RECORD_FIRST;
	if (getrandom(&h->nonce, sizeof(h->nonce), 0) < 0 ||
	    write_header(c, fd, h, 0) < 0)
		return -1;
	return write_header(c, fd, h, 1);
}

int
segment_begin(struct segment *s)
{
	s->header.turn++;
	if (begin(s->crc, s->header_fd, &s->header) < 0 ||
	    fdatasync(s->header_fd) < 0)
		return -1;
	clear_marks(s);
	s->end = RECORD_FIRST;
	s->doubt = 0;
	return 0;
}

int
segment_pass(const struct crc32c *c, int fd, struct record_header *h,
    uint64_t done)
{
	h->done = done;
	h->turn++;
	if (write_header(c, fd, h, h->turn % 2) < 0)
		return -1;
	return fdatasync(fd);
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

/* --- one alone --- */

int
segment_write_lone(const struct crc32c *c, uint32_t version, int fd,
    struct buf *record, struct span body)
{
	struct record_header h = {.version = version,
	    .size = RECORD_FIRST + record->len + body.len};

	if (begin(c, fd, &h) < 0)
		return -1;
	record_seal(c, record, body, h.nonce, RECORD_FIRST);
	if (full_pwrite(fd, buf_span(record), RECORD_FIRST) < 0)
		return -1;
	return full_pwrite(fd, body, RECORD_FIRST + record->len);
}

char *
segment_read_lone(const struct crc32c *c, uint32_t highest, int fd,
    uint64_t size, struct record *r, uint32_t *version_r)
{
	struct record_header h;
	struct span all;
	char *octets;

	errno = EBADMSG;
	if (size < RECORD_FIRST + RECORD_HEAD ||
	    !segment_header(c, highest, fd, &h))
		return NULL;
	errno = EPROTO;
	*version_r = h.version;
	if (h.version > highest)
		return NULL;
	all.len = (size_t)size - RECORD_FIRST;
	all.ptr = octets = malloc(all.len);
	if (!octets)
		return NULL;
	if (full_pread(fd, octets, all.len, RECORD_FIRST) == 0) {
		if (record_decode(c, all, h.nonce, RECORD_FIRST, r))
			return octets;
		errno = EBADMSG;
	}
	free(octets);
	return NULL;
}
