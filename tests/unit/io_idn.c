/*
 * One domain, whatever its spelling.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "io/idn.h"

static const char sharp[] = "stra\xc3\x9f"
			    "e.example";

static void
assert_key(const char *name, const char *expected)
{
	char key[IDN_MAX + 1];

	assert_int_equal(idn_key(span_str(name), key), 0);
	assert_string_equal(key, expected);
}

/* FAULT C4: U-label, A-label, capitals and decomposed letters are one. */
static void
spellings(void **state)
{
	static const char *const all[] = {"xn--bcher-kva.example",
	    "XN--BCHER-KVA.Example",
	    "b\xc3\xbc"
	    "cher.example",
	    "B\xc3\x9c"
	    "CHER.EXAMPLE",
	    "bu\xcc\x88"
	    "cher.example",
	    "BU\xcc\x88"
	    "CHER.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_key(all[i], "xn--bcher-kva.example");
		assert_true(idn_equal(span_str(all[i]), span_str(all[0])));
	}
	/* non-transitional: not strasse */
	assert_key(sharp, "xn--strae-oqa.example");
	assert_false(idn_equal(SPAN_LIT("strasse.example"), span_str(sharp)));
	assert_key("_sub.\xe6\x97\xa5\xe6\x9c\xac.example",
	    "_sub.xn--wgv71a.example");
	/* 66 octets in a label that is short in DNS */
	assert_key("\xe3\x81\x8b\xe3\x81\x8d\xe3\x81\x8f\xe3\x81\x91"
		   "\xe3\x81\x93\xe3\x81\x95\xe3\x81\x97\xe3\x81\x99"
		   "\xe3\x81\x9b\xe3\x81\x9d\xe3\x81\x9f\xe3\x81\xa1"
		   "\xe3\x81\xa4\xe3\x81\xa6\xe3\x81\xa8\xe3\x81\xaa"
		   "\xe3\x81\xab\xe3\x81\xac\xe3\x81\xad\xe3\x81\xae"
		   "\xe3\x81\xaf\xe3\x81\xb2.example",
	    "xn--u8jegikmoqsuwy3b2a4a6arstuv0e.example");
}

/* What has no octet above 127 is folded, whatever it is. */
static void
ascii(void **state)
{
	char longest[IDN_MAX + 2], key[IDN_MAX + 1];

	(void)state;
	assert_key("", "");
	assert_key("Example.ORG", "example.org");
	assert_key("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]");
	assert_key("xn--a b", "xn--a b");
	memset(longest, 'X', sizeof(longest));
	assert_int_equal(idn_key((struct span){longest, IDN_MAX}, key), 0);
	assert_int_equal(strlen(key), IDN_MAX);
	assert_int_equal(idn_key((struct span){longest, IDN_MAX + 1}, key), -1);
	assert_int_equal(idn_key(SPAN_LIT("a.b\0c"), key), -1);
	assert_true(idn_equal(SPAN_LIT("A.b"), SPAN_LIT("a.B")));
	assert_false(idn_equal(SPAN_LIT("a.b"), SPAN_LIT("a.c")));
}

static void
no_domain(void **state)
{
	static const char *const bad[] = {"\xe2\x98\x83.example", /* snowman */
	    ("a\xc2\xa0"
	     "b.example"),           /* no-break space */
	    "a\xe2\x84\x80.example", /* account of: a/c */
	    "xn--\xc3\xbc.example",  /* neither nor */
	    "\xc3\xbc\xff.example",  /* not UTF-8 */
	    "\xe2\x80\x8b\xc3\xbc.example\xcc"};
	char big[IDN_MAX], key[IDN_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (idn_key(span_str(bad[i]), key) == 0)
			fail_msg("%zu became \"%s\"", i, key);
		assert_false(idn_equal(span_str(bad[i]), span_str(bad[i])));
	}
	/* longer as an A-label than any label may be */
	for (size_t i = 0; i < IDN_MAX - 1; i += 2)
		memcpy(big + i, "\xc3\xbc", 2);
	assert_int_equal(idn_key((struct span){big, IDN_MAX - 1}, key), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(spellings),
	    cmocka_unit_test(ascii),
	    cmocka_unit_test(no_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
