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
	    SHARED_UNPLACED_FILES, SHARED_HELD, SHARED_FREE_SPOOL};
	struct shared_reply_count replies[SHARED_REPLIES];
	struct shared *s = shared_new();

	(void)state;
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		shared_add(s, 3, levels[i], 1000);
		shared_add(s, 4, levels[i], 1);
	}
	shared_add(s, 3, SHARED_MESSAGES, 5);
	shared_observe(s, 3, SHARED_BATCH, COUNTER_BATCH, 3);
	shared_reply(s, 3, 550, SHARED_STATUS(5, 1, 1));
	shared_clear_slot(s, 3);
	assert_int_equal(shared_total(s, SHARED_BATCH + 2), 1);
	assert_int_equal(shared_replies(s, replies), 2);
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		assert_int_equal(shared_total(s, levels[i]), 1);
	assert_int_equal(shared_total(s, SHARED_MESSAGES), 5);
}

/* Of what everybody knows all, the largest is shown. */
static void
totals(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	shared_set(s, 0, SHARED_HELD, 7);
	shared_set(s, 0, SHARED_HELD, 5);
	shared_set(s, SHARED_MASTER, SHARED_HELD, 4);
	assert_int_equal(shared_total(s, SHARED_HELD), 9);
	assert_int_equal(shared_largest(s, SHARED_HELD), 5);
	assert_int_equal(shared_largest(s, SHARED_HELD_BYTES), 0);
	shared_add(NULL, 0, SHARED_HELD, 1);
	shared_set(NULL, 0, SHARED_HELD, 1);
	shared_reply(NULL, 0, 550, 0);
	shared_observe(NULL, 0, SHARED_COMMIT, COUNTER_SECONDS, 1);
}

/* A value is in the first bucket that it does not pass. */
static void
buckets(void **state)
{
	static const struct {
		uint64_t ns;
		unsigned bucket;
	} values[] = {{0, 0}, {100000, 0}, {100001, 1}, {1000000, 3},
	    {10000000000, 14}, {10000000001, 15}};
	struct shared *s = shared_new();
	int64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		unsigned at = SHARED_COMMIT + values[i].bucket;
		int64_t n = shared_total(s, at);

		shared_observe(s, (unsigned)i, SHARED_COMMIT, COUNTER_SECONDS,
		    values[i].ns);
		sum += (int64_t)values[i].ns;
		assert_int_equal(shared_total(s, at), n + 1);
		assert_int_equal(shared_total(s, SHARED_COMMIT_LAST), sum);
	}
}

static uint64_t
replied(const struct shared *s, unsigned code, uint32_t status)
{
	struct shared_reply_count r[SHARED_REPLIES];
	unsigned n = shared_replies(s, r);

	assert_in_range(n, 1, SHARED_REPLIES);
	while (n-- && (r[n].code != code || r[n].status != status))
		;
	return n < SHARED_REPLIES ? r[n].n : 0;
}

/* Whoever answers with ever new numbers is counted, and fills nothing. */
static void
replies_cannot_grow(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	assert_int_equal(replied(s, 0, 0), 0);
	shared_reply(s, 1, 550, SHARED_STATUS(5, 1, 1));
	shared_reply(s, 2, 550, SHARED_STATUS(5, 1, 1));
	shared_reply(s, 2, 550, 0);
	assert_int_equal(replied(s, 550, 0), 1);
	for (unsigned i = 0; i < 1000; i++)
		shared_reply(s, 1, 450, SHARED_STATUS(4, i, 999));
	shared_reply(s, 1, 550, SHARED_STATUS(5, 1, 1));
	assert_int_equal(replied(s, 550, SHARED_STATUS(5, 1, 1)), 3);
	assert_int_equal(replied(s, 450, SHARED_STATUS(4, 0, 999)), 1);
	assert_int_equal(replied(s, 450, SHARED_STATUS(4, 999, 999)), 0);
	assert_int_equal(replied(s, 0, 0), 1000 - 126 + 1);
	/* nor do many workers */
	for (unsigned i = 0; i < 1000; i++)
		shared_reply(s, i % SHARED_SLOTS, 451, SHARED_STATUS(4, i, i));
	assert_true(replied(s, 0, 0) > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_a_second_for_an_address),
	    cmocka_unit_test(ten_a_second_in_all),
	    cmocka_unit_test(what_was_left_out_at_the_end),
	    cmocka_unit_test(a_slot_is_cleared),
	    cmocka_unit_test(totals),
	    cmocka_unit_test(buckets),
	    cmocka_unit_test(replies_cannot_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
