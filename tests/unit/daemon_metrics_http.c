/*
 * GET /metrics and whatever else comes to that port: in one piece and octet
 * by octet, too long, too slow, too many.
 */
#include "metrics_http.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"

#define SECOND  1000
#define CLIENTS 8

static struct loop loop;
static struct stream_pool pool;
static struct metrics_http metrics;
static struct loop_event *idle; /* or a loop without events would spin */
static char heard[65536];

static bool
nobody(void)
{
	return false;
}

static int
open_all(void **state)
{
	static const struct sandbox_state none = {.no_seccomp = "in a test"};

	(void)state;
	if (loop_init(&loop) < 0 || stream_pool_init(&pool, &loop) < 0)
		return -1;
	metrics = (struct metrics_http){.loop = &loop,
	    .pool = &pool,
	    .source = {.shared = shared_new(), .sandbox = &none}};
	idle = loop_signal(&loop, SIGUSR1, NULL, NULL);
	clock_stop(&loop, nobody);
	return !idle;
}

static int
close_all(void **state)
{
	(void)state;
	metrics_free(&metrics);
	clock_go();
	loop_event_free(&idle);
	stream_pool_free(&pool);
	loop_free(&loop);
	return 0;
}

/* The client's end. */
static int
connected(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     fds),
	    0);
	metrics_accept(&metrics, fds[0]);
	return fds[1];
}

static void
say(int fd, const char *text, size_t n)
{
	assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
	clock_pass(0);
}

/* All that there is, and whether it was the end. */
static bool
listen_to(int fd)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, heard + len, sizeof(heard) - 1 - len, 0)) > 0)
		len += (size_t)n;
	heard[len] = 0;
	return n == 0;
}

static void
assert_answer(int fd, const char *status)
{
	const char *body, *length;

	assert_true(listen_to(fd));
	assert_int_equal(strncmp(heard, status, strlen(status)), 0);
	body = strstr(heard, "\r\n\r\n");
	length = strstr(heard, "\r\nContent-Length: ");
	assert_true(body && length && length < body);
	assert_int_equal(strtoul(length + 18, NULL, 10), strlen(body + 4));
	assert_non_null(strstr(heard, "\r\nConnection: close\r\n"));
	close(fd);
	clock_pass(0);
	assert_int_equal(metrics.n, 0);
}

static void
asks(const char *request, const char *status)
{
	int fd = connected();

	say(fd, request, strlen(request));
	assert_answer(fd, status);
}

#define GET "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void
what_is_answered(void **state)
{
	(void)state;
	asks(GET,
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;");
	asks("GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 ");
	asks("GET /metrics?a=b HTTP/1.1\r\n\r\n", "HTTP/1.1 200 ");
	asks("GET /metrics/ HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	asks("GET /metricsx HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	asks("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ");
	asks("GET\r\n\r\n", "HTTP/1.1 405 ");
	asks("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
	    "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n");
	asks("HEAD /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ");
	asks("{\"a\": 1}\r\n\r\n", "HTTP/1.1 405 ");
	asks("\r\n\r\n", "HTTP/1.1 405 ");
}

static void
octet_by_octet(void **state)
{
	int fd = connected();

	(void)state;
	for (const char *p = GET; *p; p++) {
		assert_false(listen_to(fd));
		assert_int_equal(heard[0], 0);
		say(fd, p, 1);
	}
	assert_answer(fd, "HTTP/1.1 200 ");
}

static void
too_long(void **state)
{
	static char request[5120];
	int fd = connected();

	(void)state;
	memset(request, 'a', sizeof(request));
	say(fd, request, 4096);
	assert_false(listen_to(fd));
	say(fd, request, 1);
	assert_answer(fd, "HTTP/1.1 431 ");
	fd = connected();
	say(fd, request, sizeof(request));
	assert_answer(fd, "HTTP/1.1 431 ");
}

/* An octet now and then buys no time. */
static void
too_slow(void **state)
{
	int fd = connected();

	(void)state;
	for (int i = 0; i < 4; i++) {
		say(fd, "G", 1);
		clock_pass(SECOND);
	}
	clock_pass(999);
	assert_false(listen_to(fd));
	clock_pass(2);
	assert_true(listen_to(fd));
	assert_int_equal(heard[0], 0);
	assert_int_equal(metrics.n, 0);
	close(fd);
}

/* Who does not read is let go of as well. */
static void
no_reader(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, GET, strlen(GET));
	assert_int_equal(metrics.n, 1);
	clock_pass(60 * SECOND);
	assert_int_equal(metrics.n, 0);
	close(fd);
}

static void
one_too_many(void **state)
{
	int fds[CLIENTS + 1];

	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		fds[i] = connected();
		say(fds[i], "GET", 3);
	}
	for (int i = 0; i < CLIENTS; i++)
		assert_false(listen_to(fds[i]));
	fds[CLIENTS] = connected();
	clock_pass(0);
	assert_true(listen_to(fds[0]));
	assert_int_equal(metrics.n, CLIENTS);
	for (int i = 1; i < CLIENTS; i++)
		assert_false(listen_to(fds[i]));
	say(fds[CLIENTS], GET, strlen(GET));
	assert_true(listen_to(fds[CLIENTS]));
	assert_int_equal(strncmp(heard, "HTTP/1.1 200 ", 13), 0);
	for (int i = 0; i <= CLIENTS; i++)
		close(fds[i]);
	clock_pass(0);
	assert_int_equal(metrics.n, 0);
}

static void
who_leaves(void **state)
{
	int fd = connected();

	(void)state;
	close(fd);
	clock_pass(0);
	assert_int_equal(metrics.n, 0);
	connected(); /* and who is still there at the end */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_is_answered),
	    TEST(octet_by_octet),
	    TEST(too_long),
	    TEST(too_slow),
	    TEST(no_reader),
	    TEST(one_too_many),
	    TEST(who_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
