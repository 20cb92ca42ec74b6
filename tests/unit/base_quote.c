/*
 * quote: every octet in both kinds of escapes, where a value is cut, and JSON
 * strings of ASCII read back character by character.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/quote.h"

static struct buf out;

static void
assert_put(enum quote_escapes how, size_t max, const char *s, const char *want)
{
	out.len = 0;
	quote_put(&out, how, max, span_str(s));
	buf_append(&out, "", 1);
	assert_string_equal(out.data, want);
}

static void
assert_json(struct span s, const char *want)
{
	out.len = 0;
	quote_json(&out, s);
	buf_append(&out, "", 1);
	assert_string_equal(out.data, want);
}

/* c is in out; letters: which of \n \r \t " \ have one. */
static void
assert_octet(int c, const char *letters, const char *escape)
{
	static const char named[] = "\n\r\t\"\\";
	const char *at = c ? strchr(named, c) : NULL;
	char want[16];

	if (at && letters[at - named] != ' ')
		snprintf(want, sizeof(want), "\"\\%c\"", letters[at - named]);
	else if (c < 32 || c > 126)
		snprintf(want, sizeof(want), "\"%s%02x\"", escape, (unsigned)c);
	else
		snprintf(want, sizeof(want), "\"%c\"", c);
	assert_true(span_equal(buf_span(&out), span_str(want)));
	out.len = 0;
}

static void
every_octet(void **state)
{
	(void)state;
	out.len = 0;
	for (int c = 0; c < 256; c++) {
		const char octet = (char)c;
		const struct span s = {&octet, 1};

		quote_put(&out, QUOTE_TEXT, 8, s);
		assert_octet(c, "nrt\"\\", "\\x");
		quote_put(&out, QUOTE_JSON, 8, s);
		assert_octet(c, "nrt\"\\", "\\u00");
		if (c > 127) {
			assert_json(s, "\"\\ufffd\"");
			out.len = 0;
			continue;
		}
		quote_json(&out, s);
		assert_octet(c, "   \"\\", "\\u00");
	}
}

static void
letters_stay_and_what_steers_does_not(void **state)
{
	(void)state;
	assert_put(QUOTE_TEXT, 99, "a\xc3\xbc\xf0\x9f\x93\xac",
	    "\"a\xc3\xbc\xf0\x9f\x93\xac\"");
	assert_put(QUOTE_JSON, 99, "\xe2\x80\xae", "\"\\u00e2\\u0080\\u00ae\"");
	assert_put(QUOTE_TEXT, 99, "\xc2\x9b", "\"\\xc2\\x9b\"");
	assert_put(QUOTE_TEXT, 99, "\xc3", "\"\\xc3\"");
}

static void
what_is_cut_says_so(void **state)
{
	(void)state;
	assert_put(QUOTE_TEXT, 4, "abcd", "\"abc...\"");
	assert_put(QUOTE_TEXT, 5, "abcd", "\"abcd\"");
	assert_put(QUOTE_TEXT, 0, "a", "\"...\"");
	assert_put(QUOTE_TEXT, 0, "", "\"\"");
	/* never in the middle of a character or an escape */
	assert_put(QUOTE_TEXT, 2, "\xc3\xbc\xc3\xbc", "\"\xc3\xbc...\"");
	assert_put(QUOTE_JSON, 2, "\x1b\x1b", "\"\\u001b...\"");
}

static void
json_is_ascii(void **state)
{
	(void)state;
	assert_json((struct span){NULL, 0}, "\"\"");
	assert_json(SPAN_LIT("a\0b"), "\"a\\u0000b\"");
	assert_json(SPAN_LIT("\xc2\x80"), "\"\\u0080\"");
	assert_json(SPAN_LIT("\xef\xbf\xbf"), "\"\\uffff\"");
	assert_json(SPAN_LIT("\xf0\x90\x80\x80"), "\"\\ud800\\udc00\"");
	assert_json(SPAN_LIT("\xf4\x8f\xbf\xbf"), "\"\\udbff\\udfff\"");
	/* a surrogate, an overlong form, a character that is cut */
	assert_json(SPAN_LIT("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
	assert_json(SPAN_LIT("\xc0\xaf/"), "\"\\ufffd\\ufffd/\"");
	assert_json(SPAN_LIT("\xe2\x82"), "\"\\ufffd\\ufffd\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_octet),
	    cmocka_unit_test(letters_stay_and_what_steers_does_not),
	    cmocka_unit_test(what_is_cut_says_so),
	    cmocka_unit_test(json_is_ascii),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_free(&out);
	return failed;
}
