/*
 * Rates as a client meets them: what it reads, what it is not refused, and
 * what the log says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_catch.h"
#include "sessions_rig.h"

#define RIGHT  "AGFsaWNlAHNlY3JldA==" /* alice, secret */
#define WRONG  "AGFsaWNlAFNlY3JldA==" /* alice, Secret */
#define SECOND 1000
#define LATE   (4 * SECOND) /* a no to who has failed often */

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

static void
come_and_go(const char *address, const char *greeting)
{
	struct client *c = client_new(PORT_MX, address);

	hears(c, greeting);
	client_leave(c);
	rig_pass(0);
}

static void
connections(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { rate-connections = 2/m }");
	come_and_go("192.0.2.1", "220 ");
	come_and_go("192.0.2.1", "220 ");
	c = client_new(PORT_MX, "192.0.2.1");
	hears(c, "421 4.7.0 Too many connections from your address, "
		 "at most 2 a minute [");
	hears_end(c);
	assert_int_equal(counted(SHARED_REFUSED_RATE), 1);
	assert_int_equal(logged("refused", "reply=421 4.7.0 Too many conn"), 1);
	assert_int_equal(logged("refused", "help="), 0);
	assert_int_equal(logged("refused", "] check=rate-connections at=/"), 1);
	come_and_go("192.0.2.2", "220 ");
	rig_pass(30 * SECOND);
	come_and_go("192.0.2.1", "220 ");
	come_and_go("192.0.2.1", "421 ");
}

/* Nor is there a handshake for it. */
static void
connections_in_tls(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/m }");
	assert_true(client_secure(client_new(PORT_SMTPS, "192.0.2.1")));
	hears_end(client_new(PORT_SMTPS, "192.0.2.1"));
	assert_int_equal(counted(SHARED_REFUSED_RATE), 1);
}

/* FAULT A2: however many they are, few have lines. */
static void
a_flood_of_connections(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/m }");
	for (unsigned i = 0; i <= 100; i++)
		come_and_go("192.0.2.1", i ? "421 " : "220 ");
	assert_int_equal(logged("refused", ""), 1);
	rig_pass(2 * SECOND);
	assert_int_equal(logged("refused", "suppressed=99\n"), 1);
	assert_int_equal(counted(SHARED_REFUSED_RATE), 100);
}

static void
messages_and_recipients(void **state)
{
	struct client *c, *other;

	(void)state;
	sessions_open("limits { rate-messages = 1/s rate-recipients = 3/m }");
	c = client_new(PORT_MX, "192.0.2.1");
	client_rcpt(c);
	/* refused ones count */
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	asks(c, "RCPT TO:<bob@example.org>", "250 ");
	asks(c, "RCPT TO:<bob@example.org>",
	    "451 4.7.0 Too many recipients from your address, "
	    "at most 3 a minute [");
	asks(c, "DATA", "354 ");
	asks(c, "x\r\n.", "250 2.6.0 ");
	asks(c, "MAIL FROM:<s@example.com>",
	    "451 4.7.0 Too many messages from your address, "
	    "at most 1 a second [");
	asks(c, "RCPT TO:<alice@example.org>", "503 ");
	/* an address has one count, a session none */
	other = client_new(PORT_MX, "192.0.2.1");
	client_hello(other);
	asks(other, "MAIL FROM:<s@example.com>", "451 4.7.0 ");
	rig_pass(SECOND);
	asks(other, "MAIL FROM:<s@example.com>", "250 ");
	asks(other, "RCPT TO:<alice@example.org>", "451 4.7.0 ");
	rig_pass(20 * SECOND);
	asks(other, "RCPT TO:<alice@example.org>", "250 ");
	assert_int_equal(counted(SHARED_EXCEEDED_MESSAGES), 2);
	assert_int_equal(counted(SHARED_EXCEEDED_RECIPIENTS), 2);
	assert_int_equal(logged("refused", "reply=451 4.7.0 "), 4);
	assert_int_equal(logged("refused", "check=rate-messages at=/"), 2);
	assert_int_equal(logged("refused", "check=rate-recipients at=/"), 2);
	/* whatever comes behind it */
	asks(other, "RCPT TO:<nobody@example.org>", "451 ");
	rig_pass(20 * SECOND);
	asks(other, "RCPT TO:<nobody@example.org>", "550 ");
	assert_int_equal(logged("refused", "check="), 5);
}

static void
no_rates_on_this_machine(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/h rate-messages = 1/h }");
	for (unsigned i = 0; i < 3; i++) {
		struct client *c = client_new(PORT_MX, "127.0.0.1");

		client_rcpt(c);
		client_leave(c);
		rig_pass(0);
	}
}

static void
no_limits(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/h per-address = 1 }\n"
		      "client \"192.0.2.0/24\" { }\n"
		      "client \"192.0.2.7\" { limits = no }");
	for (unsigned i = 0; i < 3; i++)
		hears(client_new(PORT_MX, "192.0.2.7"), "220 ");
	hears(client_new(PORT_MX, "192.0.2.8"), "220 ");
	hears(client_new(PORT_MX, "192.0.2.8"), "421 4.7.0 Too many sessions");
}

/* Let in, and told: to whom reads the log, as seldom as the refused. */
static void
observed(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/h rate-messages = 1/h "
		      "observe = yes }");
	for (unsigned i = 0; i < 4; i++)
		come_and_go("192.0.2.1", "220 ");
	assert_int_equal(logged("observed", ""), 1);
	assert_int_equal(logged("observed",
			     "client=192.0.2.1 reply=421 4.7.0 Too many conn"),
	    1);
	assert_int_equal(logged("observed", "check=rate-connections at=/"), 1);
	assert_int_equal(counted(SHARED_EXCEEDED), 3);
	assert_int_equal(counted(SHARED_REFUSED_RATE), 0);
	rig_pass(2 * SECOND);
	client_rcpt(client_new(PORT_MX, "192.0.2.9"));
	client_rcpt(client_new(PORT_MX, "192.0.2.9"));
	assert_int_equal(counted(SHARED_EXCEEDED_MESSAGES), 1);
	assert_int_equal(logged("refused", "reply="), 0);
}

/* Docker's or a balancer's: everybody has the same. */
static void
a_private_address(void **state)
{
	(void)state;
	sessions_open("limits { rate-connections = 1/h }");
	come_and_go("172.17.0.1", "220 ");
	come_and_go("172.17.0.1", "421 4.7.0 ");
	assert_int_equal(logged("refused",
			     "help=if all clients come from 172.17.0.1, a NAT "
			     "hides them: client \"172.17.0.1\" { limits = no "
			     "}\n"),
	    1);
}

/* That there are too many in all is not its own doing. */
static void
a_private_address_among_many(void **state)
{
	(void)state;
	sessions_open("limits { sessions = 1 }");
	hears(client_new(PORT_MX, "172.17.0.1"), "220 ");
	hears(client_new(PORT_MX, "172.17.0.1"), "421 4.3.2 ");
	assert_int_equal(logged("refused", "client=172.17.0.1"), 1);
	assert_int_equal(logged("refused", "check=sessions at=/"), 1);
	assert_int_equal(logged("refused", "help="), 0);
}

/* What makes no sense may be one guess after another. */
static void
malformed_logins(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { rate-failed-logins = 2/h }");
	c = client_in_tls("192.0.2.1");
	asks(c, "AUTH PLAIN =", "501 5.5.2 ");
	asks(c, "AUTH PLAIN YQ==", "501 5.5.2 ");
	asks(c, "AUTH PLAIN " RIGHT, "454 4.7.0 ");
}

/* Not even the right password is looked at then; and on this machine, too. */
static void
failed_logins(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { rate-failed-logins = 2/m }");
	c = client_in_tls("127.0.0.1");
	for (unsigned i = 0; i < 2; i++) {
		client_say(c, "AUTH PLAIN " WRONG "\r\n");
		rig_pass(LATE);
		hears(c, "535 ");
	}
	asks(c, "AUTH PLAIN " RIGHT,
	    "454 4.7.0 Too many failed logins from your address, "
	    "at most 2 a minute [");
	asks(c, "NOOP", "250 ");
	assert_int_equal(counted(SHARED_EXCEEDED_FAILED_LOGINS), 1);
	assert_int_equal(logged("refused", "reply=454 4.7.0 Too many failed"),
	    1);
	/* one more, however many messages it has */
	rig_pass(30 * SECOND);
	asks(c, "AUTH PLAIN", "334");
	client_say(c, WRONG "\r\n");
	rig_pass(LATE);
	hears(c, "535 ");
	rig_pass(60 * SECOND);
	asks(c, "AUTH PLAIN", "334");
	asks(c, RIGHT, "235 ");
}

/* One who knows it comes as often as he likes; one who gives up does not. */
static void
good_logins_are_free(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("limits { rate-failed-logins = 2/h }");
	for (unsigned i = 0; i < 5; i++) {
		c = client_in_tls("192.0.2.1");
		asks(c, "AUTH PLAIN " RIGHT, "235 ");
	}
	c = client_in_tls("192.0.2.1");
	asks(c, "AUTH NONSENSE", "504 ");
	asks(c, "AUTH PLAIN", "334");
	asks(c, "*", "501 ");
	asks(c, "AUTH PLAIN", "334");
	client_leave(c);
	rig_pass(0);
	c = client_in_tls("192.0.2.1");
	asks(c, "AUTH PLAIN " RIGHT, "454 4.7.0 ");
	c = client_in_tls("192.0.2.2");
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(connections),
	    T(connections_in_tls),
	    T(a_flood_of_connections),
	    T(messages_and_recipients),
	    T(no_rates_on_this_machine),
	    T(no_limits),
	    T(observed),
	    T(a_private_address),
	    T(a_private_address_among_many),
	    T(malformed_logins),
	    T(failed_logins),
	    T(good_logins_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
