/*
 * What a session has to say: each refusal with what earned it, the first of
 * many, and who was lost. The others are in the tests of what they are about.
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

static struct client *c;

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	c = client_new(PORT_MX, "192.0.2.1");
	return 0;
}

static void
refuse(unsigned times)
{
	while (times--)
		asks(c, "BAD", "500 5.5.1 ");
}

/* --- one refusal --- */

static void
what_earned_it(void **state)
{
	(void)state;
	client_hello(c);
	asks(c, "RCPT TO:<x@example.org>", "503 5.5.1 Say MAIL first");
	assert_int_equal(logged("refused", "] command=RCPT TO:<x@example.org> "
					   "helo=client.example.com\n"),
	    1);
	/* of what is no command only the length: it may be a password */
	asks(c, "c2VjcmV0", "500 ");
	assert_int_equal(logged("refused", "length=8 helo="), 1);
	assert_int_equal(logged("refused", "c2VjcmV0"), 0);
	/* both of a transaction, before its body and behind it */
	asks(c, "MAIL FROM:<> SIZE=1000", "250 ");
	asks(c, "RCPT TO:<bob@example.org>", "250 ");
	asks(c, "RCPT TO:<x@example.org>", "550 ");
	assert_int_equal(logged("refused",
			     "from=<> rcpt=x@example.org recipients=1 "
			     "size=1000\n"),
	    1);
	asks(c, "DATA", "354 ");
	asks(c, "a\nb\r\n.", "550 5.6.0 ");
	assert_int_equal(logged("refused",
			     "command=DATA helo=client.example.com from=<> "
			     "rcpt=bob@example.org recipients=1 size=5\n"),
	    1);
}

/* What was answered before has not earned the end of a session. */
static void
what_nothing_earned(void **state)
{
	(void)state;
	client_rcpt(c);
	asks(c, "RCPT TO:<x@example.org>", "550 ");
	rig_pass(5 * 60 * 1000);
	hears(c, "421 4.4.2 Idle");
	assert_int_equal(logged("refused",
			     "] helo=client.example.com from=s@example.com "
			     "rcpt=alice@example.org recipients=1 size=0\n"),
	    1);
}

static void
what_was_spoken_instead(void **state)
{
	(void)state;
	hears(c, "220 ");
	asks(c, "GET / HTTP/1.1", "554 5.5.0 This is SMTP, not HTTP");
	hears_end(c);
	assert_int_equal(logged("refused", "reason=HTTP\n"), 1);
	assert_int_equal(logged("refused", ""), 1);
}

/* --- many --- */

static void
the_first_of_many(void **state)
{
	(void)state;
	client_hello(c);
	refuse(13);
	assert_int_equal(logged("refused", "command="), 0);
	assert_int_equal(logged("refused", "reply=500 "), 10);
	client_say(c,
	    "MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\r\n.\r\n");
	hears(c, "250 ");
	hears(c, "250 ");
	hears(c, "354 ");
	hears(c, "250 2.6.0 ");
	assert_int_equal(logged("refused", "client=192.0.2.1 "
					   "helo=client.example.com "
					   "suppressed=3\n"),
	    1);
	assert_int_equal(logged("refused", ""), 11);
	/* and they are counted anew */
	refuse(10);
	assert_int_equal(logged("refused", "reply=500 "), 20);
	asks(c, "QUIT", "221 ");
	assert_int_equal(logged("refused", "suppressed="), 1);
	assert_int_equal(logged("left", "refusals=23\n"), 1);
}

static void
the_last_of_many(void **state)
{
	(void)state;
	client_hello(c);
	refuse(20);
	asks(c, "BAD", "421 4.7.0 Too many errors");
	hears_end(c);
	assert_int_equal(logged("refused", "reply=421 4.7.0 Too many errors"),
	    1);
	assert_int_equal(logged("refused", "suppressed=10\n"), 1);
	assert_int_equal(logged("refused", ""), 12);
	assert_int_equal(logged("left", "refusals=21\n"), 1);
}

static void
many_and_lost(void **state)
{
	(void)state;
	client_hello(c);
	refuse(11);
	asks(c, "MAIL FROM:<>", "250 ");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(logged("refused", "suppressed=1\n"), 1);
	assert_int_equal(logged("lost",
			     "helo=client.example.com from=<> octets=0 "
			     "phase=command reason=closed\n"),
	    1);
	assert_int_equal(logged("left", "commands=13 refusals=11\n"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_earned_it),
	    T(what_nothing_earned),
	    T(what_was_spoken_instead),
	    T(the_first_of_many),
	    T(the_last_of_many),
	    T(many_and_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
