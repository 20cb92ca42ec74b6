/*
 * Who an Authentication-Results field is from, however it is written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/authres.h"

static const char *const names[] = {"mx.example.org", "mail.example.org"};

static void
assert_ours(const struct span *rows, size_t n, bool ours)
{
	for (size_t i = 0; i < n; i++)
		if (authres_is_ours(rows[i], names, 2) != ours)
			fail_msg("row %zu", i);
}

static void
ours(void **state)
{
	static const struct span rows[] = {
	    SPAN_LIT(" mx.example.org; spf=pass"),
	    SPAN_LIT("mx.example.org; none"),
	    SPAN_LIT(" MX.Example.ORG;spf=pass"),
	    SPAN_LIT(" mail.example.org"),
	    SPAN_LIT(" mx.example.org 1; spf=pass"),
	    SPAN_LIT(" mx.example.org (c) 1 (c) ; spf=pass"),
	    SPAN_LIT(" \"mx.example.org\"; spf=pass"),
	    SPAN_LIT(" \"m\\x.example.or\\g\"; spf=pass"),
	    SPAN_LIT(" \"mx.example\n.org\"; spf=pass"),
	    SPAN_LIT(" \"mx.example.org\" 1"),
	    SPAN_LIT(" (comment) mx.example.org; spf=pass"),
	    SPAN_LIT(" (a (nested \\) \\( one) (other.example;)\n\t) (b)"
		     "mx.example.org(c);"),
	    SPAN_LIT("\n mx.example.org\n ;\n spf=pass"),
	};

	(void)state;
	assert_ours(rows, sizeof(rows) / sizeof(rows[0]), true);
}

/* What cannot be read may be read as ours by somebody. */
static void
unreadable(void **state)
{
	static const struct span rows[] = {
	    SPAN_LIT(""),
	    SPAN_LIT(" "),
	    SPAN_LIT(" ; spf=pass"),
	    SPAN_LIT(" (mx.example.org; spf=pass"),
	    SPAN_LIT(" (c\\"),
	    SPAN_LIT(" (c) "),
	    SPAN_LIT(" other.example (c; spf=pass"),
	    SPAN_LIT(" other.example mx.example.org; spf=pass"),
	    SPAN_LIT(" other.example 1 2; spf=pass"),
	    SPAN_LIT(" other.example/1; spf=pass"),
	    SPAN_LIT(" other.example=1; spf=pass"),
	    SPAN_LIT(" other.example\0; spf=pass"),
	    SPAN_LIT(" \0mx.example.org; spf=pass"),
	    SPAN_LIT(" \"other.example; spf=pass"),
	    SPAN_LIT(" \"other.example\\"),
	    SPAN_LIT(" \"other.example\"1; spf=pass"),
	    SPAN_LIT(" \"\"; spf=pass"),
	    SPAN_LIT(" \"mx\"\".example.org\"; spf=pass"),
	    SPAN_LIT(" m\xc3\xbc.example; spf=pass"),
	    SPAN_LIT(" \"m\xc3\xbc.example\"; spf=pass"),
	};

	(void)state;
	assert_ours(rows, sizeof(rows) / sizeof(rows[0]), true);
	assert_ours(&(struct span){NULL, 0}, 1, true);
}

static void
others(void **state)
{
	static const struct span rows[] = {
	    SPAN_LIT(" other.example; spf=pass"),
	    SPAN_LIT(" other.example"),
	    SPAN_LIT(" other.example 1; spf=pass"),
	    SPAN_LIT(" other.example; mx.example.org"),
	    SPAN_LIT(" (mx.example.org) other.example (mx.example.org);"),
	    SPAN_LIT(" (a (nested) one) other.example; spf=pass"),
	    SPAN_LIT(" mx.example.org.example; spf=pass"),
	    SPAN_LIT(" xmx.example.org; spf=pass"),
	    SPAN_LIT(" \"mx.example.org \"; spf=pass"),
	    SPAN_LIT(" \"mx.example.org\0\"; spf=pass"),
	    SPAN_LIT(" \"mx.example.org\\\"\"; spf=pass"),
	    SPAN_LIT(" example.org; spf=pass"),
	};

	(void)state;
	assert_ours(rows, sizeof(rows) / sizeof(rows[0]), false);
}

static void
deletes_all_forged_ones(void **state)
{
	struct buf out = {0};
	struct header h;

	(void)state;
	assert_true(header_init(&h,
	    SPAN_LIT("Authentication-Results: mx.example.org; spf=pass\n"
		     "Subject: Authentication-Results: mx.example.org\n"
		     "AUTHENTICATION-results \t:\n MAIL.example.org;\n\tx=y\n"
		     "Authentication-Results: other.example; spf=pass\n"
		     "Authentication-Results: (\n"
		     "X-Authentication-Results: mx.example.org; spf=pass\n"
		     "Authentication-Results: mx.example.org; none")));
	assert_int_equal(authres_delete(&h, names, 2), 4);
	header_render(&h, &out);
	buf_append(&out, "", 1);
	assert_string_equal(out.data,
	    "Subject: Authentication-Results: mx.example.org\n"
	    "Authentication-Results: other.example; spf=pass\n"
	    "X-Authentication-Results: mx.example.org; spf=pass\n");
	assert_int_equal(authres_delete(&h, names, 2), 0);
	assert_int_equal(h.edits, 0);
	buf_free(&out);
	header_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ours),
	    cmocka_unit_test(unreadable),
	    cmocka_unit_test(others),
	    cmocka_unit_test(deletes_all_forged_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
