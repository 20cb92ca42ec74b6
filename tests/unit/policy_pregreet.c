/*
 * Who spoke before the greeting, and who is remembered for waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/check.h"
#include "policy/pregreet.h"

#define DAY (INT64_C(24) * 3600 * 1000)

static enum verdict_kind
judge(bool early)
{
	const struct door_subject subject = {.early = early};
	const struct check_case c = {.subject = &subject};
	struct verdict v = {0};

	pregreet_judge(&c, &v);
	if (v.kind != VERDICT_PASS)
		assert_int_equal(v.code, 550);
	return v.kind;
}

static void
only_who_speaks_first(void **state)
{
	(void)state;
	assert_int_equal(judge(false), VERDICT_PASS);
	assert_int_equal(judge(true), VERDICT_REJECT);
}

static struct ipaddr
address(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(span_str(text), &a), 0);
	return a;
}

static void
an_address_is_remembered_for_a_day(void **state)
{
	struct shared *s = shared_new();
	const struct ipaddr a = address("192.0.2.1"), b = address("192.0.2.2");
	const struct ipaddr six = address("2001:db8::1");
	const struct ipaddr same = address("2001:db8::2");

	(void)state;
	assert_false(pregreet_has_waited(s, &a, 1000));
	pregreet_waited(s, &a, 1000);
	pregreet_waited(s, &six, 1000);
	assert_true(pregreet_has_waited(s, &a, 1000));
	assert_false(pregreet_has_waited(s, &b, 1000));
	assert_true(pregreet_has_waited(s, &same, 1000));
	assert_true(pregreet_has_waited(s, &a, 999 + DAY));
	assert_false(pregreet_has_waited(s, &a, 1000 + DAY));
	pregreet_waited(s, &a, 5000 + DAY);
	assert_true(pregreet_has_waited(s, &a, 5000 + DAY));
}

/* More than there is room for: the last ones are known. */
static void
the_first_are_forgotten_first(void **state)
{
	struct shared *s = shared_new();
	unsigned known = 0;

	(void)state;
	for (uint32_t i = 0; i < 65536; i++) {
		struct ipaddr a = ipaddr_v4((uint8_t *)&i);

		pregreet_waited(s, &a, 1000 + i);
		assert_true(pregreet_has_waited(s, &a, 1000 + i));
	}
	for (uint32_t i = 0; i < 65536; i++) {
		struct ipaddr a = ipaddr_v4((uint8_t *)&i);

		known += pregreet_has_waited(s, &a, 70000);
	}
	assert_in_range(known, 8000, 8400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_who_speaks_first),
	    cmocka_unit_test(an_address_is_remembered_for_a_day),
	    cmocka_unit_test(the_first_are_forgotten_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
