/*
 * FAULT A9: one number for a key in all processes. Nothing that is counted
 * is lost, the right one is forgotten, and rubbish is only wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/siphash.h"
#include "io/shared_cells.h"

static const uint8_t hash_key[SIPHASH_KEY_LEN] = "drawn by master";
static struct shared_cells cells;

static int
open_cells(void **state)
{
	(void)state;
	cells = (struct shared_cells){.hash_key = hash_key, .nsets = 64};
	cells.sets = mmap(NULL, cells.nsets * sizeof(*cells.sets),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(cells.sets, MAP_FAILED);
	return 0;
}

static int
close_cells(void **state)
{
	(void)state;
	return munmap(cells.sets, 64 * sizeof(*cells.sets));
}

static uint64_t
itself(uint64_t value)
{
	return value;
}

static struct span
key(const unsigned *n)
{
	return (struct span){(const char *)n, sizeof(*n)};
}

static uint64_t
get(unsigned n)
{
	struct shared_cell at;

	return shared_cells_find(&cells, key(&n), itself, &at);
}

static bool
put(unsigned n, uint64_t value)
{
	struct shared_cell at;

	shared_cells_find(&cells, key(&n), itself, &at);
	return shared_cells_put(&at, value);
}

static void
values(void **state)
{
	(void)state;
	assert_int_equal(get(1), 0);
	assert_true(put(1, 7));
	assert_true(put(2, SHARED_CELLS_VALUE));
	assert_int_equal(get(1), 7);
	assert_int_equal(get(2), SHARED_CELLS_VALUE);
	assert_int_equal(get(3), 0);
	assert_true(put(1, SHARED_CELLS_VALUE + 1 + 9)); /* never the tag */
	assert_int_equal(get(1), 9);
	assert_true(put(1, 0));
	assert_int_equal(get(1), 0);
	assert_int_equal(get(2), SHARED_CELLS_VALUE);
}

static void
one_of_two_looks_again(void **state)
{
	struct shared_cell a, b;
	unsigned n = 1;

	(void)state;
	shared_cells_find(&cells, key(&n), itself, &a);
	shared_cells_find(&cells, key(&n), itself, &b);
	assert_true(shared_cells_put(&a, 5));
	assert_false(shared_cells_put(&b, 6));
	assert_int_equal(shared_cells_find(&cells, key(&n), itself, &b), 5);
	assert_true(shared_cells_put(&b, 6));
	assert_int_equal(get(1), 6);
}

/* In one set: eight fit, the ninth replaces what is worth least. */
static void
the_least_is_replaced(void **state)
{
	(void)state;
	cells.nsets = 1;
	for (unsigned n = 1; n <= 8; n++)
		assert_true(put(n, n == 5 ? 10 : 100 + n));
	for (unsigned n = 1; n <= 8; n++)
		assert_int_equal(get(n), n == 5 ? 10 : 100 + n);
	assert_true(put(9, 200));
	assert_int_equal(get(5), 0);
	assert_int_equal(get(9), 200);
	assert_true(put(10, 201));
	assert_int_equal(get(1), 0);
	assert_int_equal(get(2), 102);
	assert_true(put(2, 0)); /* a free one goes first */
	assert_true(put(11, 1));
	for (unsigned n = 3; n <= 11; n++)
		assert_int_equal(get(n) != 0, n != 5);
}

/* Whoever is counted again and again outlives any number of others. */
static void
a_flood_forgets_the_idle(void **state)
{
	uint64_t now = 1;

	(void)state;
	cells.nsets = 4;
	for (unsigned n = 1000; n < 100000; n++) {
		assert_true(put(n, now++));
		if (n % 4 == 0) {
			assert_true(n == 1000 || get(1));
			assert_true(put(1, now++));
		}
	}
}

/* Whatever stands in the mapping. */
static void
rubbish(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		for (unsigned i = 0; i < cells.nsets; i++)
			for (unsigned k = 0; k < SHARED_CELLS_SET; k++)
				cells.sets[i].words[k] =
				    round ? (uint64_t)random() << 40 ^
						(uint64_t)random()
					  : UINT64_MAX;
		for (unsigned n = 0; n < 1000; n++) {
			assert_true(get(n) <= SHARED_CELLS_VALUE);
			assert_true(put(n, n + 1));
			assert_int_equal(get(n), n + 1);
		}
	}
}

#define PROCESSES 4
#define KEYS      16
#define TIMES     100000

static void
count(void)
{
	for (unsigned i = 0; i < TIMES; i++) {
		unsigned n = i % KEYS;
		struct shared_cell at;
		uint64_t was;

		do
			was = shared_cells_find(&cells, key(&n), itself, &at);
		while (!shared_cells_put(&at, was + 1));
	}
}

static void
processes_lose_nothing(void **state)
{
	pid_t pids[PROCESSES];
	uint64_t total = 0;

	(void)state;
	for (unsigned n = 0; n < KEYS; n++) /* no race for the first place */
		assert_true(put(n, 1));
	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			count();
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (unsigned n = 0; n < KEYS; n++)
		total += get(n) - 1;
	assert_int_equal(total, PROCESSES * TIMES);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_cells, close_cells)
	const struct CMUnitTest tests[] = {
	    TEST(values),
	    TEST(one_of_two_looks_again),
	    TEST(the_least_is_replaced),
	    TEST(a_flood_forgets_the_idle),
	    TEST(rubbish),
	    TEST(processes_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
