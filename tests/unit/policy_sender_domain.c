/*
 * Whose sender no reply could reach: a table of what is known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/check.h"

static struct verdict
judge(enum fact_sender is)
{
	const struct facts facts = {.known = FACT_SENDER, .sender = is};
	const struct check_case c = {.facts = &facts};
	struct verdict v = {0};

	sender_domain_judge(&c, &v);
	return v;
}

static void
domains(void **state)
{
	static const struct {
		enum fact_sender is;
		enum verdict_kind kind;
		const char *value;
	} rows[] = {
	    {SENDER_UNKNOWN, VERDICT_PASS, "unknown"},
	    {SENDER_GOOD, VERDICT_PASS, "found"},
	    {SENDER_NULL_MX, VERDICT_REJECT, "null MX"},
	    {SENDER_NONE, VERDICT_DEFER, "not found"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = judge(rows[i].is);

		assert_int_equal(v.kind, rows[i].kind);
		assert_false(v.observed);
		assert_string_equal(v.value, rows[i].value);
	}
}

static void
replies(void **state)
{
	const struct verdict null = judge(SENDER_NULL_MX);
	const struct verdict none = judge(SENDER_NONE);

	(void)state;
	assert_int_equal(null.code, 550);
	assert_string_equal(null.status, "5.7.27");
	assert_string_equal(verdict_reply(&null).text,
	    "Sender's domain takes no mail");
	assert_int_equal(none.code, 450);
	assert_string_equal(none.status, "4.1.8");
	assert_string_equal(verdict_reply(&none).text,
	    "Sender's domain not found");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(domains),
	    cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
