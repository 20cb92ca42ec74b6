/*
 * greylist: who is forgotten, in a set and in a flood; and that processes
 * leave nothing half written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "grey_rig.h"

/* --- one set --- */

static unsigned
set_of(const struct greylist_key *k)
{
	return siphash(t->hash_key, k->text, k->len) % SHARED_GREY_SETS;
}

/* The nth key of the set of number 0, from the beginning. */
static struct greylist_key
neighbour(unsigned n)
{
	static unsigned next = 1;
	static struct greylist_key found[32];
	static unsigned nfound;
	char name[32];

	assert_true(n < 32);
	while (nfound <= n) {
		snprintf(name, sizeof(name), "%u.example", next++);
		found[nfound] = key("192.0.2.1", name, "example.org");
		nfound += set_of(&found[nfound]) == 0;
	}
	return found[n];
}

static enum greylist_state
ask_nth(unsigned n, int64_t at)
{
	struct greylist_key k = neighbour(n);

	return greylist_ask(&lonely, t, &k, at).state;
}

static void
new_ones_go_first(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++)
		ask_nth(i, NOW + i * SECOND);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ask_nth(i, NOW + 2 * MINUTE), GREYLIST_BACK);
	ask_nth(8, NOW + 2 * MINUTE);  /* for 6, the older one */
	ask_nth(9, NOW + 2 * MINUTE);  /* for 7 */
	ask_nth(10, NOW + 3 * MINUTE); /* for one of those */
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(ask_nth(i, NOW + 4 * MINUTE), GREYLIST_PASSED);
	assert_int_equal(ask_nth(10, NOW + 4 * MINUTE), GREYLIST_BACK);
	assert_int_equal(ask_nth(6, NOW + 4 * MINUTE), GREYLIST_NEW);
}

static void
one_of_eight_that_passed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		ask_nth(i, NOW + i * SECOND);
		ask_nth(i, NOW + MINUTE + i * SECOND);
	}
	for (unsigned i = 8; i < 32; i++)
		assert_int_equal(ask_nth(i, NOW + 3 * MINUTE), GREYLIST_NEW);
	for (unsigned i = 1; i < 8; i++)
		assert_int_equal(ask_nth(i, NOW + 3 * MINUTE), GREYLIST_PASSED);
	assert_int_equal(ask_nth(0, NOW + 3 * MINUTE), GREYLIST_NEW);
}

static void
what_has_expired_goes_before_all(void **state)
{
	(void)state;
	ask_nth(0, NOW);
	ask_nth(0, NOW + MINUTE); /* passed, and expired then */
	for (unsigned i = 1; i < 8; i++)
		ask_nth(i, NOW + 36 * DAY);
	ask_nth(8, NOW + 37 * DAY);
	for (unsigned i = 1; i < 9; i++)
		assert_int_equal(ask_nth(i, NOW + 37 * DAY),
		    i == 8 ? GREYLIST_EARLY : GREYLIST_BACK);
}

/* --- a flood --- */

#define HALF  (SHARED_GREY_SETS * SHARED_CELLS_SET / 2)
#define FLOOD 10000000u

/* As long as most are. */
static struct greylist_key
number(uint32_t kind, uint32_t n)
{
	static const char rest[] = "0/24\n____.example.com\nmail.example.org";
	struct greylist_key k = {.who = 8, .len = 4 + sizeof(rest) - 1};

	memcpy(k.text, &kind, 4);
	memcpy(k.text + 4, rest, sizeof(rest) - 1);
	memcpy(k.text + 9, &n, 4);
	return k;
}

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static unsigned
passed_in(const struct shared_set *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SHARED_CELLS_SET; i++)
		n += (unsigned)(s->words[i] >> 39) & 1;
	return n;
}

static bool
holds(const struct shared_set *s, uint64_t word)
{
	for (unsigned i = 0; i < SHARED_CELLS_SET; i++)
		if (s->words[i] == word)
			return true;
	return false;
}

/* Tuples that have passed fill half of it; then there is a flood. */
static void
flood(void **state)
{
	struct shared_set *before = malloc(sizeof(t->sets));
	unsigned there = 0, lost = 0, taken = 0;
	int64_t ns;

	(void)state;
	assert_non_null(before);
	for (unsigned i = 0; i < HALF; i++) {
		struct greylist_key k = number(0, i);

		greylist_pass(&lonely, t, &k, NOW);
	}
	memcpy(before, t->sets, sizeof(t->sets));
	ns = now_ns();
	for (unsigned i = 0; i < FLOOD; i++) {
		struct greylist_key k = number(1, i);

		taken += greylist_ask(&lonely, t, &k, NOW + i).state >
			 GREYLIST_EARLY;
	}
	ns = now_ns() - ns;
	for (unsigned i = 0; i < SHARED_GREY_SETS; i++) {
		unsigned gone = 0;

		for (unsigned w = 0; w < SHARED_CELLS_SET; w++) {
			uint64_t word = before[i].words[w];

			if (!(word >> 39 & 1))
				continue;
			there++;
			gone += !holds(&t->sets[i], word);
		}
		if (gone != (passed_in(&before[i]) == 8))
			fail_msg("set %u: %u of %u lost", i, gone,
			    passed_in(&before[i]));
		lost += gone;
	}
	free(before);
	print_message("%u new ones pushed out %u of %u that passed: %.2f %%; "
		      "%u were taken for others; %.0f ns each\n",
	    FLOOD, lost, there, 100.0 * lost / there, taken,
	    (double)ns / FLOOD);
	assert_true(lost * 50 < there);
}

/* --- processes --- */

#define PROCESSES 4
#define TIMES     1000000

/* In a corner of it, where they meet. */
static void
hammer(unsigned seed)
{
	for (unsigned i = 0; i < TIMES; i++) {
		uint32_t r = (uint32_t)rand_r(&seed);
		struct greylist_key k = number(r >> 20 & 7, r & 4095);
		int64_t at = NOW + (r >> 12 & 255) * SECOND;
		struct greylist_answer a;

		if (i % 16 == 0) {
			greylist_pass(&usual, t, &k, at);
			continue;
		}
		a = greylist_ask(i % 2 ? &usual : &lonely, t, &k, at);
		if (a.state > GREYLIST_KNOWN || a.wait > 60 || a.passed > 127)
			_exit(1);
	}
}

/* Each word is one of those that somebody could have written. */
static void
processes(void **state)
{
	pid_t pids[PROCESSES];
	unsigned used = 0;

	(void)state;
	for (unsigned i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			hammer(i);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (unsigned i = 0; i < SHARED_GREY_SETS; i++)
		for (unsigned w = 0; w < SHARED_CELLS_SET; w++) {
			uint64_t word = t->sets[i].words[w];

			if (!word)
				continue;
			used++;
			assert_in_range((uint32_t)word, NOW / 1000,
			    NOW / 1000 + 255);
		}
	assert_in_range(used, 8 * 4096 / 2, 8 * 4096 * 2);
	for (unsigned i = 0; i < 8 * 4096; i++) {
		struct greylist_key k = number(i >> 12, i & 4095);

		greylist_ask(&lonely, t, &k, NOW + 400 * SECOND);
		assert_int_equal(greylist_ask(&lonely, t, &k,
				     NOW + 500 * SECOND)
				     .state,
		    GREYLIST_PASSED);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_table, close_table)
	const struct CMUnitTest tests[] = {
	    TEST(new_ones_go_first),
	    TEST(one_of_eight_that_passed),
	    TEST(what_has_expired_goes_before_all),
	    TEST(flood),
	    TEST(processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
