/*
 * runner: the asker's end. Sends what is to be started and what is to be
 * killed, in order, and hears what became of it.
 *
 * A run is on the list until it is answered, also when nobody asks any more.
 */
#include "io/runner.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/full_io.h"
#include "io/log.h"
#include "io/runner_wire.h"

struct run {
	struct ask ask;
	struct runner *runner;
	struct runner_question q;
	bool owed;         /* q is to be sent */
	struct buf values; /* until it is sent to be started, as is in */
	int in;
	runner_fn *fn; /* NULL: cancelled */
	void *ctx;
	struct run *prev, *next;
};

struct runner {
	int fd; /* -1: lost */
	struct loop *loop;
	struct loop_event *io;
	void (*lost)(void *);
	void *ctx;
	struct run *runs;
	uint32_t seq;
	unsigned n;
	unsigned max[]; /* by number */
};

struct runner *
runner_start(const struct runner_options *o)
{
	struct runner *r;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return NULL;
	pid = fork();
	if (!pid)
		runner_main(o, pair[1]);
	full_close(&pair[1]);
	if (pid < 0) {
		full_close(&pair[0]);
		return NULL;
	}
	r = mem_new(sizeof(*r) + o->n * sizeof(r->max[0]));
	r->fd = pair[0];
	r->n = o->n;
	for (unsigned i = 0; i < o->n; i++)
		r->max[i] = o->programs[i].argv ? o->programs[i].max : 0;
	return r;
}

unsigned
runner_max(const struct runner *r, unsigned number)
{
	return number < r->n ? r->max[number] : 0;
}

bool
runner_is_lost(const struct runner *r)
{
	return r->fd < 0;
}

static void
drop(struct runner *r, struct run *x)
{
	DL_DELETE(r->runs, x);
	full_close(&x->in);
	buf_free(&x->values);
	free(x);
}

/* --- out --- */

/* 0, or -1 with errno. */
static int
send_question(const struct runner *r, struct run *x)
{
	union {
		struct cmsghdr head;
		char octets[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			 .cmsg_level = SOL_SOCKET,
			 .cmsg_type = SCM_RIGHTS}};
	struct iovec iov[2] = {{&x->q, sizeof(x->q)},
	    full_part(buf_span(&x->values))};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	if (x->in >= 0) {
		memcpy(CMSG_DATA(&control.head), &x->in, sizeof(int));
		m.msg_control = control.octets;
		m.msg_controllen = sizeof(control.octets);
	}
	return sendmsg(r->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* What cannot be sent is tried again when there is room, or an answer came;
 * whether the other end is there is seen by who reads. */
static void
flush(struct runner *r)
{
	bool full = false;
	struct run *x;

	DL_FOREACH (r->runs, x) {
		if (full || !x->owed)
			continue;
		if (send_question(r, x) < 0) {
			full = errno == EAGAIN;
			continue;
		}
		x->owed = false;
		full_close(&x->in);
		buf_free(&x->values);
	}
	loop_io_want(r->io, true, full);
}

bool
runner_kill(struct ask *ask)
{
	struct run *x = (struct run *)ask;

	if (x->in >= 0) {
		drop(x->runner, x);
		return false;
	}
	x->q.number = RUNNER_KILL;
	x->owed = true;
	flush(x->runner);
	return true;
}

static void
cancel(struct ask *ask, enum ask_end end)
{
	((struct run *)ask)->fn = NULL;
	if (end != ASK_GO_ON)
		runner_kill(ask);
}

struct ask *
runner_run(struct runner *r, const struct runner_request *q, runner_fn *fn,
    void *ctx)
{
	struct run *x = mem_new(sizeof(*x));

	assert(r->fd >= 0 && q->in >= 0 && q->values.len <= RUNNER_VALUES_MAX);
	*x = (struct run){.ask = {cancel},
	    .runner = r,
	    .q = {++r->seq, q->number, q->timeout},
	    .owed = true,
	    .in = q->in,
	    .fn = fn,
	    .ctx = ctx};
	buf_append_span(&x->values, q->values);
	DL_APPEND(r->runs, x);
	flush(r);
	return &x->ask;
}

/* --- in --- */

/* It is forgotten before its asker hears. */
static void
tell(struct runner *r, struct run *x, const struct runner_end *end)
{
	runner_fn *fn = x->fn;
	void *ctx = x->ctx;

	drop(r, x);
	if (fn)
		fn(ctx, end);
}

static void
go_down(struct runner *r, int error)
{
	struct run *x;

	loop_event_free(&r->io);
	full_close(&r->fd);
	log_event(LOG_ERROR, "runner-lost", LOG_ERRNO(error));
	while ((x = r->runs)) {
		struct runner_end end = {.how = x->in >= 0 ? RUNNER_NOT_STARTED
							   : RUNNER_LOST,
		    .error = error};

		tell(r, x, &end);
	}
	r->lost(r->ctx);
}

static void
take(struct runner *r, const struct runner_answer *a)
{
	struct runner_end end = {.how = (enum runner_how)a->how,
	    .status = a->status,
	    .error = a->error,
	    .output = {a->output, a->len}};
	struct run *x;

	DL_FOREACH (r->runs, x)
		if (x->q.seq == a->seq)
			break;
	if (x)
		tell(r, x, &end);
}

static void
on_io(void *ctx, bool readable, bool writable)
{
	struct runner *r = ctx;
	struct runner_answer a;
	ssize_t n;

	(void)writable;
	flush(r);
	n = readable ? recv(r->fd, &a, sizeof(a), MSG_DONTWAIT) : -1;
	if (!readable || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	if (n == sizeof(a) && a.len <= sizeof(a.output))
		take(r, &a);
	else
		go_down(r, n < 0 ? errno : EPIPE);
}

int
runner_attach(struct runner *r, struct loop *l, void (*lost)(void *ctx),
    void *ctx)
{
	r->loop = l;
	r->lost = lost;
	r->ctx = ctx;
	r->io = loop_io(l, r->fd, on_io, r);
	if (!r->io)
		return -1;
	loop_io_want(r->io, true, false);
	return 0;
}

void
runner_free(struct runner **p)
{
	struct runner *r = *p;
	struct run *x;

	*p = NULL;
	if (!r)
		return;
	while ((x = r->runs))
		drop(r, x);
	loop_event_free(&r->io);
	full_close(&r->fd);
	free(r);
}
