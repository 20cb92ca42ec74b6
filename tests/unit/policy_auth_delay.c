/*
 * FAULT A9: how long a no waits: who counts together, over all workers, who
 * does not, what is forgotten and what is taken back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "policy/auth_delay.h"

/* Two workers of one service. */
static struct auth_delay d, other;

static struct ipaddr
v4(uint8_t a, uint8_t b)
{
	const uint8_t bytes[4] = {192, 0, a, b};

	return ipaddr_v4(bytes);
}

static struct ipaddr
v6(unsigned net, uint8_t host)
{
	const uint8_t b[16] = {0x20, 0x01, 0x0d,
	    0xb8, [6] = (uint8_t)(net >> 8), [7] = (uint8_t)net, [15] = host};

	return ipaddr_v6(b);
}

static int64_t
failed(struct ipaddr a, int64_t now)
{
	return auth_delay_address(&d, &a, now);
}

static int64_t
login(const char *name, int64_t now)
{
	return auth_delay_login(&d, span_str(name), now);
}

/* Each test has a mapping of its own, as each start of the master has. */
static int
init(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	assert_non_null(s);
	auth_delay_init(&d, s);
	auth_delay_init(&other, s);
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

static void
a_login_is_slower(void **state)
{
	(void)state;
	for (int i = 1; i <= 1000; i++)
		assert_int_equal(login("alice", i), i < 10   ? 0
						    : i < 20 ? 500
						    : i < 30 ? 1000
						    : i < 40 ? 2000
							     : 4000);
	assert_int_equal(login("alic", 1000), 0);
	assert_int_equal(login("Alice", 1000), 0);
}

/* Each failure begins the minute anew, or the hour. */
static void
quiet_forgets(void **state)
{
	(void)state;
	assert_int_equal(failed(v4(2, 1), 1000), 500);
	assert_int_equal(failed(v4(2, 1), 61000), 1000);
	assert_int_equal(failed(v4(2, 1), 121000), 2000);
	assert_int_equal(failed(v4(2, 1), 182000), 500);
	assert_int_equal(failed(v4(2, 1), 182000), 1000);
	for (int i = 1; i < 10; i++)
		assert_int_equal(login("a", 1000), 0);
	assert_int_equal(login("a", 3601000), 500);
	assert_int_equal(login("a", 7202000), 0);
}

/* The clock may begin anywhere, and stand or go back a little. */
static void
any_time(void **state)
{
	static const int64_t times[] = {0, 1, 1000, INT64_MAX / 4096};

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		init(state);
		assert_int_equal(failed(v4(2, 1), times[i]), 500);
		assert_int_equal(failed(v4(2, 1), times[i]), 1000);
	}
	assert_int_equal(failed(v4(2, 1), times[3] - 2000), 2000);
}

static void
an_ipv6_client_is_its_64(void **state)
{
	(void)state;
	assert_int_equal(failed(v6(1, 1), 0), 500);
	assert_int_equal(failed(v6(1, 2), 0), 1000);
	assert_int_equal(failed(v6(1, 255), 0), 2000);
	assert_int_equal(failed(v6(2, 1), 0), 500);
}

static void
others_do_not_pay(void **state)
{
	unsigned first = 0;

	(void)state;
	for (int i = 0; i < 250; i++)
		first += failed(v4(2, (uint8_t)i), 0) == 500;
	for (unsigned i = 0; i < 250; i++)
		first += failed(v6(i, 1), 0) == 500;
	assert_true(first >= 499); /* tags have 20 bits */
}

/* A try is given back, and no more than that; also by another worker. */
static void
a_success_takes_back_itself(void **state)
{
	struct ipaddr a = v4(2, 1);

	(void)state;
	assert_int_equal(failed(a, 0), 500);
	auth_delay_address_back(&d, &a);
	assert_int_equal(failed(a, 0), 500);
	assert_int_equal(failed(a, 0), 1000);
	assert_int_equal(failed(a, 0), 2000);
	auth_delay_address_back(&other, &a);
	assert_int_equal(failed(a, 0), 2000);
	for (int i = 0; i < 10; i++)
		auth_delay_address_back(&d, &a);
	assert_int_equal(failed(a, 0), 500);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(login("a", 0), 0);
		auth_delay_login_back(&d, SPAN_LIT("a"));
	}
}

/* Four at once, as if each were a worker: none of them begins at zero. */
static void
workers_count_together(void **state)
{
	struct ipaddr a = v4(2, 1);
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid) {
			failed(a, 0);
			for (int k = 0; k < 5; k++)
				login("alice", 0);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		n++;
	assert_int_equal(n, 4);
	assert_int_equal(auth_delay_address(&d, &a, 0), 4000);
	assert_int_equal(auth_delay_address(&other, &a, 0), 4000);
	assert_int_equal(login("alice", 0), 1000); /* the 21st */
}

/* 65,536 networks of one attacker do not make us forget another one, who
 * goes on; nor do names that nobody has. */
static void
a_flood_hides_nobody(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < 100; i++)
		login("alice", 0);
	failed(v4(2, 1), 0);
	failed(v4(2, 1), 0);
	failed(v4(2, 1), 0);
	for (unsigned i = 0; i < 65536; i++) {
		failed(v6(i, 1), 1000 + i);
		snprintf(name, sizeof(name), "u%u", i);
		assert_int_equal(login(name, 1000 + i), 0);
		if (i % 256 == 0) {
			assert_int_equal(failed(v4(2, 1), 1000 + i), 4000);
			assert_int_equal(login("alice", 1000 + i), 4000);
		}
	}
}

/* Whose place one gets nobody can work out beforehand. */
static void
each_start_has_its_own_key(void **state)
{
	struct auth_delay before = d;

	init(state);
	assert_memory_not_equal(d.addresses.hash_key, before.addresses.hash_key,
	    SIPHASH_KEY_LEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(doubles_and_is_capped, init),
	    cmocka_unit_test_setup(a_login_is_slower, init),
	    cmocka_unit_test_setup(quiet_forgets, init),
	    cmocka_unit_test_setup(any_time, init),
	    cmocka_unit_test_setup(an_ipv6_client_is_its_64, init),
	    cmocka_unit_test_setup(others_do_not_pay, init),
	    cmocka_unit_test_setup(a_success_takes_back_itself, init),
	    cmocka_unit_test_setup(workers_count_together, init),
	    cmocka_unit_test_setup(a_flood_hides_nobody, init),
	    cmocka_unit_test_setup(each_start_has_its_own_key, init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
