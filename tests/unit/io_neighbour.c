/*
 * Places in the mapping: who has one, who may take it, and what goes with a
 * worker.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "io/neighbour.h"

static struct neighbour *
opened(struct shared *s, unsigned slot, const char *name)
{
	return neighbour_open(s, slot, NEIGHBOUR_ROUTE, name, 5000);
}

static void
all_workers_count_together(void **state)
{
	struct shared *s = shared_new();
	struct neighbour *a = opened(s, 0, "a"), *b = opened(s, 0, "b");

	(void)state;
	assert_non_null(a);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(opened(s, 62, "a"), a);
	neighbour_use(a, 0, 1);
	neighbour_use(a, 62, 1);
	neighbour_use(a, 62, 1);
	assert_int_equal(neighbour_in_use(a), 3);
	assert_int_equal(neighbour_in_use(b), 0);
	neighbour_use(a, 62, -1);
	assert_int_equal(neighbour_in_use(a), 2);
	shared_clear_slot(s, 62);
	assert_int_equal(neighbour_in_use(a), 1);
}

static void
what_the_master_sees(void **state)
{
	struct shared *s = shared_new();
	struct neighbour *a = opened(s, 3, "a");
	struct neighbour_view v;

	(void)state;
	opened(s, 4, "a");
	opened(s, 5, "a");
	neighbour_set(a, 4, NEIGHBOUR_DOWN, NEIGHBOUR_SILENT, 7000);
	neighbour_set(a, 5, NEIGHBOUR_DOWN, NEIGHBOUR_NO_TLS, 6000);
	v = neighbour_look(s, NEIGHBOUR_ROUTE, "a");
	assert_int_equal(v.workers, 3);
	assert_int_equal(v.down, 2);
	assert_int_equal(v.error, NEIGHBOUR_NO_TLS);
	assert_int_equal(v.since, 6000);
	assert_int_equal(v.in_use, 0);
	neighbour_use(a, 4, 2);
	neighbour_use(a, 5, 1);
	assert_int_equal(neighbour_look(s, NEIGHBOUR_ROUTE, "a").in_use, 3);
	neighbour_set(a, 5, NEIGHBOUR_UP, NEIGHBOUR_NO_ERROR, 8000);
	shared_clear_slot(s, 4);
	v = neighbour_look(s, NEIGHBOUR_ROUTE, "a");
	assert_int_equal(v.workers, 2);
	assert_int_equal(v.down, 0);
	assert_int_equal(v.since, 0);
	assert_int_equal(neighbour_look(s, NEIGHBOUR_ROUTE, "c").workers, 0);
	for (int e = 0; e < NEIGHBOUR_ERRORS; e++)
		assert_non_null(neighbour_errors[e]);
}

/* A configuration may be reloaded for ever, each time with other names. */
static void
a_place_is_taken_anew(void **state)
{
	struct shared *s = shared_new();
	struct neighbour *n, *kept = opened(s, 1, "kept");
	char name[16];

	(void)state;
	for (int i = 0; i < 10 * NEIGHBOURS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		n = opened(s, 0, name);
		assert_non_null(n);
		neighbour_use(n, 0, 1);
		neighbour_close(n, 0);
	}
	assert_int_equal(neighbour_look(s, NEIGHBOUR_ROUTE, "kept").workers, 1);
	assert_ptr_equal(opened(s, 2, "kept"), kept);
}

static void
no_place_is_no_fault(void **state)
{
	struct shared *s = shared_new();
	struct neighbour *n;
	char name[16];

	(void)state;
	for (int i = 0; i < NEIGHBOURS; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_non_null(opened(s, (unsigned)i % 3, name));
	}
	n = opened(s, 0, "more");
	assert_null(n);
	assert_null(opened(NULL, 0, "alone"));
	neighbour_use(n, 0, 1);
	neighbour_set(n, 0, NEIGHBOUR_DOWN, NEIGHBOUR_SILENT, 1);
	assert_int_equal(neighbour_in_use(n), 0);
	neighbour_close(n, 0);
	shared_clear_slot(s, 1);
	assert_non_null(opened(s, 0, "more"));
}

#define ROUNDS 200

struct beginner {
	struct shared *(*all)[ROUNDS];
	unsigned slot;
	atomic_uint *ready; /* no barrier: that wakes one late */
	struct neighbour *places[ROUNDS];
};

static void *
begin(void *arg)
{
	struct beginner *b = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		for (++*b->ready; *b->ready < 2 * (i + 1);)
			;
		b->places[i] = opened((*b->all)[i], b->slot, "a");
	}
	return NULL;
}

/* Who has a place of its own has connections of its own. */
static void
two_that_begin_at_once(void **state)
{
	struct shared *all[ROUNDS];
	atomic_uint ready = 0;
	pthread_t thread;
	struct beginner one = {&all, 0, &ready, {0}},
			two = {&all, 1, &ready, {0}};

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_non_null(all[i] = shared_new());
	pthread_create(&thread, NULL, begin, &one);
	begin(&two);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < ROUNDS; i++)
		assert_ptr_equal(one.places[i], two.places[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(two_that_begin_at_once),
	    cmocka_unit_test(all_workers_count_together),
	    cmocka_unit_test(what_the_master_sees),
	    cmocka_unit_test(a_place_is_taken_anew),
	    cmocka_unit_test(no_place_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
