/*
 * Clients that leave, in each phase: what is logged of it, what is delivered
 * all the same, and that nothing of them stays. AUTH and TLS have their own.
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

#define NEW "mail/example.org/alice/new"

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	return 0;
}

/* Nothing is counted, or open, that was not before. */
static void
gone(void)
{
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_null(sessions.list);
	assert_int_equal(emptied, 1);
	assert_int_equal(logged("left", ""), 1);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	assert_int_equal(deliver_pending(rig.deliver), 0);
}

static void
outside_a_transaction(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_hello(c);
	client_leave(c);
	gone();
	assert_int_equal(logged("left", "phase=command"), 1);
	assert_int_equal(logged("lost", ""), 0);
}

static void
in_a_transaction(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	assert_true(reserved() > 0);
	client_leave(c);
	gone();
	assert_int_equal(reserved(), 0);
	assert_int_equal(logged("lost",
			     "client=192.0.2.1 helo=client.example.com "
			     "from=s@example.com rcpt=alice@example.org "
			     "octets=0 phase=command reason=closed"),
	    1);
}

static void
before_the_dot(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");
	unsigned descriptors;

	(void)state;
	client_data(c);
	assert_true(reserved() > 0);
	descriptors = scratch_count("/proc/self/fd");
	assert_int_equal(client_pour(c, lines(200000)), 200000);
	assert_true(scratch_count("/proc/self/fd") > descriptors);
	client_leave(c);
	gone();
	assert_int_equal(reserved(), 0);
	assert_int_equal(logged("lost", "octets=200000 phase=body "), 1);
	/* its own, and those of the socket */
	assert_int_equal(scratch_count("/proc/self/fd"), descriptors - 2);
	assert_int_equal(scratch_files("mail"), 0);
}

static void
between_chunks(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	asks(c, "BDAT 5\r\nabc", "250 ");
	client_leave(c);
	gone();
	assert_int_equal(logged("lost", "octets=5 phase=command"), 1);
	assert_int_equal(scratch_files("mail"), 0);
}

/* Unread replies make it a reset. */
static void
by_a_reset(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_data(c);
	client_say(c, "x\r\n.\r\nMAIL FROM:<>\r\n");
	rig_pass(1000);
	client_leave(c);
	gone();
	assert_int_equal(logged("accepted", ""), 1);
	assert_int_equal(logged("lost", "from=<> octets=0 phase=command "
					"reason=Connection reset by peer"),
	    1);
}

/* Whoever has sent the dot was promised nothing, and loses nothing. */
static void
behind_the_dot(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_data(c);
	rig_hold(RIG_COMMITS);
	client_say(c, "x\r\n.\r\n");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 1);
	rig_go_on();
	rig_pass(1000);
	gone();
	assert_int_equal(scratch_count(NEW), 1);
	assert_int_equal(logged("accepted", "size=3"), 1);
	assert_int_equal(logged("delivered", ""), 1);
	assert_int_equal(logged("lost", ""), 0);
	assert_int_equal(counted(SHARED_MESSAGES), 1);
}

/* Also while the last of its body is on its way to a file. */
static void
behind_the_dot_of_a_large_one(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_data(c);
	rig_hold(RIG_JOBS);
	assert_int_equal(client_pour(c, lines(100000)), 100000);
	client_say(c, ".\r\n");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 1);
	assert_int_equal(deliver_pending(rig.deliver), 0);
	rig_go_on();
	rig_pass(1000);
	gone();
	assert_int_equal(scratch_count(NEW), 1);
	assert_int_equal(logged("accepted", "size=100000"), 1);
	assert_int_equal(logged("lost", ""), 0);
}

static void
during_a_lookup(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	rig_hold(RIG_JOBS);
	client_say(c, "RCPT TO:<carol@example.org>\r\n");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 1);
	rig_go_on();
	gone();
	assert_int_equal(logged("lost",
			     "octets=0 phase=verdict reason=Broken pipe"),
	    1);
}

/* What it had sent is read still, up to its end. */
static void
while_the_spool_is_full(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_data(c);
	rig_hold(RIG_JOBS);
	assert_true(client_pour(c, lines(LINES_MAX)) < LINES_MAX);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 1);
	rig_go_on();
	gone();
	assert_int_equal(logged("lost", "phase=body reason=closed"), 1);
	assert_int_equal(scratch_files("mail"), 0);
}

/* The last words are read before the end is. */
static void
while_it_lingers(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_hello(c);
	asks(c, "QUIT", "221 ");
	hears_end(c);
	assert_int_equal(logged("left", "phase=command"), 1);
	assert_int_equal(sessions.count, 1);
	assert_int_equal(counted(SHARED_SESSIONS), 1);
	client_say(c, "MAIL FROM:<>\r\n");
	rig_pass(1999);
	assert_int_equal(sessions.count, 1);
	rig_pass(1);
	gone();
}

static void
having_heard_the_last_words(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_hello(c);
	asks(c, "QUIT", "221 ");
	client_leave(c);
	gone();
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(outside_a_transaction),
	    T(in_a_transaction),
	    T(before_the_dot),
	    T(between_chunks),
	    T(by_a_reset),
	    T(behind_the_dot),
	    T(behind_the_dot_of_a_large_one),
	    T(during_a_lookup),
	    T(while_the_spool_is_full),
	    T(while_it_lingers),
	    T(having_heard_the_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
