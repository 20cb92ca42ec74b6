/*
 * Places that take a connection, refuse it, cannot be reached or say nothing:
 * all on loopback, what the network would say beyond that by a connect() that
 * stands before libc's. Time passes where the loop would wait.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/dial.h"
#include "scratch.h"

#define EACH 5000
#define LAST 10000
#define FAIL 0xc0000201 /* 192.0.2.1: its port is what a connect fails with */

int
connect(int fd, const struct sockaddr *a, socklen_t len)
{
	const struct sockaddr_in *in = (const void *)a;

	if (a->sa_family == AF_INET && in->sin_addr.s_addr == htonl(FAIL)) {
		errno = ntohs(in->sin_port);
		return -1;
	}
	return (int)syscall(SYS_connect, fd, a, len);
}

struct world {
	struct loop loop;
	struct loop_event *idle; /* a loop without any would not wait */
	struct ask *ask;
	struct dial_place places[8];
	unsigned count;
	int listeners[8], clients[8];
	unsigned nlisteners, nclients;
	unsigned calls;
	int fd, err;
	unsigned which;
	int64_t begun, took;
};

static void
never(void *ctx)
{
	(void)ctx;
	fail();
}

static void
open_world(struct world *w)
{
	*w = (struct world){.fd = -1};
	assert_int_equal(loop_init(&w->loop), 0);
	clock_stop(&w->loop, NULL);
	w->idle = loop_timer(&w->loop, never, NULL);
	loop_timer_set(w->idle, 1000000000);
}

/* How many descriptors this process has. */
static unsigned
descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
close_world(struct world *w)
{
	assert_null(w->ask);
	for (unsigned i = 0; i < w->nlisteners; i++)
		close(w->listeners[i]);
	for (unsigned i = 0; i < w->nclients; i++)
		close(w->clients[i]);
	if (w->fd >= 0)
		close(w->fd);
	loop_event_free(&w->idle);
	loop_free(&w->loop);
	clock_go();
}

/* --- places --- */

static void
add_port(struct world *w, uint16_t port)
{
	struct ipaddr a = ipaddr_v4((const uint8_t[]){127, 0, 0, 1});

	w->places[w->count++] = (struct dial_place){.addr = a, .port = port};
}

static uint16_t
bound(int *fd, int family)
{
	struct sockaddr_in6 a = {.sin6_family = (sa_family_t)family,
	    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t len = sizeof(a);

	if (family == AF_INET)
		((struct sockaddr_in *)(void *)&a)->sin_addr.s_addr =
		    htonl(INADDR_LOOPBACK);
	*fd = socket(family, SOCK_STREAM, 0);
	assert_int_equal(bind(*fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(*fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin6_port);
}

static uint16_t
listening(struct world *w, int family, int backlog)
{
	int fd;
	uint16_t port = bound(&fd, family);

	assert_int_equal(listen(fd, backlog), 0);
	w->listeners[w->nlisteners++] = fd;
	return port;
}

static void
add_taker(struct world *w)
{
	add_port(w, listening(w, AF_INET, 5));
}

/* Nobody listens there, and nobody else can meanwhile. */
static void
add_refuser(struct world *w)
{
	add_port(w, bound(&w->listeners[w->nlisteners], AF_INET));
	w->nlisteners++;
}

static void
add_failing(struct world *w, int err)
{
	add_port(w, (uint16_t)err);
	w->places[w->count - 1].addr =
	    ipaddr_v4((const uint8_t[]){192, 0, 2, 1});
}

/* Its queue is full: it drops what else comes. */
static void
add_silent(struct world *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	uint16_t port = listening(w, AF_INET, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	w->clients[w->nclients++] = fd;
	add_port(w, port);
}

static void
add_path(struct world *w, const char *path)
{
	w->places[w->count++] = (struct dial_place){.path = path};
}

static void
listen_at(struct world *w, const char *path, int backlog)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	w->listeners[w->nlisteners++] = fd;
}

/* --- dialling --- */

static void
on_dial(void *ctx, int fd, int err, unsigned which)
{
	struct world *w = ctx;

	w->ask = NULL;
	w->calls++;
	w->fd = fd;
	w->err = err;
	w->which = which;
	w->took = clock_now() - w->begun;
}

static void
start(struct world *w)
{
	w->begun = clock_now();
	w->ask = dial(&w->loop, w->places, w->count, EACH, LAST, on_dial, w);
	assert_non_null(w->ask);
	assert_int_equal(w->calls, 0);
	memset(w->places, 0xff, sizeof(w->places)); /* it has its own */
}

static void
connected(struct world *w, unsigned which)
{
	start(w);
	clock_pass(100000);
	assert_int_equal(w->calls, 1);
	assert_int_equal(w->err, 0);
	assert_int_equal(w->which, which);
	assert_true(w->fd >= 0);
	assert_true(fcntl(w->fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(w->fd, F_GETFD) & FD_CLOEXEC);
}

static void
failed(struct world *w, int err, unsigned which)
{
	start(w);
	clock_pass(100000);
	assert_int_equal(w->calls, 1);
	assert_int_equal(w->fd, -1);
	assert_int_equal(w->err, err);
	assert_int_equal(w->which, which);
}

static void
the_first_that_takes_it(void **state)
{
	struct world w;
	int on = 0;
	socklen_t len = sizeof(on);

	(void)state;
	open_world(&w);
	add_taker(&w);
	add_taker(&w);
	connected(&w, 0);
	getsockopt(w.fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	assert_true(on);
	close_world(&w);
}

static void
ipv6(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	add_port(&w, listening(&w, AF_INET6, 5));
	w.places[0].addr = ipaddr_v6((const uint8_t *)&in6addr_loopback);
	connected(&w, 0);
	close_world(&w);
}

/* What it is told tells one cause from another. */
static void
each_way_to_fail(void **state)
{
	static const int errors[] = {EHOSTUNREACH, ENETUNREACH, EACCES, EPERM,
	    EINVAL, EADDRNOTAVAIL};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		open_world(&w);
		add_failing(&w, errors[i]);
		failed(&w, errors[i], 0);
		close_world(&w);
	}
	open_world(&w);
	add_refuser(&w);
	failed(&w, ECONNREFUSED, 0);
	close_world(&w);
}

static void
one_after_the_other(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	add_refuser(&w);
	add_failing(&w, EHOSTUNREACH);
	add_silent(&w);
	add_taker(&w);
	add_taker(&w);
	connected(&w, 3);
	assert_int_equal(w.took, EACH);
	close_world(&w);
}

static void
silence_has_its_time(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	add_silent(&w);
	add_silent(&w);
	failed(&w, ETIMEDOUT, 1);
	assert_int_equal(w.took, EACH + LAST);
	close_world(&w);
}

/* A family that this machine does not have says nothing about the others. */
static void
no_route_is_told_last(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	add_failing(&w, EADDRNOTAVAIL);
	add_refuser(&w);
	add_failing(&w, EHOSTUNREACH);
	add_failing(&w, ENETUNREACH);
	failed(&w, EHOSTUNREACH, 2);
	close_world(&w);
	open_world(&w);
	add_failing(&w, ENETUNREACH);
	add_failing(&w, EADDRNOTAVAIL);
	failed(&w, EADDRNOTAVAIL, 1);
	close_world(&w);
}

static void
paths(void **state)
{
	char path[DIAL_PATH_MAX + 2];
	struct world w;

	(void)state;
	open_world(&w);
	listen_at(&w, "socket", 5);
	add_path(&w, "none");
	add_refuser(&w);
	add_path(&w, "socket");
	connected(&w, 2);
	close_world(&w);
	open_world(&w);
	add_path(&w, "none");
	failed(&w, ENOENT, 0);
	close_world(&w);
	open_world(&w);
	add_path(&w, "socket"); /* that nobody has any more */
	failed(&w, ECONNREFUSED, 0);
	close_world(&w);
	memset(path, 'x', sizeof(path));
	path[DIAL_PATH_MAX] = '\0';
	open_world(&w);
	add_path(&w, path);
	failed(&w, ENOENT, 0);
	close_world(&w);
	path[DIAL_PATH_MAX] = 'x';
	path[DIAL_PATH_MAX + 1] = '\0';
	open_world(&w);
	add_path(&w, path);
	failed(&w, ENAMETOOLONG, 0);
	close_world(&w);
}

static void
a_path_that_is_full(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	listen_at(&w, "full", 0);
	add_path(&w, "full");
	connected(&w, 0);
	w.clients[w.nclients++] = w.fd;
	w.count = w.calls = 0;
	add_path(&w, "full");
	failed(&w, EAGAIN, 0);
	close_world(&w);
}

/* --- cancelled --- */

static void
cancelled(struct world *w, enum ask_end end)
{
	ask_cancel(&w->ask, end);
	clock_pass(100000);
	assert_int_equal(w->calls, 0);
}

static void
before_it_began(void **state)
{
	unsigned before = descriptors();
	struct world w;

	(void)state;
	for (int end = ASK_GO_ON; end <= ASK_ABANDON; end++) {
		open_world(&w);
		add_taker(&w);
		start(&w);
		cancelled(&w, (enum ask_end)end);
		close_world(&w);
	}
	assert_int_equal(descriptors(), before);
}

static void
while_it_connects(void **state)
{
	unsigned before = descriptors();
	struct world w;

	(void)state;
	for (int first = 1; first >= 0; first--) {
		open_world(&w);
		add_silent(&w);
		add_silent(&w);
		start(&w);
		clock_pass(first ? EACH - 1 : EACH + 1);
		cancelled(&w, ASK_ABANDON);
		close_world(&w);
	}
	assert_int_equal(descriptors(), before);
}

/* --- cancelled by somebody else who is due in the same turns --- */

struct other {
	struct world *w;
	struct loop_event *e;
	int turns; /* before it cancels */
};

static void
on_other(void *ctx, bool readable, bool writable)
{
	struct other *o = ctx;

	(void)readable;
	(void)writable;
	if (o->turns-- > 0)
		return;
	ask_cancel(&o->w->ask, ASK_ABANDON);
	loop_io_want(o->e, false, false);
}

/* Whatever was told before and is not told afterwards. */
static void
at_each_moment(void **state)
{
	unsigned before = descriptors(), told = 0;

	(void)state;
	for (int turns = 0; turns < 6; turns++) {
		struct world w;
		struct other o = {.w = &w, .turns = turns};
		int pipes[2];

		open_world(&w);
		assert_int_equal(pipe(pipes), 0);
		o.e = loop_io(&w.loop, pipes[1], on_other, &o);
		loop_io_want(o.e, false, true);
		add_refuser(&w);
		add_taker(&w);
		start(&w);
		clock_pass(100000);
		assert_int_equal(w.calls, w.fd >= 0);
		assert_true(w.calls >= told);
		told = w.calls;
		loop_event_free(&o.e);
		close_world(&w);
		close(pipes[0]);
		close(pipes[1]);
	}
	assert_int_equal(told, 1);
	assert_int_equal(descriptors(), before);
}

int
main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(the_first_that_takes_it),
	    TEST(ipv6),
	    TEST(each_way_to_fail),
	    TEST(one_after_the_other),
	    TEST(silence_has_its_time),
	    TEST(no_route_is_told_last),
	    TEST(paths),
	    TEST(a_path_that_is_full),
	    TEST(before_it_began),
	    TEST(while_it_connects),
	    TEST(at_each_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
