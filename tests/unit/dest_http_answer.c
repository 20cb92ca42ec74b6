/*
 * What an answer means: each status, and what an application may say by its
 * first line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dest/http_answer.h"

#define AGAIN "451 4.3.0 The server for this address does not take it now"
#define SETUP "451 4.3.5 The server for this address is not set up for mail"
#define NO    "550 5.7.1 The server for this address does not want it"

static struct arena arena;

static int
finish(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

static void
assert_verdict(const struct http_answer *a, enum fate fate, const char *want)
{
	const struct smtp_reply *r;
	char text[300] = "";

	assert_int_equal(http_verdict(a, &arena, &r), fate);
	assert_int_equal(r == NULL, fate == FATE_TAKEN);
	if (r)
		snprintf(text, sizeof(text), "%u %s %s", r->code, r->status,
		    r->text);
	assert_string_equal(text, want);
}

static void
assert_status(unsigned status, enum fate fate, const char *want)
{
	const struct http_answer a = {.status = status,
	    .reached = true,
	    .whole = true};

	assert_verdict(&a, fate, want);
	assert_int_equal(http_is_misconfigured(&a), fate == FATE_DOWN);
}

static void
each_status(void **state)
{
	static const unsigned again[] = {400, 408, 421, 425, 429, 500, 501, 502,
	    503, 504, 507, 599, 600, 999, 100, 101};
	static const unsigned down[] = {300, 301, 302, 303, 304, 307, 308, 399,
	    401, 403, 404, 405, 407};
	static const unsigned no[] = {402, 406, 409, 410, 411, 412, 414, 415,
	    417, 422, 431, 451, 499};

	(void)state;
	for (unsigned i = 200; i < 300; i++)
		assert_status(i, FATE_TAKEN, "");
	for (unsigned i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		assert_status(again[i], FATE_AGAIN, AGAIN);
	for (unsigned i = 0; i < sizeof(down) / sizeof(down[0]); i++)
		assert_status(down[i], FATE_DOWN, SETUP);
	for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_status(no[i], FATE_REFUSED, NO);
	assert_status(413, FATE_REFUSED,
	    "552 5.3.4 Too big for the server for this address");
}

static void
what_came_too_early_or_not_at_all(void **state)
{
	struct http_answer a = {.status = 200, .reached = true};

	(void)state;
	assert_verdict(&a, FATE_AGAIN, AGAIN);
	a.status = 404;
	assert_verdict(&a, FATE_DOWN, SETUP);
	a.status = 422;
	assert_verdict(&a, FATE_REFUSED, NO);
	a.status = 0;
	assert_verdict(&a, FATE_AGAIN, AGAIN);
	a.whole = true;
	assert_verdict(&a, FATE_LOST,
	    "451 4.4.2 No answer to the end of the message");
	a = (struct http_answer){.status = 0};
	assert_verdict(&a, FATE_DOWN,
	    "451 4.4.1 The server for this address is not there now");
}

static void
assert_line(unsigned status, const char *body, enum fate fate, const char *want)
{
	struct http_answer a = {.status = status,
	    .reached = true,
	    .whole = true,
	    .text = true,
	    .body = span_str(body)};

	assert_verdict(&a, fate, want);
	/* of another type it says nothing */
	a.text = false;
	assert_verdict(&a, status == 400 ? FATE_AGAIN : FATE_REFUSED,
	    status == 400 ? AGAIN : NO);
}

static void
the_application_decides(void **state)
{
	(void)state;
	assert_line(422, "No such list\nmore", FATE_REFUSED,
	    "550 5.7.1 No such list");
	assert_line(422, "552 5.2.2 Full\r\nx", FATE_REFUSED, "552 5.2.2 Full");
	assert_line(409, "451 4.7.1 Later", FATE_AGAIN, "451 4.7.1 Later");
	assert_line(409, "421 4.3.2 Go", FATE_AGAIN, "451 4.3.2 Go");
	assert_line(400, "550 5.1.1 Who?", FATE_REFUSED, "550 5.1.1 Who?");
	assert_line(400, "Bad request", FATE_AGAIN, AGAIN);
	assert_line(422, "", FATE_REFUSED, NO);
	assert_line(422, "  \r\n", FATE_REFUSED, NO);
	assert_line(422, "552 5.100.100  ", FATE_REFUSED,
	    "552 5.100.100 The server for this address does not want it");
	assert_line(422, "a\x01\x7f\xc3\xbc", FATE_REFUSED, "550 5.7.1 a????");
}

static void
lookalikes_are_text(void **state)
{
	static const char *const lines[] = {"552 5.2 x", "552 4.2.2 x",
	    "552 5.2.2", "552 5.2.2x", "5525.2.2 x", "250 2.0.0 x",
	    "600 6.0.0 x", "552 5..2 x", "552 5.2. x", "552 5.2.2.2 x",
	    "552 5.1234.2 x", "552  5.2.2 x", "-52 5.2.2 x", "552 5.a.2 x",
	    "552 5 x", "552", "55"};
	char want[64];

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(want, sizeof(want), "550 5.7.1 %s", lines[i]);
		assert_line(422, lines[i], FATE_REFUSED, want);
		assert_line(400, lines[i], FATE_AGAIN, AGAIN);
	}
}

static void
a_long_line_is_cut(void **state)
{
	char body[1000], want[300];

	(void)state;
	memset(body, 'a', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	snprintf(want, sizeof(want), "550 5.7.1 %.200s", body);
	assert_line(422, body, FATE_REFUSED, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_status),
	    cmocka_unit_test(what_came_too_early_or_not_at_all),
	    cmocka_unit_test(the_application_decides),
	    cmocka_unit_test(lookalikes_are_text),
	    cmocka_unit_test(a_long_line_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
