/*
 * How long a session may wait, as a table of moments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/deadline.h"

static const struct deadline_config conf = {.idle = 300000,
    .session = 3600000,
    .data_rate = 100};

static void
moments(void **state)
{
	static const struct {
		struct deadline d;
		bool transaction;
		int64_t when;
	} rows[] = {
	    /* between commands: from the last complete one */
	    {{PHASE_COMMAND, .begun = 0, .since = 1000, .octet = 9999}, false,
		301000},
	    /* a body: the last octet, */
	    {{PHASE_BODY, .since = 1000, .octet = 5000, .octets = 100000000},
		true, 305000},
	    /* or a rate that is too low after a minute */
	    {{PHASE_BODY, .since = 1000, .octet = 60000, .octets = 200}, true,
		63000},
	    /* the whole session ends what would go on for ever */
	    {{PHASE_BODY, .since = 1000, .octet = 3590000, .octets = 100000000},
		true, 3600000},
	    /* but not a question that is open */
	    {{PHASE_VERDICT, .since = 3590000}, true, 3710000},
	    /* leaving: five seconds, unless a transaction is under way */
	    {{PHASE_COMMAND, .drain = true, .since = 1000}, false, 6000},
	    {{PHASE_COMMAND, .drain = true, .since = 1000}, true, 301000},
	    /* nearly full: a tenth */
	    {{PHASE_COMMAND, .pressure = true, .since = 1000}, false, 31000},
	    {{PHASE_BODY, .pressure = true, .since = 1000, .octet = 2000}, true,
		7000},
	    {{PHASE_FLUSH, .since = 1000}, false, 301000},
	    /* refused: whatever there is */
	    {{PHASE_REFUSED, .since = 1000}, false, 6000},
	    {{PHASE_REFUSED, .pressure = true, .since = 1000}, false, 6000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(deadline_next(&rows[i].d, &conf,
				     rows[i].transaction),
		    rows[i].when);
}

static void
replies(void **state)
{
	struct deadline d = {PHASE_VERDICT, .since = 0};

	(void)state;
	assert_int_equal(deadline_reply(&d, &conf, 120000)->code, 451);
	d.phase = PHASE_COMMAND;
	assert_string_equal(deadline_reply(&d, &conf, 300000)->status, "4.4.2");
	d.phase = PHASE_REFUSED;
	assert_int_equal(deadline_reply(&d, &conf, 5000)->code, 421);
	d.phase = PHASE_COMMAND;
	d.drain = true;
	assert_string_equal(deadline_reply(&d, &conf, 5000)->status, "4.3.2");
	d.phase = PHASE_DISK;
	assert_int_equal(deadline_reply(&d, &conf, 120000)->code, 421);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(moments),
	    cmocka_unit_test(replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
