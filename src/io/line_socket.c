/*
 * line_socket: connects, splits what comes into lines, writes, and tries
 * again later when it fails.
 *
 * Owns its descriptor and its timer. No stream, whose buffer is everybody's:
 * who hears a line may go on to read his own. The pause between two tries
 * doubles until the service has said something.
 */
#include "io/line_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "io/dial.h"
#include "io/full_io.h"

#define PAUSE_MIN 250
#define PAUSE_MAX 8000

struct line_socket {
	struct loop *loop;
	const struct line_socket_calls *calls;
	void *ctx;
	struct ask *dialling;
	struct loop_event *io; /* while fd is open */
	struct loop_event *timer;
	uint64_t pause; /* ms before the next try */
	int fd;         /* -1: down */
	int lost;       /* what dropped it; the timer tells */
	bool dropped;
	struct buf in;
	struct buf out; /* what the socket did not take */
	char path[DIAL_PATH_MAX + 1];
};

/* --- down --- */

static void
close_fd(struct line_socket *s)
{
	if (s->fd < 0)
		return;
	loop_event_free(&s->io);
	full_close(&s->fd);
	buf_free(&s->in);
	buf_wipe(&s->out);
}

static void
try_later(struct line_socket *s)
{
	loop_timer_set(s->timer, s->pause);
	s->pause = s->pause * 2 < PAUSE_MAX ? s->pause * 2 : PAUSE_MAX;
}

/* From the loop only. */
static void
go_down(struct line_socket *s, int err)
{
	close_fd(s);
	s->dropped = false;
	try_later(s);
	s->calls->down(s->ctx, err);
}

void
line_socket_drop(struct line_socket *s, int err)
{
	if (s->fd < 0)
		return;
	close_fd(s);
	s->dropped = true;
	s->lost = err;
	loop_timer_set(s->timer, 0);
}

/* --- reading --- */

static void
take_line(struct line_socket *s, struct span line)
{
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	s->pause = PAUSE_MIN;
	s->calls->line(s->ctx, line);
}

/* A call back may drop or free s: then fd is -1 and in is empty. */
static void
take_lines(struct line_socket *s)
{
	size_t from = 0;
	const char *lf;

	while (s->fd >= 0 &&
	       (lf = memchr(s->in.data + from, '\n', s->in.len - from))) {
		struct span line = {s->in.data + from,
		    (size_t)(lf - s->in.data) - from};

		from += line.len + 1;
		take_line(s, line);
	}
	if (s->fd >= 0)
		buf_consume(&s->in, from);
}

static void
on_readable(struct line_socket *s)
{
	size_t room = LINE_SOCKET_LINE_MAX - s->in.len;
	ssize_t n = recv(s->fd, buf_reserve(&s->in, room), room, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		go_down(s, n < 0 ? errno : 0);
		return;
	}
	s->in.len += (size_t)n;
	take_lines(s);
	if (s->fd >= 0 && s->in.len == LINE_SOCKET_LINE_MAX)
		go_down(s, EMSGSIZE);
}

/* --- writing --- */

/* Appends; what growing leaves behind is wiped. */
static void
keep_secret(struct buf *b, struct span more)
{
	struct buf larger = {0};

	if (b->cap - b->len < more.len) {
		buf_reserve(&larger, 2 * (b->len + more.len));
		buf_append_span(&larger, buf_span(b));
		buf_wipe(b);
		*b = larger;
	}
	buf_append_span(b, more);
}

/* Sends from the front of what is there; 0, or -1 when the peer is gone. */
static int
send_some(int fd, struct span *data)
{
	while (data->len) {
		ssize_t n = send(fd, data->ptr, data->len, MSG_NOSIGNAL);

		if (n >= 0)
			span_skip(data, (size_t)n);
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return -1;
	}
	return 0;
}

static void
on_writable(struct line_socket *s)
{
	struct span rest = buf_span(&s->out);

	if (send_some(s->fd, &rest) < 0) {
		go_down(s, errno);
		return;
	}
	buf_consume(&s->out, s->out.len - rest.len);
	if (s->out.len)
		return;
	loop_io_want(s->io, true, false);
	buf_wipe(&s->out);
}

bool
line_socket_write(struct line_socket *s, struct buf *out)
{
	struct span rest = buf_span(out);

	if (s->fd >= 0 && !s->out.len && send_some(s->fd, &rest) < 0)
		line_socket_drop(s, errno);
	if (s->fd >= 0 && s->out.len + rest.len > LINE_SOCKET_OUT_MAX)
		line_socket_drop(s, ENOBUFS);
	if (s->fd >= 0 && rest.len) {
		keep_secret(&s->out, rest);
		loop_io_want(s->io, true, true);
	}
	buf_wipe(out);
	return s->fd >= 0;
}

size_t
line_socket_unsent(const struct line_socket *s)
{
	return s->out.len;
}

/* --- up --- */

static void
on_io(void *ctx, bool readable, bool writable)
{
	struct line_socket *s = ctx;

	if (readable)
		on_readable(s);
	if (writable && s->fd >= 0)
		on_writable(s);
}

static void
on_dial(void *ctx, int fd, int err, unsigned which)
{
	struct line_socket *s = ctx;

	(void)which;
	s->dialling = NULL;
	if (fd < 0) {
		go_down(s, err);
		return;
	}
	s->fd = fd;
	s->io = loop_io(s->loop, fd, on_io, s);
	if (!s->io)
		abort();
	loop_io_want(s->io, true, false);
	s->calls->up(s->ctx);
}

/* A Unix socket connects at once or not at all: no time for that. */
static void
open_it(struct line_socket *s)
{
	const struct dial_place there = {.path = s->path};

	s->dialling = dial(s->loop, &there, 1, 0, 0, on_dial, s);
}

/* It was dropped in a place where nobody may be called, or it is time. */
static void
on_timer(void *ctx)
{
	struct line_socket *s = ctx;

	if (s->dropped)
		go_down(s, s->lost);
	else if (s->fd < 0)
		open_it(s);
}

struct line_socket *
line_socket_new(struct loop *l, const char *path,
    const struct line_socket_calls *calls, void *ctx)
{
	struct line_socket *s = mem_new(sizeof(*s));
	size_t n = strlen(path);

	*s = (struct line_socket){.loop = l,
	    .calls = calls,
	    .ctx = ctx,
	    .pause = PAUSE_MIN,
	    .fd = -1};
	if (n > DIAL_PATH_MAX) {
		free(s);
		errno = ENAMETOOLONG;
		return NULL;
	}
	memcpy(s->path, path, n + 1);
	s->timer = loop_timer(l, on_timer, s);
	if (!s->timer)
		abort();
	open_it(s);
	return s;
}

void
line_socket_free(struct line_socket **p)
{
	struct line_socket *s = *p;

	*p = NULL;
	if (!s)
		return;
	ask_cancel(&s->dialling, ASK_ABANDON);
	close_fd(s);
	loop_event_free(&s->timer);
	loop_defer(s->loop, free, s);
}
