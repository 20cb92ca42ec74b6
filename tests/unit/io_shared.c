/*
 * Which of many lines about clients are written, over all workers; and what
 * of a worker's share outlives it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/shared.h"

#define BEGIN 5000000

static struct ipaddr
v4(uint8_t last)
{
	const uint8_t b[4] = {192, 0, 2, last};

	return ipaddr_v4(b);
}

/* FAULT A2: a flood of one address has one line a second. */
static void
one_a_second_for_an_address(void **state)
{
	struct shared *s = shared_new();
	struct ipaddr a = v4(1), b = v4(2);
	uint64_t n;

	(void)state;
	assert_true(shared_may_log(s, &a, BEGIN, &n));
	assert_int_equal(n, 0);
	for (int ms = 0; ms < 1000; ms++)
		assert_false(shared_may_log(s, &a, BEGIN + ms, &n));
	assert_true(shared_may_log(s, &b, BEGIN + 999, &n));
	assert_int_equal(n, 1000);
	assert_true(shared_may_log(s, &a, BEGIN + 1000, &n));
	assert_int_equal(n, 0);
	/* another worker's clock may be a little behind */
	assert_false(shared_may_log(s, &a, BEGIN + 990, &n));
}

/* FAULT A2: and one of many addresses ten. */
static void
ten_a_second_in_all(void **state)
{
	struct shared *s = shared_new();
	uint64_t n, sum = 0;
	int lines = 0;

	(void)state;
	for (int ms = 0; ms < 2000; ms++) {
		struct ipaddr a = v4((uint8_t)(ms / 8));

		if (!shared_may_log(s, &a, BEGIN + ms, &n))
			continue;
		sum += n;
		lines++;
	}
	assert_int_equal(lines, 20);
	assert_true(shared_may_log(s, NULL, BEGIN + 2000, &n));
	assert_int_equal(sum + n + 20, 2000);
}

/* The last ones are told alone, and nothing when there are none. */
static void
what_was_left_out_at_the_end(void **state)
{
	struct shared *s = shared_new();
	struct ipaddr a = v4(1);
	uint64_t n;

	(void)state;
	assert_false(shared_may_log(s, NULL, BEGIN, &n));
	assert_true(shared_may_log(s, &a, BEGIN, &n));
	assert_false(shared_may_log(s, NULL, BEGIN + 5000, &n));
	assert_true(shared_may_log(s, &a, BEGIN + 5000, &n));
	assert_false(shared_may_log(s, &a, BEGIN + 5001, &n));
	assert_true(shared_may_log(s, NULL, BEGIN + 5002, &n));
	assert_int_equal(n, 1);
	assert_false(shared_may_log(s, NULL, BEGIN + 5003, &n));
}

/* FAULT F6: a worker that died gives back what it had, and counts only. */
static void
a_slot_is_cleared(void **state)
{
	static const enum shared_counter levels[] = {SHARED_SESSIONS,
	    SHARED_REFUSING, SHARED_JOURNAL, SHARED_UNPLACED,
	    SHARED_UNPLACED_FILES};
	struct shared *s = shared_new();

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		shared_add(s, 3, levels[i], 1000);
		shared_add(s, 4, levels[i], 1);
	}
	shared_add(s, 3, SHARED_MESSAGES, 5);
	shared_clear_slot(s, 3);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		assert_int_equal(shared_total(s, levels[i]), 1);
	assert_int_equal(shared_total(s, SHARED_MESSAGES), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_a_second_for_an_address),
	    cmocka_unit_test(ten_a_second_in_all),
	    cmocka_unit_test(what_was_left_out_at_the_end),
	    cmocka_unit_test(a_slot_is_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
