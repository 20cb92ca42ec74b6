/*
 * How long a no waits: who counts together, who does not, what is forgotten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/auth_delay.h"

static struct auth_delay d;

static struct ipaddr
v4(uint8_t a, uint8_t b)
{
	const uint8_t bytes[4] = {192, 0, a, b};

	return ipaddr_v4(bytes);
}

static struct ipaddr
v6(uint8_t net, uint8_t host)
{
	const uint8_t b[16] = {0x20, 0x01, 0x0d, 0xb8, [7] = net, [15] = host};

	return ipaddr_v6(b);
}

static int64_t
failed(struct ipaddr a, int64_t now)
{
	return auth_delay_failed(&d, &a, now);
}

static int
init(void **state)
{
	(void)state;
	auth_delay_init(&d);
	return 0;
}

static void
doubles_and_is_capped(void **state)
{
	static const int64_t want[] = {500, 1000, 2000, 4000, 4000, 4000};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		assert_int_equal(failed(v4(2, 1), (int64_t)i), want[i]);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(failed(v4(2, 1), 100), 4000);
}

/* Each failure begins the minute anew. */
static void
a_quiet_minute_forgets(void **state)
{
	(void)state;
	assert_int_equal(failed(v4(2, 1), 1000), 500);
	assert_int_equal(failed(v4(2, 1), 61000), 1000);
	assert_int_equal(failed(v4(2, 1), 121000), 2000);
	assert_int_equal(failed(v4(2, 1), 181001), 500);
	assert_int_equal(failed(v4(2, 1), 181001), 1000);
}

/* The clock may begin anywhere; an untouched place counts nothing. */
static void
any_time(void **state)
{
	static const int64_t times[] = {0, 1, INT64_MAX / 2};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		init(state);
		assert_int_equal(failed(v4(2, 1), times[i]), 500);
		assert_int_equal(failed(v4(2, 1), times[i]), 1000);
	}
}

static void
an_ipv6_client_is_its_64(void **state)
{
	(void)state;
	assert_int_equal(failed(v6(1, 1), 0), 500);
	assert_int_equal(failed(v6(1, 2), 0), 1000);
	assert_int_equal(failed(v6(1, 255), 0), 2000);
}

/* Others share a place now and then, not all of them: 1,024 places. */
static void
others_do_not_pay(void **state)
{
	unsigned first = 0;

	(void)state;
	for (int i = 0; i < 200; i++)
		first += failed(v4(2, (uint8_t)i), 0) == 500;
	for (int i = 0; i < 200; i++)
		first += failed(v6((uint8_t)i, 1), 0) == 500;
	assert_true(first > 250);
}

/* Whose neighbour one is nobody can work out beforehand. */
static void
each_worker_has_its_own_key(void **state)
{
	static struct auth_delay other;
	unsigned together = 0;

	(void)state;
	auth_delay_init(&other);
	assert_memory_not_equal(d.key, other.key, sizeof(d.key));
	for (int a = 0; a < 16; a++)
		for (int b = 0; b < 256; b++) {
			struct ipaddr ip = v4((uint8_t)a, (uint8_t)b);

			together += auth_delay_failed(&d, &ip, 0) ==
				    auth_delay_failed(&other, &ip, 0);
		}
	assert_true(together < 4096);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(doubles_and_is_capped, init),
	    cmocka_unit_test_setup(a_quiet_minute_forgets, init),
	    cmocka_unit_test_setup(any_time, init),
	    cmocka_unit_test_setup(an_ipv6_client_is_its_64, init),
	    cmocka_unit_test_setup(others_do_not_pay, init),
	    cmocka_unit_test_setup(each_worker_has_its_own_key, init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
