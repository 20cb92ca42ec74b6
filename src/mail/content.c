/*
 * content: what is on top, the file block by block, the tail.
 *
 * One block is with the caller while the next one is read: at once if the
 * kernel has it in memory, else by a job. A job and the content share the
 * descriptor, and either may go first; a block is the job's until it is done.
 * Never blocks the loop.
 */
#include "mail/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/full_io.h"

#define TURN_BLOCKS 4 /* one of so many is a job's: others have a turn */

struct content_file {
	int fd;
	unsigned refs;
};

struct read_job {
	struct job job;
	struct content *content; /* NULL: it does not want this any more */
	struct content_file *file;
	struct buf block;
	uint64_t at;
	int error;
};

struct content {
	struct jobs *jobs;
	struct buf top;
	struct spool_content body;
	struct content_file *file; /* NULL: all is in memory */
	void (*more)(void *);
	void *ctx;
	struct span top_left, tail_left;
	uint64_t at;           /* of the file, given out */
	uint64_t asked;        /* of the file, given to jobs */
	struct buf out, ahead; /* blocks of the file */
	struct read_job *read; /* under way, or NULL */
	uint64_t read_id;
	int error;
	bool waits; /* was told CONTENT_WAIT */
};

static void
file_release(struct content_file *f)
{
	if (f && !--f->refs) {
		close(f->fd);
		free(f);
	}
}

static struct content_file *
file_new(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct content_file *f;

	if (own < 0)
		return NULL;
	f = mem_new(sizeof(*f));
	*f = (struct content_file){.fd = own, .refs = 1};
	return f;
}

struct content *
content_new(struct jobs *jobs, struct span top,
    const struct spool_content *body, void (*more)(void *ctx), void *ctx)
{
	struct content *c = mem_new(sizeof(*c));

	*c = (struct content){.jobs = jobs,
	    .body = *body,
	    .more = more,
	    .ctx = ctx};
	buf_append_span(&c->top, top);
	if (body->from < body->filed) {
		c->file = file_new(body->fd);
		c->error = c->file ? 0 : errno;
	}
	content_rewind(c);
	return c;
}

/* On a thread. */
static void
read_run(struct job *job)
{
	struct read_job *r = (struct read_job *)job;
	struct buf *b = &r->block;

	if (full_pread(r->file->fd, b->data, b->len, r->at) < 0)
		r->error = errno;
}

/* Without read_done() before it, the jobs are being freed. */
static void
read_free(struct job *job)
{
	struct read_job *r = (struct read_job *)job;

	if (r->content)
		r->content->read = NULL;
	buf_free(&r->block);
	file_release(r->file);
	free(r);
}

/* The owner may free the content in more(): that is the last thing. */
static void
read_done(struct job *job, void *ctx)
{
	struct read_job *r = (struct read_job *)job;
	struct content *c = ctx;

	r->content = NULL;
	c->read = NULL;
	c->error = r->error;
	c->ahead = r->block;
	r->block = (struct buf){0};
	if (c->waits) {
		c->waits = false;
		c->more(c->ctx);
	}
}

/* What the kernel has in memory needs no thread: a hand-over costs more. */
static bool
read_cached(struct content *c, size_t n)
{
	struct iovec v = {buf_reserve(&c->ahead, n), n};

	if (preadv2(c->file->fd, &v, 1, (off_t)c->asked, RWF_NOWAIT) !=
	    (ssize_t)n) {
		buf_free(&c->ahead);
		return false;
	}
	c->ahead.len = n;
	c->asked += n;
	return true;
}

static void
read_ahead(struct content *c)
{
	uint64_t left = c->body.filed - c->asked;
	struct read_job *r;
	size_t n;

	if (c->read || c->ahead.len || !left)
		return;
	n = left < CONTENT_BLOCK ? (size_t)left : CONTENT_BLOCK;
	if ((c->asked - c->body.from) / CONTENT_BLOCK % TURN_BLOCKS &&
	    read_cached(c, n))
		return;
	r = mem_new(sizeof(*r));
	r->job.run = read_run;
	r->job.free = read_free;
	r->content = c;
	r->file = c->file;
	r->file->refs++;
	r->at = c->asked;
	r->block.len = n;
	buf_reserve(&r->block, 0);
	c->asked += n;
	c->read = r;
	c->read_id = jobs_submit(c->jobs, &r->job, read_done, c);
}

static enum content_step
cut(struct span *left, struct span *out)
{
	*out = *left;
	if (out->len > CONTENT_BLOCK)
		out->len = CONTENT_BLOCK;
	span_skip(left, out->len);
	return CONTENT_DATA;
}

enum content_step
content_next(struct content *c, struct span *out)
{
	buf_free(&c->out);
	if (c->error)
		return CONTENT_FAILED;
	read_ahead(c);
	if (c->top_left.len)
		return cut(&c->top_left, out);
	if (c->at == c->body.filed)
		return c->tail_left.len ? cut(&c->tail_left, out) : CONTENT_END;
	if (c->read) {
		c->waits = true;
		return CONTENT_WAIT;
	}
	c->out = c->ahead;
	c->ahead = (struct buf){0};
	c->at += c->out.len;
	read_ahead(c);
	*out = buf_span(&c->out);
	return CONTENT_DATA;
}

int
content_error(const struct content *c)
{
	return c->error;
}

static void
stop_reading(struct content *c)
{
	if (c->read) {
		c->read->content = NULL;
		c->read = NULL;
		jobs_cancel(c->jobs, &c->read_id);
	}
	c->waits = false;
	buf_free(&c->out);
	buf_free(&c->ahead);
}

void
content_rewind(struct content *c)
{
	stop_reading(c);
	c->top_left = buf_span(&c->top);
	c->tail_left = c->body.tail;
	c->at = c->asked = c->body.from;
}

void
content_free(struct content **p)
{
	struct content *c = *p;

	*p = NULL;
	if (!c)
		return;
	stop_reading(c);
	file_release(c->file);
	buf_free(&c->top);
	free(c);
}
