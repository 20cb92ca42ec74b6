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
#include <time.h>
#include <unistd.h>

#include "deliver/full_io.h"
#include "deliver/replay.h"
#include "deliver/segment.h"
#include "proto/trace.h"

/* A file, open, with its record. */
struct held_mail {
	int fd;
	char *all;
	struct replay replay; /* its roots, and their mailboxes */
	struct message m;
	enum place_how how; /* REWRITE when a sync of it has failed before */
	const char *body;   /* the name of its body's file, "" for none */
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
	return header.version == RECORD_VERSION &&
	       record_decode(p->crc, at, header.nonce, RECORD_FIRST, &r) &&
	       record_message(&r, replay_root, &h->replay, &h->m, &h->body);
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
	*h = (struct held_mail){.fd = full_open(p->dirfd, name, O_RDONLY,
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

/* With the body that is called after it, so that the two stay together. */
static int
put_aside(struct held_pass *p, const char *name)
{
	struct message_copy c = {.address = "", .path = name};
	char body[NAME_MAX + 1];

	if (renameat(p->dirfd, name, p->damaged, name) < 0 ||
	    full_sync_dir(p->damaged) < 0)
		return -1;
	snprintf(body, sizeof(body), "%.240s.body", name);
	(void)renameat(p->dirfd, body, p->damaged, body);
	put_event(p, HELD_ASIDE, "", &c, 0);
	return 0;
}

int
held_try_read(struct held_pass *p, struct held_file *f)
{
	struct held_mail h;
	struct stat st;

	if (open_mail(p, f->name, &h, &st) < 0) {
		if (errno == EMEDIUMTYPE && !put_aside(p, f->name))
			errno = ENOENT;
		if (errno == ENOENT) /* another worker was quicker */
			f->seen = false;
		else if (!f->told)
			put_event(p, HELD_UNREADABLE, f->name, NULL, errno);
		f->told = true;
		return errno == ENOENT ? 0 : -1;
	}
	f->size = (uint64_t)st.st_size + h.m.body.filed;
	f->came = h.m.when * 1000;
	f->tried =
	    (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	for (unsigned i = 0; i < h.m.ncopies; i++)
		held_box_add(&f->boxes, h.m.copies[i].root->path,
		    h.m.copies[i].path);
	close_mail(&h);
	return 0;
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
	bool any = false;

	one.ncopies = 1;
	for (unsigned i = 0; i < h->m.ncopies; i++) {
		struct message_copy *c = &h->m.copies[i];

		c->error = EAGAIN;
		if (!last && held_box_has(*failing, c->root->path, c->path))
			continue;
		one.copies = c;
		place_message(h->replay.boxes, &one, h->how);
		if (c->error)
			held_box_add(failing, c->root->path, c->path);
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
	    strerror(reason));
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

/* True: nothing is left under this name. */
static bool
put_back(struct held_pass *p, struct held_file *f, struct held_mail *h,
    unsigned left)
{
	if (left == h->m.ncopies) {
		futimens(h->fd, NULL);
		return false;
	}
	if (left) {
		h->m.dirfd = p->dirfd;
		h->m.link = *h->body ? h->body : NULL;
		if (held_write(p->crc, p->dirfd, &h->m) < 0) {
			p->error = errno;
			return false;
		}
	}
	remove_mail(p, h, f->name);
	return true;
}

bool
held_try(struct held_pass *p, struct held_file *f, struct held_box **failing)
{
	struct held_mail h;
	struct stat st, named;
	bool gone = false, expired;
	int64_t now;

	if (open_mail(p, f->name, &h, &st) < 0)
		return errno == ENOENT;
	if (!flock(h.fd, LOCK_EX | LOCK_NB) &&
	    !fstatat(p->dirfd, f->name, &named, AT_SYMLINK_NOFOLLOW) &&
	    named.st_ino == st.st_ino) {
		now = (int64_t)time(NULL) * 1000;
		expired = now - f->came >= (int64_t)p->o->expire;
		try_copies(&h, failing, expired);
		settle(p, &h, expired);
		gone = put_back(p, f, &h, message_failed_copies(&h.m));
		f->tried = now;
	}
	close_mail(&h);
	return gone;
}
