/*
 * held_write: one record in a file of its own, written beside its name and
 * then renamed, so that what has the name is whole. Blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "deliver/held.h"
#include "io/full_io.h"

/* The copies that failed, in an envelope of their own. Shares all memory. */
static struct message
only_failed(const struct message *m)
{
	struct message f = {.body = m->body, .when = m->when};

	memcpy(f.id, m->id, sizeof(f.id));
	f.return_path = m->return_path;
	f.received = m->received;
	f.copies = calloc(m->ncopies, sizeof(f.copies[0]));
	if (!f.copies)
		abort();
	for (unsigned i = 0; i < m->ncopies; i++)
		if (m->copies[i].error)
			f.copies[f.ncopies++] = m->copies[i];
	return f;
}

/* The same for the same copies of the same message. */
static void
name_of(const struct crc32c *c, const struct message *f, char *name, size_t n)
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < f->ncopies; i++)
		crc = crc32c(c, crc, span_str(f->copies[i].name));
	snprintf(name, n, "%s-%08x", f->id, crc);
}

/* A body that has a file keeps it, under this name as well. */
static int
link_body(int held, const struct message *m, const char *file)
{
	if (!linkat(m->dirfd, m->link, held, file, 0) || errno == EEXIST)
		return 0;
	return -1;
}

/* There is no record that it belongs to. */
static void
unlink_body(int held, const char *name, const char *file)
{
	int err = errno;

	if (faccessat(held, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    errno == ENOENT)
		unlinkat(held, file, 0);
	errno = err;
}

static struct held_block
first_block(const struct message *f)
{
	struct held_block b = {.error = f->copies[0].error};

	held_block_count(&b, held_block_clock());
	return b;
}

static int
write_file(const struct crc32c *c, int fd, struct buf *record, struct span body,
    const struct held_block *b)
{
	struct record_header h = {.version = RECORD_VERSION,
	    .done = RECORD_FIRST,
	    .size = RECORD_FIRST + record->len + body.len};
	char head[HEADER_LEN], block[HELD_BLOCK];

	held_block_encode(b, block);
	if (getrandom(&h.nonce, sizeof(h.nonce), 0) < 0)
		return -1;
	record_header_encode(c, &h, head);
	record_seal(c, record, body, h.nonce, RECORD_FIRST);
	if (full_pwrite(fd, (struct span){head, HEADER_LEN}, 0) < 0 ||
	    full_pwrite(fd, (struct span){head, HEADER_LEN}, RECORD_PAGE) < 0 ||
	    full_pwrite(fd, buf_span(record), RECORD_FIRST) < 0 ||
	    full_pwrite(fd, body, RECORD_FIRST + record->len) < 0 ||
	    full_pwrite(fd, (struct span){block, HELD_BLOCK},
		held_block_offset(h.size)) < 0)
		return -1;
	return fsync(fd);
}

static int
write_under(const struct crc32c *c, int held, const char *name,
    struct buf *record, struct span body, const struct held_block *b)
{
	char making[128];
	int fd, err;

	snprintf(making, sizeof(making), ".%s-%d", name, (int)gettid());
	unlinkat(held, making, 0);
	fd = openat(held, making,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	(void)flock(fd, LOCK_EX | LOCK_NB); /* nobody sweeps it away */
	err = write_file(c, fd, record, body, b) < 0 ? errno : 0;
	if (!err && renameat(held, making, held, name) < 0)
		err = errno;
	close(fd);
	if (err)
		unlinkat(held, making, 0);
	errno = err;
	return err ? -1 : full_sync_dir(held);
}

int
held_write(const struct crc32c *c, int held, const struct message *m,
    const struct held_block *b)
{
	struct message f = only_failed(m);
	struct held_block first = first_block(&f);
	struct buf record = {0};
	char name[MESSAGE_ID_MAX + 16], file[sizeof(name) + 8];
	int r;

	name_of(c, &f, name, sizeof(name));
	snprintf(file, sizeof(file), "%s.body", name);
	r = m->link ? link_body(held, m, file) : 0;
	if (!r) {
		record_encode(&record, &f, m->link ? file : NULL);
		r = write_under(c, held, name, &record, m->body.tail,
		    b ? b : &first);
		if (r < 0 && m->link)
			unlink_body(held, name, file);
	}
	buf_free(&record);
	free(f.copies);
	return r;
}
