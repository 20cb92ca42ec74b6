/*
 * Sessions in all and per address, over several slots, and after a death.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/limits.h"

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

static void
per_address_over_slots(void **state)
{
	struct shared *s = shared_new();
	struct limits a = slot(s, 0), b = slot(s, 63);
	struct limits_place p[4] = {{0}}, other = {0};
	struct ipaddr ip = v4(1), ip2 = v4(2);

	(void)state;
	assert_null(limits_enter(&a, &ip, &p[0]));
	assert_null(limits_enter(&b, &ip, &p[1]));
	assert_null(limits_enter(&a, &ip, &p[2]));
	assert_int_equal(limits_enter(&b, &ip, &p[3])->code, 421);
	assert_null(limits_enter(&b, &ip2, &other));
	limits_leave(&b, &p[3]);
	limits_leave(&b, &p[1]);
	limits_leave(&b, &p[1]); /* once is enough */
	assert_null(limits_enter(&b, &ip, &p[1]));
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

		assert_null(limits_enter(&l, &ip, &p[i]));
	}
	struct ipaddr same = v6(1, 99), next = v6(2, 1);

	assert_non_null(limits_enter(&l, &same, &p[3]));
	assert_null(limits_enter(&l, &next, &p[4]));
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
		assert_null(limits_enter(&l, &ip, &p[i]));
	}
	struct ipaddr ip = v4(200);

	assert_int_equal(limits_enter(&l, &ip, &p[10])->code, 421);
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
		assert_null(limits_enter(&l[i % 2], &ip, &in[i]));
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(limits_enter(&l[i % 2], &ip, &out[i])->code,
		    421);
		assert_int_equal(out[i].held, i < 8);
	}
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 3);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 8);
	assert_int_equal(shared_total(s, SHARED_REFUSED), 20);
	assert_false(limits_pressure(&l[0]));
	for (unsigned i = 3; i < 10; i++) {
		struct ipaddr other = v4((uint8_t)i);

		assert_null(limits_enter(&l[0], &other, &in[i]));
	}
	for (unsigned i = 0; i < 20; i++)
		limits_leave(&l[i % 2], &out[i]);
	assert_int_equal(shared_total(s, SHARED_REFUSING), 0);
	assert_non_null(limits_enter(&l[1], &ip, &out[0]));
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

		assert_null(limits_enter(&l, &ip, &in[i]));
	}
	for (unsigned i = 0; i < 300; i++) {
		struct ipaddr ip = v6((uint8_t)(i / 2), (uint8_t)i);

		assert_int_equal(limits_enter(&l, &ip, &out[i])->code, 421);
		assert_int_equal(out[i].held, i < 256);
	}
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 10);
	limits_leave(&l, &out[0]);
	limits_leave(&l, &in[0]);
	struct ipaddr ip = v4(99);

	assert_null(limits_enter(&l, &ip, &in[0]));
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
	limits_enter(&dead, &ip, &p[0]);
	limits_enter(&dead, &ip, &p[1]);
	limits_enter(&alive, &ip, &p[2]);
	shared_clear_slot(s, 1);
	assert_int_equal(shared_total(s, SHARED_SESSIONS), 1);
	assert_null(limits_enter(&alive, &ip, &p[0]));
	assert_null(limits_enter(&alive, &ip, &p[1]));
	assert_non_null(limits_enter(&alive, &ip, &p[3]));
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

		assert_null(limits_enter(&l, &ip, &p[i]));
		uncounted += !p[i].counted;
	}
	assert_true(uncounted > 0);
	for (unsigned i = 0; i < MANY; i++)
		limits_leave(&l, &p[i]);
	/* and when they have left their cells serve others again */
	for (unsigned i = 0; i < 1000; i++) {
		const uint8_t b[4] = {11, 0, (uint8_t)(i >> 8), (uint8_t)i};
		struct ipaddr ip = ipaddr_v4(b);

		assert_null(limits_enter(&l, &ip, &p[0]));
		assert_true(p[0].counted);
		assert_non_null(limits_enter(&l, &ip, &p[1]));
		limits_leave(&l, &p[0]);
		limits_leave(&l, &p[1]);
	}
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
