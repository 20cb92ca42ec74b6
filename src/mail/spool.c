/*
 * spool: gathers a body, and gives it to the disk once it is large.
 *
 * One block is being written by a job while the next one gathers, so disk
 * and network overlap and a spool holds two blocks at most. When many jobs
 * wait, the disk is the slow one: then a spool takes nothing while its block
 * is under way, and a thousand of them stay small. What is still gathered
 * at the end stays in memory, as the tail.
 *
 * The unnamed file is opened, written and counted by the jobs, one at a time;
 * the spool and its jobs share it, so that either may go first. Never blocks
 * the loop, never interprets what it holds but for CRLF and its first octet.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "mail/spool_state.h"

#define BLOCK_MIN    32768 /* octets worth a job of their own */
#define PRESSURE_MIN 64    /* jobs that wait: take less */
#define STRETCH      ((uint64_t)1 << 20)

struct write_job {
	struct spool_job up;
	struct spool_file *file;
	struct buf block;
	uint64_t offset;
	bool begin; /* the disk is to begin with it */
	int error;
};

struct spool *
spool_new(const struct spool_options *o)
{
	struct spool *s = mem_new(sizeof(*s));

	s->o = *o;
	return s;
}

struct spool_file *
spool_file_new(int dirfd)
{
	struct spool_file *f = mem_new(sizeof(*f));

	f->dirfd = dirfd;
	f->fd = -1;
	f->refs = 1;
	return f;
}

void
spool_file_release(struct spool_file *f)
{
	if (--f->refs)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f);
}

/* Where there is no O_TMPFILE: a name that lives for a moment. */
static int
open_and_unlink(int dirfd)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char name[32];
	uint64_t r;
	int fd;

	if (getrandom(&r, sizeof(r), 0) != sizeof(r))
		return -1;
	snprintf(name, sizeof(name), "%016llx.body", (unsigned long long)r);
	fd = openat(dirfd, name, flags, 0600);
	if (fd >= 0)
		unlinkat(dirfd, name, 0);
	return fd;
}

int
spool_unnamed(int dirfd)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
		fd = open_and_unlink(dirfd);
	return fd;
}

int
spool_file_open(struct spool_file *f)
{
	if (f->fd < 0)
		f->fd = spool_unnamed(f->dirfd);
	return f->fd < 0 ? errno : 0;
}

/*
 * The disk begins with each stretch that is whole, so that less is left for
 * the fsync at the end. Not with each block: the page that two of them share
 * would be written twice, and wait for itself.
 */
static void
begin_stretches(const struct write_job *w)
{
	uint64_t from = w->offset / STRETCH * STRETCH;
	uint64_t to = (w->offset + w->block.len) / STRETCH * STRETCH;

	if (from < to)
		sync_file_range(w->file->fd, (off_t)from, (off_t)(to - from),
		    SYNC_FILE_RANGE_WRITE);
}

/* On a thread. */
static void
write_run(struct job *job)
{
	struct write_job *w = (struct write_job *)job;

	w->error = spool_file_open(w->file);
	if (w->error)
		return;
	if (full_pwrite(w->file->fd, buf_span(&w->block), w->offset) < 0)
		w->error = errno;
	else if (w->begin)
		begin_stretches(w);
}

/* Without write_done() before it, the jobs are being freed. */
static void
write_free(struct job *job)
{
	struct write_job *w = (struct write_job *)job;

	if (w->up.spool)
		w->up.spool->work = NULL;
	buf_free(&w->block);
	spool_file_release(w->file);
	free(w);
}

static bool
has_room(const struct spool *s)
{
	return !s->work || (s->block.len < SPOOL_MEMORY &&
			       jobs_pending(s->o.jobs) < PRESSURE_MIN);
}

/* What has gathered stands behind the head. */
static void
begin_file(struct spool *s)
{
	struct buf all = {0};

	s->file = spool_file_new(s->o.dirfd);
	if (!s->o.head)
		return;
	s->o.head(&all, s->o.env, s->o.hostname, s->o.when);
	s->from = all.len;
	buf_append_span(&all, buf_span(&s->block));
	buf_free(&s->block);
	s->block = all;
}

void
spool_fail(struct spool *s, int error)
{
	s->error = error;
	s->cr = false;
	buf_free(&s->block);
}

static void write_done(struct job *job, void *ctx);

/* Gives the gathered block to a job. */
static void
submit(struct spool *s)
{
	struct write_job *w;

	if (s->o.room && !s->o.room(s->o.room_ctx, s->block.len)) {
		spool_fail(s, ENOSPC);
		return;
	}
	w = mem_new(sizeof(*w));
	if (!s->file)
		begin_file(s);
	s->file->refs++;
	w->up.job.run = write_run;
	w->up.job.free = write_free;
	w->file = s->file;
	w->offset = s->filed;
	w->begin = !s->o.edited;
	w->block = s->block;
	s->filed += s->block.len;
	s->block = (struct buf){0};
	w->up.spool = s;
	s->work = &w->up;
	s->work_id = jobs_submit(s->o.jobs, &w->up.job, write_done, s);
}

static void
submit_if_worth(struct spool *s)
{
	size_t enough = s->file ? BLOCK_MIN : s->o.memory + 1;

	if (!s->work && !s->finished && s->block.len >= enough)
		submit(s);
}

/* The owner may free the spool in either call: each is the last thing. */
static void
write_done(struct job *job, void *ctx)
{
	struct write_job *w = (struct write_job *)job;
	struct spool *s = ctx;

	w->up.spool = NULL;
	s->work = NULL;
	if (w->error)
		spool_fail(s, w->error);
	submit_if_worth(s);
	if (s->finished) {
		s->ready(s->ready_ctx);
	} else if (s->refused && has_room(s)) {
		s->refused = false;
		s->room(s->room_ctx);
	}
}

uint64_t
spool_octets(struct span lines)
{
	uint64_t n = lines.len;
	const char *lf;

	for (; lines.len && (lf = memchr(lines.ptr, '\n', lines.len)); n++)
		span_skip(&lines, (size_t)(lf + 1 - lines.ptr));
	return n;
}

/* Behind the lines on top, with one more line end at the seam to them. */
static inline char *
put_run(struct spool *s, char *out, struct span run)
{
	char first;

	if (!run.len)
		return out;
	first = run.ptr[0];
	if (!s->file && out == s->block.data &&
	    (first == ' ' || first == '\t' || first == '\r')) {
		*out++ = '\n';
		s->wire++; /* a CR that is not there */
	}
	memcpy(out, run.ptr, run.len);
	return out + run.len;
}

/* The block ends there now. */
static void
grow_to(struct spool *s, const char *out)
{
	size_t len = (size_t)(out - s->block.data);

	if (len == s->block.len)
		return;
	s->wire += len - s->block.len;
	s->inside = out[-1] != '\n';
	s->block.len = len;
}

/*
 * CRLF becomes LF, all else stays. A CR at the end of in waits for the octet
 * behind it. Lines are copied whole.
 */
static void
append(struct spool *s, struct span in)
{
	char *out = buf_reserve(&s->block, in.len + 2);

	while (in.len) {
		const char *lf = memchr(in.ptr, '\n', in.len);
		struct span line = {in.ptr,
		    lf ? (size_t)(lf - in.ptr) : in.len};

		span_skip(&in, line.len + (lf != NULL));
		if (s->cr && line.len)
			out = put_run(s, out, SPAN_LIT("\r"));
		s->cr = line.len && line.ptr[line.len - 1] == '\r';
		line.len -= s->cr;
		out = put_run(s, out, line);
		if (lf) {
			*out++ = '\n';
			s->wire++; /* with a CR, had it one or not */
			s->cr = false;
		}
	}
	grow_to(s, out);
}

bool
spool_write(struct spool *s, struct span data)
{
	assert(!s->finished);
	if (s->error)
		return true;
	append(s, data);
	submit_if_worth(s);
	s->refused = !has_room(s);
	return !s->refused;
}

void
spool_on_room(struct spool *s, void (*room)(void *ctx), void *ctx)
{
	s->room = room;
	s->room_ctx = ctx;
}

void
spool_finish(struct spool *s, void (*ready)(void *ctx), void *ctx)
{
	assert(!s->finished);
	if (s->cr)
		grow_to(s,
		    put_run(s, buf_reserve(&s->block, 2), SPAN_LIT("\r")));
	s->cr = false;
	s->finished = true;
	s->ready = ready;
	s->ready_ctx = ctx;
	if (!s->work)
		ready(ctx);
}

int
spool_error(const struct spool *s)
{
	return s->error;
}

uint64_t
spool_wire(const struct spool *s)
{
	return s->wire + (s->inside ? 2 : 0);
}

int64_t
spool_when(const struct spool *s)
{
	return s->o.when;
}

struct spool_content
spool_content(const struct spool *s)
{
	assert(s->finished && !s->work);
	return (struct spool_content){
	    .fd = s->file ? s->file->fd : -1,
	    .from = s->from,
	    .filed = s->filed,
	    .tail = buf_span(&s->block),
	};
}

void
spool_free(struct spool **p)
{
	struct spool *s = *p;

	*p = NULL;
	if (!s)
		return;
	if (s->work) {
		s->work->spool = NULL;
		jobs_cancel(s->o.jobs, &s->work_id);
	}
	buf_free(&s->block);
	if (s->file)
		spool_file_release(s->file);
	free(s);
}
