/*
 * Who may send as whom, when somebody wrote it down.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/senders.h"

static enum senders_verdict
look(const struct senders *s, const char *login, const char *local,
    const char *domain)
{
	const struct smtp_path p = {.local = local, .domain = domain};

	return senders_look(s, login, &p);
}

static void
looks(void **state)
{
	struct senders *s = senders_new();

	(void)state;
	assert_null(senders_add(s,
	    SPAN_LIT("alice: alice@example.org, Sales@Example.ORG,@a.test")));
	assert_null(senders_add(s, SPAN_LIT(" bob@example.org :")));
	assert_int_equal(look(s, "alice", "alice", "example.org"), SENDERS_YES);
	assert_int_equal(look(s, "ALICE", "sales", "example.org"), SENDERS_YES);
	assert_int_equal(look(s, "alice", "anybody", "A.test"), SENDERS_YES);
	assert_int_equal(look(s, "alice", "bob", "example.org"), SENDERS_NO);
	assert_int_equal(look(s, "alice", "x", "sub.a.test"), SENDERS_NO);
	assert_int_equal(look(s, "bob@example.org", "bob", "example.org"),
	    SENDERS_NO); /* a line without addresses */
	assert_int_equal(look(s, "carol", "carol", "example.org"),
	    SENDERS_UNLISTED);
	assert_int_equal(look(s, "bob@example.org", "", ""), SENDERS_YES);
	assert_int_equal(look(NULL, "alice", "x", "example.org"),
	    SENDERS_UNLISTED);
	senders_free(&s);
	assert_null(s);
}

/* FAULT C4: the domain of an address, and of a login that is one. */
static void
spellings(void **state)
{
	static const char *const all[] = {"XN--bcher-kva.test",
	    "b\xc3\xbc"
	    "cher.test",
	    "B\xc3\x9c"
	    "CHER.Test",
	    "bu\xcc\x88"
	    "cher.test"};
	char line[128], login[64];

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct senders *s = senders_new();

		snprintf(line, sizeof(line), "al@%s: x@%s, @sub.%s", all[i],
		    all[(i + 1) % 4], all[(i + 2) % 4]);
		assert_null(senders_add(s, span_str(line)));
		for (int k = 0; k < 4; k++) {
			snprintf(login, sizeof(login), "Al@%s", all[3 - k]);
			assert_int_equal(look(s, login, "x", all[k]),
			    SENDERS_YES);
			assert_int_equal(look(s, login, "y", all[k]),
			    SENDERS_NO);
			snprintf(line, sizeof(line), "sub.%s", all[k]);
			assert_int_equal(look(s, login, "y", line),
			    SENDERS_YES);
			snprintf(line, sizeof(line), "%s:", login);
			assert_non_null(senders_add(s, span_str(line)));
		}
		assert_int_equal(look(s, "al", "x", all[0]), SENDERS_UNLISTED);
		assert_int_equal(look(s, "al@", "x", all[0]), SENDERS_UNLISTED);
		assert_int_equal(look(s, "al@\xe2\x98\x83.test", "x", all[0]),
		    SENDERS_UNLISTED);
		assert_int_equal(look(s, login, "x", "\xe2\x98\x83.test"),
		    SENDERS_NO);
		senders_free(&s);
	}
}

static void
faults(void **state)
{
	static const char *const bad[] = {"", "alice", ": a@b.test", " : x",
	    "alice: a", "alice: @", "alice: @a..b", "alice: a@b.test,,c@d.test",
	    "alice: <a@b.test>", "alice: a@b.test c@d.test",
	    "alice: @\xe2\x98\x83.test", "alice: x@\xe2\x98\x83.test",
	    "alice@\xe2\x98\x83.test: x@b.test"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct senders *s = senders_new();

		if (!senders_add(s, span_str(bad[i])))
			fail_msg("\"%s\" was taken", bad[i]);
		senders_free(&s);
	}
	struct senders *s = senders_new();

	assert_null(senders_add(s, SPAN_LIT("alice: a@b.test")));
	assert_non_null(senders_add(s, SPAN_LIT("Alice: c@b.test")));
	senders_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(looks),
	    cmocka_unit_test(spellings),
	    cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
