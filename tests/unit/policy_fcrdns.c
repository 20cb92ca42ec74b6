/*
 * Who has no reverse name: a table of what is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/check.h"

static struct verdict
judge(enum fact_name is, const char *name)
{
	struct facts facts = {.known = FACT_NAME, .name = is};
	const struct check_case c = {.facts = &facts};
	struct verdict v = {0};

	strncpy(facts.client_name, name, sizeof(facts.client_name) - 1);
	fcrdns_judge(&c, &v);
	return v;
}

static void
names(void **state)
{
	static const struct {
		enum fact_name is;
		enum verdict_kind kind;
		const char *value;
	} rows[] = {
	    {NAME_UNKNOWN, VERDICT_PASS, "unknown"},
	    {NAME_NONE, VERDICT_REJECT, "none"},
	    {NAME_UNCONFIRMED, VERDICT_PASS, "unconfirmed"},
	    {NAME_CONFIRMED, VERDICT_PASS, "mx.example.com"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = judge(rows[i].is, "mx.example.com");

		assert_int_equal(v.kind, rows[i].kind);
		assert_false(v.observed);
		assert_string_equal(v.value, rows[i].value);
	}
}

static void
the_reply(void **state)
{
	const struct verdict v = judge(NAME_NONE, "");
	const struct smtp_reply r = verdict_reply(&v);

	(void)state;
	assert_int_equal(r.code, 550);
	assert_string_equal(r.status, "5.7.25");
	assert_string_equal(r.text, "No reverse name");
}

static void
a_long_name_is_cut(void **state)
{
	char longest[FACTS_NAME_MAX];

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(strlen(judge(NAME_CONFIRMED, longest).value),
	    VERDICT_VALUE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(the_reply),
	    cmocka_unit_test(a_long_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
