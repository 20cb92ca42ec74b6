/*
 * All sessions of a worker: who is let in, what they hear when it drains or
 * goes down, and that nothing stays of what was in flight.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "sessions_rig.h"

#define NEW    "mail/example.org/alice/new"
#define SECOND 1000
#define DRAIN  (5 * SECOND) /* idle */
#define TWO    (2 * SECOND) /* of lingering */

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

/* --- who is let in --- */

static void
one_too_many_of_an_address(void **state)
{
	struct client *c[4];

	(void)state;
	sessions_open("limits { per-address = 1 }");
	client_hello(c[0] = client_new(PORT_MX, "192.0.2.1"));
	c[1] = client_new(PORT_MX, "192.0.2.1");
	hears(c[1], "421 4.7.0 Too many sessions from your address");
	hears_end(c[1]);
	client_hello(c[2] = client_new(PORT_MX, "192.0.2.2"));
	assert_int_equal(counted(SHARED_SESSIONS), 2);
	assert_int_equal(counted(SHARED_REFUSING), 1);
	assert_int_equal(counted(SHARED_REFUSED_ADDRESS), 1);
	assert_int_equal(counted(SHARED_CONNECTIONS), 3);
	assert_int_equal(logged("refused", "client=192.0.2.1 reply=421 4.7.0 "
					   "Too many sessions from your"),
	    1);
	/* it is logged once, though the engine refuses it, too */
	assert_int_equal(logged("refused", ""), 1);
	rig_pass(TWO);
	assert_int_equal(counted(SHARED_REFUSING), 0);
	assert_int_equal(sessions.count, 2);
	client_leave(c[0]);
	rig_pass(0);
	client_hello(c[3] = client_new(PORT_MX, "192.0.2.1"));
}

static void
one_too_many_in_all(void **state)
{
	struct client *c[2];

	(void)state;
	sessions_open("limits { sessions = 1 }");
	client_hello(c[0] = client_new(PORT_MX, "192.0.2.1"));
	c[1] = client_new(PORT_MX, "192.0.2.2");
	hears(c[1], "421 4.3.2 Too many sessions");
	hears_end(c[1]);
	client_leave(c[0]);
	rig_pass(0);
	client_hello(client_new(PORT_MX, "192.0.2.2"));
}

/* Pressure is for who stays: who is on the way out has its two seconds. */
static void
pressure_on_who_leaves(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { sessions = 6  per-network = 0 }");
	client_hello(c = client_new(PORT_MX, "192.0.2.1"));
	asks(c, "QUIT", "221 ");
	hears_end(c);
	for (unsigned i = 0; i < 4; i++)
		client_hello(client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(counted(SHARED_PRESSURED), 4);
	rig_pass(TWO - 1);
	assert_int_equal(sessions.count, 5);
	rig_pass(1);
	assert_int_equal(sessions.count, 4);
}

/* Nobody who is refused is worth a handshake. */
static void
refused_before_tls(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { sessions = 1 }");
	client_hello(client_new(PORT_MX, "192.0.2.1"));
	c = client_new(PORT_SMTPS, "192.0.2.2");
	hears_end(c);
	assert_int_equal(logged("refused", "reply=421 4.3.2"), 1);
	assert_int_equal(logged("insecure", ""), 0);
	assert_int_equal(sessions.count, 1);
	assert_int_equal(counted(SHARED_REFUSING), 0);
}

/* Eight of an address may linger; and of all that there were in a second
 * there is one line, and one about the others. */
static void
a_flood(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { per-address = 1 }");
	client_hello(client_new(PORT_MX, "192.0.2.1"));
	for (unsigned i = 0; i < 12; i++) {
		c = client_new(PORT_MX, "192.0.2.1");
		hears(c, "421 4.7.0 ");
		hears_end(c);
	}
	assert_int_equal(counted(SHARED_REFUSED_ADDRESS), 12);
	assert_int_equal(counted(SHARED_REFUSING), 8);
	assert_int_equal(sessions.count, 1 + 8);
	assert_int_equal(logged("refused", ""), 1);
	rig_pass(SECOND / 2);
	hears(client_new(PORT_MX, "192.0.2.1"), "421 ");
	rig_pass(SECOND - 1); /* a second behind the last one */
	assert_int_equal(logged("refused", ""), 1);
	rig_pass(1);
	assert_int_equal(logged("refused", "suppressed=12\n"), 1);
	assert_int_equal(logged("refused", ""), 2);
	/* or with the next line, where somebody comes behind them */
	hears(client_new(PORT_MX, "192.0.2.1"), "421 ");
	rig_pass(SECOND / 2);
	hears(client_new(PORT_MX, "192.0.2.1"), "421 ");
	rig_pass(SECOND / 2);
	hears(client_new(PORT_MX, "192.0.2.1"), "421 ");
	assert_int_equal(logged("refused", "suppressed=0\n"), 2);
	assert_int_equal(logged("refused", "client=192.0.2.1 "), 3);
	assert_int_equal(logged("refused", "suppressed=1\n"), 1);
	rig_pass(TWO);
	assert_int_equal(logged("refused", ""), 4);
}

static void
ids_are_not_the_same(void **state)
{
	char last[IDENT_LEN + 1] = "";

	(void)state;
	sessions_open("limits { per-address = 200 sessions = 200 "
		      "rate-connections = 0 }");
	for (unsigned i = 0; i < 2 * SESSIONS_RANDOM; i++) {
		struct client *c = client_new(PORT_MX, "192.0.2.1");

		asks(c, "NONSENSE", "220 ");
		client_listen(c);
		/* at one time they differ by what is random */
		assert_memory_not_equal(c->heard.data + c->heard.len - 19, last,
		    16);
		memcpy(last, c->heard.data + c->heard.len - 19, 16);
		client_leave(c);
	}
}

/* --- leaving --- */

static void
drain(void **state)
{
	struct client *idle, *mail, *between, *late, *slow;

	(void)state;
	sessions_open("");
	client_hello(idle = client_new(PORT_MX, "192.0.2.1"));
	client_hello(between = client_new(PORT_MX, "192.0.2.1"));
	client_data(mail = client_new(PORT_MX, "192.0.2.1"));
	client_rcpt(slow = client_new(PORT_MX, "192.0.2.1"));
	rig_pass(SECOND);
	sessions_drain(&sessions);
	asks(between, "MAIL FROM:<>", "421 4.3.2 Going down, come back soon");
	hears_end(between);
	/* whoever was in the queue is told the same */
	client_hello(late = client_new(PORT_MX, "192.0.2.1"));
	asks(late, "MAIL FROM:<>", "421 4.3.2 ");
	/* five seconds, since the last command */
	rig_pass(DRAIN - SECOND - 1);
	hears_nothing(idle);
	rig_pass(1);
	hears(idle, "421 4.3.2 Going down, come back soon");
	hears_end(idle);
	/* a transaction has all its time */
	rig_pass(50 * SECOND);
	client_pour(mail, lines(50000));
	asks(mail, ".", "250 2.6.0 ");
	asks(slow, "DATA", "354 ");
	asks(slow, ".", "250 2.6.0 ");
	rig_pass(DRAIN - 1);
	hears_nothing(mail);
	asks(slow, "QUIT", "221 ");
	assert_int_equal(emptied, 0);
	asks(mail, "MAIL FROM:<>", "421 4.3.2 ");
	rig_pass(TWO);
	assert_int_equal(emptied, 1);
	assert_int_equal(scratch_count(NEW), 2);
}

/* 421 at once; and a message whose client was told so is not delivered. */
static void
hangup(void **state)
{
	struct client *idle, *body, *large, *flying, *lookup, *shaking;

	(void)state;
	sessions_open("");
	client_hello(idle = client_new(PORT_MX, "192.0.2.1"));
	client_data(body = client_new(PORT_MX, "192.0.2.2"));
	client_data(flying = client_new(PORT_MX, "192.0.2.3"));
	client_rcpt(lookup = client_new(PORT_MX, "192.0.2.4"));
	shaking = client_new(PORT_SMTPS, "192.0.2.5");
	client_data(large = client_new(PORT_MX, "192.0.2.6"));
	rig_hold(RIG_COMMITS);
	rig_hold(RIG_JOBS);
	client_say(body, "x\r\n");
	client_pour(large, lines(100000));
	client_say(large, ".\r\n");
	client_say(flying, "x\r\n.\r\n");
	client_say(lookup, "RCPT TO:<carol@example.org>\r\nNOOP\r\n");
	rig_pass(0);
	sessions_hangup(&sessions);
	hears(idle, "421 4.3.2 Going down, come back soon");
	hears(body, "421 4.3.2 Going down, come back soon");
	hears(flying, "421 4.3.2 Going down, come back soon");
	hears(large, "421 4.3.2 Going down, come back soon");
	hears(lookup, "421 4.3.2 Going down, come back soon");
	hears_end(idle);
	hears_end(body);
	hears_end(flying);
	hears_end(large);
	hears_end(lookup);
	hears_end(shaking);
	assert_int_equal(logged("refused", "client=192.0.2.5"), 0);
	assert_int_equal(sessions.count, 5); /* they linger */
	sessions_hangup(&sessions);          /* they know it */
	rig_pass(TWO);
	assert_int_equal(emptied, 1);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	rig_go_on();
	rig_pass(SECOND);
	assert_int_equal(logged("abandoned", ""), 1);
	assert_int_equal(logged("lost", ""), 0);
	assert_int_equal(scratch_files("mail"), 0);
}

/* --- the end of all --- */

static void
everything_in_flight(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { per-address = 7 }");
	client_hello(client_new(PORT_MX, "192.0.2.1"));
	client_hello(c = client_new(PORT_MX, "192.0.2.1"));
	asks(c, "QUIT", "221 ");
	client_data(c = client_new(PORT_MX, "192.0.2.1"));
	rig_hold(RIG_COMMITS);
	rig_hold(RIG_JOBS);
	client_say(c, "x\r\n.\r\n");
	client_data(c = client_new(PORT_MX, "192.0.2.1"));
	client_pour(c, lines(LINES_MAX));
	client_data(c = client_new(PORT_MX, "192.0.2.1"));
	client_pour(c, lines(100000));
	client_say(c, ".\r\n");
	client_rcpt(c = client_new(PORT_MX, "192.0.2.1"));
	client_say(c, "RCPT TO:<carol@example.org>\r\n");
	client_new(PORT_SMTPS, "192.0.2.1");
	hears(client_new(PORT_MX, "192.0.2.1"), "421 ");
	rig_pass(0);
	assert_int_equal(sessions.count, 8);
	assert_int_equal(counted(SHARED_REFUSING), 1);
	sessions_free(&sessions);
	assert_int_equal(sessions.count, 0);
	assert_null(sessions.list);
	assert_int_equal(emptied, 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	assert_int_equal(counted(SHARED_REFUSING), 0);
	assert_int_equal(logged("left", ""), 8);
	assert_int_equal(logged("lost", ""), 0);
	rig_go_on();
	rig_pass(SECOND);
	/* the one that was delivery's already */
	assert_int_equal(scratch_count(NEW), 1);
	assert_int_equal(logged("delivered", ""), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(one_too_many_of_an_address),
	    T(one_too_many_in_all),
	    T(pressure_on_who_leaves),
	    T(refused_before_tls),
	    T(a_flood),
	    T(ids_are_not_the_same),
	    T(drain),
	    T(hangup),
	    T(everything_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
