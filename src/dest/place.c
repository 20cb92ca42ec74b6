/*
 * place: files into mailboxes, behind a journal.
 *
 * Written to tmp/, then renamed to new/, as a Maildir wants it; a large body
 * that lies on the same file system beside its journal is linked. Names are
 * fixed by the record, so that doing it again is harmless. Blocks; logs
 * nothing. Owns the descriptors of the mailboxes that were used last.
 */
#include "dest/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "dest/destination.h"
#include "dest/place_find.h"
#include "dest/place_listing.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/space.h"

#define BOXES   16
#define LIFE_MS 1000

struct place_box {
	struct place_boxes *all;
	const struct maildir_root *root;
	struct buf path; /* with its NUL; empty: nothing is open */
	struct maildir_box box;
	struct place_listing cur;
	struct stat dir; /* of the mailbox, when it was opened */
	int64_t until;
};

struct place_boxes {
	struct place_box boxes[BOXES];
	unsigned next; /* to be replaced */
	struct space space;
};

/* --- open mailboxes --- */

struct place_boxes *
place_boxes_new(void)
{
	return mem_new(sizeof(struct place_boxes));
}

static void
forget(struct place_box *b)
{
	if (b->path.len)
		maildir_box_close(&b->box);
	place_listing_free(&b->cur);
	buf_free(&b->path);
}

void
place_boxes_free(struct place_boxes **p)
{
	struct place_boxes *b = *p;

	*p = NULL;
	for (unsigned i = 0; b && i < BOXES; i++)
		forget(&b->boxes[i]);
	if (b)
		space_free(&b->space);
	free(b);
}

void
place_reserve(struct place_boxes *b, unsigned percent)
{
	b->space.reserve = percent;
}

static struct place_box *
find_box(struct place_boxes *b, const struct message_copy *c)
{
	for (unsigned i = 0; i < BOXES; i++) {
		struct place_box *x = &b->boxes[i];

		if (x->path.len && x->root == &c->dest->root &&
		    !strcmp(x->path.data, c->path))
			return x;
	}
	return NULL;
}

/* Nobody has moved it away, or put another one in its place. */
static bool
is_still_there(const struct place_box *x)
{
	struct stat st;

	return clock_now() < x->until &&
	       !fstatat(x->root->fd, x->path.data, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_ino == x->dir.st_ino && st.st_dev == x->dir.st_dev;
}

static struct place_box *
open_box(struct place_boxes *b, const struct message_copy *c)
{
	struct place_box *x = find_box(b, c);

	if (x && is_still_there(x))
		return x;
	if (!x)
		x = &b->boxes[b->next++ % BOXES];
	forget(x);
	if (maildir_box_open(&c->dest->root, c->path, &x->box) < 0)
		return NULL;
	if (fstat(x->box.dir, &x->dir) < 0) {
		maildir_box_close(&x->box);
		return NULL;
	}
	x->all = b;
	x->root = &c->dest->root;
	buf_append(&x->path, c->path, strlen(c->path) + 1);
	x->until = clock_now() + LIFE_MS;
	return x;
}

/* --- one file --- */

static int
close_file(int fd, bool sync)
{
	if (sync && fsync(fd) < 0)
		return full_close(&fd);
	/* where writing is late (NFS), so is the bad news */
	return close(fd) < 0 && errno != EINTR ? -1 : 0;
}

static bool
has_room(struct place_box *x, const struct message_copy *c)
{
	struct space_need n = {0, 0};

	space_need_file(&n, c->size);
	return space_take(&x->all->space, clock_now(), x->box.dev, x->box.new,
	    &n);
}

/* A whole file in tmp, or none. */
static int
write_tmp(struct place_box *x, struct message *m, struct message_copy *c,
    const char *tmp, bool sync)
{
	const struct maildir_box *b = &x->box;
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd, r;

	if (!has_room(x, c)) {
		errno = ENOSPC;
		return -1;
	}
	fd = openat(b->tmp, tmp, flags, 0600);
	if (fd < 0)
		return -1;
	r = message_write(m, c, fd) < 0 ? full_close(&fd)
					: close_file(fd, sync);
	return r < 0 ? full_unlink(b->tmp, tmp) : 0;
}

/* renameat2 is the whole of it but where a file system lacks the flag. */
static int
publish(const struct maildir_box *b, const char *tmp, const char *name)
{
	int r = renameat2(b->tmp, tmp, b->new, name, RENAME_NOREPLACE);

	if (!r)
		return 0;
	if (errno == EINVAL || errno == ENOSYS)
		r = linkat(b->tmp, tmp, b->new, name, 0);
	full_unlink(b->tmp, tmp);
	return r;
}

/* True: the body's file is this copy's as well. */
static bool
link_body(const struct maildir_box *b, const struct message *m,
    const struct message_copy *c)
{
	return m->link && c == m->headed &&
	       !linkat(m->dirfd, m->link, b->new, c->name, 0);
}

static int
put_new(struct place_box *x, struct message *m, struct message_copy *c,
    const char *tmp, bool sync)
{
	const struct maildir_box *b = &x->box;

	if (!link_body(b, m, c) &&
	    (write_tmp(x, m, c, tmp, sync) < 0 || publish(b, tmp, c->name) < 0))
		return -1;
	if (!sync || !full_sync_dir(b->new))
		return 0;
	/* whoever hears of it may refuse the message; and nobody is to find it
	 * and to trust the next sync */
	return full_unlink(b->new, c->name);
}

/* Over what is there: whole to any reader, before and after. */
static int
put_over(struct place_box *x, struct message *m, struct message_copy *c,
    const char *tmp, const struct place_found *f, bool sync)
{
	const struct maildir_box *b = &x->box;

	if (write_tmp(x, m, c, tmp, sync) < 0)
		return -1;
	if (renameat(b->tmp, tmp, f->dir, f->name) < 0)
		return full_unlink(b->tmp, tmp);
	return sync && full_sync_dir(f->dir) < 0 ? full_unlink(f->dir, f->name)
						 : 0;
}

/* A copy of which a record says that it may be there. */
static int
put_again(struct place_box *x, struct message *m, struct message_copy *c,
    bool rewrite, bool sync)
{
	const struct maildir_box *b = &x->box;
	char tmp[NAME_MAX + 1];
	struct place_found f;
	int r;

	/* two that do this at once must not write to one file */
	snprintf(tmp, sizeof(tmp), "%.230s.%d", c->name, (int)gettid());
	unlinkat(b->tmp, tmp, 0);
	if (unlinkat(b->tmp, c->name, 0) < 0 && errno != ENOENT)
		return -1;
	if (place_find(b, &x->cur, m, c, &f) < 0)
		return -1;
	if (f.dir < 0)
		return put_new(x, m, c, tmp, sync);
	if (rewrite || !f.same)
		r = put_over(x, m, c, tmp, &f, sync);
	else
		r = sync ? place_find_sync(&f) : 0;
	full_close(&f.dir);
	return r;
}

static int
put(struct place_boxes *b, struct message *m, struct message_copy *c,
    enum place_how how)
{
	const struct maildir_root *root = &c->dest->root;
	struct place_box *x;
	bool sync;

	if (root->gone) {
		errno = ENOENT;
		return -1;
	}
	x = open_box(b, c);
	if (!x)
		return -1;
	sync = how == PLACE_SYNCED || how == PLACE_REWRITE ||
	       maildir_root_sync_each(root) || x->box.dev != root->dev;
	if (how == PLACE_NEW || how == PLACE_SYNCED)
		return put_new(x, m, c, c->name, sync);
	return put_again(x, m, c, how == PLACE_REWRITE, sync);
}

int
place_maildir(struct place_boxes *b, struct message *m, struct message_copy *c,
    enum place_how how)
{
	int r = put(b, m, c, how);
	/* moved away since it was opened? It may have come back. */
	struct place_box *x = r < 0 && errno == ENOENT ? find_box(b, c) : NULL;

	if (!x)
		return r;
	forget(x);
	return put(b, m, c, how);
}

void
place_message(struct place_boxes *b, struct message *m, enum place_how how)
{
	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];

		if (!c->path) /* of a route: it has no place here */
			c->error = EOPNOTSUPP;
		else
			c->error =
			    c->dest->kind->place(b, m, c, how) < 0 ? errno : 0;
	}
}
