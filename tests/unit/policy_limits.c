/*
 * Sessions in all and per address, over several slots, and after a death.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/limits.h"

#define NOW 1000000

static struct ipaddr
v4(uint8_t last)
{
	const uint8_t b[4] = {192, 0, 2, last};

	return ipaddr_v4(b);
}

static struct ipaddr
v6(uint8_t net, uint8_t host)
{
	const uint8_t b[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = net, [15] = host};

	return ipaddr_v6(b);
}

static const struct limits_config conf = {.sessions = 10, .per_address = 3};

static struct limits
slot(struct shared *s, unsigned n)
{
	return (struct limits){.conf = &conf, .shared = s, .slot = n};
}

static const struct smtp_reply *
enter_as(const struct limits *l, struct limits_ask *ask, struct limits_place *p)
{
	const struct smtp_reply *no = limits_enter(l, ask->client, p);

	return no ? no : limits_client(l, ask, p);
}

static const struct smtp_reply *
enter(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p)
{
	struct limits_ask ask = {.client = client, .now = NOW};

	return enter_as(l, &ask, p);
}

static void
per_address_over_slots(void **state)
{
	struct shared *s = shared_new();
	struct limits a = slot(s, 0), b = slot(s, 63);
	struct limits_place p[4] = {{0}}, other = {0};
	struct ipaddr ip = v4(1), ip2 = v4(2);

	(void)state;
	assert_null(enter(&a, &ip, &p[0]));
	assert_null(enter(&b, &ip, &p[1]));
	assert_null(enter(&a, &ip, &p[2]));
	assert_int_equal(enter(&b, &ip, &p[3])->code, 421);
	assert_null(enter(&b, &ip2, &other));
	limits_leave(&b, &p[3]);
	limits_leave(&b, &p[1]);
	limits_leave(&b, &p[1]); /* once is enough */
	assert_null(enter(&b, &ip, &p[1]));
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 4);
}

static void
an_ipv6_client_is_its_64(void **state)
{
	struct shared *s = shared_new();
	struct limits l = slot(s, 0);
	struct limits_place p[5] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct ipaddr ip = v6(1, (uint8_t)(i + 1));

		assert_null(enter(&l, &ip, &p[i]));
	}
	struct ipaddr same = v6(1, 99), next = v6(2, 1);

	assert_non_null(enter(&l, &same, &p[3]));
	assert_null(enter(&l, &next, &p[4]));
}

static void
sessions_in_all_and_pressure(void **state)
{
	struct shared *s = shared_new();
	struct limits l = slot(s, 5);
	struct limits_place p[11] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct ipaddr ip = v4((uint8_t)i);

		assert_int_equal(limits_pressure(&l), i > 8);
		assert_null(enter(&l, &ip, &p[i]));
	}
	struct ipaddr ip = v4(200);

	assert_int_equal(enter(&l, &ip, &p[10])->code, 421);
	for (unsigned i = 0; i < 11; i++)
		limits_leave(&l, &p[i]);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 0);
	assert_false(limits_pressure(&l));
}

/* FAULT A2: whoever is over its share takes nothing from the others. */
static void
the_refused_are_no_sessions(void **state)
{
	struct shared *s = shared_new();
	struct limits l[2] = {slot(s, 0), slot(s, 63)};
	struct limits_place in[10] = {{0}}, out[20] = {{0}};
	struct ipaddr ip = v4(1);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_null(enter(&l[i % 2], &ip, &in[i]));
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(enter(&l[i % 2], &ip, &out[i])->code, 421);
		assert_int_equal(out[i].held, i < 8);
	}
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 3);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 8);
	assert_int_equal(shared_total(s, SHARED_REFUSED_ADDRESS), 20);
	assert_false(limits_pressure(&l[0]));
	for (unsigned i = 3; i < 10; i++) {
		struct ipaddr other = v4((uint8_t)i);

		assert_null(enter(&l[0], &other, &in[i]));
	}
	for (unsigned i = 0; i < 20; i++)
		limits_leave(&l[i % 2], &out[i]);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 0);
	assert_non_null(enter(&l[1], &ip, &out[0]));
	assert_true(out[0].held);
	shared_clear_slot(s, 63);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 0);
}

/* FAULT A2: nor do many addresses have more than 256 who linger. */
static void
the_refused_are_few(void **state)
{
	struct shared *s = shared_new();
	struct limits l = slot(s, 7);
	struct limits_place in[10] = {{0}}, out[300] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		struct ipaddr ip = v4((uint8_t)i);

		assert_null(enter(&l, &ip, &in[i]));
	}
	for (unsigned i = 0; i < 300; i++) {
		struct ipaddr ip = v6((uint8_t)(i / 2), (uint8_t)i);

		assert_int_equal(enter(&l, &ip, &out[i])->code, 421);
		assert_int_equal(out[i].held, i < 256);
	}
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 10);
	limits_leave(&l, &out[0]);
	limits_leave(&l, &in[0]);
	struct ipaddr ip = v4(99);

	assert_null(enter(&l, &ip, &in[0]));
}

/* What a dead worker counted must not count for ever. */
static void
a_dead_slot_is_cleared(void **state)
{
	struct shared *s = shared_new();
	struct limits dead = slot(s, 1), alive = slot(s, 2);
	struct limits_place p[4] = {{0}};
	struct ipaddr ip = v4(1);

	(void)state;
	enter(&dead, &ip, &p[0]);
	enter(&dead, &ip, &p[1]);
	enter(&alive, &ip, &p[2]);
	shared_clear_slot(s, 1);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 1);
	assert_null(enter(&alive, &ip, &p[0]));
	assert_null(enter(&alive, &ip, &p[1]));
	assert_non_null(enter(&alive, &ip, &p[3]));
}

/* More addresses than cells near theirs: they get in, uncounted or not. */
static void
a_full_table_lets_in(void **state)
{
	enum { MANY = 40000 };
	static const struct limits_config wide = {.sessions = MANY * 2,
	    .per_address = 1};
	static struct limits_place p[MANY];
	struct shared *s = shared_new();
	struct limits l = {.conf = &wide, .shared = s, .slot = 0};
	unsigned uncounted = 0;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		const uint8_t b[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
		    (uint8_t)i};
		struct ipaddr ip = ipaddr_v4(b);

		assert_null(enter(&l, &ip, &p[i]));
		uncounted += !p[i].ncells;
	}
	assert_true(uncounted > 0);
	for (unsigned i = 0; i < MANY; i++)
		limits_leave(&l, &p[i]);
	/* and when they have left their cells serve others again */
	for (unsigned i = 0; i < 1000; i++) {
		const uint8_t b[4] = {11, 0, (uint8_t)(i >> 8), (uint8_t)i};
		struct ipaddr ip = ipaddr_v4(b);

		assert_null(enter(&l, &ip, &p[0]));
		assert_int_equal(p[0].ncells, 1);
		assert_non_null(enter(&l, &ip, &p[1]));
		limits_leave(&l, &p[0]);
		limits_leave(&l, &p[1]);
	}
}

/* An IPv4 /24 and an IPv6 /48 are each one, over all slots. */
static void
per_network(void **state)
{
	static const struct limits_config c = {.sessions = 100,
	    .per_address = 100,
	    .per_network = 3};
	struct shared *s = shared_new();
	struct limits l[2] = {{&c, s, 0}, {&c, s, 63}};
	struct limits_place p[9] = {{0}};
	const struct smtp_reply *no;
	const uint8_t next[4] = {192, 0, 3, 1};
	struct ipaddr other = ipaddr_v4(next);

	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		struct ipaddr a = v4(i), b = v6(i, i);

		assert_null(enter(&l[i % 2], &a, &p[i]));
		assert_null(enter(&l[i % 2], &b, &p[3 + i]));
	}
	struct ipaddr a = v4(77), b = v6(77, 1);

	no = enter(&l[0], &a, &p[6]);
	assert_int_equal(no->code, 421);
	assert_string_equal(no->text, "Too many sessions from your network");
	assert_true(p[6].apart);
	assert_non_null(enter(&l[1], &b, &p[7]));
	assert_null(enter(&l[1], &other, &p[8]));
	assert_int_equal(shared_total(s, SHARED_REFUSED_NETWORK), 2);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 7);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 2);
	limits_leave(&l[0], &p[6]);
	limits_leave(&l[0], &p[0]);
	assert_null(enter(&l[0], &a, &p[0]));
}

/* Here, there are no networks; a proxy may say so of anybody. */
static void
loopback_is_no_network(void **state)
{
	static const struct limits_config c = {.sessions = 100,
	    .per_address = 100,
	    .per_network = 1,
	    .rates = {[LIMITS_CONNECTIONS] = {1, 60000}}};
	struct limits l = {&c, shared_new(), 0};
	struct limits_place p[4] = {{0}};
	const uint8_t b[4] = {127, 0, 0, 1};
	struct ipaddr here = ipaddr_v4(b);
	struct limits_ask ask = {.client = &here, .now = NOW};

	(void)state;
	assert_null(enter_as(&l, &ask, &p[0]));
	assert_null(enter_as(&l, &ask, &p[1]));
	ask.proxied = true;
	assert_null(enter_as(&l, &ask, &p[2]));
	assert_string_equal(enter_as(&l, &ask, &p[3])->text,
	    "Too many sessions from your network");
	limits_leave(&l, &p[3]);
	limits_leave(&l, &p[2]);
	assert_non_null(enter_as(&l, &ask, &p[2]));
	assert_int_equal(shared_total(l.shared, SHARED_REFUSED_RATE), 1);
}

/* Known only later: until then it is one in all, and nothing else. */
static void
who_is_not_yet_known(void **state)
{
	struct shared *s = shared_new();
	struct limits l = slot(s, 3);
	struct limits_place p[10] = {{0}}, out = {0};
	struct ipaddr proxy = v4(1), client = v4(2);
	struct limits_ask ask = {.client = &client, .now = NOW};

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		assert_null(limits_enter(&l, &proxy, &p[i]));
	assert_int_equal(limits_enter(&l, &proxy, &out)->code, 421);
	limits_leave(&l, &out);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(!limits_client(&l, &ask, &p[i]), i < 3);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 3);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 7);
	for (unsigned i = 0; i < 10; i++)
		limits_leave(&l, &p[i]);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 0);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 0);
}

/* It is let in from no address but those that are too many in all. */
static void
without_limits(void **state)
{
	static const struct limits_config c = {.sessions = 10,
	    .per_address = 1,
	    .per_network = 1,
	    .rates = {{1, 1000}, {1, 1000}, {1, 1000}, {1, 1000}}};
	struct limits l = {.conf = &c, .shared = shared_new(), .slot = 1};
	struct limits_place p[11] = {{0}};
	struct ipaddr ip = v4(1);
	struct limits_ask ask = {.client = &ip, .unlimited = true, .now = NOW};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_null(enter_as(&l, &ask, &p[i]));
		for (unsigned r = 0; r < LIMITS_RATES; r++)
			assert_null(limits_take(&l, r, &ask));
	}
	assert_string_equal(enter_as(&l, &ask, &p[10])->status, "4.3.2");
	assert_false(p[10].apart);
}

static const struct limits_config rates = {.sessions = 100,
    .per_address = 100,
    .rates = {[LIMITS_CONNECTIONS] = {2, 60000},
	[LIMITS_MESSAGES] = {1, 1000},
	[LIMITS_FAILED_LOGINS] = {3, 3600000}}};

static struct limits_config
said(bool observe)
{
	static struct arena a;
	struct limits_config c = rates;

	c.observe = observe;
	limits_say(&c, &a);
	return c;
}

/* Whoever comes too often has no session, and a place among the refused. */
static void
a_rate_of_connections(void **state)
{
	const struct limits_config c = said(false);
	struct shared *s = shared_new();
	struct limits l[2] = {{&c, s, 0}, {&c, s, 63}};
	struct limits_place p[3] = {{0}};
	const struct smtp_reply *no;
	struct ipaddr ip = v4(1), other = v4(2);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_null(enter(&l[i], &ip, &p[i]));
		limits_leave(&l[i], &p[i]);
	}
	no = enter(&l[0], &ip, &p[2]);
	assert_int_equal(no->code, 421);
	assert_string_equal(no->status, "4.7.0");
	assert_string_equal(no->text, "Too many connections from your "
				      "address, at most 2 a minute");
	assert_true(p[2].held);
	assert_true(p[2].apart);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 0);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 1);
	assert_int_equal(shared_total(s, SHARED_REFUSED_RATE), 1);
	assert_int_equal(shared_total(s, SHARED_EXCEEDED), 1);
	assert_int_equal(shared_total(s, SHARED_REFUSED_ADDRESS), 0);
	limits_leave(&l[0], &p[2]);
	assert_null(enter(&l[1], &other, &p[0]));
}

/* FAULT A2: nor does it pay for what per-address refused. */
static void
the_refused_pay_nothing(void **state)
{
	static const struct limits_config c = {.sessions = 100,
	    .per_address = 1,
	    .rates = {[LIMITS_CONNECTIONS] = {2, 60000}}};
	struct limits l = {&c, shared_new(), 0};
	struct limits_place in = {0}, out = {0};
	struct ipaddr ip = v4(1);

	(void)state;
	assert_null(enter(&l, &ip, &in));
	for (unsigned i = 0; i < 20; i++) {
		assert_non_null(enter(&l, &ip, &out));
		limits_leave(&l, &out);
	}
	limits_leave(&l, &in);
	assert_null(enter(&l, &ip, &in));
	limits_leave(&l, &in);
	assert_non_null(enter(&l, &ip, &in));
}

/* Nobody here, or behind a tunnel that ends here, but for who guesses. */
static void
loopback_has_no_rates(void **state)
{
	static const char *const here[] = {"127.0.0.1", "127.9.9.9", "::1"};
	const struct limits_config c = said(false);
	struct limits l = {&c, shared_new(), 0};

	(void)state;
	for (unsigned h = 0; h < 3; h++) {
		struct ipaddr ip;
		struct limits_ask ask = {.client = &ip, .now = NOW};
		struct limits_place p;

		assert_int_equal(ipaddr_parse(span_str(here[h]), &ip), 0);
		for (unsigned i = 0; i < 10; i++) {
			assert_null(enter_as(&l, &ask, &p));
			limits_leave(&l, &p);
			assert_null(limits_take(&l, LIMITS_MESSAGES, &ask));
			assert_int_equal(!limits_take(&l, LIMITS_FAILED_LOGINS,
					     &ask),
			    i < 3);
		}
	}
}

/* A rate of one thing is none of another, and each says its own. */
static void
what_is_said_beyond(void **state)
{
	static const struct {
		enum limits_rate rate;
		unsigned n, code;
		const char *text;
	} rows[] = {
	    {LIMITS_MESSAGES, 1, 451,
		"Too many messages from your address, at most 1 a second"},
	    {LIMITS_FAILED_LOGINS, 3, 454,
		"Too many failed logins from your address, at most 3 an hour"},
	    {LIMITS_CONNECTIONS, 2, 421,
		"Too many connections from your address, at most 2 a minute"},
	};
	const struct limits_config c = said(false);
	struct limits l = {&c, shared_new(), 0};
	struct ipaddr ip = v4(9);
	struct limits_ask ask = {.client = &ip, .now = NOW};
	const struct smtp_reply *no;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n < rows[i].n; n++)
			assert_null(limits_take(&l, rows[i].rate, &ask));
		no = limits_take(&l, rows[i].rate, &ask);
		assert_int_equal(no->code, rows[i].code);
		assert_string_equal(no->text, rows[i].text);
		assert_null(ask.observed);
		assert_int_equal(shared_total(l.shared,
				     SHARED_EXCEEDED + (unsigned)rows[i].rate),
		    1);
	}
	for (unsigned n = 0; n < 100; n++)
		assert_null(limits_take(&l, LIMITS_RECIPIENTS, &ask));
	limits_give_back(&l, LIMITS_FAILED_LOGINS, &ask);
	assert_null(limits_take(&l, LIMITS_FAILED_LOGINS, &ask));
	assert_non_null(limits_take(&l, LIMITS_FAILED_LOGINS, &ask));
}

static void
observed_is_told_and_not_refused(void **state)
{
	const struct limits_config c = said(true);
	struct limits l = {&c, shared_new(), 0};
	struct ipaddr ip = v4(9);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct limits_ask ask = {.client = &ip, .now = NOW};

		assert_null(limits_take(&l, LIMITS_MESSAGES, &ask));
		assert_ptr_equal(ask.observed,
		    i ? &c.beyond[LIMITS_MESSAGES] : NULL);
	}
	assert_int_equal(shared_total(l.shared, SHARED_EXCEEDED_MESSAGES), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(per_address_over_slots),
	    cmocka_unit_test(an_ipv6_client_is_its_64),
	    cmocka_unit_test(sessions_in_all_and_pressure),
	    cmocka_unit_test(the_refused_are_no_sessions),
	    cmocka_unit_test(the_refused_are_few),
	    cmocka_unit_test(a_dead_slot_is_cleared),
	    cmocka_unit_test(a_full_table_lets_in),
	    cmocka_unit_test(per_network),
	    cmocka_unit_test(loopback_is_no_network),
	    cmocka_unit_test(who_is_not_yet_known),
	    cmocka_unit_test(without_limits),
	    cmocka_unit_test(a_rate_of_connections),
	    cmocka_unit_test(the_refused_pay_nothing),
	    cmocka_unit_test(loopback_has_no_rates),
	    cmocka_unit_test(what_is_said_beyond),
	    cmocka_unit_test(observed_is_told_and_not_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
