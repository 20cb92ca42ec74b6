/*
 * Deadlines: each by the clock, at its very millisecond, with what is said
 * then.
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

#define NEW     "mail/example.org/alice/new"
#define SECOND  1000
#define MINUTE  (60 * SECOND)
#define VERDICT (2 * MINUTE)

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

static struct client *
connected(const char *more)
{
	sessions_open(more);
	return client_new(PORT_MX, "192.0.2.1");
}

/* Not before; and then that, and the end. */
#define ends_in(c, ms, text)                                                   \
	do {                                                                   \
		rig_pass(-1 + (ms));                                           \
		hears_nothing(c);                                              \
		rig_pass(1);                                                   \
		hears((c), (text));                                            \
		hears_end(c);                                                  \
	} while (0)

/* --- the client's turn --- */

static void
idle(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_hello(c);
	ends_in(c, 5 * MINUTE, "421 4.4.2 Idle for too long");
	assert_int_equal(logged("left", "seconds=300 commands=1 refusals=1"),
	    1);
	assert_int_equal(logged("refused", "reply=421 4.4.2 Idle"), 1);
	assert_int_equal(logged("refused", "command="), 0);
	assert_int_equal(logged("lost", ""), 0);
}

static void
idle_from_the_beginning(void **state)
{
	struct client *c = connected("limits { idle = 10s }");

	(void)state;
	hears(c, "220 ");
	ends_in(c, 10 * SECOND, "421 4.4.2 Idle for too long");
}

/* From the last whole command: an octet now and then buys nothing. */
static void
a_command_takes_too_long(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_hello(c);
	rig_pass(2 * MINUTE);
	asks(c, "NOOP", "250 ");
	for (unsigned i = 0; i < 4; i++) {
		rig_pass(MINUTE);
		client_say(c, "X");
	}
	ends_in(c, MINUTE, "421 4.4.2 Idle for too long");
}

static void
a_whole_session(void **state)
{
	struct client *c = connected("limits { session = 10m }");

	(void)state;
	client_rcpt(c);
	for (unsigned i = 0; i < 9; i++) {
		rig_pass(MINUTE);
		asks(c, "NOOP", "250 ");
	}
	ends_in(c, MINUTE, "421 4.4.2 This session took too long");
	assert_int_equal(logged("left", "seconds=600 "), 1);
	assert_int_equal(logged("lost", ""), 0);
	assert_int_equal(reserved(), 0);
}

/* 100 octets a second, when the first minute is over. */
static void
a_slow_body(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_data(c);
	client_pour(c, lines(1000));
	rig_pass(MINUTE);
	client_pour(c, lines(500));
	ends_in(c, 15 * SECOND, "421 4.4.2 The message comes too slowly");
	assert_int_equal(logged("refused",
			     "reply=421 4.4.2 The message comes too slowly"),
	    1);
	assert_int_equal(scratch_files("mail"), 0);
}

static void
a_body_that_stops(void **state)
{
	struct client *c = connected("limits { data-rate = 0 }");

	(void)state;
	client_data(c);
	for (unsigned i = 0; i < 4; i++) {
		rig_pass(4 * MINUTE);
		client_say(c, "x");
	}
	ends_in(c, 5 * MINUTE, "421 4.4.2 The message comes too slowly");
}

/* Time in a body is not that of the command behind it. */
static void
a_body_and_a_command(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_data(c);
	client_pour(c, lines(50000));
	rig_pass(4 * MINUTE);
	asks(c, ".", "250 ");
	ends_in(c, 5 * MINUTE, "421 4.4.2 Idle for too long");
}

/* --- pressure --- */

static void
pressure(void **state)
{
	struct client *c[7];

	(void)state;
	sessions_open("limits { sessions = 5  per-network = 0 }");
	for (unsigned i = 0; i < 4; i++)
		client_hello(c[i] = client_new(PORT_MX, "192.0.2.1"));
	rig_pass(20 * SECOND);
	asks(c[1], "NOOP", "250 ");
	rig_pass(5 * SECOND);
	assert_int_equal(counted(SHARED_PRESSURED), 0);
	client_hello(c[4] = client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(counted(SHARED_PRESSURED), 5);
	/* five minutes are thirty seconds, for those who are there */
	rig_pass(5 * SECOND - 1);
	hears_nothing(c[0]);
	rig_pass(1);
	hears(c[0], "421 4.4.2 Idle for too long");
	hears(c[2], "421 4.4.2 Idle for too long");
	hears(c[3], "421 4.4.2 Idle for too long");
	hears_nothing(c[1]);
	hears_nothing(c[4]);
	client_leave(c[0]);
	client_leave(c[2]);
	/* and they are minutes again when two have gone and one comes */
	rig_pass(SECOND);
	client_hello(c[5] = client_new(PORT_MX, "192.0.2.1"));
	client_leave(c[3]);
	ends_in(c[1], 5 * MINUTE - 11 * SECOND, "421 4.4.2 Idle for too long");
	ends_in(c[4], 5 * SECOND, "421 4.4.2 Idle for too long");
	assert_int_equal(counted(SHARED_PRESSURED), 5);
}

/* Who comes while it is so is under it from the first. */
static void
pressure_from_the_beginning(void **state)
{
	struct client *c[7];

	(void)state;
	sessions_open("limits { sessions = 6  per-network = 0 }");
	for (unsigned i = 0; i < 6; i++)
		client_hello(c[i] = client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(counted(SHARED_PRESSURED), 5);
	ends_in(c[5], 30 * SECOND, "421 4.4.2 Idle for too long");
}

/* --- our turn --- */

/* FAULT F2: who was told no gets no mail. */
static void
a_verdict(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_data(c);
	rig_hold(RIG_COMMITS);
	client_say(c, "x\r\n.\r\nNOOP\r\n");
	rig_pass(VERDICT - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.4.1 It takes too long, try later");
	hears(c, "250 2.0.0 Ok");
	assert_int_equal(counted(SHARED_MESSAGES), 0);
	rig_go_on();
	rig_pass(SECOND);
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(logged("abandoned", ""), 1);
	assert_int_equal(logged("accepted", ""), 0);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	asks(c, "y\r\n.", "250 2.6.0 ");
	rig_pass(SECOND);
	assert_int_equal(scratch_count(NEW), 1);
}

/* The same while the last of its body is on its way to a file. */
static void
a_verdict_on_a_large_one(void **state)
{
	struct client *c = connected("");
	unsigned before;

	(void)state;
	client_data(c);
	before = scratch_count("/proc/self/fd");
	rig_hold(RIG_JOBS);
	assert_int_equal(client_pour(c, lines(100000)), 100000);
	client_say(c, ".\r\n");
	rig_pass(VERDICT - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.4.1 It takes too long, try later");
	rig_go_on();
	rig_pass(SECOND);
	assert_int_equal(scratch_count("/proc/self/fd"), before);
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(logged("accepted", ""), 0);
	asks(c, "NOOP", "250 ");
}

static void
a_verdict_on_a_recipient(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_rcpt(c);
	rig_hold(RIG_JOBS);
	client_say(c, "RCPT TO:<carol@example.org>\r\n");
	rig_pass(VERDICT - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.4.1 It takes too long, try later");
	rig_go_on(); /* its answer is nobody's */
	asks(c, "DATA", "354 ");
}

/* A session's end waits for the answer to whoever sent a message. */
static void
a_verdict_at_the_end(void **state)
{
	struct client *c = connected("limits { session = 61s }");

	(void)state;
	client_rcpt(c);
	rig_pass(MINUTE);
	asks(c, "DATA", "354 ");
	rig_hold(RIG_COMMITS);
	client_say(c, "x\r\n.\r\n");
	rig_pass(MINUTE);
	hears_nothing(c);
	rig_go_on();
	hears(c, "250 2.6.0 ");
	rig_pass(1);
	hears(c, "421 4.4.2 This session took too long");
}

static void
a_slow_disk(void **state)
{
	struct client *c = connected("");

	(void)state;
	client_data(c);
	rig_pass(MINUTE - 1);
	rig_hold(RIG_JOBS);
	assert_true(client_pour(c, lines(LINES_MAX)) < LINES_MAX);
	ends_in(c, VERDICT, "421 4.3.0 The disk is too slow");
	rig_go_on();
	rig_pass(SECOND);
	assert_int_equal(scratch_files("mail"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(idle),
	    T(idle_from_the_beginning),
	    T(a_command_takes_too_long),
	    T(a_whole_session),
	    T(a_slow_body),
	    T(a_body_that_stops),
	    T(a_body_and_a_command),
	    T(pressure),
	    T(pressure_from_the_beginning),
	    T(a_verdict),
	    T(a_verdict_on_a_large_one),
	    T(a_verdict_on_a_recipient),
	    T(a_verdict_at_the_end),
	    T(a_slow_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
