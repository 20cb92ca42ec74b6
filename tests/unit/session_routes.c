/*
 * Whoever logged in, and what the smarthost says to his mail, in time and out
 * of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "io/clock.h"
#include "log_catch.h"
#include "routes_rig.h"
#include "scratch.h"
#include "sessions_rig.h"

#define RIGHT  "AGFsaWNlAHNlY3JldA=="
#define SECOND 1000

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	routes_carry();
	rig.deliver->lookups.smarthost = &routes[3].dest;
	return 0;
}

static int
teardown(void **state)
{
	log_forget();
	return sessions_teardown(state);
}

/* His message is the smarthost's to judge. */
static struct client *
submit(void)
{
	struct client *c = client_in_tls("192.0.2.1");

	asks(c, "AUTH PLAIN " RIGHT, "235 ");
	asks(c, "MAIL FROM:<alice@example.org>", "250 ");
	asks(c, "RCPT TO:<a@example.net>", "250 2.1.5 ");
	asks(c, "DATA", "354 ");
	client_say(c, "hello\r\n.\r\n");
	rig_pass(0);
	assert_non_null(routes[3].parcel);
	hears_nothing(c);
	return c;
}

static void
what_it_says_is_heard(void **state)
{
	struct client *c = submit();

	(void)state;
	assert_int_equal(routes[3].parcel->deadline,
	    clock_now() + 100 * SECOND);
	assert_int_equal(routes[3].parcel->dot_by, clock_now() + 70 * SECOND);
	routes_answer(3, "r");
	rig_pass(0);
	hears(c, "550 5.1.1 Nobody [");
	assert_int_equal(logged("refused", "reply=550 5.1.1 Nobody ["), 1);
	asks(c, "MAIL FROM:<alice@example.org>", "250 ");
	asks(c, "RCPT TO:<a@example.net>", "250 2.1.5 ");
	asks(c, "DATA", "354 ");
	client_say(c, "hello\r\n.\r\n");
	rig_pass(7);
	routes_answer(3, "t");
	hears(c, "250 2.6.0 ");
	assert_int_equal(logged("accepted",
			     " login=alice helo=client.example.com "
			     "from=alice@example.org rcpt=a@example.net "
			     "recipients=1 size=7 ms=7 tls=TLSv1.3 quirks=0\n"),
	    1);
}

/* The session's time is over: nobody is to get it any more. */
static void
it_says_nothing(void **state)
{
	struct client *c;

	(void)state;
	routes[3].route.timeout = 110 * SECOND;
	c = submit();
	assert_int_equal(routes[3].parcel->deadline,
	    clock_now() + 110 * SECOND);
	rig_pass(120 * SECOND - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.4.1 It takes too long");
	assert_int_equal(routes[3].cancelled, 1);
	assert_int_equal(routes[3].end, ASK_ABANDON);
	assert_int_equal(deliver_pending(rig.deliver), 0);
	assert_int_equal(logged("abandoned", "message="), 1);
}

/* He is gone, his message goes on. */
static void
he_does_not_wait(void **state)
{
	struct client *c = submit();

	(void)state;
	client_leave(c);
	rig_pass(0);
	assert_int_equal(routes[3].cancelled, 0);
	assert_int_equal(deliver_pending(rig.deliver), 1);
	routes_answer(3, "t");
	rig_pass(0);
	assert_int_equal(deliver_pending(rig.deliver), 0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("delivered", "rcpt=a@example.net route=out"),
	    1);
}

static void
nobody_else_is_let_through(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	asks(c, "RCPT TO:<a@example.net>", "550 5.7.1 ");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_it_says_is_heard),
	    T(it_says_nothing),
	    T(he_does_not_wait),
	    T(nobody_else_is_let_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
