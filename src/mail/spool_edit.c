/*
 * spool_edit: other lines at the front of what a spool holds.
 *
 * In memory that is a new block. A file stays as it is, and a job makes a new
 * one without a name: what is to stand at its front is never longer than a few
 * blocks, the rest is copied by the kernel. So does what would be too much for
 * memory by then. The job shares both files with the spool, and either may go
 * first. Never blocks the loop.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "mail/spool_state.h"

#define CHUNK 65536

struct edit_job {
	struct spool_job up;
	struct spool_file *old; /* NULL: there is none */
	struct spool_file *new;
	struct buf lines; /* ours, and what is to be below them */
	size_t ours;
	uint64_t from, rest, filed; /* of old: skipped, copied */
	size_t of_tail;             /* and of the tail skipped */
	uint64_t wire;              /* of what is skipped */
	bool ends;                  /* nothing of the tail stays */
	int error;
};

/* --- on a thread --- */

static int
count_skipped(struct edit_job *e)
{
	char chunk[CHUNK];
	size_t n;

	for (uint64_t at = e->from; at < e->rest; at += n) {
		n = e->rest - at < CHUNK ? (size_t)(e->rest - at) : CHUNK;
		if (full_pread(e->old->fd, chunk, n, at) < 0)
			return -1;
		e->wire += spool_octets((struct span){chunk, n});
	}
	return 0;
}

static int
join(struct edit_job *e)
{
	if (count_skipped(e) < 0 ||
	    full_pwrite(e->new->fd, buf_span(&e->lines), 0) < 0)
		return -1;
	return e->rest == e->filed ? 0
				   : full_copy(e->old->fd, e->rest, e->new->fd,
					 e->lines.len, e->filed - e->rest);
}

static void
edit_run(struct job *job)
{
	struct edit_job *e = (struct edit_job *)job;

	e->error = spool_file_open(e->new);
	if (!e->error && join(e) < 0)
		e->error = errno;
}

/* Without edit_done() before it, the jobs are being freed. */
static void
edit_free(struct job *job)
{
	struct edit_job *e = (struct edit_job *)job;

	if (e->up.spool)
		e->up.spool->work = NULL;
	buf_free(&e->lines);
	if (e->old)
		spool_file_release(e->old);
	if (e->new)
		spool_file_release(e->new);
	free(e);
}

/* --- on the loop --- */

static void
take(struct spool *s, struct edit_job *e)
{
	struct span front = buf_span(&e->lines);

	if (s->file)
		spool_file_release(s->file);
	s->file = e->new;
	e->new = NULL;
	buf_consume(&s->block, e->of_tail);
	s->from = e->ours;
	s->filed = e->lines.len + e->filed - e->rest;
	span_skip(&front, e->ours);
	s->wire = s->wire - e->wire + spool_octets(front);
	s->inside = s->inside && (e->rest < e->filed || !e->ends);
}

/* The owner may free the spool in ready(): that is the last thing. */
static void
edit_done(struct job *job, void *ctx)
{
	struct edit_job *e = (struct edit_job *)job;
	struct spool *s = ctx;

	e->up.spool = NULL;
	s->work = NULL;
	if (e->error)
		spool_fail(s, e->error);
	else
		take(s, e);
	s->ready(s->ready_ctx);
}

static struct edit_job *
edit_new(const struct spool *s, struct span ours, struct span front,
    uint64_t skip)
{
	uint64_t filed = s->filed - s->from;
	struct edit_job *e = mem_new(sizeof(*e));
	struct span tail = buf_span(&s->block);

	e->up.job.run = edit_run;
	e->up.job.free = edit_free;
	e->old = s->file;
	e->new = spool_file_new(s->o.dirfd);
	e->ours = ours.len;
	buf_append_span(&e->lines, ours);
	buf_append_span(&e->lines, front);
	e->of_tail = skip > filed ? (size_t)(skip - filed) : 0;
	e->wire = spool_octets((struct span){tail.ptr, e->of_tail});
	e->ends = e->of_tail == tail.len;
	e->from = s->from;
	e->rest = s->from + skip - e->of_tail;
	e->filed = s->filed;
	return e;
}

static void
edit_file(struct spool *s, struct span ours, struct span front, uint64_t skip)
{
	struct edit_job *e = edit_new(s, ours, front, skip);
	uint64_t n = e->lines.len + e->filed - e->rest;

	if (s->o.room && !s->o.room(s->o.room_ctx, (size_t)n)) {
		e->old = NULL; /* never shared */
		edit_free(&e->up.job);
		spool_fail(s, ENOSPC);
		s->ready(s->ready_ctx);
		return;
	}
	if (e->old)
		e->old->refs++;
	e->up.spool = s;
	s->work = &e->up;
	s->work_id = jobs_submit(s->o.jobs, &e->up.job, edit_done, s);
}

static void
edit_block(struct spool *s, struct span front, struct span rest)
{
	struct buf all = {0};

	buf_reserve(&all, front.len + rest.len);
	buf_append_span(&all, front);
	buf_append_span(&all, rest);
	buf_free(&s->block);
	s->block = all;
	s->wire = spool_octets(buf_span(&all));
	s->inside = all.len && all.data[all.len - 1] != '\n';
}

void
spool_edit(struct spool *s, struct span ours, struct span front, uint64_t skip,
    void (*done)(void *ctx), void *ctx)
{
	struct span rest = buf_span(&s->block);

	assert(s->finished && !s->work);
	s->ready = done;
	s->ready_ctx = ctx;
	if (s->error) {
		done(ctx);
		return;
	}
	assert(skip <= s->filed - s->from + rest.len);
	if (s->file || rest.len - skip + front.len > s->o.memory) {
		edit_file(s, ours, front, skip);
		return;
	}
	span_skip(&rest, (size_t)skip);
	edit_block(s, front, rest);
	done(ctx);
}
