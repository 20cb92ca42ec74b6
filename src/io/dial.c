/*
 * dial: one place after the other, until one takes the connection.
 *
 * Owns the descriptor that connects, and one timer: it begins, from the loop,
 * and then it is the deadline of the place under way.
 */
#include "io/dial.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "io/address.h"
#include "io/full_io.h"

struct dial {
	struct ask ask;
	struct loop *loop;
	struct loop_event *timer;
	struct loop_event *io; /* while fd connects */
	dial_fn *fn;
	void *ctx;
	uint32_t each, last;
	unsigned count;
	unsigned at;    /* the place under way */
	unsigned which; /* failed with err, which is told if none takes it */
	int err;
	int fd; /* -1: none connects */
	struct dial_place places[];
};

static void
close_fd(struct dial *d)
{
	loop_event_free(&d->io);
	full_close(&d->fd);
}

static void
release(struct dial *d)
{
	close_fd(d);
	loop_event_free(&d->timer);
	loop_defer(d->loop, free, d);
}

static void
end(struct dial *d, int err, unsigned which)
{
	int fd = d->fd;

	d->fd = -1;
	loop_event_free(&d->io); /* it is the callee's to close from here on */
	release(d);
	d->fn(d->ctx, fd, err, which);
}

bool
dial_is_no_route(int err)
{
	return err == ENETUNREACH || err == EADDRNOTAVAIL ||
	       err == EAFNOSUPPORT;
}

static void
failed(struct dial *d, int err)
{
	close_fd(d);
	if (!d->err || dial_is_no_route(d->err) || !dial_is_no_route(err)) {
		d->err = err;
		d->which = d->at;
	}
	d->at++;
}

/* --- one place --- */

static int
open_path(struct dial *d, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t n = strlen(path);

	if (n > DIAL_PATH_MAX)
		return ENAMETOOLONG;
	memcpy(a.sun_path, path, n);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0 ||
	    connect(d->fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return errno;
	return 0;
}

static int
open_address(struct dial *d, const struct dial_place *p)
{
	const int on = 1;
	union address a;
	socklen_t len = address_make(&p->addr, p->port, &a);

	d->fd = socket(a.sa.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return errno;
	/* what is said is written whole; waiting for more only delays it */
	setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return connect(d->fd, &a.sa, len) < 0 ? errno : 0;
}

static void on_io(void *ctx, bool readable, bool writable);

static void
wait_for(struct dial *d)
{
	d->io = loop_io(d->loop, d->fd, on_io, d);
	if (!d->io)
		abort();
	loop_io_want(d->io, false, true);
	loop_timer_set(d->timer, d->at + 1 == d->count ? d->last : d->each);
}

static void
go_on(struct dial *d)
{
	while (d->at < d->count) {
		const struct dial_place *p = &d->places[d->at];
		int err = p->addr.family == IP_NONE ? open_path(d, p->path)
						    : open_address(d, p);

		if (err == EINPROGRESS) {
			wait_for(d);
			return;
		}
		if (!err) {
			end(d, 0, d->at);
			return;
		}
		failed(d, err);
	}
	end(d, d->err, d->which);
}

static void
on_io(void *ctx, bool readable, bool writable)
{
	struct dial *d = ctx;
	int err = 0;
	socklen_t len = sizeof(err);

	(void)readable;
	(void)writable;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		err = errno;
	if (!err) {
		end(d, 0, d->at);
		return;
	}
	failed(d, err);
	go_on(d);
}

/* It is time to begin, or the place under way had its time. */
static void
on_timer(void *ctx)
{
	struct dial *d = ctx;

	if (d->fd >= 0)
		failed(d, ETIMEDOUT);
	go_on(d);
}

static void
on_cancel(struct ask *a, enum ask_end how)
{
	(void)how;
	release((struct dial *)(void *)a);
}

struct ask *
dial(struct loop *l, const struct dial_place *places, unsigned n, uint32_t each,
    uint32_t last, dial_fn *fn, void *ctx)
{
	struct dial *d = mem_new(sizeof(*d) + n * sizeof(*places));

	assert(n && n <= DIAL_PLACES_MAX);
	*d = (struct dial){.ask.cancel = on_cancel,
	    .loop = l,
	    .fn = fn,
	    .ctx = ctx,
	    .each = each,
	    .last = last,
	    .count = n,
	    .fd = -1};
	memcpy(d->places, places, n * sizeof(*places));
	d->timer = loop_timer(l, on_timer, d);
	if (!d->timer)
		abort();
	loop_timer_set(d->timer, 0);
	return &d->ask;
}
