/*
 * Numbers as octets, both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/le.h"

static void
the_least_octet_is_first(void **state)
{
	char p[9] = {0};

	(void)state;
	le_put(p, 0x8877665544332211, 8);
	assert_memory_equal(p, "\x11\x22\x33\x44\x55\x66\x77\x88", 9);
	assert_true(le_get(p, 8) == 0x8877665544332211);
	assert_int_equal(le_get(p + 1, 2), 0x3322);
	le_put(p, UINT64_MAX - 1, 4);
	assert_memory_equal(p, "\xfe\xff\xff\xff\x55", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_least_octet_is_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
