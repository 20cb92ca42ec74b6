/*
 * stream: raw events over one descriptor.
 *
 * Reading goes into the pool's buffer and costs an idle stream nothing.
 * Writing tries the socket first and waits for EV_WRITE only behind a short
 * write. The timer is lazy: moving a deadline away is one assignment, and
 * the timer finds out when it fires.
 */
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/stream_due.h"
#include "io/stream_tls.h"

#define PEEK_MAX      512
#define LINGER_OCTETS 65536
#define LINGER_MS     2000
#define FLUSH_MS      10000 /* for a peer that does not read our last words */

int
stream_pool_init(struct stream_pool *p, struct loop *l)
{
	p->loop = l;
	p->data = malloc(STREAM_KEEP_MAX + STREAM_READ_MAX);
	return p->data ? stream_due_init(p) : -1;
}

void
stream_pool_free(struct stream_pool *p)
{
	stream_due_free(p);
	free(p->data);
	p->data = NULL;
}

/* --- events --- */

static void on_io(int fd, short what, void *arg);

/* Registers for what is wanted now. */
void
stream_update_io(struct stream *s)
{
	short want = 0;

	/* what TLS must write comes first: else input would only spin */
	if (s->reading && !s->tls_write)
		want |= EV_READ;
	if (s->out.len || s->tls_write)
		want |= EV_WRITE;
	event_del(&s->io);
	if (!want)
		return;
	event_assign(&s->io, s->pool->loop->base, s->fd,
	    (short)(want | EV_PERSIST), on_io, s);
	event_add(&s->io, NULL);
}

void
stream_deadline(struct stream *s, int64_t when)
{
	s->deadline = when;
	if (s->fd >= 0 && when && (!s->armed || when < s->armed))
		stream_due_set(s, when);
}

static void
close_fd(struct stream *s)
{
	event_del(&s->io);
	stream_due_leave(s);
	stream_tls_free(s);
	close(s->fd);
	s->fd = -1;
	buf_wipe(&s->in);
	buf_wipe(&s->out);
}

/* The end of a polite ending. */
static void
finish(struct stream *s)
{
	close_fd(s);
	s->fn(s->owner, STREAM_CLOSED);
}

void
stream_on_due(struct stream *s)
{
	if (!s->deadline)
		return;
	if (clock_now() < s->deadline) {
		stream_due_set(s, s->deadline);
		return;
	}
	s->deadline = 0;
	if (s->lingering)
		finish(s);
	else
		s->fn(s->owner, STREAM_DEADLINE);
}

/* --- life --- */

void
stream_init(struct stream *s, struct stream_pool *p, int fd, stream_fn *fn,
    void *owner)
{
	*s = (struct stream){.pool = p,
	    .fn = fn,
	    .owner = owner,
	    .fd = fd,
	    .reading = true};
	event_assign(&s->io, p->loop->base, fd, EV_READ | EV_PERSIST, on_io, s);
	event_add(&s->io, NULL);
}

void
stream_close(struct stream *s)
{
	if (s->fd >= 0)
		close_fd(s);
}

/* All is sent: no more from us, and a little patience for the peer. */
static void
half_close(struct stream *s)
{
	buf_free(&s->out);
	if (s->ssl)
		stream_tls_close_notify(s);
	shutdown(s->fd, SHUT_WR);
	stream_deadline(s, clock_now() + LINGER_MS);
}

void
stream_shutdown(struct stream *s)
{
	bool registered;

	if (s->fd < 0 || s->lingering)
		return;
	registered = s->reading && !s->ssl;
	s->lingering = true;
	s->reading = true;
	buf_wipe(&s->in);
	if (s->out.len)
		stream_deadline(s, clock_now() + FLUSH_MS);
	else
		half_close(s);
	if (!registered)
		stream_update_io(s);
}

/* --- reading --- */

void
stream_pause(struct stream *s)
{
	if (s->fd >= 0 && s->reading && !s->lingering) {
		s->reading = false;
		stream_update_io(s);
	}
}

void
stream_resume(struct stream *s)
{
	if (s->fd >= 0 && !s->reading) {
		s->reading = true;
		stream_update_io(s);
	}
}

enum stream_read
stream_read(struct stream *s, struct span *in)
{
	size_t kept = s->in.len;
	char *data = s->pool->data;
	ssize_t n;

	assert(kept <= STREAM_KEEP_MAX);
	do
		n = s->ssl ? stream_tls_read(s, data + kept, STREAM_READ_MAX)
			   : recv(s->fd, data + kept, STREAM_READ_MAX, 0);
	while (n < 0 && errno == EINTR);
	if (s->tls_write)
		stream_update_io(s);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return STREAM_AGAIN;
	if (n < 0 && s->ssl && errno == EPROTO)
		return STREAM_ABUSE;
	if (n < 0)
		s->error = errno;
	if (n <= 0)
		return STREAM_EOF;
	if (kept)
		memcpy(data, s->in.data, kept);
	*in = (struct span){data, kept + (size_t)n};
	return STREAM_DATA;
}

/* recv() in clear. */
static enum stream_read
receive(struct stream *s, size_t max, int flags, struct span *in)
{
	ssize_t n;

	do
		n = recv(s->fd, s->pool->data, max, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return STREAM_AGAIN;
	if (n < 0)
		s->error = errno;
	if (n <= 0)
		return STREAM_EOF;
	*in = (struct span){s->pool->data, (size_t)n};
	return STREAM_DATA;
}

enum stream_read
stream_peek(struct stream *s, struct span *in)
{
	assert(!s->in.len && !s->ssl);
	return receive(s, PEEK_MAX, MSG_PEEK, in);
}

void
stream_take(struct stream *s, size_t n)
{
	struct span taken;

	/* they were seen: fewer come only in pieces, or not any more */
	while (n && receive(s, n, 0, &taken) == STREAM_DATA)
		n -= taken.len;
}

struct span
stream_kept(struct stream *s)
{
	return buf_span(&s->in);
}

void
stream_keep(struct stream *s, struct span in)
{
	if (!in.len) {
		buf_wipe(&s->in);
	} else if (s->in.data && in.ptr >= s->in.data &&
		   in.ptr < s->in.data + s->in.len) {
		buf_consume(&s->in, (size_t)(in.ptr - s->in.data));
	} else {
		s->in.len = 0;
		buf_append_span(&s->in, in);
	}
}

void
stream_wipe(struct stream *s)
{
	explicit_bzero(s->pool->data, STREAM_KEEP_MAX + STREAM_READ_MAX);
	if (s->in.data)
		explicit_bzero(s->in.data + s->in.len, s->in.cap - s->in.len);
}

/* --- writing --- */

/* Sends from the front of *data. False: the peer is gone, and stays so. */
static bool
send_some(struct stream *s, struct span *data)
{
	while (data->len) {
		ssize_t n = s->ssl
				? stream_tls_write(s, *data)
				: send(s->fd, data->ptr, data->len,
				      MSG_NOSIGNAL | (s->last ? MSG_MORE : 0));

		if (n >= 0)
			span_skip(data, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
		else if (errno != EINTR)
			s->error = errno;
		if (s->error)
			return false;
	}
	return true;
}

bool
stream_write(struct stream *s, struct buf *out)
{
	struct span data = buf_span(out);
	bool waiting = s->out.len > 0;
	bool ok = s->fd >= 0 && !s->error;

	if (ok && !waiting)
		ok = send_some(s, &data);
	if (ok && data.len) {
		buf_append_span(&s->out, data);
		if (!waiting)
			stream_update_io(s);
	}
	out->len = 0;
	return ok;
}

void
stream_last(struct stream *s)
{
	s->last = true;
}

size_t
stream_unsent(const struct stream *s)
{
	return s->out.len;
}

static void
on_writable(struct stream *s)
{
	struct span data = buf_span(&s->out);
	bool ok = send_some(s, &data);

	buf_consume(&s->out, s->out.len - data.len);
	if (!ok && s->lingering) {
		finish(s);
	} else if (!ok) {
		/* said once: the socket may stay writable */
		buf_wipe(&s->out);
		stream_update_io(s);
		s->fn(s->owner, STREAM_FAILED);
	} else if (!s->out.len) {
		buf_wipe(&s->out);
		if (s->lingering)
			half_close(s);
		stream_update_io(s);
		if (!s->lingering)
			s->fn(s->owner, STREAM_WRITABLE);
	}
}

/* Reads and drops, so that our last reply is not followed by a reset. */
static void
on_linger(struct stream *s)
{
	ssize_t n = recv(s->fd, s->pool->data, STREAM_READ_MAX, 0);

	if (n > 0)
		s->dropped += (uint32_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		s->dropped = LINGER_OCTETS;
	if (s->dropped >= LINGER_OCTETS)
		finish(s);
}

static void
on_io(int fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	if (s->handshaking && !s->lingering) {
		stream_tls_on_io(s);
		return;
	}
	if ((what & EV_WRITE) && s->tls_write && !s->out.len) {
		/* what TLS had to write is written by reading again */
		s->tls_write = false;
		stream_update_io(s);
		what = s->reading ? EV_READ : 0;
	}
	if ((what & EV_WRITE) && s->out.len)
		on_writable(s);
	if (!(what & EV_READ) || s->fd < 0 || !s->reading)
		return;
	if (s->lingering)
		on_linger(s);
	else
		s->fn(s->owner, STREAM_READABLE);
}
