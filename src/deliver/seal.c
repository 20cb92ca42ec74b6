/*
 * seal: a job that seals the body of a message. Owns nothing else.
 */
#include "deliver/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "dest/destination.h"

#define LARGE (1u << 20)

struct seal {
	struct job job;
	struct message *m;
	int error;
	sealed_fn *fn;
	void *ctx;
};

static void
seal_run(struct job *job)
{
	struct seal *s = (struct seal *)job;
	struct message *m = s->m;
	struct stat st;

	s->error = spool_seal(&m->body, m->dirfd, m->link) < 0 ? errno : 0;
	/* one mailbox gets this very file: who reads it reads it once, and may
	 * read it from the disk; its pages are worth more to everybody else */
	if (!s->error && m->ncopies == 1 && m->headed &&
	    m->body.filed >= LARGE && !fstat(m->body.fd, &st) &&
	    st.st_dev == m->headed->dest->root.dev)
		posix_fadvise(m->body.fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void
seal_free(struct job *job)
{
	free(job);
}

static void
seal_done(struct job *job, void *ctx)
{
	const struct seal *s = (struct seal *)job;

	(void)ctx;
	s->fn(s->ctx, s->error);
}

void
seal_message(struct jobs *jobs, struct message *m, sealed_fn *fn, void *ctx)
{
	struct seal *s = mem_new(sizeof(*s));

	s->job.run = seal_run;
	s->job.free = seal_free;
	s->m = m;
	s->fn = fn;
	s->ctx = ctx;
	jobs_submit(jobs, &s->job, seal_done, NULL);
}
