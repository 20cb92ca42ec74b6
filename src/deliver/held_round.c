/*
 * held_round: reads what is new in held/, delivers what is due once its mailbox
 * takes it, puts it into the failed Maildir when it has waited too long,
 * forgets what is gone, and sweeps what a crash left half made.
 *
 * How long to wait is on the disk: a file's mtime tells that somebody tried it.
 * What waits for a route is counted here, and left alone.
 * Whoever has the lock of a file works on it. What was delivered is on disk
 * before the file goes; names are those of the first attempt, so that a crash
 * between the two changes nothing. Blocks; logs nothing. Owns what it remembers
 * of the files.
 */
#include "deliver/held_round.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/full_io.h"
#include "journal/journal_dir.h"
#include "journal/segment.h"

/* --- what is known of a file --- */

static bool
was_read(const struct held_known *k)
{
	return k->boxes || k->route;
}

/* Behind the body that is called after it, so that the two stay together. */
static int
put_aside(struct held_round *r, const char *name)
{
	char body[NAME_MAX + 1];

	snprintf(body, sizeof(body), "%.240s" HELD_BODY, name);
	if (renameat(r->dirfd, body, r->damaged, body) < 0 && errno != ENOENT)
		return -1;
	if (renameat(r->dirfd, name, r->damaged, name) < 0 ||
	    full_sync_dir(r->damaged) < 0)
		return -1;
	held_tell_file(&r->events, HELD_ASIDE, name, 0);
	return 0;
}

/* It stays where it is, and is named once. */
static void
leave(struct held_round *r, struct held_known *k, int error)
{
	if (error == EMEDIUMTYPE && !put_aside(r, k->name))
		error = ENOENT;
	if (error == ENOENT) /* another worker was quicker, or we */
		k->seen = false;
	else if (!k->told)
		held_tell_file(&r->events,
		    error == EPROTO ? HELD_NEWER : HELD_UNREADABLE, k->name,
		    error);
	k->told = true;
}

static int
read_new(struct held_round *r, struct held_known *k)
{
	struct held_file f;

	if (held_file_open(&f, r->crc, r->dirfd, k->name, r->o->reserve) < 0)
		return -1;
	k->size = (uint64_t)f.st.st_size + f.m.body.filed;
	k->block_at = f.block_at;
	if (f.m.copies[0].to && !(k->route = strdup(f.m.copies[0].dest->text)))
		abort();
	for (unsigned i = 0; i < f.m.ncopies && !k->route; i++)
		held_box_add(&k->boxes, f.m.copies[i].dest->text,
		    f.m.copies[i].path);
	k->block = held_block_read(f.fd, f.block_at);
	held_file_close(&f);
	return 0;
}

static int
read_changed(struct held_round *r, struct held_known *k)
{
	int fd = full_open(r->dirfd, k->name, O_RDONLY, SEGMENT_MAX);

	if (fd < 0)
		return -1;
	k->block = held_block_read(fd, k->block_at);
	close(fd);
	return 0;
}

/* All of it, or what has changed since. -1: nothing is known. */
static int
read_file(struct held_round *r, struct held_known *k)
{
	struct stat st;
	int result = fstatat(r->dirfd, k->name, &st, AT_SYMLINK_NOFOLLOW);

	if (!result && was_read(k) && st.st_mtim.tv_sec == k->changed.tv_sec &&
	    st.st_mtim.tv_nsec == k->changed.tv_nsec)
		return 0;
	if (!result)
		result = (was_read(k) ? read_changed : read_new)(r, k);
	if (result < 0) {
		leave(r, k, errno);
		return -1;
	}
	k->changed = st.st_mtim;
	for (struct held_box *b = k->boxes; b; b = b->hh.next)
		b->error = k->block.error;
	return 0;
}

/* --- delivering --- */

/* A sync failed: what it was about may be gone from memory. */
static void
rewrite_copies(struct held_known *k, struct held_file *f)
{
	int doubt = held_file_doubt(f) < 0 ? errno : 0;

	k->block.doubt = true;
	for (unsigned i = 0; i < f->m.ncopies; i++) {
		struct message_copy *c = &f->m.copies[i];

		if (c->error)
			continue;
		held_file_place(f, c, PLACE_REWRITE);
		if (!c->error)
			c->error = doubt;
	}
}

/* The last time each is tried: the reason that is written down is its own. */
static void
try_copies(struct held_round *r, struct held_known *k, struct held_file *f,
    bool last)
{
	bool any = false;

	for (unsigned i = 0; i < f->m.ncopies; i++) {
		struct message_copy *c = &f->m.copies[i];
		const struct held_box *b =
		    held_box_find(r->failing, c->dest->text, c->path);

		if (b && !last) {
			c->error = b->error;
			continue;
		}
		held_file_place(f, c,
		    k->block.doubt ? PLACE_REWRITE : PLACE_AGAIN);
		if (c->error)
			held_box_add(&r->failing, c->dest->text, c->path)
			    ->error = c->error;
		any |= !c->error;
	}
	if (!any || !roots_sync(&f->roots))
		return;
	if (errno != ESTALE) {
		rewrite_copies(k, f);
		return;
	}
	/* to where nobody looks any more: next time it goes elsewhere */
	for (unsigned i = 0; i < f->m.ncopies; i++)
		f->m.copies[i].error = ESTALE;
}

/* By hand, with what is known of why. */
static void
give_up(const struct held_known *k, struct held_file *f)
{
	for (unsigned i = 0; i < f->m.ncopies; i++)
		f->m.copies[i].error =
		    k->block.error ? k->block.error : ECANCELED;
}

static void
finish_copies(struct held_round *r, struct held_file *f, bool expired)
{
	for (unsigned i = 0; i < f->m.ncopies; i++) {
		struct message_copy *c = &f->m.copies[i];
		int reason = c->error;

		if (reason && expired)
			c->error = held_file_fail(f, c, r->o->failed,
			    *c->note ? c->note : maildir_error(reason));
		if (!c->error)
			held_tell_copy(&r->events,
			    reason ? HELD_FAILED : HELD_DELIVERED, f->m.id, c,
			    reason);
	}
}

/* --- a file in its turn --- */

/* What is known now of why each of its mailboxes took nothing. */
static void
note_errors(struct held_known *k, const struct held_file *f)
{
	k->block.error = 0;
	for (unsigned i = 0; i < f->m.ncopies; i++) {
		const struct message_copy *c = &f->m.copies[i];

		held_box_add(&k->boxes, c->dest->text, c->path)->error =
		    c->error;
		if (!k->block.error)
			k->block.error = c->error;
	}
}

/* What another file holds now, which only the next round will read. */
static void
note_left(struct held_round *r, const struct held_file *f)
{
	for (unsigned i = 0; i < f->m.ncopies; i++) {
		const struct message_copy *c = &f->m.copies[i];

		if (c->error)
			held_box_add(&r->boxes, c->dest->text, c->path)->error =
			    c->error;
	}
}

/* What is left stays here, or goes into a file of its own. */
static void
put_back(struct held_round *r, struct held_known *k, struct held_file *f)
{
	unsigned left = message_failed_copies(&f->m);
	int result = 0;

	note_errors(k, f);
	f->m.dirfd = r->dirfd;
	f->m.link = *f->body ? f->body : NULL;
	if (left && left < f->m.ncopies)
		result =
		    held_file_write(r->crc, r->dirfd, &f->m, false, &k->block);
	if (result < 0)
		r->error = errno;
	if (result < 0 || left == f->m.ncopies) {
		(void)held_block_write(f->fd, f->block_at, &k->block, NULL);
		return;
	}
	held_file_remove(f, r->dirfd, k->name);
	(void)full_sync_dir(r->dirfd); /* what comes back is found delivered */
	note_left(r, f);
	k->seen = false;
}

/* With the lock. */
static void
attempt(struct held_round *r, struct held_known *k, struct held_file *f)
{
	int64_t now = clock_boot();
	bool expired;

	k->block = held_block_read(f->fd, f->block_at);
	if (!held_block_is_due(&k->block, now, r->o->expire))
		return; /* another worker has just tried */
	held_block_count(&k->block, now);
	expired = (uint64_t)k->block.age >= r->o->expire;
	if (k->block.age == HELD_AGE_MAX)
		give_up(k, f);
	else
		try_copies(r, k, f, expired);
	finish_copies(r, f, expired);
	put_back(r, k, f);
}

static void
try_file(struct held_round *r, struct held_known *k)
{
	struct held_file f;

	if (held_file_open(&f, r->crc, r->dirfd, k->name, r->o->reserve) < 0) {
		k->seen = errno != ENOENT;
		return;
	}
	if (!held_file_lock(f.fd, r->dirfd, k->name))
		attempt(r, k, &f);
	held_file_close(&f);
}

/* --- what a crash left --- */

/* A record without its name, or a body without its record. */
static bool
is_half(int dirfd, const char *name)
{
	char record[NAME_MAX + 1];

	if (name[0] == '.') /* a tool's, for looks */
		return strcmp(name, HELD_NOW) != 0;
	snprintf(record, sizeof(record), "%.*s",
	    (int)(strlen(name) - strlen(HELD_BODY)), name);
	return faccessat(dirfd, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

/*
 * Seen for the second time: its worker died in the middle, or still has the
 * lock. Whoever makes one begins anew if it is gone. A body with another name
 * is in a journal still, or is mail by now.
 */
static void
sweep(int dirfd, const char *name)
{
	struct stat st;
	int fd =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) &&
	    st.st_nlink == 1 && is_half(dirfd, name))
		unlinkat(dirfd, name, 0);
	close(fd);
}

/* --- the round --- */

static void
take_turn(struct held_round *r, struct held_known *k)
{
	bool half;

	if (!held_name_is_record(k->name)) {
		half = is_half(r->dirfd, k->name);
		if (half && k->told)
			sweep(r->dirfd, k->name);
		k->told = half;
		return;
	}
	if (read_file(r, k) < 0)
		return;
	if (!k->route &&
	    held_block_is_due(&k->block, clock_boot(), r->o->expire))
		try_file(r, k);
	if (!k->seen)
		return;
	held_boxes_merge(&r->boxes, k->boxes, k->size);
	r->octets += k->size;
	r->messages++;
}

static int
note_name(void *ctx, const char *name)
{
	held_known_add(&((struct held_round *)ctx)->known, name)->seen = true;
	return 0;
}

void
held_round_run(struct held_round *r)
{
	struct held_known *k;

	r->error = 0;
	r->octets = r->messages = 0;
	STAILQ_INIT(&r->events);
	for (k = r->known; k; k = k->hh.next)
		k->seen = false;
	if (journal_dir_each(r->dirfd, note_name, r) < 0)
		r->error = errno;
	for (k = r->known; k; k = k->hh.next)
		if (k->seen)
			take_turn(r, k);
	held_known_forget(&r->known);
	held_boxes_free(&r->failing);
	r->size = held_boxes_count(r->boxes, r->o->limit, &r->roots);
}

void
held_round_free(struct held_round *r)
{
	held_events_free(&r->events);
	held_boxes_free(&r->boxes);
	held_boxes_free(&r->roots);
	for (struct held_known *k = r->known; k; k = k->hh.next)
		k->seen = false;
	held_known_forget(&r->known);
}
