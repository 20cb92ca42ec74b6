/*
 * Clients that do not read what they are told: they are not read either, and
 * no more than so many replies wait for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "log_catch.h"
#include "session/session.h"
#include "sessions_rig.h"

#define SECOND      1000
#define MINUTE      (60 * SECOND)
#define NOOP        "NOOP\r\n"
#define OK          "250 2.0.0 Ok\r\n"
#define OK_LEN      (sizeof(OK) - 1)
#define MOST_UNSENT 50000 /* a few more than must be read, and a turn's */

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	return 0;
}

/* Our socket takes little of what it does not read. */
static struct client *
connected_narrowly(void)
{
	const int small = 4096;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     fds),
	    0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	return client_over(PORT_MX, "192.0.2.1", fds[0], fds[1]);
}

/* Octets of ours that wait for the one that came last. */
static size_t
unsent(void)
{
	return stream_unsent(&sessions.list->prev->stream);
}

/* So many NOOPs, as far as they are taken. */
static size_t
noops(struct client *c, size_t n)
{
	struct buf text = {0};
	size_t taken;

	for (size_t i = 0; i < n; i++)
		buf_append_str(&text, NOOP);
	taken = client_pour(c, buf_span(&text));
	buf_free(&text);
	return taken / strlen(NOOP);
}

/* All of them, and as long as there are more. */
static void
hears_oks(struct client *c, size_t n)
{
	size_t before;

	do {
		before = c->heard.len;
		assert_false(client_listen(c));
	} while (c->heard.len > before);
	assert_true(c->heard.len >= n * OK_LEN);
	for (size_t i = 0; i < n * OK_LEN; i += OK_LEN)
		assert_memory_equal(c->heard.data + i, OK, OK_LEN);
	buf_consume(&c->heard, n * OK_LEN);
}

static void
a_client_that_reads_later(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");
	size_t taken;

	(void)state;
	client_hello(c);
	taken = noops(c, 200000);
	assert_true(taken < 200000);
	rig_pass(4 * MINUTE);
	hears_oks(c, taken);
	rig_pass(4 * MINUTE);
	client_say(c, "\r\n"); /* the rest of the last one */
	client_listen(c);
	buf_free(&c->heard);
	asks(c, "QUIT", "221 ");
}

/* Whether it says all at once or little by little. */
static void
replies_do_not_gather(void **state)
{
	struct client *c = connected_narrowly();

	(void)state;
	client_hello(c);
	while (noops(c, 100) == 100)
		assert_true(unsent() < MOST_UNSENT);
	c = client_new(PORT_MX, "192.0.2.2");
	client_hello(c);
	assert_true(noops(c, 200000) < 200000);
	assert_true(unsent() < MOST_UNSENT);
}

/* Less and less unsent is not yet a reader. */
static void
a_client_that_hardly_reads(void **state)
{
	struct client *c = connected_narrowly();
	char some[1000];

	(void)state;
	client_hello(c);
	assert_int_equal(noops(c, 5000), 5000);
	for (unsigned i = 0; i < 4; i++) {
		rig_pass(MINUTE);
		assert_int_equal(recv(c->fd, some, sizeof(some), 0), 1000);
	}
	rig_pass(MINUTE - 1);
	assert_int_equal(logged("left", ""), 0);
	rig_pass(1);
	assert_int_equal(logged("refused", "reply=421 4.4.2 Idle"), 1);
	assert_int_equal(logged("left", "phase=flush seconds=300"), 1);
	/* and its last words wait for ten seconds */
	rig_pass(10 * SECOND - 1);
	assert_int_equal(sessions.count, 1);
	rig_pass(1);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

static void
a_client_that_leaves_unread(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	assert_true(noops(c, 200000) < 200000);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("lost", "phase=flush reason=Broken pipe"), 1);
}

/* What stands behind the last reply in clear would be TLS. */
static void
starttls_behind_unread_replies(void **state)
{
	struct client *c = connected_narrowly();

	(void)state;
	client_hello(c);
	assert_int_equal(noops(c, 900), 900);
	client_say(c, "STARTTLS\r\n");
	rig_pass(0);
	hears_oks(c, 900);
	hears(c, "220 2.0.0 Go ahead");
	hears_nothing(c);
	assert_true(client_secure(c));
	asks(c, "EHLO x", "250 LIMITS ");
}

/* Nor is what the client says meanwhile read as if it were in clear. */
static void
a_hello_before_the_replies_are_read(void **state)
{
	struct client *c = connected_narrowly();

	(void)state;
	client_hello(c);
	assert_int_equal(noops(c, 900), 900);
	client_say(c, "STARTTLS\r\n");
	rig_pass(0);
	client_say(c, "\x16\x03");
	rig_pass(0);
	hears_oks(c, 900);
	hears(c, "220 2.0.0 Go ahead");
	hears_nothing(c);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(logged("insecure", ""), 1);
	assert_int_equal(sessions.count, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_client_that_reads_later),
	    T(replies_do_not_gather),
	    T(a_client_that_hardly_reads),
	    T(a_client_that_leaves_unread),
	    T(starttls_behind_unread_replies),
	    T(a_hello_before_the_replies_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
