/*
 * The names in a cur/: each is found by what is before its ':'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "dest/place_listing.h"

static struct place_listing l;

static int
finish(void **state)
{
	(void)state;
	place_listing_free(&l);
	return 0;
}

static void
test_flags(void **state)
{
	(void)state;
	assert_null(place_listing_find(&l, "a"));
	place_listing_add(&l, "a:2,S");
	place_listing_add(&l, "ab");
	place_listing_add(&l, "abc:2,:2,F");
	place_listing_add(&l, ":2,");
	assert_string_equal(place_listing_find(&l, "a"), "a:2,S");
	assert_string_equal(place_listing_find(&l, "a:1,x"), "a:2,S");
	assert_string_equal(place_listing_find(&l, "ab"), "ab");
	assert_string_equal(place_listing_find(&l, "abc"), "abc:2,:2,F");
	assert_string_equal(place_listing_find(&l, ""), ":2,");
	assert_null(place_listing_find(&l, "abcd"));
	assert_null(place_listing_find(&l, "A"));
	place_listing_free(&l);
	assert_null(place_listing_find(&l, "a"));
}

/* A file that was renamed while its directory was read. */
static void
test_twice(void **state)
{
	(void)state;
	place_listing_add(&l, "a");
	place_listing_add(&l, "a:2,S");
	assert_string_equal(place_listing_find(&l, "a"), "a:2,S");
}

static void
test_many(void **state)
{
	char name[32], entry[40];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(entry, sizeof(entry), "%d.%d:2,S", i % 7, i);
		place_listing_add(&l, entry);
	}
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d.%d", i % 7, i);
		snprintf(entry, sizeof(entry), "%s:2,S", name);
		assert_string_equal(place_listing_find(&l, name), entry);
		snprintf(name, sizeof(name), "%d.%d", (i + 1) % 7, i);
		assert_null(place_listing_find(&l, name));
	}
}

#define T(f) cmocka_unit_test_teardown(f, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_flags),
	    T(test_twice),
	    T(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
