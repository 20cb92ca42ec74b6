/*
 * Words for names: everybody finds the same, nobody what another name left,
 * and those that are of use stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/shared.h"

static uint64_t
worth(const struct shared_place *p)
{
	return p->words[0];
}

static struct shared_place *
place(struct shared *s, const char *name)
{
	struct shared_place *p = shared_place(s, span_str(name), worth);

	assert_non_null(p);
	return p;
}

static void
a_name_has_one(void **state)
{
	struct shared *s = shared_new();

	(void)state;
	assert_null(shared_place_look(s, span_str("a")));
	place(s, "a")->words[0] = 5;
	place(s, "b")->words[6] = 7;
	assert_int_equal(place(s, "a")->words[0], 5);
	assert_int_equal(place(s, "a")->words[6], 0);
	assert_int_equal(place(s, "b")->words[6], 7);
	assert_ptr_equal(shared_place_look(s, span_str("b")), place(s, "b"));
}

/* A configuration may be reloaded for ever, each time with other names. */
static void
what_is_worth_least_goes(void **state)
{
	struct shared *s = shared_new();
	char name[16];

	(void)state;
	place(s, "kept")->words[0] = UINT64_MAX;
	for (unsigned i = 1; i < 10 * SHARED_PLACES; i++) {
		struct shared_place *p;

		snprintf(name, sizeof(name), "%u", i);
		p = place(s, name);
		for (unsigned k = 0; k < SHARED_PLACE_WORDS; k++) {
			assert_int_equal(p->words[k], 0);
			p->words[k] = i;
		}
	}
	assert_int_equal(place(s, "kept")->words[0], UINT64_MAX);
	assert_null(shared_place_look(s, span_str("1")));
	assert_int_equal(place(s, name)->words[0], 10 * SHARED_PLACES - 1);
}

/* More names than places, over and over. */
static void
fight(struct shared *s)
{
	char name[16];

	for (unsigned i = 0; i < 20000; i++) {
		struct shared_place *p;

		snprintf(name, sizeof(name), "%u", i * 7919 % 100);
		p = shared_place(s, span_str(name), worth);
		if (p)
			p->words[0]++;
	}
}

static void
processes_fight(void **state)
{
	struct shared *s = shared_new();
	int status;

	(void)state;
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			fight(s);
			_exit(0);
		}
	while (wait(&status) > 0)
		assert_int_equal(status, 0);
	for (unsigned i = 0; i < SHARED_PLACES; i++)
		assert_true(shared_places(s)[i].hash > 1);
	place(s, "after")->words[1] = 1;
	assert_int_equal(place(s, "after")->words[1], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_has_one),
	    cmocka_unit_test(what_is_worth_least_goes),
	    cmocka_unit_test(processes_fight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
