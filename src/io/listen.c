/*
 * listen: opens, names and drains listening sockets.
 *
 * Accepting stops for a moment when the descriptor table is full. One
 * descriptor is held in reserve for that: the client at the head of the
 * queue gets its 421 over it instead of waiting for an answer that cannot
 * come. Without the pause a full table would spin: the socket stays ready.
 */
#include "io/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/address.h"
#include "io/full_io.h"
#include "io/log.h"

#define BACKLOG      4096
#define ACCEPT_BURST 64 /* at most, then the sessions get their turn */
#define PAUSE_MS     200

struct listener {
	struct loop *loop;
	struct event *event;
	struct event *again;
	listen_fn *fn;
	void *ctx;
	int fd;
	int reserve;
	unsigned tag;
	unsigned turn; /* of the loop, when somebody came last */
	unsigned told; /* in how many turns without a break before it */
};

static int
set_option(int fd, int level, int name)
{
	const int on = 1;

	return setsockopt(fd, level, name, &on, sizeof(on));
}

/* share: with other sockets of ours. -1 with errno. */
static int
bound(const struct ipaddr *addr, uint16_t port, bool share)
{
	union address a;
	socklen_t len = address_make(addr, port, &a);
	int fd = socket(a.sa.sa_family,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR) == 0 &&
	    (!share || set_option(fd, SOL_SOCKET, SO_REUSEPORT) == 0) &&
	    (addr->family != IP_V6 ||
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0) &&
	    bind(fd, &a.sa, len) == 0)
		return fd;
	return full_close(&fd);
}

int
listen_open(const struct ipaddr *addr, uint16_t port)
{
	int fd = bound(addr, port, true);

	if (fd < 0 || listen(fd, BACKLOG) == 0)
		return fd;
	return full_close(&fd);
}

bool
listen_taken(const struct ipaddr *addr, uint16_t port)
{
	int fd = bound(addr, port, false);

	if (fd < 0)
		return errno == EADDRINUSE;
	close(fd);
	return false;
}

int
listen_address(int fd, struct ipaddr *addr, uint16_t *port)
{
	union address a = {0};
	socklen_t len = sizeof(a);
	int listening = 0;
	socklen_t optlen = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &optlen) <
		0 ||
	    !listening || getsockname(fd, &a.sa, &len) < 0)
		return -1;
	return address_read(&a, addr, port);
}

int
listen_local(int fd, struct ipaddr *addr)
{
	union address a = {0};
	socklen_t len = sizeof(a);
	uint16_t port;

	if (getsockname(fd, &a.sa, &len) < 0)
		return -1;
	return address_read(&a, addr, &port);
}

/* Says 421 to the one who waits longest, over the reserve descriptor. */
static void
refuse_one(struct listener *l)
{
	static const char reply[] = "421 4.3.2 Too many sessions\r\n";
	union address a = {0};
	socklen_t len = sizeof(a);
	int fd;

	full_close(&l->reserve);
	fd = accept4(l->fd, &a.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	l->reserve = eventfd(0, EFD_CLOEXEC);
}

static void
pause_accepting(struct listener *l, int err)
{
	const struct timeval tv = {0, PAUSE_MS * 1000};

	log_event(LOG_WARN, "accept-paused", LOG_ERRNO(err));
	if (err == EMFILE || err == ENFILE)
		refuse_one(l);
	event_del(l->event);
	event_add(l->again, &tv);
}

static void
on_again(int fd, short what, void *arg)
{
	struct listener *l = arg;

	(void)fd;
	(void)what;
	event_add(l->event, NULL);
}

/* Whose fault was it? The connection's: go on with the next one. */
static bool
is_passing(int err)
{
	switch (err) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case EPERM:
		return true;
	default:
		return false;
	}
}

/* False: enough for this turn. */
static bool
accept_one(struct listener *l)
{
	union address a = {0};
	socklen_t len = sizeof(a);
	struct ipaddr client;
	uint16_t port;
	int fd = accept4(l->fd, &a.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return false;
		if (is_passing(errno))
			return true;
		pause_accepting(l, errno);
		return false;
	}
	if (address_read(&a, &client, &port) < 0) {
		close(fd);
		return true;
	}
	l->fn(l->ctx, l->tag, fd, &client, port);
	return true;
}

static void
on_ready(int fd, short what, void *arg)
{
	struct listener *l = arg;
	unsigned burst;

	(void)fd;
	(void)what;
	/* to try in vain costs more than to be told again: it takes more only
	 * where it is told again and again, in turn after turn */
	l->told = l->loop->turns - l->turn == 1 ? l->told + 1 : 0;
	l->turn = l->loop->turns;
	burst = l->told < 12 ? 1u << l->told / 2 : ACCEPT_BURST;
	while (burst && accept_one(l))
		burst--;
	if (burst)
		l->told = 0;
}

struct listener *
listener_new(struct loop *loop, int fd, unsigned tag, listen_fn *fn, void *ctx)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct listener){.loop = loop,
	    .fn = fn,
	    .ctx = ctx,
	    .fd = fd,
	    .tag = tag,
	    .reserve = -1};
	/* replies are written whole; waiting for more would only delay them;
	 * who is accepted inherits it */
	set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	l->reserve = eventfd(0, EFD_CLOEXEC);
	l->again = event_new(loop->base, -1, 0, on_again, l);
	l->event = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_ready, l);
	if (!l->again || !l->event || event_add(l->event, NULL) < 0)
		listener_free(&l);
	return l;
}

void
listener_free(struct listener **p)
{
	struct listener *l = *p;

	*p = NULL;
	if (!l)
		return;
	if (l->event)
		event_free(l->event);
	if (l->again)
		event_free(l->again);
	full_close(&l->reserve);
	free(l);
}
