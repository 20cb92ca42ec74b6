/*
 * CRC32C: the vectors of RFC 3720, the instruction against the tables, and
 * pieces against the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/crc32c.h"

static struct crc32c tables, best;

static void
check(const void *data, size_t n, uint32_t want)
{
	struct span s = {data, n};

	assert_int_equal(crc32c(&tables, 0, s), want);
	assert_int_equal(crc32c(&best, 0, s), want);
}

static void
known_values(void **state)
{
	unsigned char b[32];

	(void)state;
	check("", 0, 0);
	check("123456789", 9, 0xe3069283);
	memset(b, 0, 32);
	check(b, 32, 0x8a9136aa);
	memset(b, 0xff, 32);
	check(b, 32, 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (unsigned char)i;
	check(b, 32, 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (unsigned char)(31 - i);
	check(b, 32, 0x113fdb5c);
}

static void
any_length_at_any_place(void **state)
{
	char b[300];

	(void)state;
	for (size_t i = 0; i < sizeof(b); i++)
		b[i] = (char)(i * 167 >> 1);
	for (size_t from = 0; from < 9; from++) {
		for (size_t n = 0; n < 200; n++) {
			struct span s = {b + from, n};

			assert_int_equal(crc32c(&tables, 7, s),
			    crc32c(&best, 7, s));
		}
	}
}

static void
in_pieces(void **state)
{
	const char text[] = "The quick brown fox jumps over the lazy dog";
	uint32_t whole = crc32c(&best, 0, SPAN_LIT(text));

	(void)state;
	assert_int_equal(whole, 0x22620404);
	for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
		struct span a = {text, cut};
		struct span b = {text + cut, sizeof(text) - 1 - cut};

		assert_int_equal(crc32c(&best, crc32c(&best, 0, a), b), whole);
		assert_int_equal(crc32c(&tables, crc32c(&tables, 0, a), b),
		    whole);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_values),
	    cmocka_unit_test(any_length_at_any_place),
	    cmocka_unit_test(in_pieces),
	};

	crc32c_init(&best);
	crc32c_init(&tables);
	tables.hardware = 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
