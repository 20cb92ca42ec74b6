/*
 * Behind a proxy: whose session it is, what a header cut anyhow comes to, who
 * is closed without an octet, and what a health check is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log_catch.h"
#include "sessions_rig.h"

#define HANDSHAKE  30000 /* ms */
#define BALANCER   "10.0.0.7"
#define PROXIES    "client \"10.0.0.0/24\" { proxy = yes }\n"
#define OF(client) "PROXY TCP4 " client " 198.51.100.1 4711 25\r\n"
#define V2         "\r\n\r\n\0\r\nQUIT\n"
#define LOCAL      SPAN_LIT(V2 "\x20\0\0\0")

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

static struct client *
by_proxy(const char *header)
{
	struct client *c = client_new(PORT_MX, BALANCER);

	hears_nothing(c);
	client_say(c, header);
	return c;
}

static struct client *
health_check(enum client_port port)
{
	struct client *c = client_new(port, BALANCER);

	assert_int_equal(client_pour(c, LOCAL), LOCAL.len);
	return c;
}

/* As if it had come by itself, in every respect. */
static void
for_its_client(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES "client \"192.0.2.0/28\" "
			      "{ bare-newline = normalize }");
	client_data(c = by_proxy(OF("192.0.2.1")));
	asks(c, "a\nb\r\n.", "250 2.6.0 ");
	assert_int_equal(logged("connect",
			     "client=192.0.2.1 port=4711 via=" BALANCER),
	    1);
	assert_int_equal(logged("accepted", "client=192.0.2.1 "), 1);
	asks(c, "NONSENSE", "500 ");
	assert_int_equal(logged("refused", "client=192.0.2.1 "), 1);
	client_data(c = by_proxy(OF("192.0.2.99")));
	asks(c, "a\nb\r\n.", "550 5.6.0 ");
	/* and who comes by itself is spoken to at once */
	hears(c = client_new(PORT_MX, "192.0.2.99"), "220 ");
	assert_int_equal(logged("connect", "client=192.0.2.99 port=54321\n"),
	    1);
}

/* A proxy behind a proxy: the first one's word is all that there is. */
static void
for_another_proxy(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	hears(c = by_proxy(OF("10.0.0.8")), "220 ");
	client_say(c, OF("192.0.2.1"));
	hears(c, "554 5.5.0 This is SMTP, without a PROXY header");
	hears_end(c);
	assert_int_equal(logged("refused", "client=10.0.0.8 "), 1);
	assert_int_equal(logged("refused", "reason=PROXY\n"), 1);
}

static void
from_somebody_else(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	hears(c = client_new(PORT_MX, "10.0.1.7"), "220 ");
	client_say(c, OF("192.0.2.1"));
	hears(c, "554 5.5.0 This is SMTP, without a PROXY header");
	hears_end(c);
	assert_int_equal(logged("refused",
			     "reason=PROXY help=client \"10.0.1.7\""
			     " { proxy = yes }\n"),
	    1);
}

/* Whatever the cuts are; and what stands behind it is the client's. */
static void
cut_anyhow(void **state)
{
	static const char all[] = OF("192.0.2.1") "NOOP\r\n";
	struct client *c;

	(void)state;
	sessions_open(PROXIES "limits { rate-connections = 0 }");
	for (unsigned way = 0; way < 20; way++) {
		size_t n, at = 0;

		c = client_new(PORT_MX, BALANCER);
		while (at + 8 < sizeof(all) - 1) {
			hears_nothing(c);
			n = way ? 1 + (size_t)rand() % 20 : 1;
			if (n > sizeof(all) - 1 - 8 - at)
				n = sizeof(all) - 1 - 8 - at;
			client_pour(c, (struct span){all + at, n});
			at += n;
		}
		hears_nothing(c);
		client_say(c, all + at);
		hears(c, "220 mx.example.org ");
		hears(c, "250 2.0.0 ");
		client_leave(c);
		rig_pass(0);
	}
	assert_int_equal(logged("connect", "client=192.0.2.1 port=4711 "), 20);
}

static void
second_version(void **state)
{
	static const struct span header = SPAN_LIT(
	    V2 "\x21\x21\0\x27"
	       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
	       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x12\x34\0\x19\3\0\0");
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	c = client_new(PORT_MX, BALANCER);
	client_pour(c, header);
	client_hello(c);
	assert_int_equal(logged("connect", "client=2001:db8::1 port=4660 via="),
	    1);
}

/* The handshake stands right behind the header, or behind STARTTLS. */
static void
tls(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	c = client_new(PORT_SMTPS, BALANCER);
	client_say(c, OF("192.0.2.1"));
	assert_true(client_secure(c));
	client_hello(c);
	asks(c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "235 ");
	assert_int_equal(logged("logged-in", "client=192.0.2.1 "), 1);
	client_hello(c = by_proxy(OF("192.0.2.2")));
	asks(c, "STARTTLS", "220 2.0.0 Go ahead");
	assert_true(client_secure(c));
	asks(c, "NOOP", "250 ");
}

/* --- without a header --- */

static void
ends_without_a_word(struct client *c, const char *reason, unsigned n)
{
	char part[80];

	hears_end(c);
	snprintf(part, sizeof(part), " via=" BALANCER " reason=%s ", reason);
	assert_int_equal(logged("proxy-header", part), n);
	client_leave(c);
	rig_pass(2000); /* so that the next one may have a line */
}

static void
none(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	ends_without_a_word(by_proxy("EHLO x\r\n"), "no PROXY header", 1);
	assert_int_equal(logged("proxy-header",
			     "help=client \"10.0.0.0/24\" has proxy = yes: "),
	    1);
	ends_without_a_word(by_proxy("PROXY TCP4 192.0.2.1\r\n"),
	    "no PROXY header", 2);
	assert_int_equal(logged("proxy-header", "help="), 1);
	c = by_proxy("PROXY TCP4 19");
	hears_nothing(c);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(logged("proxy-header", " reason=closed "), 1);
	rig_pass(2000);
	/* somebody looks whether the port is open */
	client_leave(client_new(PORT_MX, BALANCER));
	client_leave(client_new(PORT_SMTPS, BALANCER));
	rig_pass(0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	assert_int_equal(logged("proxy-header", ""), 3);
	assert_int_equal(logged("insecure", ""), 0);
}

/* Nor does an octet now and then buy time. */
static void
too_slow(void **state)
{
	struct client *silent, *c;

	(void)state;
	sessions_open(PROXIES);
	silent = client_new(PORT_MX, BALANCER);
	rig_pass(2000);
	c = by_proxy("PROXY UNKNOWN");
	for (unsigned i = 0; i < 28; i++) {
		hears_nothing(silent);
		rig_pass(HANDSHAKE / 30);
		client_say(c, "x");
	}
	ends_without_a_word(silent, "too slow", 1);
	assert_int_equal(logged("proxy-header", "help="), 1);
	ends_without_a_word(c, "too slow", 2);
	assert_int_equal(logged("proxy-header", "help="), 1);
}

/* They hold what they can for a tenth of the time. */
static void
silent_ones(void **state)
{
	struct client *c[9];

	(void)state;
	sessions_open(PROXIES "limits { sessions = 10  per-network = 0 }");
	for (unsigned i = 0; i < 9; i++)
		c[i] = client_new(PORT_MX, BALANCER);
	hears(client_new(PORT_MX, "192.0.2.1"), "220 ");
	hears(client_new(PORT_MX, "192.0.2.2"), "421 4.3.2 ");
	/* nor need they say who it is to hear so */
	hears(client_new(PORT_MX, BALANCER), "421 4.3.2 ");
	rig_pass(HANDSHAKE / 10 - 1);
	for (unsigned i = 0; i < 9; i++)
		hears_nothing(c[i]);
	rig_pass(1);
	for (unsigned i = 0; i < 9; i++)
		hears_end(c[i]);
	hears(client_new(PORT_MX, "192.0.2.2"), "220 ");
	assert_int_equal(logged("proxy-header", ""), 1);
}

/* They are told nothing, however the end comes. */
static void
the_worker_leaves(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	c = client_new(PORT_MX, BALANCER);
	client_new(PORT_MX, BALANCER); /* for the teardown */
	sessions_drain(&sessions);
	hears_nothing(c);
	client_say(c, OF("192.0.2.1"));
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "421 4.3.2 ");
	c = client_new(PORT_MX, BALANCER);
	sessions_hangup(&sessions);
	hears_end(c);
}

/* --- limits --- */

static void
limits_are_the_clients(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES "client \"192.0.2.9\" { limits = no }\n"
			      "limits { per-address = 1 }");
	hears(by_proxy(OF("192.0.2.1")), "220 ");
	hears(by_proxy(OF("192.0.2.2")), "220 ");
	hears(c = by_proxy(OF("192.0.2.1")), "421 4.7.0 Too many sessions from "
					     "your address [");
	hears_end(c);
	assert_int_equal(logged("refused", "client=192.0.2.1 "), 1);
	assert_int_equal(counted(SHARED_SESSIONS), 2);
	assert_int_equal(counted(SHARED_REFUSING), 1);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(counted(SHARED_REFUSING), 0);
	hears(by_proxy(OF("192.0.2.9")), "220 ");
	hears(by_proxy(OF("192.0.2.9")), "220 ");
	/* the balancer has none of its own */
	for (unsigned i = 0; i < 20; i++)
		hears_nothing(client_new(PORT_MX, BALANCER));
	hears(by_proxy(OF("192.0.2.3")), "220 ");
}

/* FAULT A2: nor do they take what others need, or fill the log. */
static void
a_flood_behind_it(void **state)
{
	(void)state;
	sessions_open(PROXIES "limits { rate-connections = 2/m  sessions = 20  "
			      "per-network = 0 }");
	for (unsigned i = 0; i < 100; i++)
		hears(by_proxy(OF("192.0.2.1")), i < 2 ? "220 " : "421 4.7.0 ");
	assert_int_equal(counted(SHARED_SESSIONS), 2);
	assert_int_equal(counted(SHARED_REFUSING), 8);
	assert_int_equal(sessions.count, 2 + 8);
	assert_int_equal(counted(SHARED_REFUSED_RATE), 98);
	assert_int_equal(logged("refused", ""), 1);
	for (unsigned i = 0; i < 10; i++)
		hears(by_proxy(i % 2 ? OF("192.0.2.2") : OF("192.0.2.3")),
		    i < 4 ? "220 " : "421 ");
}

/* What a proxy calls this machine is not this machine. */
static void
loopback_behind_it(void **state)
{
	(void)state;
	sessions_open("client \"127.0.0.1\" { proxy = yes }\n"
		      "limits { rate-connections = 1/m  per-network = 5 }");
	for (unsigned i = 0; i < 2; i++) {
		struct client *c = client_new(PORT_MX, "127.0.0.1");

		client_say(c, OF("127.0.0.1"));
		hears(c, i ? "421 4.7.0 Too many connections" : "220 ");
	}
	for (unsigned i = 0; i < 9; i++)
		hears(client_new(PORT_MX, "127.0.0.2"), "220 ");
}

/* --- health checks --- */

static void
has_no_limits(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES "limits { rate-connections = 1/h  "
			      "per-address = 1  per-network = 1 }");
	for (unsigned i = 0; i < 5; i++) {
		client_hello(c = health_check(PORT_MX));
		asks(c, "MAIL FROM:<>",
		    "554 5.7.1 Not without a client's address [");
		asks(c, "RCPT TO:<postmaster>", "554 5.7.1 ");
		if (i)
			continue;
		asks(c, "QUIT", "221 ");
		hears_end(c);
		client_leave(c);
		rig_pass(0);
	}
	assert_int_equal(counted(SHARED_SESSIONS), 4);
	hears(by_proxy("PROXY UNKNOWN\r\n"), "220 ");
	/* what stands behind the header is said in the session */
	assert_int_equal(client_pour(c = client_new(PORT_MX, BALANCER),
			     SPAN_LIT(V2 "\x20\0\0\0NOOP\r\n")),
	    LOCAL.len + 6);
	hears(c, "220 ");
	hears(c, "250 ");
	/* and took nothing of what the balancer may have for itself */
	hears(by_proxy(OF(BALANCER)), "220 ");
	assert_int_equal(logged("connect", "client=" BALANCER
					   " port=54321 via=" BALANCER "\n"),
	    7);
}

static void
in_tls(void **state)
{
	struct client *c;

	(void)state;
	sessions_open(PROXIES);
	assert_true(client_secure(c = health_check(PORT_SMTPS)));
	client_hello(c);
	asks(c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "554 5.7.1 ");
	/* it hangs up when it has seen that the port is open */
	client_leave(health_check(PORT_SMTPS));
	rig_pass(0);
	assert_int_equal(logged("refused", "This port speaks TLS only"), 0);
	client_hello(c = health_check(PORT_SUBMISSION));
	asks(c, "STARTTLS", "220 ");
	assert_true(client_secure(c));
	client_say(c, "EHLO x\r\n");
	client_listen(c);
	assert_null(memmem(c->heard.data, c->heard.len, "AUTH", 4));
	hears(c, "250 LIMITS ");
	asks(c, "AUTH PLAIN AGFsaWNlAHNlY3JldA==", "554 5.7.1 ");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown((f), setup, sessions_teardown)
	const struct CMUnitTest tests[] = {
	    T(for_its_client),
	    T(for_another_proxy),
	    T(from_somebody_else),
	    T(cut_anyhow),
	    T(second_version),
	    T(tls),
	    T(none),
	    T(too_slow),
	    T(silent_ones),
	    T(the_worker_leaves),
	    T(limits_are_the_clients),
	    T(a_flood_behind_it),
	    T(loopback_behind_it),
	    T(has_no_limits),
	    T(in_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
