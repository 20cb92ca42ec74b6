/*
 * utf8: every code point, every sequence of up to three octets, and the
 * four-octet ones at their edges, against a decoder written the other way
 * round.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* RFC 3629 section 3; surrogates and more than 21 bits as well. */
static size_t
encode(uint32_t c, unsigned char out[4])
{
	if (c < 0x80) {
		out[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (unsigned char)(0xc0 | c >> 6);
		out[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (unsigned char)(0xe0 | c >> 12);
		out[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (unsigned char)(0xf0 | c >> 18);
	out[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

static int
is_scalar(uint32_t c)
{
	return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

/* A set of all characters of n octets, for those of up to three. */
static unsigned char known[3][1 << 21];

static uint32_t
pack(const unsigned char *s, size_t n)
{
	uint32_t key = 0;

	for (size_t i = 0; i < n; i++)
		key = key << 8 | s[i];
	return key;
}

static void
learn(void)
{
	unsigned char s[4];

	for (uint32_t c = 0; c < 0x10000; c++) {
		size_t n = encode(c, s);
		uint32_t key = pack(s, n);

		if (is_scalar(c))
			known[n - 1][key / 8] |= (unsigned char)(1 << key % 8);
	}
}

/* Is s a sequence of known characters? */
static int
reference(const unsigned char *s, size_t len)
{
	if (!len)
		return 1;
	for (size_t n = 1; n <= 3 && n <= len; n++) {
		uint32_t key = pack(s, n);

		if (known[n - 1][key / 8] & 1 << key % 8)
			return reference(s + n, len - n);
	}
	return 0;
}

static int
valid(const unsigned char *s, size_t n)
{
	return utf8_valid((struct span){(const char *)s, n});
}

static void
every_short_sequence(void **state)
{
	unsigned char s[3];

	(void)state;
	learn();
	for (uint32_t x = 0; x < 1 << 24; x++) {
		s[0] = (unsigned char)(x >> 16);
		s[1] = (unsigned char)(x >> 8);
		s[2] = (unsigned char)x;
		if (valid(s, 3) != reference(s, 3))
			fail_msg("%02x %02x %02x", s[0], s[1], s[2]);
		if (!s[2] && valid(s, 2) != reference(s, 2))
			fail_msg("%02x %02x", s[0], s[1]);
	}
	for (unsigned c = 0; c < 256; c++) {
		s[0] = (unsigned char)c;
		assert_int_equal(valid(s, 1), c < 128);
	}
}

/* Alone, cut short, and with one octet too many; at the end of the heap. */
static void
every_code_point(void **state)
{
	(void)state;
	for (uint32_t c = 0; c < 0x120000; c++) {
		unsigned char s[4];
		size_t n = encode(c, s);

		if (valid(s, n) != is_scalar(c))
			fail_msg("U+%04X", c);
		for (size_t cut = 1; cut < n; cut++) {
			if (valid(s, cut))
				fail_msg("U+%04X cut to %zu", c, cut);
		}
	}
}

/* 256 leads and second octets, with good and bad octets behind. */
static void
four_octets(void **state)
{
	static const unsigned char tails[] = {0x7f, 0x80, 0xbf, 0xc0};

	(void)state;
	for (unsigned x = 0xe000; x < 0x10000; x++) {
		for (unsigned t = 0; t < 16; t++) {
			unsigned char s[4] = {(unsigned char)(x >> 8),
			    (unsigned char)x, tails[t / 4], tails[t % 4]};
			int tail = t / 4 % 3 && t % 4 % 3;
			/* F0 90 to F4 8F, the second a continuation */
			int head =
			    x >= 0xf090 && x <= 0xf48f && (x & 0xc0) == 0x80;

			if (x < 0xf000)
				continue;
			if (valid(s, 4) != (head && tail))
				fail_msg("%04x %02x %02x", x, s[2], s[3]);
		}
	}
}

static void
never_reads_beyond(void **state)
{
	static const char *const cut[] = {"\xc3", "\xe2\x82", "\xe2",
	    "\xf0\x9f\x98", "\xf0\x9f", "\xf0", "abc\xf0\x9f"};

	(void)state;
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		size_t n = strlen(cut[i]);
		char *heap = malloc(n); /* AddressSanitizer watches */

		assert_non_null(heap);
		memcpy(heap, cut[i], n);
		assert_false(utf8_valid((struct span){heap, n}));
		free(heap);
	}
}

static void
texts(void **state)
{
	(void)state;
	assert_true(utf8_valid((struct span){NULL, 0}));
	assert_true(utf8_valid(SPAN_LIT("")));
	assert_true(utf8_valid(SPAN_LIT("a\0b")));
	assert_true(utf8_valid(SPAN_LIT("gr\xc3\xbc\xc3\x9f\xe2\x82\xac")));
	assert_true(utf8_valid(SPAN_LIT("\xf0\x9f\x98\x80z")));
	assert_false(utf8_valid(SPAN_LIT("gr\xfc\xdf")));
	assert_false(utf8_valid(SPAN_LIT("a\x80")));
	assert_false(utf8_valid(SPAN_LIT("\xc0\xaf")));
	assert_false(utf8_valid(SPAN_LIT("\xed\xa0\xbd\xed\xb8\x80")));
	assert_false(utf8_valid(SPAN_LIT("\xf8\x88\x80\x80\x80")));
	assert_false(utf8_valid(SPAN_LIT("\xff\xfe")));
}

/* FAULT C9: of all code points just these stay out of headers and logs. */
static void
what_steers_is_not_shown(void **state)
{
	(void)state;
	for (uint32_t c = 0x80; c <= 0x10ffff; c++) {
		int steers = c < 0xa0 || c == 0x61c || c == 0x200e ||
			     c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
			     (c >= 0x2066 && c <= 0x2069);
		char s[6] = "x";
		size_t n = encode(c, (unsigned char *)s + 1);
		int well = valid((unsigned char *)s + 1, n);
		uint32_t decoded = 0;

		assert_int_equal(utf8_decode((struct span){s + 1, n}, &decoded),
		    well ? n : 0);
		assert_int_equal(decoded, well ? c : 0);
		assert_int_equal(utf8_char((struct span){s + 1, n}),
		    well && !steers ? n : 0);
		assert_int_equal(utf8_shows((struct span){s, n + 1}),
		    well && !steers);
	}
	assert_int_equal(utf8_char((struct span){NULL, 0}), 0);
	assert_int_equal(utf8_char(SPAN_LIT("a")), 0);
	assert_true(utf8_shows((struct span){NULL, 0}));
	assert_true(utf8_shows(SPAN_LIT("a\x1b\0")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_short_sequence),
	    cmocka_unit_test(every_code_point),
	    cmocka_unit_test(four_octets),
	    cmocka_unit_test(never_reads_beyond),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(what_steers_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
