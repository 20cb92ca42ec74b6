/*
 * recovery_run: reads back the segments of a journal that was adopted.
 *
 * Each is replayed from where the last checkpoint passed it; when all of it
 * is on disk in its mailboxes or held, its header says so, and what was
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

#include "deliver/replay.h"
#include "io/full_io.h"
#include "journal/attempts.h"
#include "journal/segment.h"

#define SUFFIX ".log"

struct run {
	const struct recovery_dirs *dirs;
	const struct crc32c *crc;
	struct journal_dir dir;
	const atomic_bool *stop;
	struct recovery_result *x;
	struct attempts attempts;
	const char *segment; /* its name, while it is replayed */
};

static bool
is_segment(const char *name)
{
	size_t n = strlen(name), end = strlen(SUFFIX);

	return n > end && !strcmp(name + n - end, SUFFIX);
}

/* The newer of the two that is whole; false: neither is. */
static bool
read_header(const struct crc32c *c, int fd, struct record_header *h)
{
	struct record_header two[2];
	char text[HEADER_LEN];
	bool good[2];

	for (unsigned i = 0; i < 2; i++)
		good[i] = !full_pread(fd, text, sizeof(text),
			      (uint64_t)i * RECORD_PAGE) &&
			  record_header_decode(c, text, &two[i]);
	if (!good[0] && !good[1])
		return false;
	*h = two[good[1] && (!good[0] || two[1].turn > two[0].turn)];
	return true;
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
	if (renameat(run->dir.fd, name, run->dirs->damaged, to) < 0 ||
	    full_sync_dir(run->dirs->damaged) < 0)
		run->x->error = errno;
}

static int
write_done(const struct crc32c *c, int fd, struct record_header *h)
{
	char text[HEADER_LEN];

	h->done = h->size;
	h->turn++;
	record_header_encode(c, h, text);
	if (full_pwrite(fd, (struct span){text, sizeof(text)},
		h->turn % 2 * RECORD_PAGE) < 0)
		return -1;
	return fdatasync(fd);
}

/* Is this record to be delivered? */
static bool
at_record(void *ctx, uint64_t offset)
{
	struct run *run = ctx;
	bool deliver = attempts_begin(&run->attempts, run->segment, offset);

	run->x->left_out += !deliver;
	return deliver;
}

/* 0: all that is in it is safe elsewhere. */
static int
replay(struct run *run, int fd, const struct record_header *h,
    enum place_how how, bool *unsynced)
{
	struct recovery_result *x = run->x;
	struct replay r;
	int error = 0;

	replay_init(&r, run->crc, run->dir.fd, run->dirs->held, how);
	place_reserve(r.boxes, run->dirs->reserve);
	r.stop = run->stop;
	r.at = at_record;
	r.ctx = run;
	if (replay_range(&r, fd, h->nonce, h->done, h->size) < 0)
		error = errno;
	if (!error && replay_sync(&r) < 0)
		*unsynced = true;
	x->placed += r.placed;
	x->held_back += r.held_back;
	x->damaged += r.damaged;
	x->torn |= r.torn;
	x->lost += r.lost;
	replay_free(&r);
	return error;
}

/* The error, 0 when all that is in it is safe elsewhere. */
static int
deliver_all(struct run *run, int fd, const struct record_header *h)
{
	bool doubted = journal_dir_doubted(&run->dir);
	bool unsynced = false;
	int error = replay(run, fd, h, doubted ? PLACE_REWRITE : PLACE_AGAIN,
	    &unsynced);

	if (error || !unsynced)
		return error;
	/* what a failed sync was about may be gone from memory */
	if (journal_dir_doubt(&run->dir) < 0)
		return errno;
	unsynced = false;
	error = replay(run, fd, h, PLACE_REWRITE, &unsynced);
	if (!error && unsynced)
		error = EIO;
	return error;
}

/* It is no file that we made, so nothing in it is read. */
static int
put_aside(struct run *run, const char *name)
{
	struct recovery_result *x = run->x;

	x->damaged++;
	set_aside(run, name);
	if (!x->error)
		buf_append(&x->aside, name, strlen(name) + 1);
	return x->error ? -1 : 0;
}

static void
recover_segment(struct run *run, const char *name, int fd)
{
	struct recovery_result *x = run->x;
	unsigned damaged = x->damaged, left_out = x->left_out;
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
	if (!read_header(run->crc, fd, &h)) {
		x->damaged++;
		set_aside(run, name);
		return;
	}
	if (h.version > RECORD_VERSION) {
		x->error = EPROTO;
		return;
	}
	if (!fstat(fd, &st) && (uint64_t)st.st_size < h.size) {
		h.size = (uint64_t)st.st_size;
		x->damaged++;
	}
	x->error = deliver_all(run, fd, &h);
	if (x->error || x->left_out != left_out)
		return;
	if (x->damaged != damaged)
		set_aside(run, name);
	else if (write_done(run->crc, fd, &h) < 0)
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
	return renameat(run->dir.fd, name, run->dirs->damaged, to);
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
	if (!x->error && x->damaged &&
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
recovery_run(const struct recovery_dirs *d, const struct crc32c *c,
    const char *skip, const atomic_bool *stop, struct recovery_result *x)
{
	struct run run = {.dirs = d, .crc = c, .stop = stop, .x = x};

	*x = (struct recovery_result){0};
	if (journal_dir_adopt(d->root, skip, &run.dir) < 0) {
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
	const struct crc32c *crc;
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
	if (read_header(l->crc, fd, &h) && h.version > l->version)
		l->version = h.version;
	close(fd);
	return 0;
}

uint32_t
recovery_version(const struct crc32c *c, int root, const char *name)
{
	int dir =
	    openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct look l = {c, dir, 0};

	if (dir < 0)
		return 0;
	(void)journal_dir_each(dir, look_at_version, &l);
	close(dir);
	return l.version;
}
