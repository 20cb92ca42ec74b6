/*
 * recovery_run: reads back the segments of a journal that was adopted.
 *
 * Each is redone from where the last checkpoint passed it; when all of it is
 * on disk in its mailboxes or held, its header says so, and what was
 * damaged is kept for a look in damaged/. Then the directory goes. Blocks;
 * logs nothing.
 */
#include "journal/recovery_run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/full_io.h"
#include "journal/attempts.h"
#include "journal/reader.h"
#include "journal/segment.h"

#define SUFFIX ".log"

struct run {
	const struct recovery_from *from;
	struct journal_dir dir;
	const atomic_bool *stop;
	struct recovery_result *x;
	struct attempts attempts;
	const char *segment; /* its name, while it is redone */
};

static bool
is_segment(const char *name)
{
	size_t n = strlen(name), end = strlen(SUFFIX);

	return n > end && !strcmp(name + n - end, SUFFIX);
}

/*
 * A crash came while it was being made: nothing but zeros. 1, 0, or -1 with
 * errno: what cannot be read is not zeros.
 */
static int
never_used(int fd)
{
	static const char zeros[HEADER_LEN] = {0};
	char text[HEADER_LEN];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_size < RECORD_FIRST)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		if (full_pread(fd, text, sizeof(text),
			(uint64_t)i * RECORD_PAGE) < 0)
			return -1;
		if (memcmp(text, zeros, sizeof(text)) != 0)
			return 0;
	}
	return 1;
}

/* --- one segment --- */

/* For a look; nobody reads it back from there. */
static void
set_aside(struct run *run, const char *name)
{
	char to[NAME_MAX + 1];

	snprintf(to, sizeof(to), "%s-%.200s", run->dir.name, name);
	if (renameat(run->dir.fd, name, run->from->damaged, to) < 0 ||
	    full_sync_dir(run->from->damaged) < 0)
		run->x->error = errno;
}

/* Is this record to be redone? */
static bool
at_record(void *ctx, uint64_t offset)
{
	struct run *run = ctx;
	bool go = attempts_begin(&run->attempts, run->segment, offset);

	run->x->left_out += !go;
	return go;
}

/* 0: all that is in it is safe elsewhere. */
static int
redo_all(struct run *run, int fd, const struct record_header *h,
    enum redo_how how, bool *unsynced)
{
	const struct journal_owner *o = &run->from->owner;
	struct recovery_result *x = run->x;
	struct reader r = {.crc = &run->from->crc,
	    .owner = o,
	    .dirfd = run->dir.fd,
	    .how = how,
	    .stop = run->stop,
	    .at = at_record,
	    .ctx = run,
	    .count = x->count};
	int error = reader_range(&r, fd, h, h->done, h->size) < 0 ? errno : 0;

	*unsynced = !error && o->sync(o->ctx) < 0;
	x->count = r.count;
	x->torn |= r.torn;
	return error;
}

/* The error, 0 when all that is in it is safe elsewhere. */
static int
make_safe(struct run *run, int fd, const struct record_header *h)
{
	bool doubted = journal_dir_doubted(&run->dir);
	bool unsynced;
	int error = redo_all(run, fd, h, doubted ? REDO_REWRITE : REDO_AGAIN,
	    &unsynced);

	if (error || !unsynced)
		return error;
	/* what a failed sync was about may be gone from memory */
	if (journal_dir_doubt(&run->dir) < 0)
		return errno;
	error = redo_all(run, fd, h, REDO_REWRITE, &unsynced);
	if (!error && unsynced)
		error = EIO;
	return error;
}

/* It is no file that we made, so nothing in it is read. */
static int
put_aside(struct run *run, const char *name)
{
	struct recovery_result *x = run->x;

	x->count.damaged++;
	set_aside(run, name);
	if (!x->error)
		buf_append(&x->aside, name, strlen(name) + 1);
	return x->error ? -1 : 0;
}

static void
recover_segment(struct run *run, const char *name, int fd)
{
	struct recovery_result *x = run->x;
	unsigned damaged = x->count.damaged, left_out = x->left_out;
	int unused = never_used(fd);
	struct record_header h;
	struct stat st;

	if (unused < 0)
		x->error = errno;
	if (unused)
		return;
	/* before there is anything in it that could end us */
	if (!at_record(run, 0))
		return;
	if (!segment_header(&run->from->crc, run->from->owner.version, fd,
		&h)) {
		x->count.damaged++;
		set_aside(run, name);
		return;
	}
	if (h.version > run->from->owner.version) {
		x->error = EPROTO;
		return;
	}
	if (!fstat(fd, &st) && (uint64_t)st.st_size < h.size) {
		h.size = (uint64_t)st.st_size;
		x->count.damaged++;
	}
	x->error = make_safe(run, fd, &h);
	if (x->error || x->left_out != left_out)
		return;
	if (x->count.damaged != damaged)
		set_aside(run, name);
	else if (segment_pass(&run->from->crc, fd, &h, h.size) < 0)
		x->error = errno;
}

/* Which could not be removed with the rest. */
static bool
is_directory(const struct run *run, const char *name)
{
	struct stat st;

	return !fstatat(run->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

static int
recover_name(void *ctx, const char *name)
{
	struct run *run = ctx;
	int fd;

	if (!is_segment(name))
		return is_directory(run, name) ? put_aside(run, name) : 0;
	fd = full_open(run->dir.fd, name, O_RDWR, SEGMENT_MAX);
	run->segment = name;
	if (fd < 0 && errno == EMEDIUMTYPE)
		return put_aside(run, name);
	if (fd < 0) {
		run->x->error = errno;
		return -1;
	}
	recover_segment(run, name, fd);
	attempts_rest(&run->attempts);
	close(fd);
	return run->x->error ? -1 : 0;
}

/* --- the journal --- */

/* The body of a record that may be damaged: if no mailbox has it, it stays. */
static int
rescue_body(void *ctx, const char *name)
{
	const struct run *run = ctx;
	char to[NAME_MAX + 1];
	struct stat st;

	if (is_segment(name) || !strstr(name, ".body") ||
	    fstatat(run->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_nlink > 1)
		return 0;
	snprintf(to, sizeof(to), "%s-%.128s", run->dir.name, name);
	return renameat(run->dir.fd, name, run->from->damaged, to);
}

static void
recover(struct run *run)
{
	struct recovery_result *x = run->x;
	int r;

	if (attempts_open(&run->attempts, run->dir.fd) < 0 &&
	    errno == EMEDIUMTYPE && !put_aside(run, "attempts"))
		(void)attempts_open(&run->attempts, run->dir.fd);
	r = journal_dir_each(run->dir.fd, recover_name, run);
	attempts_close(&run->attempts);
	if (r < 0 && !x->error)
		x->error = errno;
	if (!x->error && x->count.damaged &&
	    journal_dir_each(run->dir.fd, rescue_body, run) < 0)
		x->error = errno;
	if (x->error)
		return;
	if (x->left_out)
		r = journal_dir_quarantine(&run->dir);
	else
		r = journal_dir_remove(&run->dir);
	if (r < 0)
		x->error = errno;
}

void
recovery_run(const struct recovery_from *f, const char *skip,
    const atomic_bool *stop, struct recovery_result *x)
{
	struct run run = {.from = f, .stop = stop, .x = x};

	*x = (struct recovery_result){0};
	if (journal_dir_adopt(f->root, skip, &run.dir) < 0) {
		x->error = errno;
		return;
	}
	if (run.dir.fd < 0)
		return;
	memcpy(x->name, run.dir.name, sizeof(x->name));
	recover(&run);
	journal_dir_close(&run.dir);
}

/* --- versions --- */

struct look {
	const struct recovery_from *from;
	int dir;
	uint32_t version; /* the highest seen */
};

static int
look_at_version(void *ctx, const char *name)
{
	struct look *l = ctx;
	struct record_header h;
	int fd;

	if (!is_segment(name))
		return 0;
	fd = full_open(l->dir, name, O_RDONLY, SEGMENT_MAX);
	if (fd < 0)
		return 0;
	if (segment_header(&l->from->crc, l->from->owner.version, fd, &h) &&
	    h.version > l->version)
		l->version = h.version;
	close(fd);
	return 0;
}

uint32_t
recovery_version(const struct recovery_from *f, const char *name)
{
	int dir = openat(f->root, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct look l = {f, dir, 0};

	if (dir < 0)
		return 0;
	(void)journal_dir_each(dir, look_at_version, &l);
	close(dir);
	return l.version;
}
