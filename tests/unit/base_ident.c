/*
 * Session ids: their text, and that they sort as their times do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ident.h"

#define WALL_MAX ((1ULL << 48) - 1)

static void
assert_ident(uint64_t wall_ms, uint32_t random, const char *want)
{
	char out[IDENT_LEN + 2];

	memset(out, '#', sizeof(out));
	ident_format(wall_ms, random, out);
	assert_string_equal(out, want);
	assert_int_equal(out[IDENT_LEN + 1], '#');
}

static void
known_values(void **state)
{
	(void)state;
	assert_ident(0, 0, "0000000000000000");
	assert_ident(0, 1, "0000000000000001");
	assert_ident(0, 31, "000000000000000V");
	assert_ident(0, 32, "0000000000000010");
	assert_ident(0, UINT32_MAX, "0000000003VVVVVV");
	assert_ident(1, 0, "0000000004000000");
	assert_ident(255, 0, "00000000VS000000");
	assert_ident(256, 0, "0000000100000000");
	assert_ident(WALL_MAX, 0, "VVVVVVVVVS000000");
	assert_ident(WALL_MAX, UINT32_MAX, "VVVVVVVVVVVVVVVV");
	/* 24 November 2026, 08:11:56.789 UTC */
	assert_ident(1795507916789, 0xdeadbeef, "06H0P74FUNFARFNF");
}

/* What does not fit into 48 bits never spills into other digits. */
static void
time_is_cut_to_48_bits(void **state)
{
	(void)state;
	assert_ident(WALL_MAX + 1, 0, "0000000000000000");
	assert_ident(UINT64_MAX, UINT32_MAX, "VVVVVVVVVVVVVVVV");
}

/* The time comes first: whatever the random part, later is greater. */
static void
sorts_by_time(void **state)
{
	static const uint64_t times[] = {0, 1, 9, 10, 31, 32, 255, 256, 257,
	    1023, 1024, 1ULL << 32, 1795507916788, 1795507916789, 1795507916790,
	    WALL_MAX - 1, WALL_MAX};

	(void)state;
	for (size_t i = 1; i < sizeof(times) / sizeof(times[0]); i++) {
		char before[IDENT_LEN + 1], after[IDENT_LEN + 1];

		ident_format(times[i - 1], UINT32_MAX, before);
		ident_format(times[i], 0, after);
		assert_true(strcmp(before, after) < 0);
		ident_format(times[i], 1, before);
		assert_true(strcmp(after, before) < 0);
	}
}

static void
tells_its_time(void **state)
{
	static const uint64_t times[] = {0, 1, 3, 4, 255, 256, 1795507916789,
	    WALL_MAX};
	static const char *const bad[] = {"", "06H0P74FUNFARFN",
	    "06H0P74FUNFARFNF0", "06h0P74FUNFARFNF", "06H0P74FUNFARFNW",
	    "06H0P74FUN ARFNF"};
	char id[IDENT_LEN + 1];
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		ident_format(times[i], UINT32_MAX, id);
		assert_int_equal(ident_time(span_str(id), &ms), 0);
		assert_int_equal(ms, times[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ident_time(span_str(bad[i]), &ms), -1);
	assert_int_equal(ident_time((struct span){"06H0P74FUN\0ARFNF",
					IDENT_LEN},
			     &ms),
	    -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_values),
	    cmocka_unit_test(time_is_cut_to_48_bits),
	    cmocka_unit_test(sorts_by_time),
	    cmocka_unit_test(tells_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
