/*
 * ascii: every octet's class, and numbers at the edges of 64 bits.
 */
#include <ctype.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aULL

typedef int parse_fn(struct span s, uint64_t *r);

static int
parse_number(struct span s, uint64_t *r)
{
	return ascii_parse_u64(s, UINT64_MAX, r);
}

/* From a copy of exactly that size, so that AddressSanitizer watches. */
static int
parse_copy(parse_fn *parse, const char *text, uint64_t *r)
{
	size_t n = strlen(text);
	char *heap = malloc(n);
	int rc;

	assert_true(heap || !n);
	if (n)
		memcpy(heap, text, n);
	rc = parse((struct span){heap, n}, r);
	free(heap);
	return rc;
}

static void
assert_parses(parse_fn *parse, const char *text, uint64_t want)
{
	uint64_t r = UNTOUCHED;

	if (parse_copy(parse, text, &r))
		fail_msg("refused: %s", text);
	if (r != want)
		fail_msg("%s: %" PRIu64 ", not %" PRIu64, text, r, want);
}

static void
assert_refused(parse_fn *parse, const char *text)
{
	uint64_t r = UNTOUCHED;

	if (!parse_copy(parse, text, &r))
		fail_msg("taken: '%s' as %" PRIu64, text, r);
	if (r != UNTOUCHED)
		fail_msg("refused but written: '%s'", text);
}

/* The C locale's own tables are the oracle here. */
static void
every_octet_has_its_class(void **state)
{
	(void)state;
	for (int i = 0; i < 256; i++) {
		char c = (char)i;
		int ascii = i < 128;

		assert_int_equal(!!ascii_is_digit(c), ascii && isdigit(i));
		assert_int_equal(!!ascii_is_alpha(c), ascii && isalpha(i));
		assert_int_equal(!!ascii_is_control(c), ascii && iscntrl(i));
		assert_int_equal((unsigned char)ascii_lower(c),
		    ascii ? tolower(i) : i);
	}
}

static void
fold_only_what_it_was_given(void **state)
{
	char s[] = "AZ[@`{\xc4\xe4\0az09Z";

	(void)state;
	ascii_fold(s, sizeof(s) - 2);
	assert_memory_equal(s, "az[@`{\xc4\xe4\0az09Z", sizeof(s));
	ascii_fold(NULL, 0);
}

static void
mask_only_what_it_was_given(void **state)
{
	char s[] = " ~\0\t\r\n\x1f\x7f\x80\xff?a\n";

	(void)state;
	ascii_mask(s, sizeof(s) - 2);
	assert_memory_equal(s, " ~?????????a\n", sizeof(s));
	ascii_mask(NULL, 0);
}

static void
equal_but_for_case(void **state)
{
	const struct span none = {NULL, 0};

	(void)state;
	assert_true(ascii_equal(SPAN_LIT("Mail"), SPAN_LIT("mAIL")));
	assert_true(ascii_equal(none, SPAN_LIT("")));
	assert_true(ascii_equal(SPAN_LIT("a\0B"), SPAN_LIT("A\0b")));
	assert_false(ascii_equal(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
	assert_false(ascii_equal(SPAN_LIT("ab"), SPAN_LIT("abc")));
	assert_false(ascii_equal(SPAN_LIT("@"), SPAN_LIT("`")));
	assert_false(ascii_equal(SPAN_LIT("["), SPAN_LIT("{")));
	assert_false(ascii_equal(SPAN_LIT("\xc4"), SPAN_LIT("\xe4")));
	assert_true(ascii_equal_str(SPAN_LIT("IPv6:"), "ipV6:"));
	assert_true(ascii_equal_str(none, ""));
	assert_false(ascii_equal_str(none, "a"));
	assert_false(ascii_equal_str(SPAN_LIT("a\0"), "a"));
}

static void
trim_blanks_only(void **state)
{
	static const char *const rows[][2] = {
	    {"", ""},
	    {" ", ""},
	    {" \t \t", ""},
	    {"a", "a"},
	    {" \ta b\t c \t", "a b\t c"},
	    {"a ", "a"},
	    {"\ta", "a"},
	    {"\r\na\n", "\r\na\n"},
	    {"\v a\f", "\v a\f"},
	    {"\xa0 a\xa0", "\xa0 a\xa0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_true(span_equal(ascii_trim(span_str(rows[i][0])),
		    span_str(rows[i][1])));
	assert_int_equal(ascii_trim((struct span){NULL, 0}).len, 0);
}

static void
numbers(void **state)
{
	static const char *const bad[] = {"", " ", "-1", "+1", "1 ", " 1",
	    "0x10", "1e3", "1.0", "1,000", "a", "/", ":", "1\n", "\xb2",
	    "\xd9\xa1", "18446744073709551616", "18446744073709551620",
	    "28446744073709551615", "99999999999999999999",
	    "184467440737095516150"};

	(void)state;
	assert_parses(parse_number, "0", 0);
	assert_parses(parse_number, "0000000000000000000000000042", 42);
	assert_parses(parse_number, "1234567890", 1234567890);
	assert_parses(parse_number, "18446744073709551614", UINT64_MAX - 1);
	assert_parses(parse_number, "18446744073709551615", UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(parse_number, bad[i]);
}

/* Every bound from 0 to 130, every number around it. */
static void
numbers_keep_their_bound(void **state)
{
	(void)state;
	for (unsigned max = 0; max <= 130; max++) {
		for (unsigned n = 0; n <= 1400; n++) {
			char text[8];
			uint64_t r = UNTOUCHED;
			int rc;

			snprintf(text, sizeof(text), "%u", n);
			rc = ascii_parse_u64(span_str(text), max, &r);
			assert_int_equal(rc, n <= max ? 0 : -1);
			assert_int_equal(r, n <= max ? n : UNTOUCHED);
		}
	}
	for (unsigned bit = 1; bit < 64; bit++) {
		uint64_t max = 1ULL << bit, r;
		char text[24];

		snprintf(text, sizeof(text), "%" PRIu64, max);
		assert_int_equal(ascii_parse_u64(span_str(text), max, &r), 0);
		assert_int_equal(r, max);
		assert_int_equal(ascii_parse_u64(span_str(text), max - 1, &r),
		    -1);
	}
}

static void
sizes(void **state)
{
	static const char *const bad[] = {"", "K", "M1", "1KB", "1MiB", "1B",
	    "1 M", " 1M", "1M ", "-1M", "+1M", "1.5M", "1KK", "1P", "1m5",
	    "25M\n", "16777216T", "17179869184G", "18014398509481984K",
	    "18446744073709551616", "99999999999999999999T"};

	(void)state;
	assert_parses(ascii_parse_size, "0", 0);
	assert_parses(ascii_parse_size, "0K", 0);
	assert_parses(ascii_parse_size, "25", 25);
	assert_parses(ascii_parse_size, "64K", 65536);
	assert_parses(ascii_parse_size, "64k", 65536);
	assert_parses(ascii_parse_size, "25M", 26214400);
	assert_parses(ascii_parse_size, "25m", 26214400);
	assert_parses(ascii_parse_size, "1G", 1 << 30);
	assert_parses(ascii_parse_size, "3t", 3ULL << 40);
	assert_parses(ascii_parse_size, "16777215T", 16777215ULL << 40);
	assert_parses(ascii_parse_size, "18446744073709551615", UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(ascii_parse_size, bad[i]);
}

static void
durations(void **state)
{
	static const char *const bad[] = {"", "1", "00", "5", "s", "ms", "1 s",
	    "1S", "5M", "1H", "1D", "1MS", "1sec", "1min", "1m30s", "1.5h",
	    "-1s", "+1s", " 1s", "1s ", "0x1s", "1w", "1y",
	    "18446744073709551616ms", "18446744073709552s", "307445734561826m",
	    "5124095576031h", "213503982335d"};

	(void)state;
	assert_parses(ascii_parse_duration, "0", 0);
	assert_parses(ascii_parse_duration, "0s", 0);
	assert_parses(ascii_parse_duration, "500ms", 500);
	assert_parses(ascii_parse_duration, "30s", 30000);
	assert_parses(ascii_parse_duration, "5m", 300000);
	assert_parses(ascii_parse_duration, "2h", 7200000);
	assert_parses(ascii_parse_duration, "5d", 432000000);
	assert_parses(ascii_parse_duration, "18446744073709551615ms",
	    UINT64_MAX);
	assert_parses(ascii_parse_duration, "213503982334d",
	    213503982334ULL * 86400000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(ascii_parse_duration, bad[i]);
}

static void
formats(void **state)
{
	char out[ASCII_UNIT_MAX];

	(void)state;
#define SIZE(n, want)                                                          \
	(ascii_format_size((n), out), assert_string_equal(out, (want)))
#define DURATION(n, want)                                                      \
	(ascii_format_duration((n), out), assert_string_equal(out, (want)))
	SIZE(0, "0");
	SIZE(1023, "1023");
	SIZE(1024, "1K");
	SIZE(1025, "1025");
	SIZE(26214400, "25M");
	SIZE(1536ULL << 20, "1536M");
	SIZE(1ULL << 30, "1G");
	SIZE(1ULL << 60, "1048576T");
	SIZE(UINT64_MAX, "18446744073709551615");
	DURATION(0, "0");
	DURATION(1, "1ms");
	DURATION(1500, "1500ms");
	DURATION(90000, "90s");
	DURATION(300000, "5m");
	DURATION(7200000, "2h");
	DURATION(86400000, "1d");
	DURATION(129600000, "36h");
	DURATION(UINT64_MAX, "18446744073709551615ms");
#undef SIZE
#undef DURATION
}

/* What is written parses back, and no other unit would be shorter. */
static void
assert_round_trip(uint64_t n)
{
	static const char *const units[] = {"", "K", "M", "G", "T", "ms", "s",
	    "m", "h", "d"};
	static const uint64_t factors[] = {1, 1 << 10, 1 << 20, 1 << 30,
	    1ULL << 40, 1, 1000, 60000, 3600000, 86400000};
	char out[ASCII_UNIT_MAX], other[ASCII_UNIT_MAX];

	for (unsigned i = 0; i < 10; i++) {
		if (i < 5)
			ascii_format_size(n, out);
		else
			ascii_format_duration(n, out);
		assert_parses(i < 5 ? ascii_parse_size : ascii_parse_duration,
		    out, n);
		if (n % factors[i])
			continue;
		snprintf(other, sizeof(other), "%" PRIu64 "%s", n / factors[i],
		    units[i]);
		assert_true(strlen(out) <= strlen(other));
	}
}

static void
formats_round_trip(void **state)
{
	uint64_t x = 88172645463325252;

	(void)state;
	for (uint64_t n = 0; n < 5000; n++)
		assert_round_trip(n);
	for (unsigned i = 0; i < 20000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		assert_round_trip(x >> x % 64);
		assert_round_trip((x >> 40) * 86400000);
		assert_round_trip((x >> 40) << x % 40);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_octet_has_its_class),
	    cmocka_unit_test(fold_only_what_it_was_given),
	    cmocka_unit_test(mask_only_what_it_was_given),
	    cmocka_unit_test(equal_but_for_case),
	    cmocka_unit_test(trim_blanks_only),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(numbers_keep_their_bound),
	    cmocka_unit_test(sizes),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(formats),
	    cmocka_unit_test(formats_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
