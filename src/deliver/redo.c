/*
 * redo: a record becomes a message, and is placed or held.
 *
 * Blocks, logs nothing. Keeps the roots open that records name, until they
 * are synced: one that was moved away meanwhile is not used again.
 */
#include "deliver/redo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/mem.h"
#include "deliver/held_file.h"
#include "deliver/message_record.h"
#include "deliver/roots.h"
#include "io/full_io.h"

struct redo {
	struct crc32c crc;
	int held;
	unsigned reserve;
	struct roots roots;
};

struct redo *
redo_new(int held, unsigned reserve)
{
	struct redo *r = mem_new(sizeof(*r));

	crc32c_init(&r->crc);
	r->held = held;
	r->reserve = reserve;
	roots_init(&r->roots, reserve);
	return r;
}

void
redo_free(struct redo **p)
{
	if (*p)
		roots_free(&(*p)->roots);
	free(*p);
	*p = NULL;
}

/* Its body may be in a file of its own. */
static int
open_body(struct message *m, int dirfd, const char *file)
{
	if (!*file)
		return 0;
	m->dirfd = dirfd;
	m->link = file;
	m->body.fd = full_open(dirfd, file, O_RDONLY, MESSAGE_RECORD_BODY_MAX);
	return m->body.fd < 0 ? -1 : 0;
}

static int
place_or_hold(struct redo *r, struct message *m, enum redo_how how,
    struct redo_count *n)
{
	bool doubt = how == REDO_REWRITE;
	unsigned failed;

	place_message(r->roots.boxes, m, doubt ? PLACE_REWRITE : PLACE_AGAIN);
	failed = message_failed_copies(m);
	n->placed += m->ncopies - failed;
	if (failed && held_file_write(&r->crc, r->held, m, doubt, NULL) < 0) {
		n->lost += failed;
		return -1;
	}
	n->held += failed;
	return 0;
}

static int
redo(void *ctx, uint32_t version, int dirfd, const struct record *record,
    enum redo_how how, struct redo_count *n)
{
	struct redo *r = ctx;
	const struct message_record_from from = {.version = version,
	    .find = roots_find,
	    .ctx = &r->roots};
	struct message m;
	const char *file;
	int result = 0;

	if (!message_record_decode(&from, record, &m, &file)) {
		n->damaged++;
		return 0;
	}
	if (open_body(&m, dirfd, file) == 0) {
		result = place_or_hold(r, &m, how, n);
	} else if (errno == ENOENT || errno == EMEDIUMTYPE) {
		n->damaged++;
	} else { /* it is there, and cannot be had now */
		n->lost += m.ncopies;
		result = -1;
	}
	full_close(&m.body.fd);
	message_free(&m);
	return result;
}

static int
sync_roots(void *ctx)
{
	struct redo *r = ctx;
	int error = roots_sync(&r->roots) < 0 ? errno : 0;

	roots_free(&r->roots);
	roots_init(&r->roots, r->reserve);
	errno = error;
	return error ? -1 : 0;
}

struct journal_owner
redo_owner(struct redo *r)
{
	return (struct journal_owner){.version = MESSAGE_RECORD_VERSION,
	    .ctx = r,
	    .redo = redo,
	    .sync = sync_roots};
}
