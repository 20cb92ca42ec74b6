/*
 * runner_main: the process that starts programs, and waits for each of them.
 *
 * It trusts its asker with nothing but when: what a question names has been
 * known since before it was forked. It writes no log, since it has none. Its
 * answers wait for who does not read them, and so does the time of programs:
 * such an asker is about to be ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/child.h"
#include "io/full_io.h"
#include "io/log.h"
#include "io/runner_wire.h"
#include "io/sandbox.h"

#define SOCKET  3
#define CHUNK   65536
#define ENV_MAX 32

struct running {
	struct helper *helper;
	uint32_t number;
	struct child child;
	struct loop_event *readable, *timer;
	bool late; /* it was killed, since its time was over */
	struct runner_answer answer;
	struct running *prev, *next;
};

struct helper {
	const struct runner_options *o;
	struct loop loop;
	struct loop_event *socket, *child;
	struct running *all;
	unsigned *count; /* by number */
};

static _Noreturn void
leave(struct helper *h)
{
	struct running *r;

	DL_FOREACH (h->all, r)
		child_kill(&r->child);
	_exit(0);
}

static void
answer(struct helper *h, const struct runner_answer *a)
{
	ssize_t n;

	do
		n = send(SOCKET, a, sizeof(*a), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		leave(h);
}

/* --- one that runs --- */

/* What more there is than is kept is dropped, a chunk at a time. */
static bool
read_some(struct running *r)
{
	struct runner_answer *a = &r->answer;
	char chunk[CHUNK];
	ssize_t n = read(r->child.out, chunk, sizeof(chunk));
	size_t take = n > 0 ? (size_t)n : 0;

	if (take > sizeof(a->output) - a->len)
		take = sizeof(a->output) - a->len;
	memcpy(a->output + a->len, chunk, take);
	a->len += (uint32_t)take;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Its end is its exit, not that of its output: see on_child(). */
static void
on_output(void *ctx)
{
	struct running *r = ctx;

	if (!read_some(r))
		loop_event_free(&r->readable);
}

static void
on_time(void *ctx)
{
	struct running *r = ctx;

	r->late = true;
	child_kill(&r->child);
}

static void
drop(struct running *r)
{
	loop_event_free(&r->readable);
	loop_event_free(&r->timer);
	child_close(&r->child);
	r->helper->count[r->number]--;
	DL_DELETE(r->helper->all, r);
	free(r);
}

static void
finish(struct running *r, int status)
{
	struct runner_answer *a = &r->answer;
	uint32_t len;

	do /* what it said last; others may still write, without end */
		len = a->len;
	while (r->readable && read_some(r) && a->len > len);
	a->status = status;
	a->error = child_failed(&r->child);
	a->how = a->error                         ? RUNNER_NO_PROGRAM
		 : r->late && WIFSIGNALED(status) ? RUNNER_TIMEOUT
						  : RUNNER_EXITED;
	answer(r->helper, a);
	drop(r);
}

static struct running *
find_pid(struct helper *h, pid_t pid)
{
	struct running *r;

	DL_FOREACH (h->all, r)
		if (r->child.pid == pid)
			return r;
	return NULL;
}

/* Its group is killed while its number is still its own. Others are what
 * programs left behind. */
static void
on_child(void *ctx)
{
	struct helper *h = ctx;
	siginfo_t who = {0};

	while (waitid(P_ALL, 0, &who, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       who.si_pid) {
		struct running *r = find_pid(h, who.si_pid);
		int status;

		if (r)
			child_kill(&r->child);
		if (waitpid(who.si_pid, &status, 0) == who.si_pid && r)
			finish(r, status);
		who.si_pid = 0;
	}
}

/* --- questions --- */

static void
kill_one(struct helper *h, uint32_t seq)
{
	struct running *r;

	DL_FOREACH (h->all, r)
		if (r->answer.seq == seq)
			child_kill(&r->child);
}

/* Only what has a name of ours. False: there are more values, or fewer. */
static bool
put_env(const struct runner_options *o, struct span values, struct buf *text)
{
	for (unsigned i = 0; o->env[i]; i++)
		buf_append(text, o->env[i], strlen(o->env[i]) + 1);
	for (unsigned i = 0; o->names[i]; i++) {
		const char *end = memchr(values.ptr, '\0', values.len);
		size_t len = end ? (size_t)(end - values.ptr) + 1 : 0;

		buf_printf(text, "%s=", o->names[i]);
		buf_append(text, values.ptr, len);
		span_skip(&values, len);
		if (!end)
			return false;
	}
	return !values.len;
}

/* Each begins behind a NUL, but the first. */
static char **
split_env(const struct buf *text)
{
	size_t n = 0, len;
	char **env;

	for (size_t at = 0; at < text->len; at += strlen(text->data + at) + 1)
		n++;
	env = mem_new((n + 1) * sizeof(*env));
	n = 0;
	for (size_t at = 0; at < text->len; at += len) {
		env[n++] = text->data + at;
		len = strlen(text->data + at) + 1;
	}
	return env;
}

/* 0, or why not. */
static int
try_start(struct running *r, const struct runner_question *q,
    struct span values, int in)
{
	const struct runner_options *o = r->helper->o;
	struct buf text = {0};
	char **env = NULL;
	int error = 0;

	if (!put_env(o, values, &text)) {
		error = EINVAL;
	} else {
		env = split_env(&text);
		if (child_start(&r->child, o->programs[q->number].argv, env, in,
			q->timeout / 1000 + 1) < 0)
			error = errno;
	}
	free(env);
	buf_free(&text);
	return error;
}

static void
watch(struct running *r, uint32_t timeout)
{
	struct helper *h = r->helper;

	DL_APPEND(h->all, r);
	h->count[r->number]++;
	r->readable = loop_readable(&h->loop, r->child.out, on_output, r);
	r->timer = loop_timer(&h->loop, on_time, r);
	if (!r->readable || !r->timer)
		abort();
	loop_timer_set(r->timer, timeout);
}

static void
start(struct helper *h, const struct runner_question *q, struct span values,
    int in)
{
	const struct runner_options *o = h->o;
	struct running *r = mem_new(sizeof(*r));
	int error;

	r->helper = h;
	r->number = q->number;
	r->answer.seq = q->seq;
	if (in < 0 || q->number >= o->n || !o->programs[q->number].argv)
		error = EINVAL;
	else if (h->count[q->number] >= o->programs[q->number].max)
		error = EAGAIN;
	else
		error = try_start(r, q, values, in);
	full_close(&in);
	if (!error) {
		watch(r, q->timeout);
		return;
	}
	r->answer.how = RUNNER_NOT_STARTED;
	r->answer.error = error;
	answer(h, &r->answer);
	free(r);
}

/* The one descriptor that came with it, or -1; the kernel drops the others. */
static int
descriptor(struct msghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void
on_question(void *ctx)
{
	struct helper *h = ctx;
	struct runner_question q;
	char values[RUNNER_VALUES_MAX];
	union {
		struct cmsghdr align;
		char octets[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov[2] = {{&q, sizeof(q)}, {values, sizeof(values)}};
	struct msghdr m = {.msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = control.octets,
	    .msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t n = recvmsg(SOCKET, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = n < 0 ? -1 : descriptor(&m);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(q)) /* its end, or nonsense */
		leave(h);
	if (q.number != RUNNER_KILL) {
		start(h, &q, (struct span){values, (size_t)n - sizeof(q)}, fd);
		return;
	}
	full_close(&fd);
	kill_one(h, q.seq);
}

/* --- becoming one --- */

/* None that it was given stays, but the socket. 0, or -1. */
static int
keep_only(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return -1;
	if (fd != SOCKET && dup3(fd, SOCKET, O_CLOEXEC) < 0)
		return -1;
	return close_range(SOCKET + 1, UINT_MAX, 0);
}

static void
set_signals(void)
{
	static const int ignored[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2,
	    SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
runner_main(const struct runner_options *o, int fd)
{
	struct helper h = {.o = o, .count = mem_new(o->n * sizeof(unsigned))};

	/* same user as its asker, and as the programs: nobody looks inside */
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sandbox_drop();
	set_signals();
	if (keep_only(fd) < 0)
		_exit(1);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	if (loop_init(&h.loop) < 0)
		_exit(1);
	h.socket = loop_readable(&h.loop, SOCKET, on_question, &h);
	h.child = loop_signal(&h.loop, SIGCHLD, on_child, &h);
	if (h.socket && h.child)
		loop_run(&h.loop);
	leave(&h);
}
