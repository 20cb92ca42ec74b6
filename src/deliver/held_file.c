/*
 * held_file: written beside its name and then renamed, so that what has the
 * name is whole. Reading trusts nothing. Blocks, logs nothing.
 */
#include "deliver/held_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/le.h"
#include "base/mem.h"
#include "deliver/message_record.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "journal/segment.h"

bool
held_name_is_record(const char *name)
{
	size_t n = strlen(name), end = strlen(HELD_BODY);

	return name[0] != '.' && (n < end || strcmp(name + n - end, HELD_BODY));
}

/* --- the block --- */

#define REASON    32
#define WAIT_MIN  2000 /* ms */
#define WAIT_MAX  (15 * 60 * 1000)
#define DOUBT     0100 /* in the mode of a file */
#define ERROR_MAX 4095 /* the kernel's */

int
held_block_write(int fd, uint64_t at, const struct held_block *b,
    const char *reason)
{
	char out[HELD_BLOCK] = {0};

	if (!reason)
		reason = maildir_error(b->error);
	le_put(out, b->attempts, 8);
	le_put(out + 8, (uint64_t)b->age, 8);
	le_put(out + 16, (uint64_t)b->last, 8);
	le_put(out + 24, (uint64_t)b->error, 8);
	snprintf(out + REASON, HELD_BLOCK - REASON, "%s", reason ? reason : "");
	return full_pwrite(fd, (struct span){out, HELD_BLOCK}, at);
}

struct held_block
held_block_read(int fd, uint64_t at)
{
	struct held_block b = {0};
	uint64_t age, last, error;
	char in[HELD_BLOCK];
	struct stat st;

	b.doubt = !fstat(fd, &st) && st.st_mode & DOUBT;
	if (full_pread(fd, in, HELD_BLOCK, at) < 0)
		return b;
	age = le_get(in + 8, 8);
	last = le_get(in + 16, 8);
	error = le_get(in + 24, 8);
	if (age > HELD_AGE_MAX || last > HELD_AGE_MAX || error > ERROR_MAX)
		return b;
	b.attempts = le_get(in, 8);
	b.age = (int64_t)age;
	b.last = (int64_t)last;
	b.error = (int)error;
	return b;
}

void
held_block_reason(int fd, uint64_t at, char reason[HELD_REASON_MAX])
{
	if (full_pread(fd, reason, HELD_REASON_MAX, at + REASON) < 0)
		reason[0] = '\0';
	reason[HELD_REASON_MAX - 1] = '\0';
	for (const char *c = reason; *c; c++)
		if (ascii_is_control(*c))
			reason[0] = '\0';
}

/* Since the machine was started anew this clock knows nothing of before. */
static bool
began_anew(const struct held_block *b, int64_t now)
{
	return !b->last || now < b->last;
}

/* What lies between two attempts counts as far as it can be a wait. */
int64_t
held_block_age(const struct held_block *b, int64_t now)
{
	int64_t since = began_anew(b, now) ? 0 : now - b->last;
	int64_t age = b->age + (since < WAIT_MAX ? since : WAIT_MAX);

	return age < HELD_AGE_MAX ? age : HELD_AGE_MAX;
}

int64_t
held_block_wait(const struct held_block *b, int64_t now)
{
	int64_t wait = b->age / 2;

	if (wait < WAIT_MIN)
		wait = WAIT_MIN;
	if (wait > WAIT_MAX)
		wait = WAIT_MAX;
	if (began_anew(b, now) || now - b->last >= wait)
		return 0;
	return wait - (now - b->last);
}

bool
held_block_is_due(const struct held_block *b, int64_t now, uint64_t expire)
{
	return !held_block_wait(b, now) ||
	       (uint64_t)held_block_age(b, now) >= expire;
}

void
held_block_count(struct held_block *b, int64_t now)
{
	b->age = held_block_age(b, now);
	b->last = now;
	b->attempts++;
}

/* --- reading --- */

void
held_file_close(struct held_file *f)
{
	int err = errno;

	full_close(&f->m.body.fd);
	message_free(&f->m);
	roots_free(&f->roots);
	free(f->all);
	full_close(&f->fd);
	errno = err;
}

/* 0, or errno. Without its body it is not the same as gone, unless it is. */
static int
open_body(struct held_file *f, int held)
{
	struct stat st;

	if (!*f->body)
		return 0;
	f->m.body.fd =
	    full_open(held, f->body, O_RDONLY, MESSAGE_RECORD_BODY_MAX);
	if (f->m.body.fd >= 0)
		return 0;
	if (errno != ENOENT || fstat(f->fd, &st) < 0)
		return errno;
	return st.st_nlink ? EBADMSG : ENOENT;
}

/* Into mailboxes, or to one route: whoever tries a file tries all of it. */
static bool
has_one_way(const struct message *m)
{
	const struct message_copy *first = m->copies;

	for (unsigned i = 1; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		if (!c->path != !first->path ||
		    (c->to && strcmp(c->dest->text, first->dest->text) != 0))
			return false;
	}
	return true;
}

typedef const struct destination *find_fn(void *roots, const char *text);

/* 0, or errno. */
static int
read_all(struct held_file *f, const struct crc32c *c, int held, find_fn *find)
{
	struct message_record_from from = {.held = true,
	    .find = find,
	    .ctx = &f->roots};
	struct record r;

	f->all = segment_read_lone(c, MESSAGE_RECORD_VERSION, f->fd,
	    (uint64_t)f->st.st_size, &r, &from.version);
	if (!f->all)
		return errno;
	if (!message_record_decode(&from, &r, &f->m, &f->body) ||
	    !has_one_way(&f->m))
		return EBADMSG;
	f->block_at = segment_next_record(RECORD_FIRST + r.size);
	return open_body(f, held);
}

static int
open_file(struct held_file *f, const struct crc32c *c, int held,
    const char *name, unsigned reserve, find_fn *find)
{
	int err;

	*f =
	    (struct held_file){.fd = full_open(held, name, O_RDWR, SEGMENT_MAX),
		.m = {.body = {.fd = -1}}};
	err = f->fd < 0 || fstat(f->fd, &f->st) < 0 ? errno : 0;
	roots_init(&f->roots, reserve);
	if (!err)
		err = read_all(f, c, held, find);
	if (err) {
		held_file_close(f);
		errno = err;
		return -1;
	}
	return 0;
}

int
held_file_open(struct held_file *f, const struct crc32c *c, int held,
    const char *name, unsigned reserve)
{
	return open_file(f, c, held, name, reserve, roots_find);
}

int
held_file_look(struct held_file *f, const struct crc32c *c, int held,
    const char *name)
{
	return open_file(f, c, held, name, 0, roots_name);
}

int
held_file_lock(int fd, int held, const char *name)
{
	struct stat st, named;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		errno = EBUSY;
		return -1;
	}
	if (fstat(fd, &st) < 0 ||
	    fstatat(held, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	errno = EBUSY;
	return st.st_ino == named.st_ino ? 0 : -1;
}

/* --- what becomes of it --- */

void
held_file_place(struct held_file *f, struct message_copy *c, enum place_how how)
{
	struct message one = f->m;

	one.copies = c;
	one.ncopies = 1;
	place_message(f->roots.boxes, &one, how);
}

int
held_file_fail(struct held_file *f, const struct message_copy *c,
    const char *failed, const char *reason)
{
	struct message_copy to = *c;

	message_copy_fail(&f->m, &to, roots_find(&f->roots, failed), reason);
	held_file_place(f, &to, PLACE_REWRITE);
	return to.error;
}

void
held_file_remove(const struct held_file *f, int held, const char *name)
{
	unlinkat(held, name, 0);
	if (*f->body)
		unlinkat(held, f->body, 0);
}

/* --- writing --- */

int
held_file_doubt(const struct held_file *f)
{
	return fchmod(f->fd, 0600 | DOUBT) < 0 ? -1 : fsync(f->fd);
}

/* The copies that failed, in an envelope of their own. Shares all memory. */
static struct message
only_failed(const struct message *m)
{
	struct message f = message_same(m);

	f.copies = mem_new(m->ncopies * sizeof(f.copies[0]));
	for (unsigned i = 0; i < m->ncopies; i++)
		if (m->copies[i].error)
			f.copies[f.ncopies++] = m->copies[i];
	return f;
}

void
held_file_name(const struct crc32c *c, const struct message *m,
    char name[HELD_NAME_MAX])
{
	uint32_t crc = 0;

	for (unsigned i = 0; i < m->ncopies; i++)
		crc = crc32c(c, crc, span_str(m->copies[i].name));
	snprintf(name, HELD_NAME_MAX, "%s-%08x", m->id, crc);
}

/*
 * A body's file gets this name, or has it already. As long as it is open here
 * no round takes it for one that is left over.
 */
static int
name_body(int held, struct message *m, const char *file)
{
	(void)flock(m->body.fd, LOCK_SH | LOCK_NB);
	if (!m->link) /* none yet, without a journal */
		return spool_seal(&m->body, held, file);
	if (!linkat(m->dirfd, m->link, held, file, 0) || errno == EEXIST)
		return 0;
	return -1;
}

static int
write_all(const struct crc32c *c, int fd, struct buf *record, struct span body,
    const struct held_block *b, const char *reason)
{
	uint64_t end = RECORD_FIRST + record->len + body.len;

	if (segment_write_lone(c, MESSAGE_RECORD_VERSION, fd, record, body) <
		0 ||
	    held_block_write(fd, segment_next_record(end), b, reason) < 0)
		return -1;
	return fsync(fd);
}

static int
write_under(const struct crc32c *c, int held, const char *name,
    struct buf *record, struct span body, const struct held_block *b,
    const char *reason)
{
	char making[128];
	int fd, r;

	snprintf(making, sizeof(making), ".%s-%d", name, (int)gettid());
	unlinkat(held, making, 0);
	fd = openat(held, making,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    b->doubt ? 0600 | DOUBT : 0600);
	if (fd < 0)
		return -1;
	(void)flock(fd, LOCK_EX | LOCK_NB); /* nobody sweeps it away */
	r = write_all(c, fd, record, body, b, reason);
	if (!r)
		r = renameat(held, making, held, name);
	full_close(&fd);
	return r < 0 ? full_unlink(held, making) : 0;
}

/* A moment ago it was tried for the first time, or once more. */
static struct held_block
next_block(const struct crc32c *c, int held, const char *name, int error)
{
	struct held_block b = {0};
	struct held_file old;

	if (!held_file_open(&old, c, held, name, 0)) {
		b = held_block_read(old.fd, old.block_at);
		held_file_close(&old);
	}
	held_block_count(&b, clock_boot());
	b.error = error;
	return b;
}

/* The copies of f. anew: or there is no file of this name. */
static int
write_file(const struct crc32c *c, int held, const char *name,
    struct message *f, const struct held_block *b, bool anew)
{
	char file[HELD_NAME_MAX + sizeof(HELD_BODY)];
	bool filed = f->body.fd >= 0;
	struct buf record = {0};
	int r;

	snprintf(file, sizeof(file), "%s" HELD_BODY, name);
	r = filed ? name_body(held, f, file) : 0;
	if (!r) {
		message_record_encode(&record, f, filed ? file : NULL);
		r = write_under(c, held, name, &record, f->body.tail, b,
		    f->copies[0].path ? NULL : f->copies[0].note);
	}
	/* whoever hears of it may refuse the message */
	if (!r && full_sync_dir(held) < 0)
		r = anew ? full_unlink(held, name) : -1;
	/* it is this record's alone, and there is none */
	if (r < 0 && filed && !f->link)
		full_unlink(held, file);
	buf_free(&record);
	return r;
}

int
held_file_write(const struct crc32c *c, int held, const struct message *m,
    bool doubt, const struct held_block *b)
{
	struct message f = only_failed(m);
	char name[HELD_NAME_MAX];
	struct held_block next;
	int r;

	held_file_name(c, &f, name);
	next = b ? *b : next_block(c, held, name, f.copies[0].error);
	next.doubt |= doubt;
	r = write_file(c, held, name, &f, &next, true);
	free(f.copies);
	return r;
}

int
held_file_rewrite(const struct crc32c *c, int held, const char *name,
    const struct message *m, const struct held_block *b)
{
	struct message f = only_failed(m);
	int r = write_file(c, held, name, &f, b, false);

	free(f.copies);
	return r;
}
