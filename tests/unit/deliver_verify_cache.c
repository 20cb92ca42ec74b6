/*
 * What is remembered of a server's recipients, for how long, and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/verify_cache.h"

#define NOW    5000
#define MINUTE 60000

static struct verify_cache *c;
static const struct smtp_reply busy = {450, "4.2.1", "Busy"};
static const struct smtp_reply nobody = {550, "5.1.1", "Nobody"};

static int
setup(void **state)
{
	(void)state;
	c = verify_cache_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	verify_cache_free(&c);
	verify_cache_free(&c);
	return 0;
}

static enum fate
find(const char *to, int64_t now)
{
	const struct smtp_reply *r = &busy;
	enum fate f = verify_cache_find(c, to, now, &r);

	assert_int_equal(r != NULL, f == FATE_REFUSED || f == FATE_AGAIN);
	return f;
}

static void
each_has_its_time(void **state)
{
	(void)state;
	verify_cache_put(c, "yes", NOW, FATE_TAKEN, NULL);
	verify_cache_put(c, "no", NOW, FATE_REFUSED, &nobody);
	verify_cache_put(c, "later", NOW, FATE_AGAIN, &busy);
	assert_int_equal(find("yes", NOW), FATE_TAKEN);
	assert_int_equal(find("yes", NOW + 10 * MINUTE - 1), FATE_TAKEN);
	assert_int_equal(find("yes", NOW + 10 * MINUTE), FATE_NONE);
	assert_int_equal(find("no", NOW + MINUTE - 1), FATE_REFUSED);
	assert_int_equal(find("no", NOW + MINUTE), FATE_NONE);
	assert_int_equal(find("later", NOW + 9999), FATE_AGAIN);
	assert_int_equal(find("later", NOW + 10000), FATE_NONE);
	assert_int_equal(find("YES", NOW), FATE_NONE);
	assert_int_equal(find("", NOW), FATE_NONE);
}

/* The last word counts, for its own time. */
static void
it_changes(void **state)
{
	(void)state;
	verify_cache_put(c, "a", NOW, FATE_TAKEN, NULL);
	verify_cache_put(c, "a", NOW + 1, FATE_REFUSED, &nobody);
	assert_int_equal(find("a", NOW + MINUTE), FATE_REFUSED);
	assert_int_equal(find("a", NOW + MINUTE + 1), FATE_NONE);
	verify_cache_put(c, "a", NOW + 2, FATE_TAKEN, NULL);
	assert_int_equal(find("a", NOW + 10 * MINUTE + 1), FATE_TAKEN);
}

/* What is no answer about a recipient is none. */
static void
it_forgets(void **state)
{
	static const enum fate fates[] = {FATE_NONE, FATE_DOWN, FATE_LOST};

	(void)state;
	for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++) {
		verify_cache_put(c, "a", NOW, fates[i], &busy);
		assert_int_equal(find("a", NOW), FATE_NONE);
		verify_cache_put(c, "a", NOW, FATE_TAKEN, NULL);
		verify_cache_put(c, "b", NOW, FATE_TAKEN, NULL);
		verify_cache_put(c, "a", NOW, fates[i], &busy);
		assert_int_equal(find("a", NOW), FATE_NONE);
		assert_int_equal(find("b", NOW), FATE_TAKEN);
	}
	/* nor is a no without words */
	verify_cache_put(c, "b", NOW, FATE_REFUSED, NULL);
	assert_int_equal(find("b", NOW), FATE_NONE);
}

static void
put_copied(const char *status)
{
	char words[] = "Over quota", code[] = "5.2.2", to[] = "a";
	const struct smtp_reply r = {552, status ? code : NULL, words};

	verify_cache_put(c, to, NOW, FATE_REFUSED, &r);
	memset(words, 'x', sizeof(words) - 1);
	memset(code, 'x', sizeof(code) - 1);
	memset(to, 'x', sizeof(to) - 1);
}

static void
words_are_copied(void **state)
{
	const struct smtp_reply *r;

	(void)state;
	put_copied("");
	assert_int_equal(verify_cache_find(c, "a", NOW, &r), FATE_REFUSED);
	assert_int_equal(r->code, 552);
	assert_string_equal(r->status, "5.2.2");
	assert_string_equal(r->text, "Over quota");
	put_copied(NULL);
	assert_int_equal(verify_cache_find(c, "a", NOW, &r), FATE_REFUSED);
	assert_null(r->status);
	assert_string_equal(r->text, "Over quota");
}

static void
put_many(unsigned from, unsigned to)
{
	char name[16];

	for (; from < to; from++) {
		snprintf(name, sizeof(name), "u%u", from);
		verify_cache_put(c, name, NOW, FATE_REFUSED, &nobody);
	}
}

/* Who guesses names costs no more memory than this. */
static void
the_oldest_goes(void **state)
{
	(void)state;
	put_many(0, VERIFY_CACHE_MAX);
	assert_int_equal(find("u0", NOW), FATE_REFUSED);
	/* one that is there takes no place, and is the youngest then */
	put_many(0, 1);
	assert_int_equal(find("u1", NOW), FATE_REFUSED);
	put_many(VERIFY_CACHE_MAX, VERIFY_CACHE_MAX + 1);
	assert_int_equal(find("u0", NOW), FATE_REFUSED);
	assert_int_equal(find("u1", NOW), FATE_NONE);
	assert_int_equal(find("u2", NOW), FATE_REFUSED);
	assert_int_equal(find("u4096", NOW), FATE_REFUSED);
	/* nor does what is forgotten */
	verify_cache_put(c, "u2", NOW, FATE_NONE, NULL);
	put_many(VERIFY_CACHE_MAX + 1, VERIFY_CACHE_MAX + 2);
	assert_int_equal(find("u3", NOW), FATE_REFUSED);
	put_many(VERIFY_CACHE_MAX + 2, 3 * VERIFY_CACHE_MAX);
	assert_int_equal(find("u3", NOW), FATE_NONE);
	assert_int_equal(find("u8192", NOW), FATE_REFUSED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_has_its_time),
	    T(it_changes),
	    T(it_forgets),
	    T(words_are_copied),
	    T(the_oldest_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
