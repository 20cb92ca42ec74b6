/*
 * pipe_input: the message as a file, so that nobody feeds a program, nor waits
 * for one that does not read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "dest/pipe.h"
#include "io/full_io.h"

/* Its description has its own offset, and no way to write. A sandbox lets it
 * by: the file lies where files may be read. */
static int
open_again(int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void
run(struct job *job)
{
	struct pipe_input *p = (struct pipe_input *)job;
	int fd = spool_unnamed(p->dir);

	if (fd >= 0 && message_write(&p->m, &p->copy, fd) == 0)
		p->fd = open_again(fd);
	if (p->fd < 0)
		p->error = errno;
	full_close(&fd);
}

static void
free_input(struct job *job)
{
	struct pipe_input *p = (struct pipe_input *)job;

	full_close(&p->fd);
	full_close(&p->m.body.fd);
	buf_free(&p->m.return_path);
	buf_free(&p->m.received);
	arena_reset(&p->m.arena);
	free(p);
}

static struct span
keep(struct arena *a, struct span s)
{
	return (struct span){arena_dup(a, s), s.len};
}

struct pipe_input *
pipe_input_new(const struct message *m, const struct message_copy *c, int dir)
{
	struct pipe_input *p = mem_new(sizeof(*p));
	struct arena *a = &p->m.arena;

	p->job.run = run;
	p->job.free = free_input;
	p->fd = -1;
	p->dir = dir;
	buf_append_span(&p->m.return_path, buf_span(&m->return_path));
	buf_append_span(&p->m.received, buf_span(&m->received));
	p->copy.delivered_to = keep(a, c->delivered_to);
	p->m.body = m->body;
	p->m.body.tail = keep(a, m->body.tail);
	if (m->body.fd >= 0)
		p->m.body.fd = fcntl(m->body.fd, F_DUPFD_CLOEXEC, 0);
	return p;
}
