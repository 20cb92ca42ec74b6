/*
 * resolve_channel: the sockets are opened here, since c-ares sets nothing on
 * sockets that are not its own: none may block, or outlive an exec.
 *
 * All calls of c-ares may call back, close sockets and change its next
 * timeout; so each is followed by set_timer().
 */
#include "io/resolve_channel.h"

#define CARES_NO_DEPRECATED
#include <ares.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"

/*
 * 1.31 and later wait for a quarter of a second alone where a server is quick
 * at other times, then for up to TRY_MAX, less at random: all of it is more
 * than the 3 s of a check, which is to hear who is slow, and less than 9 s.
 */
#if ARES_VERSION >= 0x011f00
#define TRIES   6
#define TRY_MAX 1500 /* ms */
#else
#define TRIES 2
#endif
#define TIMEOUT  1000 /* ms */
#define UDP_SIZE 1232 /* octets of an answer that are never fragments */

/* Of the header of a query, in its fourth octet (RFC 4035 3.2). */
#define HEADER_AD 0x20
#define HEADER_CD 0x10

#define CLASS_IN 1

struct sock {
	LIST_ENTRY(sock) next;
	struct resolve_channel *channel;
	struct loop_event *io; /* NULL until something is wanted */
	int fd;
	bool udp;
};

struct resolve_channel {
	struct loop *loop;
	ares_channel ares;
	struct loop_event *timer;
	LIST_HEAD(socks, sock) socks; /* a few for each server */
	resolve_heard *heard;
	resolve_back *back;
	void *ctx;
	bool plain; /* a server knows no EDNS */
};

/* What c-ares has of a query. */
struct sent {
	struct resolve_channel *channel;
	void *arg;
};

static void
set_timer(struct resolve_channel *c)
{
	struct timeval room;
	const struct timeval *tv = ares_timeout(c->ares, NULL, &room);

	/* up: one too early would only come again */
	if (tv)
		loop_timer_set(c->timer, (uint64_t)tv->tv_sec * 1000 +
					     (uint64_t)tv->tv_usec / 1000 + 1);
}

static void
on_timer(void *ctx)
{
	struct resolve_channel *c = ctx;

	ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(c);
}

/* --- its sockets --- */

/* The socket may be gone behind the call. */
static void
on_io(void *ctx, bool readable, bool writable)
{
	const struct sock *s = ctx;
	struct resolve_channel *c = s->channel;
	int fd = s->fd;

	ares_process_fd(c->ares, readable ? fd : ARES_SOCKET_BAD,
	    writable ? fd : ARES_SOCKET_BAD);
	set_timer(c);
}

static struct sock *
find_sock(struct resolve_channel *c, int fd)
{
	struct sock *s = LIST_FIRST(&c->socks);

	while (s && s->fd != fd)
		s = LIST_NEXT(s, next);
	if (!s)
		abort();
	return s;
}

/* Nothing is wanted any more just before it is closed. */
static void
on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct resolve_channel *c = ctx;
	struct sock *s = find_sock(c, fd);

	if (!readable && !writable) {
		loop_event_free(&s->io);
		return;
	}
	if (!s->io)
		s->io = loop_io(c->loop, fd, on_io, s);
	if (!s->io)
		abort();
	loop_io_want(s->io, readable, writable);
}

static ares_socket_t
open_sock(int family, int type, int protocol, void *ctx)
{
	struct resolve_channel *c = ctx;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	struct sock *s;

	if (fd < 0)
		return ARES_SOCKET_BAD;
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1},
		    sizeof(int));
	s = mem_new(sizeof(*s));
	*s = (struct sock){.channel = c, .fd = fd, .udp = type == SOCK_DGRAM};
	LIST_INSERT_HEAD(&c->socks, s, next);
	return fd;
}

static int
close_sock(ares_socket_t fd, void *ctx)
{
	struct sock *s = find_sock(ctx, fd);

	loop_event_free(&s->io);
	LIST_REMOVE(s, next);
	free(s);
	return close(fd);
}

static int
connect_sock(ares_socket_t fd, const struct sockaddr *to, ares_socklen_t len,
    void *ctx)
{
	(void)ctx;
	return connect(fd, to, len);
}

static ares_ssize_t
receive(ares_socket_t fd, void *data, size_t size, int flags,
    struct sockaddr *from, ares_socklen_t *from_len, void *ctx)
{
	struct resolve_channel *c = ctx;
	ssize_t n = recvfrom(fd, data, size, flags, from, from_len);
	const uint8_t *p = data;

	if (n > 0 && !find_sock(c, fd)->udp)
		c->heard(c->ctx, -1, 0);
	else if (n >= 4)
		c->heard(c->ctx, p[0] << 8 | p[1], p[3] & 15);
	return n;
}

/* No sendmsg: a sandbox has none. What is left over c-ares sends again. */
static ares_ssize_t
send_it(ares_socket_t fd, const struct iovec *iov, int n, void *ctx)
{
	(void)n;
	(void)ctx;
	return send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
}

static const struct ares_socket_functions functions = {open_sock, close_sock,
    connect_sock, receive, send_it};

/* --- queries --- */

static unsigned
why_of(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return DNS_TIMEOUT;
	case ARES_ESERVFAIL:
		return DNS_SERVFAIL;
	case ARES_EREFUSED:
		return DNS_REFUSED;
	case ARES_EFORMERR:
	case ARES_EBADRESP:
		return DNS_NONSENSE;
	default:
		return DNS_UNREACHABLE;
	}
}

static void
on_back(void *arg, int status, int timeouts, unsigned char *data, int n)
{
	struct sent *sent = arg;
	struct resolve_channel *c = sent->channel;
	const char *message = (const char *)data;

	(void)timeouts;
	/* 1.18 asks again without EDNS, but only the first time */
	if (n >= 4 && (data[3] & 15) == DNS_FORMERR)
		c->plain = true;
	c->back(sent->arg, (struct span){message, n > 0 ? (size_t)n : 0},
	    why_of(status));
	free(sent);
}

int
resolve_channel_send(struct resolve_channel *c, const char *name, int type,
    unsigned flags, uint16_t id, void *arg)
{
	struct sent *sent;
	unsigned char *query;
	int n;

	/* of valid names it knows .onion: RFC 7686 */
	if (ares_create_query(name, CLASS_IN, type, id, 1, &query, &n,
		c->plain ? 0 : UDP_SIZE) != ARES_SUCCESS)
		return -1;
	if (flags & RESOLVE_AD)
		query[3] |= HEADER_AD;
	if (flags & RESOLVE_CD)
		query[3] |= HEADER_CD;
	sent = mem_new(sizeof(*sent));
	*sent = (struct sent){c, arg};
	ares_send(c->ares, query, n, on_back, sent);
	ares_free_string(query);
	set_timer(c);
	return 0;
}

/* --- the channel --- */

/* c-ares takes ports that are none, and reads past what it made of an address
 * that is too long (1.18). */
static bool
are_servers(const char *list)
{
	for (;; list++) {
		struct span s = {list, strcspn(list, ",")};
		struct ipaddr addr;
		uint16_t port;

		list += s.len;
		if (ipaddr_cut_port(&s, &port) < 0 ||
		    ipaddr_parse(s, &addr) < 0)
			return false;
		if (!*list)
			return true;
	}
}

static int
open_ares(struct resolve_channel *c, const struct resolve_options *o)
{
	struct ares_options a = {
	    .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
	    .timeout = o->timeout ? (int)o->timeout : TIMEOUT,
	    .tries = TRIES,
	    .sock_state_cb = on_state,
	    .sock_state_cb_data = c,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_NOROTATE | ARES_OPT_SOCK_STATE_CB;

#if ARES_VERSION >= 0x011700
	/* 0: none. It would keep what is not there for an hour. */
	mask |= ARES_OPT_QUERY_CACHE;
#endif
#ifdef TRY_MAX
	a.maxtimeout = TRY_MAX;
	mask |= ARES_OPT_MAXTIMEOUTMS;
#endif
	if (ares_init_options(&c->ares, &a, mask) != ARES_SUCCESS) {
		errno = ENOMEM;
		return -1;
	}
	ares_set_socket_functions(c->ares, &functions, c);
	if (o->servers &&
	    (!are_servers(o->servers) || ares_set_servers_ports_csv(c->ares,
					     o->servers) != ARES_SUCCESS)) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

struct resolve_channel *
resolve_channel_new(struct loop *l, const struct resolve_options *o,
    resolve_heard *heard, resolve_back *back, void *ctx)
{
	struct resolve_channel *c = mem_new(sizeof(*c));

	*c = (struct resolve_channel){.loop = l,
	    .heard = heard,
	    .back = back,
	    .ctx = ctx};
	LIST_INIT(&c->socks);
	c->timer = loop_timer(l, on_timer, c);
	if (!c->timer || open_ares(c, o) < 0)
		resolve_channel_free(&c);
	return c;
}

void
resolve_channel_free(struct resolve_channel **p)
{
	struct resolve_channel *c = *p;
	int saved = errno;

	*p = NULL;
	if (!c)
		return;
	if (c->ares)
		ares_destroy(c->ares);
	loop_event_free(&c->timer);
	free(c);
	errno = saved;
}

void
resolve_channel_servers(struct resolve_channel *c, struct buf *out)
{
	struct ares_addr_port_node *first = NULL;
	char text[IPADDR_STRLEN];

	ares_get_servers_ports(c->ares, &first);
	for (struct ares_addr_port_node *s = first; s; s = s->next) {
		bool v6 = s->family == AF_INET6;
		const void *octets = &s->addr;
		struct ipaddr ip = v6 ? ipaddr_v6(octets) : ipaddr_v4(octets);
		bool port = s->udp_port && s->udp_port != 53;

		ipaddr_format(&ip, text);
		buf_append_str(out, s == first ? "" : ",");
		buf_printf(out, port && v6 ? "[%s]" : "%s", text);
		if (port)
			buf_printf(out, ":%d", s->udp_port);
	}
	if (first)
		ares_free_data(first);
}
