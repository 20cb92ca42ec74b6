/*
 * A session whose message milters see: how long they may take, and what its
 * client hears.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* One that never has a last word, nor an end. */
static const struct mill_turn silent[] = {{'E', {"", 0}, false, 0, 0}, {0}};

static int
setup(void **state)
{
	static const uint8_t loopback[4] = {127, 0, 0, 1};
	struct filter_services s;

	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	routes_carry();
	rig.deliver->lookups.smarthost = &routes[3].dest;
	mill = mill_new(&rig.loop, silent, true);
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
	    .jobs = rig.jobs};
	sessions.filters = filters_new(&conf, &s);
	return 0;
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

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(has_100_seconds),
	    T(has_45_before_a_server),
	    T(is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
