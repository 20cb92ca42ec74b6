/*
 * A session whose message milters see: how long they may take, and what its
 * client hears.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "io/clock.h"
#include "log_catch.h"
#include "mill.h"
#include "routes_rig.h"
#include "scratch.h"
#include "sessions_rig.h"

#define RIGHT  "AGFsaWNlAHNlY3JldA=="
#define SECOND 1000

static struct mill *mill;
static struct ipaddr local;
static struct filter_config milter;
static struct filters_config conf;

/* What comes of the end of a message: nothing, or whatever there is. */
static const struct mill_turn silent[] = {{'E', {"", 0}, false, 0, 0}, {0}};
static const struct mill_turn slow[] = {{'E', SPAN_LIT(MILL_CONTINUE), false,
					    SECOND, 0},
    {0}};

static const struct mill_turn discards[] = {{'E', SPAN_LIT("\0\0\0\1d"), false,
						0, 0},
    {0}};
static const struct mill_turn later[] = {{'E', SPAN_LIT("\0\0\0\1t"), false, 0,
					     0},
    {0}};

static int
begin(void **state, const struct mill_turn *turns)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct filter_services s;

	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("client \"192.0.2.7\" { milter = no }");
	routes_carry();
	rig.deliver->lookups.smarthost = &routes[3].dest;
	mill = mill_new(&rig.loop, turns, true);
	local = ipaddr_v4(loopback);
	milter = (struct filter_config){.name = "m",
	    .check = "milter \"m\"",
	    .socket = "x",
	    .at = {"smtpd.conf", 7},
	    .host = "127.0.0.1",
	    .port = mill_port(mill),
	    .addrs = &local,
	    .naddrs = 1,
	    .when_down = FILTER_DEFER,
	    .timeout = 120 * SECOND,
	    .connections = 50};
	conf = (struct filters_config){.all = &milter,
	    .n = 1,
	    .hostname = "mx.example.org"};
	s = (struct filter_services){.loop = &rig.loop,
	    .pool = sessions.pool,
	    .jobs = rig.jobs,
	    .shared = rig.shared,
	    .slot = RIG_SLOT};
	sessions.filters = filters_new(&conf, &s);
	return 0;
}

static int
setup(void **state)
{
	return begin(state, silent);
}

static int
setup_discards(void **state)
{
	return begin(state, discards);
}

static int
setup_slow(void **state)
{
	return begin(state, slow);
}

static int
setup_later(void **state)
{
	return begin(state, later);
}

static int
teardown(void **state)
{
	sessions_free(&sessions);
	filters_free(&sessions.filters);
	mill_free(&mill);
	log_forget();
	return sessions_teardown(state);
}

static void
send_to(struct client *c, const char *rcpt, const char *text)
{
	asks(c, "MAIL FROM:<alice@example.org>", "250 ");
	client_say(c, rcpt);
	hears(c, "250 ");
	asks(c, "DATA", "354 ");
	client_say(c, text);
	rig_pass(0);
	hears_nothing(c);
}

static void
has_100_seconds(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	hears(c, "220 ");
	asks(c, "EHLO client.example.com", "250 ");
	send_to(c, "RCPT TO:<bob@example.org>\r\n", "hello\r\n.\r\n");
	rig_pass(100 * SECOND - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.7.1 A filter is not there");
	assert_int_equal(logged("refused",
			     "check=milter \"m\" value=no answer in time "
			     "at=smtpd.conf:7"),
	    1);
	assert_int_equal(deliver_pending(rig.deliver), 0);
	assert_int_equal(counted(SHARED_FILTERS_DOWN), 1);
	/* the next no has another reason */
	asks(c, "BAD", "500 ");
	assert_int_equal(logged("refused", "value="), 1);
	assert_int_equal(logged("refused", ""), 2);
}

/* Behind them a server has to be asked, and has its time. */
static void
has_45_before_a_server(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
	send_to(c, "RCPT TO:<a@example.net>\r\n", "hello\r\n.\r\n");
	assert_null(routes[3].parcel);
	assert_non_null(
	    strstr(mill_heard(mill), "{auth_type}|PLAIN|{auth_authen}|alice|"));
	rig_pass(45 * SECOND - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.7.1 A filter is not there");
	assert_null(routes[3].parcel);
}

/* The worker leaves: the conversation does not outlive it. */
static void
is_hung_up_on(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	hears(c, "220 ");
	asks(c, "EHLO client.example.com", "250 ");
	send_to(c, "RCPT TO:<bob@example.org>\r\n", "hello\r\n.\r\n");
	sessions_hangup(&sessions);
	hears(c, "421 4.3.2 ");
	rig_pass(200 * SECOND);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(deliver_pending(rig.deliver), 0);
}

/* What becomes of a small message. */
static void
comes_to(const char *address, const char *reply)
{
	struct client *c = client_new(PORT_MX, address);

	hears(c, "220 ");
	asks(c, "EHLO client.example.com", "250 ");
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<bob@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	client_say(c, "hello\r\n.\r\n");
	rig_pass(0);
	hears(c, reply);
}

/* It is taken, as all who sent it know, and is nowhere. */
static void
is_discarded(void **state)
{
	(void)state;
	comes_to("192.0.2.1", "250 2.6.0 ");
	assert_int_equal(counted(SHARED_MESSAGES), 1);
	assert_int_equal(counted(SHARED_FILTERED_DISCARDED), 1);
	assert_int_equal(logged("discarded", "check=milter \"m\""), 1);
	assert_int_equal(logged("accepted", ""), 0);
	assert_int_equal(reserved(), 0);
}

static void
is_put_off(void **state)
{
	(void)state;
	comes_to("192.0.2.1", "451 4.7.1 A filter says");
	assert_int_equal(counted(SHARED_FILTERED_DEFERRED), 1);
	assert_int_equal(counted(SHARED_FILTERED_REFUSED), 0);
	assert_int_equal(counted(SHARED_MESSAGES), 0);
}

static void
is_not_seen(void **state)
{
	(void)state;
	comes_to("192.0.2.7", "250 2.6.0 ");
	assert_int_equal(mill_connections(mill), 0);
}

/*
 * A client that ends its side may still wait for its reply, and the end of one
 * that has gone looks the same: both are answered, as without a filter.
 */
static void
its_client_ends(void **state)
{
	struct client *c;

	(void)state;
	for (int goes = 0; goes < 2; goes++) {
		c = client_new(PORT_MX, "192.0.2.1");
		hears(c, "220 ");
		asks(c, "EHLO client.example.com", "250 ");
		send_to(c, "RCPT TO:<bob@example.org>\r\n", "hello\r\n.\r\n");
		if (goes)
			client_leave(c);
		else
			shutdown(c->fd, SHUT_WR);
		rig_pass(SECOND);
		if (!goes)
			hears(c, "250 2.6.0 ");
		rig_pass(SECOND);
		assert_int_equal(sessions.count, 0);
		assert_int_equal(logged("accepted", ""), goes + 1);
		assert_int_equal(counted(SHARED_MESSAGES), goes + 1);
	}
	assert_int_equal(scratch_count("mail/example.org/bob/new"), 2);
	assert_int_equal(logged("lost", ""), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(has_100_seconds),
	    T(has_45_before_a_server),
	    T(is_hung_up_on),
	    T(is_not_seen),
	    cmocka_unit_test_setup_teardown(is_discarded, setup_discards,
		teardown),
	    cmocka_unit_test_setup_teardown(is_put_off, setup_later, teardown),
	    cmocka_unit_test_setup_teardown(its_client_ends, setup_slow,
		teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
