/*
 * replay: reads a segment and puts into mailboxes what it finds.
 *
 * The whole range is read into memory, so that a body needs no second look;
 * what cannot be read is zeros, and zeros are no record. Blocks, logs
 * nothing. Owns the roots that it opened and their mailboxes.
 */
#include "deliver/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/le.h"
#include "deliver/held.h"
#include "io/full_io.h"

#define READ (1 << 20)

struct replay_root {
	struct maildir_root root;
	struct replay_root *next;
};

void
replay_init(struct replay *r, const struct crc32c *crc, int dirfd, int held,
    enum place_how how)
{
	*r = (struct replay){.crc = crc,
	    .dirfd = dirfd,
	    .held = held,
	    .how = how,
	    .boxes = place_boxes_new()};
}

void
replay_free(struct replay *r)
{
	struct replay_root *n, *next;

	place_boxes_free(&r->boxes);
	LL_FOREACH_SAFE (r->roots, n, next) {
		maildir_root_close(&n->root);
		free(n->root.path);
		free(n);
	}
	r->roots = NULL;
}

/* One that cannot be opened stays closed: deliveries there fail. */
const struct maildir_root *
replay_root(void *ctx, const char *path)
{
	struct replay *r = ctx;
	struct replay_root *n;

	LL_FOREACH (r->roots, n)
		if (!strcmp(n->root.path, path))
			return &n->root;
	n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->root =
	    (struct maildir_root){.path = strdup(path), .fd = -1, .sync = -1};
	if (!n->root.path)
		abort();
	n->root.gone = maildir_root_open(&n->root) < 0;
	LL_PREPEND(r->roots, n);
	return &n->root;
}

int
replay_same(const struct replay *r)
{
	const struct replay_root *n;

	LL_FOREACH (r->roots, n)
		if (!n->root.gone && full_same(n->root.path, n->root.fd) < 0) {
			errno = ESTALE;
			return -1;
		}
	return 0;
}

int
replay_sync(struct replay *r)
{
	struct replay_root *n;
	int result = 0;

	LL_FOREACH (r->roots, n)
		if (n->root.sync >= 0 && full_syncfs(n->root.sync) < 0)
			result = -1;
	return replay_same(r) < 0 ? -1 : result;
}

/* --- one record --- */

static void
settle(struct replay *r, struct message *m)
{
	unsigned failed;

	place_message(r->boxes, m, r->how);
	failed = message_failed_copies(m);
	r->placed += m->ncopies - failed;
	if (failed && held_write(r->crc, r->held, m, NULL) < 0)
		r->lost += failed;
	else
		r->held_back += failed;
}

/* Its body may be in a file of its own. */
static int
open_body(const struct replay *r, struct message *m, const char *file)
{
	if (!*file)
		return 0;
	m->body.fd = full_open(r->dirfd, file, O_RDONLY, RECORD_BODY_MAX);
	m->dirfd = r->dirfd;
	m->link = file;
	return m->body.fd < 0 ? -1 : 0;
}

static void
deliver(struct replay *r, const struct record *record)
{
	struct message m;
	const char *file;

	if ((record->type != RECORD_MAIL && record->type != RECORD_FILE) ||
	    !record_message(record, replay_root, r, &m, &file)) {
		r->damaged++;
		return;
	}
	if (open_body(r, &m, file) == 0)
		settle(r, &m);
	else if (errno == ENOENT || errno == EMEDIUMTYPE)
		r->damaged++;
	else /* it is there, and cannot be had now */
		r->lost += m.ncopies;
	if (m.body.fd >= 0)
		close(m.body.fd);
	message_free(&m);
}

/* --- all of them --- */

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
is_stopped(const struct replay *r)
{
	return r->stop && atomic_load(r->stop);
}

int
replay_range(struct replay *r, int fd, uint64_t nonce, uint64_t from,
    uint64_t to)
{
	unsigned lost = r->lost;
	struct record record;
	struct span at;
	char *all;
	bool torn = false;

	if (from >= to)
		return 0;
	all = read_range(fd, from, to, &r->damaged);
	if (!all)
		return -1;
	at = (struct span){all, (size_t)(to - from)};
	while (at.len >= RECORD_ALIGN && !is_stopped(r)) {
		uint64_t offset = from + (uint64_t)(at.ptr - all);
		size_t n = RECORD_ALIGN;

		bool whole = record_decode(r->crc, at, nonce, offset, &record);

		if (whole || was_record(at, nonce)) {
			r->damaged += torn; /* it was not the last */
			torn = !whole;
		}
		if (whole) {
			if (!r->at || r->at(r->ctx, offset))
				deliver(r, &record);
			n = (record.size + n - 1) / n * n;
		}
		span_skip(&at, n < at.len ? n : at.len);
	}
	free(all);
	r->torn |= torn;
	errno = is_stopped(r) ? ECANCELED : EIO;
	return r->lost == lost && !is_stopped(r) ? 0 : -1;
}
