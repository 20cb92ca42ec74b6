/*
 * Health: who tests when, what a test changes, and that all of it holds when
 * several processes do it at once. Time is an argument.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/dnsbl_health.h"

#define T0 1000000

static const struct dnsbl_zone zone = {.name = "bl.test"};

static struct shared_place *
new_place(void)
{
	return dnsbl_place(shared_new(), &zone);
}

static enum dnsbl_state
state_of(const struct shared_place *p)
{
	return dnsbl_view(p).state;
}

static enum dnsbl_news
good(struct shared_place *p, int64_t now)
{
	return dnsbl_test_done(p, DNSBL_TEST_GOOD, DNSBL_WELL, 0, now);
}

static enum dnsbl_news
bad(struct shared_place *p, enum dnsbl_fault fault, int64_t now)
{
	return dnsbl_test_done(p, DNSBL_TEST_BAD, fault, 0, now);
}

static enum dnsbl_news
missed(struct shared_place *p, int64_t now)
{
	return dnsbl_test_done(p, DNSBL_TEST_MISSED, DNSBL_WELL, 0, now);
}

/* One that was found to be good at this time. */
static struct shared_place *
good_since(int64_t now)
{
	struct shared_place *p = new_place();

	assert_true(dnsbl_test_due(p, now));
	assert_int_equal(good(p, now), DNSBL_NO_NEWS);
	return p;
}

static void
it_begins_untested(void **state)
{
	struct shared_place *p = new_place();

	(void)state;
	assert_int_equal(state_of(p), DNSBL_UNTESTED);
	assert_false(dnsbl_is_good(p, &zone));
	assert_int_equal(dnsbl_test_next(p, T0), T0);
	assert_true(dnsbl_test_due(p, T0));
	/* and it is one who tests */
	assert_false(dnsbl_test_due(p, T0));
	assert_false(dnsbl_test_due(p, T0 + DNSBL_AGAIN - 1));
	assert_int_equal(dnsbl_test_next(p, T0), T0 + DNSBL_AGAIN);
	/* who died meanwhile */
	assert_true(dnsbl_test_due(p, T0 + DNSBL_AGAIN));
	assert_int_equal(good(p, T0), DNSBL_NO_NEWS);
	assert_true(dnsbl_is_good(p, &zone));
}

static void
it_is_tested_hourly(void **state)
{
	static const struct {
		enum dnsbl_tested how;
		int64_t least, most;
	} rows[] = {
	    {DNSBL_TEST_GOOD, DNSBL_HOURLY / 10 * 9, DNSBL_HOURLY / 10 * 11},
	    {DNSBL_TEST_BAD, DNSBL_OFF_WAIT / 10 * 9, DNSBL_OFF_WAIT / 10 * 11},
	    {DNSBL_TEST_MISSED, DNSBL_AGAIN, DNSBL_AGAIN},
	    {DNSBL_TEST_UNASKED, DNSBL_AGAIN, DNSBL_AGAIN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (uint32_t r = 0; r < UINT32_MAX - 99999999; r += 99999999) {
			struct shared_place *p = new_place();
			int64_t next;

			dnsbl_test_done(p, rows[i].how,
			    rows[i].how == DNSBL_TEST_BAD ? DNSBL_PUBLIC
							  : DNSBL_WELL,
			    r, T0);
			next = dnsbl_test_next(p, T0);
			assert_in_range(next, T0 + rows[i].least,
			    T0 + rows[i].most);
			assert_false(dnsbl_test_due(p, next - 1));
			assert_true(dnsbl_test_due(p, next));
		}
}

static void
it_goes_off_and_on(void **state)
{
	struct shared_place *p = good_since(T0);
	struct dnsbl_view v;

	(void)state;
	assert_int_equal(bad(p, DNSBL_EVERYBODY, T0 + 1), DNSBL_IS_OFF);
	assert_false(dnsbl_is_good(p, &zone));
	/* said again when the reason is another, and hourly */
	assert_int_equal(bad(p, DNSBL_EVERYBODY, T0 + 2), DNSBL_NO_NEWS);
	assert_int_equal(bad(p, DNSBL_FOREIGN, T0 + 3), DNSBL_IS_OFF);
	v = dnsbl_view(p);
	assert_int_equal(v.state, DNSBL_OFF);
	assert_int_equal(v.fault, DNSBL_FOREIGN);
	assert_int_equal(v.since, T0 + 1);
	assert_int_equal(bad(p, DNSBL_FOREIGN, T0 + 2 + DNSBL_HOURLY),
	    DNSBL_NO_NEWS);
	assert_int_equal(bad(p, DNSBL_FOREIGN, T0 + 3 + DNSBL_HOURLY),
	    DNSBL_IS_OFF);
	assert_int_equal(bad(p, DNSBL_FOREIGN, T0 + 4 + DNSBL_HOURLY),
	    DNSBL_NO_NEWS);
	assert_int_equal(good(p, T0 + 5 + DNSBL_HOURLY), DNSBL_IS_ON);
	assert_true(dnsbl_is_good(p, &zone));
	assert_int_equal(dnsbl_view(p).fault, DNSBL_WELL);
	assert_int_equal(good(p, T0 + 6 + DNSBL_HOURLY), DNSBL_NO_NEWS);
	/* the next time it is said at once */
	assert_int_equal(bad(p, DNSBL_PUBLIC, T0 + 7 + DNSBL_HOURLY),
	    DNSBL_IS_OFF);
}

static void
silence_switches_off_late(void **state)
{
	struct shared_place *p = good_since(T0);

	(void)state;
	for (int i = 1; i < DNSBL_MISSES; i++) {
		assert_int_equal(missed(p, T0 + i), DNSBL_NO_NEWS);
		assert_int_equal(state_of(p), DNSBL_GOOD);
	}
	/* what was our own fault counts for nothing */
	for (int i = 0; i < 9; i++)
		assert_int_equal(dnsbl_test_done(p, DNSBL_TEST_UNASKED,
				     DNSBL_WELL, 0, T0 + 9),
		    DNSBL_NO_NEWS);
	assert_int_equal(missed(p, T0 + 10), DNSBL_IS_OFF);
	assert_int_equal(dnsbl_view(p).fault, DNSBL_SILENT);
	/* found again soon */
	assert_int_equal(dnsbl_test_next(p, T0 + 10), T0 + 10 + DNSBL_AGAIN);
	assert_int_equal(good(p, T0 + 11), DNSBL_IS_ON);
	/* they are counted anew */
	for (int i = 1; i < 3 * DNSBL_MISSES; i++) {
		if (i % DNSBL_MISSES)
			missed(p, T0 + 11);
		else
			good(p, T0 + 11);
		assert_int_equal(state_of(p), DNSBL_GOOD);
	}
	good(p, T0 + 11);
	/* one that was switched off for what it said stays so */
	bad(p, DNSBL_EVERYBODY, T0 + 12);
	for (int i = 0; i < 9; i++)
		missed(p, T0 + 13);
	assert_int_equal(dnsbl_view(p).fault, DNSBL_EVERYBODY);
	/* and from the start it is said, too */
	p = new_place();
	assert_int_equal(missed(p, T0), DNSBL_NO_NEWS);
	assert_int_equal(missed(p, T0), DNSBL_NO_NEWS);
	assert_int_equal(state_of(p), DNSBL_UNTESTED);
	assert_int_equal(missed(p, T0), DNSBL_IS_OFF);
}

static bool
heard(struct shared_place *p, enum dnsbl_said said, int64_t now, int times)
{
	for (int i = 1; i < times; i++)
		assert_false(dnsbl_heard(p, said, now));
	return dnsbl_heard(p, said, now);
}

static void
listings_want_a_test(void **state)
{
	struct shared_place *p = good_since(T0);

	(void)state;
	assert_false(heard(p, DNSBL_SAID_LISTED, T0 + 1, DNSBL_LISTINGS - 1));
	assert_false(dnsbl_heard(p, DNSBL_SAID_NOT, T0 + 1));
	assert_true(heard(p, DNSBL_SAID_LISTED, T0 + 2, DNSBL_LISTINGS));
	/* it is taken, and what comes meanwhile counts for the next */
	assert_false(dnsbl_test_due(p, T0 + 3));
	assert_false(heard(p, DNSBL_SAID_LISTED, T0 + 3, 100));
	assert_int_equal(good(p, T0 + 4), DNSBL_NO_NEWS);
	assert_int_equal(state_of(p), DNSBL_GOOD);
	assert_true(dnsbl_heard(p, DNSBL_SAID_LISTED, T0 + 5));
	/* who has taken it died */
	assert_false(heard(p, DNSBL_SAID_LISTED, T0 + 6, DNSBL_LISTINGS));
	assert_true(dnsbl_heard(p, DNSBL_SAID_LISTED, T0 + 5 + DNSBL_AGAIN));
	/* no codes and no errors break a row */
	p = good_since(T0);
	assert_false(heard(p, DNSBL_SAID_LISTED, T0, DNSBL_LISTINGS - 1));
	assert_false(heard(p, DNSBL_SAID_CODE, T0, DNSBL_ERRORS - 1));
	assert_true(dnsbl_heard(p, DNSBL_SAID_LISTED, T0));
}

/* Of a list in doubt nothing counts until it has answered. */
static void
doubt_without_an_answer(void **state)
{
	struct shared_place *p = good_since(T0);

	(void)state;
	assert_true(heard(p, DNSBL_SAID_LISTED, T0 + 1, DNSBL_LISTINGS));
	assert_int_equal(missed(p, T0 + 2), DNSBL_NO_NEWS);
	assert_int_equal(state_of(p), DNSBL_UNTESTED);
	assert_true(dnsbl_test_due(p, T0 + 2 + DNSBL_AGAIN));
	assert_int_equal(good(p, T0 + 3 + DNSBL_AGAIN), DNSBL_NO_NEWS);
	assert_int_equal(state_of(p), DNSBL_GOOD);
	/* the doubt is over */
	assert_int_equal(missed(p, T0 + 4 + DNSBL_AGAIN), DNSBL_NO_NEWS);
	assert_int_equal(state_of(p), DNSBL_GOOD);
}

static void
errors_want_a_test(void **state)
{
	static const enum dnsbl_said errors[] = {DNSBL_SAID_WRONG,
	    DNSBL_SAID_NOTHING, DNSBL_SAID_CODE};
	static const enum dnsbl_said fine[] = {DNSBL_SAID_NOT,
	    DNSBL_SAID_LISTED};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct shared_place *p = good_since(T0);

		for (size_t k = 0; k < 2; k++) {
			assert_false(heard(p, errors[i], T0, DNSBL_ERRORS - 1));
			assert_false(dnsbl_heard(p, fine[k], T0));
		}
		assert_false(heard(p, DNSBL_SAID_UNASKED, T0, 99));
		assert_true(heard(p, errors[i], T0, DNSBL_ERRORS));
		assert_false(heard(p, errors[i], T0, 99));
		/* it is no doubt in what it says */
		missed(p, T0);
		assert_int_equal(state_of(p), DNSBL_GOOD);
	}
}

static void
codes_are_said_hourly(void **state)
{
	struct shared_place *p = new_place();

	(void)state;
	assert_true(dnsbl_may_say_code(p, T0));
	assert_false(dnsbl_may_say_code(p, T0));
	assert_false(dnsbl_may_say_code(p, T0 + DNSBL_HOURLY - 1));
	assert_true(dnsbl_may_say_code(p, T0 + DNSBL_HOURLY));
}

static void
what_is_not_tested(void **state)
{
	static const struct dnsbl_zone untested = {.name = "bl.test",
	    .untested = true};
	struct shared *s = shared_new();

	(void)state;
	assert_null(dnsbl_place(s, &untested));
	assert_null(dnsbl_place(NULL, &zone));
	assert_true(dnsbl_is_good(NULL, &untested));
	assert_false(dnsbl_is_good(NULL, &zone));
	assert_int_equal(dnsbl_look(s, &untested).state, DNSBL_GOOD);
	assert_int_equal(dnsbl_look(s, &zone).state, DNSBL_UNTESTED);
	assert_false(dnsbl_test_due(NULL, T0));
	assert_int_equal(dnsbl_test_next(NULL, T0), T0 + DNSBL_HOURLY);
	assert_false(dnsbl_heard(NULL, DNSBL_SAID_LISTED, T0));
	assert_int_equal(bad(NULL, DNSBL_PUBLIC, T0), DNSBL_NO_NEWS);
	assert_false(dnsbl_may_say_code(NULL, T0));
}

/* Nothing in the mapping is trusted. */
static void
rubbish(void **state)
{
	struct shared_place *p = new_place();
	uint64_t w = 88172645463325252u;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		struct dnsbl_view v;

		w ^= w << 13;
		w ^= w >> 7;
		w ^= w << 17;
		p->words[0] = p->words[1] = p->words[2] = w;
		v = dnsbl_view(p);
		assert_true(v.state <= DNSBL_OFF && v.fault < DNSBL_FAULTS);
		assert_true(dnsbl_test_next(p, T0) <= T0 + 2 * DNSBL_HOURLY);
		for (int k = 0; k < 40; k++)
			dnsbl_heard(p, w >> k & 1, T0 + k);
		missed(p, T0);
		good(p, T0 + 1);
		assert_true(dnsbl_is_good(p, &zone));
	}
	/* a time that is too far away is none */
	p->words[0] = UINT64_MAX;
	assert_true(dnsbl_test_due(p, T0));
}

static void *
map_shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* In each of many rounds exactly one of all processes has the test. */
static void
one_of_all_tests(void **state)
{
	enum { ROUNDS = 2000, PROCESSES = 4 };
	struct shared_place *p = new_place();
	struct {
		_Atomic unsigned there, taken;
	} *rounds = map_shared(ROUNDS * sizeof(*rounds));
	int status;

	(void)state;
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			for (int r = 0; r < ROUNDS; r++) {
				rounds[r].there++;
				while (rounds[r].there < PROCESSES)
					sched_yield();
				rounds[r].taken += dnsbl_test_due(p,
				    T0 + (int64_t)r * DNSBL_AGAIN);
			}
			_exit(0);
		}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	for (int r = 0; r < ROUNDS; r++)
		assert_int_equal(rounds[r].taken, 1);
}

/* All listings count, whoever hears them: a test for each 20. */
static void
all_count_together(void **state)
{
	enum { EACH = 100000, PROCESSES = 4 };
	struct shared_place *p = good_since(T0);
	_Atomic unsigned *tests = map_shared(sizeof(*tests));
	int status;

	(void)state;
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0) {
			for (int r = 0; r < EACH; r++)
				if (dnsbl_heard(p, DNSBL_SAID_LISTED, T0)) {
					++*tests;
					good(p, T0);
				}
			_exit(0);
		}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	/* those that are heard during a test count once it is over */
	assert_in_range(*tests, 1, EACH * PROCESSES / DNSBL_LISTINGS);
	assert_true(dnsbl_is_good(p, &zone));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(it_begins_untested),
	    cmocka_unit_test(it_is_tested_hourly),
	    cmocka_unit_test(it_goes_off_and_on),
	    cmocka_unit_test(silence_switches_off_late),
	    cmocka_unit_test(listings_want_a_test),
	    cmocka_unit_test(doubt_without_an_answer),
	    cmocka_unit_test(errors_want_a_test),
	    cmocka_unit_test(codes_are_said_hourly),
	    cmocka_unit_test(what_is_not_tested),
	    cmocka_unit_test(rubbish),
	    cmocka_unit_test(one_of_all_tests),
	    cmocka_unit_test(all_count_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
