/*
 * held_try: delivers held mail once its mailbox takes it, and puts it into
 * the failed Maildir when it has waited too long.
 *
 * Whoever has the lock of the file works on it. What was delivered is on disk
 * before the file goes; names are those of the first attempt, so that a
 * crash between the two changes nothing. Blocks; logs nothing.
 */
#include "deliver/held_try.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deliver/replay.h"
#include "io/full_io.h"
#include "journal/segment.h"
#include "proto/trace.h"

/* A file, open, with its record. */
struct held_mail {
	int fd;
	char *all;
	struct replay replay; /* its roots, and their mailboxes */
	struct message m;
	enum place_how how; /* REWRITE when a sync of it has failed before */
	uint64_t block_at;
	const char *body; /* the name of its body's file, "" for none */
};

/* --- reading --- */

static void
close_mail(struct held_mail *h)
{
	int err = errno;

	if (h->m.body.fd >= 0)
		close(h->m.body.fd);
	message_free(&h->m);
	replay_free(&h->replay);
	free(h->all);
	if (h->fd >= 0)
		close(h->fd);
	errno = err;
}

/* The headers are the same twice; either will do. */
static bool
decode(struct held_pass *p, struct held_mail *h, size_t size)
{
	struct record_header header;
	struct span at = {h->all + RECORD_FIRST, size - RECORD_FIRST};
	struct record r;

	if (!record_header_decode(p->crc, h->all, &header) &&
	    !record_header_decode(p->crc, h->all + RECORD_PAGE, &header))
		return false;
	if (header.version != RECORD_VERSION ||
	    !record_decode(p->crc, at, header.nonce, RECORD_FIRST, &r) ||
	    !record_message(&r, replay_root, &h->replay, &h->m, &h->body))
		return false;
	h->block_at = held_block_offset(RECORD_FIRST + r.size);
	return true;
}

static int
read_mail(struct held_pass *p, struct held_mail *h, size_t size)
{
	if (size < RECORD_FIRST + RECORD_HEAD) {
		errno = EBADMSG;
		return -1;
	}
	h->all = malloc(size);
	if (!h->all)
		return -1;
	if (full_pread(h->fd, h->all, size, 0) < 0)
		return -1;
	if (!decode(p, h, size)) {
		errno = EBADMSG;
		return -1;
	}
	if (*h->body)
		h->m.body.fd =
		    full_open(p->dirfd, h->body, O_RDONLY, RECORD_BODY_MAX);
	if (!*h->body || h->m.body.fd >= 0)
		return 0;
	if (errno == ENOENT) /* not the same as the record's being gone */
		errno = EBADMSG;
	return -1;
}

static int
open_mail(struct held_pass *p, const char *name, struct held_mail *h,
    struct stat *st)
{
	*h = (struct held_mail){.fd = full_open(p->dirfd, name, O_RDWR,
				    SEGMENT_MAX),
	    .m = {.body = {.fd = -1}}};
	replay_init(&h->replay, p->crc, p->dirfd, p->dirfd, PLACE_AGAIN);
	place_reserve(h->replay.boxes, p->o->reserve);
	if (h->fd < 0 || fstat(h->fd, st) < 0 ||
	    read_mail(p, h, (size_t)st->st_size) < 0) {
		close_mail(h);
		return -1;
	}
	h->how = st->st_mode & 0100 ? PLACE_REWRITE : PLACE_AGAIN;
	return 0;
}

static void
put_event(struct held_pass *p, enum held_fate fate, const char *id,
    const struct message_copy *c, int error)
{
	struct held_event *e = calloc(1, sizeof(*e));

	if (!e)
		abort();
	e->fate = fate;
	snprintf(e->id, sizeof(e->id), "%s", id);
	e->address = c ? strdup(c->address) : NULL;
	e->mailbox = c ? strdup(c->path) : NULL;
	e->error = error;
	*p->events_end = e;
	p->events_end = &e->next;
}

/* Behind the body that is called after it, so that the two stay together. */
static int
put_aside(struct held_pass *p, const char *name)
{
	struct message_copy c = {.address = "", .path = name};
	char body[NAME_MAX + 1];

	snprintf(body, sizeof(body), "%.240s.body", name);
	if (renameat(p->dirfd, body, p->damaged, body) < 0 && errno != ENOENT)
		return -1;
	if (renameat(p->dirfd, name, p->damaged, name) < 0 ||
	    full_sync_dir(p->damaged) < 0)
		return -1;
	put_event(p, HELD_ASIDE, "", &c, 0);
	return 0;
}

/* A file that has none yet is one that was never tried. */
static void
read_block(int fd, struct held_file *f)
{
	char octets[HELD_BLOCK];

	if (full_pread(fd, octets, HELD_BLOCK, f->block_at) < 0)
		memset(octets, 0, HELD_BLOCK);
	held_block_decode(octets, &f->block);
}

static int
read_all(struct held_pass *p, struct held_file *f)
{
	struct held_mail h;
	struct stat st;

	if (open_mail(p, f->name, &h, &st) < 0) {
		if (errno == EMEDIUMTYPE && !put_aside(p, f->name))
			errno = ENOENT;
		if (errno != ENOENT && !f->told)
			put_event(p, HELD_UNREADABLE, f->name, NULL, errno);
		f->told = true;
		return -1;
	}
	f->size = (uint64_t)st.st_size + h.m.body.filed;
	f->block_at = h.block_at;
	for (unsigned i = 0; i < h.m.ncopies; i++)
		held_box_add(&f->boxes, h.m.copies[i].root->path,
		    h.m.copies[i].path);
	read_block(h.fd, f);
	close_mail(&h);
	return 0;
}

static int
read_changed(struct held_pass *p, struct held_file *f)
{
	int fd = full_open(p->dirfd, f->name, O_RDONLY, SEGMENT_MAX);

	if (fd < 0)
		return -1;
	read_block(fd, f);
	close(fd);
	return 0;
}

static void
set_errors(struct held_file *f)
{
	for (struct held_box *b = f->boxes; b; b = b->hh.next)
		b->error = f->block.error;
}

int
held_try_look(struct held_pass *p, struct held_file *f)
{
	struct stat st;
	int r = fstatat(p->dirfd, f->name, &st, AT_SYMLINK_NOFOLLOW);

	if (!r && f->boxes && st.st_mtim.tv_sec == f->changed.tv_sec &&
	    st.st_mtim.tv_nsec == f->changed.tv_nsec)
		return 0;
	if (!r)
		r = (f->boxes ? read_changed : read_all)(p, f);
	if (!r) {
		f->changed = st.st_mtim;
		set_errors(f);
	} else if (errno == ENOENT) { /* another worker was quicker */
		f->seen = false;
		r = 0;
	}
	return r;
}

/* --- delivering --- */

/*
 * A sync failed: what it was about may be gone from memory, and no later one
 * says so. The mode of the file tells whoever tries it next.
 */
static void
rewrite_copies(struct held_mail *h)
{
	struct message one = h->m;
	int doubt = fchmod(h->fd, 0700) < 0 || fsync(h->fd) < 0 ? errno : 0;

	one.ncopies = 1;
	for (unsigned i = 0; i < h->m.ncopies; i++) {
		struct message_copy *c = one.copies = &h->m.copies[i];

		if (c->error)
			continue;
		place_message(h->replay.boxes, &one, PLACE_REWRITE);
		if (!c->error)
			c->error = doubt;
	}
}

/* The last time each is tried: the reason that is written down is its own. */
static void
try_copies(struct held_mail *h, struct held_box **failing, bool last)
{
	struct message one = h->m;
	const struct held_box *f;
	bool any = false;

	one.ncopies = 1;
	for (unsigned i = 0; i < h->m.ncopies; i++) {
		struct message_copy *c = &h->m.copies[i];

		f = held_box_find(*failing, c->root->path, c->path);
		if (f && !last) {
			c->error = f->error;
			continue;
		}
		one.copies = c;
		place_message(h->replay.boxes, &one, h->how);
		if (c->error)
			held_box_add(failing, c->root->path, c->path)->error =
			    c->error;
		any |= !c->error;
	}
	if (!any || !replay_sync(&h->replay))
		return;
	if (errno != ESTALE) {
		rewrite_copies(h);
		return;
	}
	/* to where nobody looks any more: next time it goes elsewhere */
	for (unsigned i = 0; i < h->m.ncopies; i++)
		h->m.copies[i].error = ESTALE;
}

/* "...,S=123" of another size. */
static char *
name_for_size(struct arena *a, const char *name, uint64_t size)
{
	const char *end = strstr(name, ",S=");
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%.*s,S=%llu",
	    (int)(end ? end - name : (long)strlen(name)), name,
	    (unsigned long long)size);
	return arena_dup(a, span_str(to));
}

/* Into the failed Maildir, with the reason on top. */
static int
fail_copy(struct held_pass *p, struct held_mail *h, struct message_copy *c,
    int reason)
{
	struct message one = h->m;
	struct message_copy to = *c;
	struct buf line = {0};

	buf_printf(&line, "X-Smtpd-Failed: %s: %s\n", c->address,
	    maildir_error(reason));
	trace_delivered_to(&line, c->address, "\n");
	to.size += line.len - c->delivered_to.len;
	to.delivered_to = buf_span(&line);
	to.root = replay_root(&h->replay, p->o->failed);
	to.path = ".";
	to.name = name_for_size(&h->m.arena, c->name, to.size);
	one.copies = &to;
	one.ncopies = 1;
	place_message(h->replay.boxes, &one, PLACE_REWRITE);
	buf_free(&line);
	return to.error;
}

static void
settle(struct held_pass *p, struct held_mail *h, bool expired)
{
	for (unsigned i = 0; i < h->m.ncopies; i++) {
		struct message_copy *c = &h->m.copies[i];
		int reason = c->error;

		if (reason && expired)
			c->error = fail_copy(p, h, c, reason);
		if (!c->error)
			put_event(p, reason ? HELD_FAILED : HELD_DELIVERED,
			    h->m.id, c, reason);
	}
}

static void
remove_mail(struct held_pass *p, const struct held_mail *h, const char *name)
{
	unlinkat(p->dirfd, name, 0);
	if (*h->body)
		unlinkat(p->dirfd, h->body, 0);
	(void)full_sync_dir(p->dirfd); /* what comes back is found delivered */
}

/* What is known now of why each of its mailboxes took nothing. */
static void
note_errors(struct held_file *f, const struct held_mail *h)
{
	f->block.error = 0;
	for (unsigned i = 0; i < h->m.ncopies; i++) {
		const struct message_copy *c = &h->m.copies[i];

		held_box_add(&f->boxes, c->root->path, c->path)->error =
		    c->error;
		if (!f->block.error)
			f->block.error = c->error;
	}
}

static void
write_block(const struct held_mail *h, const struct held_block *b)
{
	char octets[HELD_BLOCK];

	held_block_encode(b, octets);
	(void)full_pwrite(h->fd, (struct span){octets, HELD_BLOCK},
	    h->block_at);
}

/* True: nothing is left under this name. */
static bool
put_back(struct held_pass *p, struct held_file *f, struct held_mail *h,
    unsigned left)
{
	int r = 0;

	note_errors(f, h);
	h->m.dirfd = p->dirfd;
	h->m.link = *h->body ? h->body : NULL;
	if (left && left < h->m.ncopies)
		r = held_write(p->crc, p->dirfd, &h->m, &f->block);
	if (r < 0)
		p->error = errno;
	if (r < 0 || left == h->m.ncopies) {
		write_block(h, &f->block);
		return false;
	}
	remove_mail(p, h, f->name);
	return true;
}

/* With the lock. True: nothing is left under this name. */
static bool
attempt(struct held_pass *p, struct held_file *f, struct held_mail *h,
    struct held_box **failing)
{
	int64_t now = held_block_clock();
	bool expired;

	read_block(h->fd, f);
	if (!held_block_is_due(&f->block, now, p->o->expire))
		return false; /* another worker has just tried */
	held_block_count(&f->block, now);
	expired = (uint64_t)f->block.age >= p->o->expire;
	try_copies(h, failing, expired);
	settle(p, h, expired);
	return put_back(p, f, h, message_failed_copies(&h->m));
}

bool
held_try(struct held_pass *p, struct held_file *f, struct held_box **failing)
{
	struct held_mail h;
	struct stat st, named;
	bool gone = false;

	if (open_mail(p, f->name, &h, &st) < 0)
		return errno == ENOENT;
	if (!flock(h.fd, LOCK_EX | LOCK_NB) &&
	    !fstatat(p->dirfd, f->name, &named, AT_SYMLINK_NOFOLLOW) &&
	    named.st_ino == st.st_ino)
		gone = attempt(p, f, &h, failing);
	close_mail(&h);
	return gone;
}
