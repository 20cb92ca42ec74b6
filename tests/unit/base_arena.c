/*
 * arena: that allocations are zeroed, aligned, apart from each other, and
 * gone when they should be.
 */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

/* Small ones, and around the sizes of the first chunks and the largest. */
static const size_t sizes[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 33, 100, 255, 512,
    976, 992, 1000, 1008, 1024, 1025, 2000, 2048, 4096, 10000, 65503, 65504,
    65536, 65537, 200000, 3, 1, 0, 24};
#define COUNT (sizeof(sizes) / sizeof(sizes[0]))

static void
assert_all(const char *p, size_t n, char c)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], c);
}

static void
zeroed_owns_nothing(void **state)
{
	struct arena a = {0};
	struct arena_mark m = arena_mark(&a);

	(void)state;
	arena_rewind(&a, m);
	arena_reset(&a);
	assert_null(a.chunks);
	assert_non_null(arena_alloc(&a, 0));
	assert_non_null(a.chunks);
	arena_reset(&a);
	assert_null(a.chunks);
	arena_reset(&a);
}

/* Everything stays what it was while all the others are written. */
static void
allocations_are_apart(void **state)
{
	struct arena a = {0};
	char *p[COUNT * 4];

	(void)state;
	for (size_t i = 0; i < COUNT * 4; i++) {
		p[i] = arena_alloc(&a, sizes[i % COUNT]);
		assert_int_equal((uintptr_t)p[i] % alignof(max_align_t), 0);
		assert_all(p[i], sizes[i % COUNT], 0);
		memset(p[i], (int)i % 127 + 1, sizes[i % COUNT]);
	}
	for (size_t i = 0; i < COUNT * 4; i++)
		assert_all(p[i], sizes[i % COUNT], (char)(i % 127 + 1));
	arena_reset(&a);
}

static void
empty_allocations_differ(void **state)
{
	struct arena a = {0};
	char *p = arena_alloc(&a, 0);
	char *q = arena_alloc(&a, 0);

	(void)state;
	assert_ptr_not_equal(p, q);
	arena_reset(&a);
}

static void
dup_copies_and_terminates(void **state)
{
	struct arena a = {0};
	char text[] = "to be copied";
	char *p, *q, *r;

	(void)state;
	p = arena_dup(&a, span_str(text));
	memset(text, 'x', sizeof(text));
	assert_string_equal(p, "to be copied");
	q = arena_dup(&a, SPAN_LIT("a\0b"));
	assert_memory_equal(q, "a\0b\0", 4);
	r = arena_dup(&a, (struct span){NULL, 0});
	assert_string_equal(r, "");
	assert_string_equal(p, "to be copied");
	arena_reset(&a);
}

/* A dup takes memory that may be dirty: the NUL must be written. */
static void
dup_over_old_bytes(void **state)
{
	struct arena a = {0};
	struct arena_mark m;
	char *p;

	(void)state;
	arena_alloc(&a, 1);
	m = arena_mark(&a);
	memset(arena_alloc(&a, 200), 'x', 200);
	arena_rewind(&a, m);
	p = arena_dup(&a, SPAN_LIT("new"));
	assert_string_equal(p, "new");
	arena_rewind(&a, m);
	memset(arena_alloc(&a, 200), 'x', 200);
	arena_rewind(&a, m);
	assert_all(arena_alloc(&a, 200), 200, 0);
	arena_reset(&a);
}

static void
rewind_keeps_what_is_older(void **state)
{
	(void)state;
	for (size_t before = 0; before < COUNT; before++) {
		struct arena a = {0};
		char *old = arena_alloc(&a, sizes[before]);
		struct arena_mark m = arena_mark(&a);
		struct arena_chunk *top = a.chunks;
		char *first, *again;

		memset(old, 'o', sizes[before]);
		first = arena_alloc(&a, 8);
		for (size_t i = 0; i < COUNT; i++)
			memset(arena_alloc(&a, sizes[i]), 'n', sizes[i]);
		arena_rewind(&a, m);
		assert_ptr_equal(a.chunks, top);
		assert_all(old, sizes[before], 'o');
		again = arena_alloc(&a, 8);
		if (a.chunks == top) /* it had room: the same place */
			assert_ptr_equal(first, again);
		assert_all(again, 8, 0);
		arena_reset(&a);
	}
}

static void
marks_nest(void **state)
{
	struct arena a = {0};
	struct arena_mark m[3];
	char *p[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		m[i] = arena_mark(&a);
		p[i] = arena_dup(&a, SPAN_LIT("level"));
		arena_alloc(&a, 5000);
	}
	arena_rewind(&a, m[2]);
	assert_string_equal(p[1], "level");
	arena_rewind(&a, m[2]); /* twice is once */
	assert_string_equal(p[1], "level");
	arena_rewind(&a, m[1]);
	assert_string_equal(p[0], "level");
	arena_rewind(&a, m[0]); /* taken while it was empty */
	assert_null(a.chunks);
}

/* A transaction of the usual size lives in one small chunk. */
static void
a_small_transaction_is_one_chunk(void **state)
{
	struct arena a = {0};
	struct arena_chunk *first;

	(void)state;
	arena_alloc(&a, 1);
	first = a.chunks;
	for (size_t i = 0; i < 10; i++)
		arena_alloc(&a, 32);
	assert_ptr_equal(a.chunks, first);
	arena_reset(&a);
}

#ifdef WITH_ASAN
/* The byte behind each allocation is off limits. */
static void
overflow_is_caught(void **state)
{
	struct arena a = {0};
	struct arena_mark m;
	char *p;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		p = arena_alloc(&a, sizes[i]);
		arena_alloc(&a, 1);
		assert_false(
		    sizes[i] && __asan_region_is_poisoned(p, sizes[i]));
		assert_true(__asan_address_is_poisoned(p + sizes[i]));
	}
	m = arena_mark(&a);
	p = arena_dup(&a, SPAN_LIT("abc"));
	assert_false(__asan_address_is_poisoned(p + 3));
	assert_true(__asan_address_is_poisoned(p + 4));
	arena_rewind(&a, m);
	assert_true(__asan_address_is_poisoned(p));
	arena_reset(&a);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(zeroed_owns_nothing),
	    cmocka_unit_test(allocations_are_apart),
	    cmocka_unit_test(empty_allocations_differ),
	    cmocka_unit_test(dup_copies_and_terminates),
	    cmocka_unit_test(dup_over_old_bytes),
	    cmocka_unit_test(rewind_keeps_what_is_older),
	    cmocka_unit_test(marks_nest),
	    cmocka_unit_test(a_small_transaction_is_one_chunk),
#ifdef WITH_ASAN
	    cmocka_unit_test(overflow_is_caught),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
