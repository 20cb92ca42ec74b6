/*
 * liar: what it says of
 *
 *	a, ptr, mx, txt, tlsa, cname	one record, if that is what is asked
 *	two		an A, or two AAAA
 *	v4		an A, and SERVFAIL for all else
 *	half		SERVFAIL for an A, and no AAAA
 *	chain, circle	CNAMEs to an A, and to each other
 *	many40, many128, many129	A records, or an AAAA
 *	nx, refused, servfail, formerr	that code
 *	bogus		SERVFAIL, but an A with CD; ad: an A, and AD where asked
 *	old		FORMERR to EDNS, which it does not know, else an A
 *	tc, pieces	only by TCP an A; each octet by itself
 *	tcdrop, tcsilent	what becomes of them by TCP
 *	silent		nothing
 *	late		an A, a second and a half later
 *	wrongid, wrongname, short	what answers nothing
 *	twice		an A, two times
 *
 * What is sent and received goes through here, to know what is on its way.
 */
#include "liar.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "dns_message.h"
#include "proto/dns.h"

#define CONNS_MAX 32
#define LATE_MAX  64
#define ADDED_MAX 256

struct question {
	struct sockaddr_in from;
	uint16_t id;
	unsigned flags, type;
	char name[256];
	char label[256]; /* what it is to say of it; "": what was added */
	bool tcp, edns;
	bool scripted; /* then these are what is said */
	int says;
	uint8_t octets[4];
};

struct added {
	const char *name, *value;
	unsigned type;
	bool like;
};

struct conn {
	struct liar *liar;
	struct loop_event *event;
	int fd; /* -1: closed */
};

struct liar {
	struct loop *loop;
	int udp, tcp;
	struct loop_event *on_udp, *on_tcp, *timer;
	struct conn conns[CONNS_MAX];
	unsigned nconns;
	struct question late[LATE_MAX];
	unsigned nlate;
	struct added added[ADDED_MAX];
	unsigned nadded;
	bool mute, jumps;
	unsigned asked, asked_tcp;
	uint16_t last_id;
	liar_fn *script;
	void *ctx;
	char server[32];
};

/* --- what is on its way --- */

static struct {
	int datagrams;
	struct timespec moved;
} way;

static long
ms_since_moved(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec - way.moved.tv_sec) * 1000 +
	       (ts.tv_nsec - way.moved.tv_nsec) / 1000000;
}

static void
count(int fd, ssize_t n, int more)
{
	int type = 0, saved = errno;
	socklen_t len = sizeof(type);

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	if (n > 0 && type == SOCK_DGRAM)
		way.datagrams += more;
	if (n >= 0)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &way.moved);
	errno = saved;
}

/* What goes to a socket that was closed meanwhile never arrives. */
bool
liar_busy(void)
{
	if (ms_since_moved() < (way.datagrams > 0 ? 500 : 2))
		return true;
	way.datagrams = 0;
	return false;
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	ssize_t n;

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(flags & MSG_NOSIGNAL);
	n = syscall(SYS_sendmsg, fd, m, flags);
	count(fd, n, 1);
	return n;
}

ssize_t
recvfrom(int fd, void *data, size_t size, int flags, __SOCKADDR_ARG from,
    socklen_t *len)
{
	ssize_t n = syscall(SYS_recvfrom, fd, data, size, flags,
	    from.__sockaddr__, len);

	count(fd, n, -1);
	return n;
}

/* --- what it says --- */

static bool
is(const struct question *q, const char *label)
{
	return !strcmp(q->label, label);
}

static void
put(struct buf *b, const char *owner, unsigned type, const char *data, size_t n)
{
	dns_message_add(b, owner, type, (struct span){data, n});
}

static void
put_name(struct buf *b, const char *owner, unsigned type, const char *name)
{
	struct buf data = {0};

	if (type == DNS_MX) {
		unsigned preference = 10;
		int skip = 0;

		sscanf(name, "%u %n", &preference, &skip);
		dns_message_16(&data, preference);
		name += skip;
	}
	dns_message_name(&data, name);
	dns_message_add(b, owner, type, buf_span(&data));
	buf_free(&data);
}

static void
put_added(struct buf *b, const struct liar *l, const char *name, unsigned type)
{
	for (unsigned i = 0; i < l->nadded; i++) {
		const struct added *a = &l->added[i];
		struct ipaddr ip;

		if (a->like || (a->type != type && a->type != DNS_CNAME) ||
		    strcmp(a->name, name) != 0)
			continue;
		if (a->type == DNS_A || a->type == DNS_AAAA) {
			ipaddr_parse(span_str(a->value), &ip);
			put(b, name, type, (const char *)ip.bytes,
			    type == DNS_A ? 4 : 16);
			continue;
		}
		put_name(b, name, a->type, a->value);
		if (a->type != type)
			put_added(b, l, a->value, type);
	}
}

static void
put_addresses(struct buf *b, const char *owner, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const char v4[] = {(char)192, 0, 2, (char)i};

		put(b, owner, DNS_A, v4, 4);
	}
}

static void
put_records(struct buf *b, const struct question *q)
{
	static const char v6[] = "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
				 "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2";
	unsigned n = 1;

	if (q->scripted) {
		put(b, q->name, DNS_A, (const char *)q->octets, 4);
	} else if (is(q, "chain")) {
		put_name(b, q->name, DNS_CNAME, "link.test");
		put_name(b, "link.test", DNS_CNAME, "end.test");
		put_addresses(b, "end.test", 1);
	} else if (is(q, "circle")) {
		put_name(b, q->name, DNS_CNAME, "link.test");
		put_name(b, "link.test", DNS_CNAME, q->name);
	} else if (sscanf(q->label, "many%u", &n) == 1) {
		if (q->type == DNS_AAAA)
			put(b, q->name, DNS_AAAA, v6, 16);
		else
			put_addresses(b, q->name, n);
	} else if (is(q, "two") && q->type == DNS_AAAA) {
		put(b, q->name, DNS_AAAA, v6, 16);
		put(b, q->name, DNS_AAAA, v6 + 16, 16);
	} else if (q->type == DNS_A) {
		put_addresses(b, q->name, 1);
	} else if (is(q, "txt")) {
		put(b, q->name, DNS_TXT, "\3abc\1d", 6);
	} else if (is(q, "tlsa")) {
		put(b, q->name, DNS_TLSA, "\3\1\1xyz", 6);
	} else if (is(q, "mx")) {
		put_name(b, q->name, DNS_MX, "host.test");
	} else if (is(q, "ptr")) {
		put_name(b, q->name, DNS_PTR, "host.test");
	} else if (is(q, "cname")) {
		put_name(b, q->name, DNS_CNAME, "host.test");
	}
}

static unsigned
code_of(const struct question *q)
{
	static const struct {
		const char *label;
		unsigned code;
	} codes[] = {{"formerr", 1}, {"servfail", 2}, {"nx", 3},
	    {"refused", 5}};

	if (q->scripted)
		return q->says > 0 ? 0 : q->says ? 2 : 3;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (is(q, codes[i].label))
			return codes[i].code;
	if (is(q, "old") && q->edns)
		return 1;
	if ((is(q, "bogus") && !(q->flags & DNS_MESSAGE_CD)) ||
	    (is(q, "v4") && q->type != DNS_A) ||
	    (is(q, "half") && q->type != DNS_AAAA))
		return 2;
	return 0;
}

/* What is short by TCP may be cut by UDP. */
static void
make(struct buf *b, const struct liar *l, const struct question *q)
{
	unsigned code = code_of(q);
	unsigned flags = DNS_MESSAGE_QR | (q->flags & 0x0100) | code;
	const char *name = is(q, "wrongname") ? "a.test" : q->name;
	uint16_t id = is(q, "wrongid") ? q->id ^ 1 : q->id;
	bool cut = is(q, "tc") || is(q, "pieces") || is(q, "tcdrop") ||
		   is(q, "tcsilent");

	if (is(q, "ad"))
		flags |= q->flags & DNS_MESSAGE_AD;
	dns_message(b, id, flags, name, q->type);
	if (!code && q->label[0])
		put_records(b, q);
	else if (!code)
		put_added(b, l, q->name, q->type);
	if (!q->tcp && (cut || b->len > 1232))
		dns_message(b, id, flags | DNS_MESSAGE_TC, name, q->type);
	if (is(q, "short"))
		b->len = 5;
}

/* --- how it says it --- */

static void
send_all(int fd, const struct sockaddr_in *to, const char *data, size_t n)
{
	char copy[65536];
	struct iovec iov = {copy, n};
	struct sockaddr_in addr = to ? *to : (struct sockaddr_in){0};
	const struct msghdr m = {.msg_name = to ? &addr : NULL,
	    .msg_namelen = to ? sizeof(addr) : 0,
	    .msg_iov = &iov,
	    .msg_iovlen = 1};

	assert_true(n <= sizeof(copy));
	memcpy(copy, data, n);
	/* whoever asked may be gone */
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
		sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void
say_udp(struct liar *l, const struct question *q)
{
	struct buf b = {0};

	make(&b, l, q);
	send_all(l->udp, &q->from, b.data, b.len);
	if (is(q, "twice"))
		send_all(l->udp, &q->from, b.data, b.len);
	buf_free(&b);
}

static void
say_tcp(const struct liar *l, int fd, const struct question *q)
{
	struct buf b = {0}, framed = {0};
	size_t step;

	make(&b, l, q);
	dns_message_16(&framed, (unsigned)b.len);
	buf_append_span(&framed, buf_span(&b));
	step = !is(q, "pieces") ? framed.len : 1;
	for (size_t i = 0; i < framed.len; i += step)
		send_all(fd, NULL, framed.data + i, step);
	buf_free(&b);
	buf_free(&framed);
}

static void
on_late(void *ctx)
{
	struct liar *l = ctx;

	for (unsigned i = 0; i < l->nlate; i++)
		say_udp(l, &l->late[i]);
	l->nlate = 0;
}

/* The last that was added counts. */
static void
find_label(const struct liar *l, struct question *q)
{
	snprintf(q->label, sizeof(q->label), "%.*s", (int)strcspn(q->name, "."),
	    q->name);
	for (unsigned i = 0; i < l->nadded; i++) {
		const struct added *a = &l->added[i];

		if (strcmp(a->name, q->name) != 0 ||
		    (a->like && a->type && a->type != q->type))
			continue;
		snprintf(q->label, sizeof(q->label), "%s",
		    a->like ? a->value : "");
	}
}

static bool
read_question(struct liar *l, const uint8_t *p, size_t n, struct question *q)
{
	size_t to = 0, at = 12;

	if (n < 12)
		return false;
	q->id = (uint16_t)(p[0] << 8 | p[1]);
	q->flags = (unsigned)(p[2] << 8 | p[3]);
	q->edns = p[11];
	while (at < n && p[at]) {
		memcpy(q->name + to, p + at + 1, p[at]);
		to += p[at];
		q->name[to++] = '.';
		at += p[at] + 1u;
	}
	q->name[to ? to - 1 : 0] = '\0';
	ascii_fold(q->name, to);
	q->type = (unsigned)(p[at + 1] << 8 | p[at + 2]);
	find_label(l, q);
	l->jumps |= l->asked && (uint16_t)(q->id - l->last_id) > 1;
	l->last_id = q->id;
	l->asked++;
	l->asked_tcp += q->tcp;
	if (l->script) {
		q->scripted = true;
		q->says = l->script(l->ctx, q->name, q->octets);
		return !l->mute && q->says != -1;
	}
	return !l->mute && !is(q, "silent");
}

static void
on_udp(void *ctx)
{
	struct liar *l = ctx;
	uint8_t data[1500];
	struct question q = {0};
	socklen_t len = sizeof(q.from);
	ssize_t n = recvfrom(l->udp, data, sizeof(data), 0,
	    (struct sockaddr *)&q.from, &len);

	if (n < 0 || !read_question(l, data, (size_t)n, &q))
		return;
	if (!is(&q, "late")) {
		say_udp(l, &q);
		return;
	}
	assert_true(l->nlate < LATE_MAX);
	l->late[l->nlate++] = q;
	if (l->nlate == 1)
		loop_timer_set(l->timer, 1500);
}

static void
on_conn(void *ctx)
{
	struct conn *c = ctx;
	uint8_t data[1500];
	struct question q = {.tcp = true};
	ssize_t n = recvfrom(c->fd, data, sizeof(data), 0, NULL, NULL);
	bool asked =
	    n > 2 && read_question(c->liar, data + 2, (size_t)n - 2, &q);

	if (asked && !is(&q, "tcdrop")) {
		if (!is(&q, "tcsilent"))
			say_tcp(c->liar, c->fd, &q);
		return;
	}
	loop_event_free(&c->event);
	close(c->fd);
	c->fd = -1;
}

static void
on_tcp(void *ctx)
{
	struct liar *l = ctx;
	int fd = accept4(l->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct conn *c;

	assert_true(fd >= 0 && l->nconns < CONNS_MAX);
	count(fd, 0, 0);
	c = &l->conns[l->nconns++];
	c->liar = l;
	c->fd = fd;
	c->event = loop_readable(l->loop, fd, on_conn, c);
}

/* --- the rest --- */

/* Both by the same port; -1: one of the two is not free. */
static int
bind_both(struct liar *l)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	l->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	l->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->udp < 0 || l->tcp < 0 ||
	    bind(l->tcp, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(l->tcp, CONNS_MAX) < 0 ||
	    getsockname(l->tcp, (struct sockaddr *)&a, &len) < 0 ||
	    bind(l->udp, (struct sockaddr *)&a, sizeof(a)) < 0) {
		close(l->udp);
		close(l->tcp);
		return -1;
	}
	snprintf(l->server, sizeof(l->server), "127.0.0.1:%d",
	    ntohs(a.sin_port));
	return 0;
}

struct liar *
liar_new(struct loop *loop)
{
	struct liar *l = calloc(1, sizeof(*l));

	l->loop = loop;
	for (unsigned i = 0; bind_both(l) < 0; i++)
		if (i == 100)
			return NULL;
	l->on_udp = loop_readable(loop, l->udp, on_udp, l);
	l->on_tcp = loop_readable(loop, l->tcp, on_tcp, l);
	l->timer = loop_timer(loop, on_late, l);
	way.datagrams = 0;
	return l;
}

void
liar_free(struct liar **p)
{
	struct liar *l = *p;

	*p = NULL;
	for (unsigned i = 0; i < l->nconns; i++) {
		if (l->conns[i].fd < 0)
			continue;
		loop_event_free(&l->conns[i].event);
		close(l->conns[i].fd);
	}
	loop_event_free(&l->on_udp);
	loop_event_free(&l->on_tcp);
	loop_event_free(&l->timer);
	close(l->udp);
	close(l->tcp);
	free(l);
}

static void
add(struct liar *l, struct added a)
{
	assert_true(l->nadded < ADDED_MAX);
	l->added[l->nadded++] = a;
}

void
liar_add(struct liar *l, const char *name, enum dns_type type,
    const char *value)
{
	add(l, (struct added){name, value, type, false});
}

void
liar_like(struct liar *l, const char *name, unsigned type, const char *label)
{
	add(l, (struct added){name, label, type, true});
}

void
liar_forget(struct liar *l)
{
	l->nadded = 0;
}

const char *
liar_server(const struct liar *l)
{
	return l->server;
}

void
liar_script(struct liar *l, liar_fn *fn, void *ctx)
{
	l->script = fn;
	l->ctx = ctx;
}

void
liar_mute(struct liar *l, bool mute)
{
	l->mute = mute;
}

unsigned
liar_asked(struct liar *l)
{
	unsigned n = l->asked;

	l->asked = 0;
	return n;
}

unsigned
liar_asked_tcp(struct liar *l)
{
	unsigned n = l->asked_tcp;

	l->asked_tcp = 0;
	return n;
}

bool
liar_ids_jump(const struct liar *l)
{
	return l->jumps;
}
