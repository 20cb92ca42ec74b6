/*
 * Who says that it is us: a table of names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "policy/check.h"

static bool
serves(const void *ctx, struct span domain)
{
	(void)ctx;
	return ascii_equal_str(domain, "example.org");
}

static struct verdict
judge(const char *helo, const char *client)
{
	const struct door_config conf = {.serves = serves,
	    .hostname = "host.example.net"};
	struct envelope env = {.session = "06H0000000000001"};
	const struct door_subject subject = {.env = &env,
	    .hostname = "mx.example.net"};
	const struct check_case c = {.conf = &conf, .subject = &subject};
	struct verdict v = {0};

	assert_int_equal(ipaddr_parse(span_str(client), &env.client), 0);
	assert_int_equal(ipaddr_parse(SPAN_LIT("192.0.2.25"), &env.server), 0);
	if (helo)
		envelope_set_helo(&env, span_str(helo), true);
	helo_judge(&c, &v);
	envelope_free(&env);
	return v;
}

static void
names(void **state)
{
	static const struct {
		const char *helo;
		enum verdict_kind kind;
		bool observed;
	} rows[] = {
	    {"mx.example.com", VERDICT_PASS, false},
	    {"mx.example.org", VERDICT_PASS, false},
	    {"example.org.example.com", VERDICT_PASS, false},
	    {"[198.51.100.7]", VERDICT_PASS, false},
	    {"[IPv6:2001:db8::1]", VERDICT_PASS, false},
	    {"[mx.example.net]", VERDICT_PASS, false},
	    /* the listener's, the machine's, a domain, where it comes to */
	    {"mx.example.net", VERDICT_REJECT, false},
	    {"MX.Example.NET", VERDICT_REJECT, false},
	    {"mx.example.net.", VERDICT_REJECT, false},
	    {"host.example.net", VERDICT_REJECT, false},
	    {"example.org", VERDICT_REJECT, false},
	    {"[192.0.2.25]", VERDICT_REJECT, false},
	    {"[IPv6:::ffff:192.0.2.25]", VERDICT_REJECT, false},
	    /* odd, and nobody is refused for that */
	    {"localhost", VERDICT_REJECT, true},
	    {"localhost.", VERDICT_REJECT, true},
	    {".", VERDICT_REJECT, true},
	    {"198.51.100.7", VERDICT_REJECT, true},
	    {"192.0.2.25", VERDICT_REJECT, true},
	    {"", VERDICT_PASS, false},
	    {NULL, VERDICT_PASS, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = judge(rows[i].helo, "198.51.100.7");

		if (v.kind != rows[i].kind || v.observed != rows[i].observed)
			print_error("%s\n", rows[i].helo);
		assert_int_equal(v.kind, rows[i].kind);
		assert_int_equal(v.observed, rows[i].observed);
	}
}

static void
the_reply_names_it(void **state)
{
	struct verdict v = judge("mx.example.net.", "198.51.100.7");
	char longest[256];

	(void)state;
	assert_int_equal(v.code, 550);
	assert_string_equal(v.status, "5.7.1");
	assert_string_equal(v.said, "You are not mx.example.net");
	assert_string_equal(v.value, "mx.example.net");
	assert_string_equal(judge("pc", "198.51.100.7").value, "quirk=pc");
	memset(longest, 'a', 255);
	longest[255] = '\0';
	assert_int_equal(strlen(judge(longest, "198.51.100.7").value),
	    VERDICT_VALUE - 1);
}

static void
this_machine_may_say_what_it_likes(void **state)
{
	(void)state;
	assert_int_equal(judge("mx.example.net", "127.0.0.1").kind,
	    VERDICT_PASS);
	assert_int_equal(judge("localhost", "::1").kind, VERDICT_PASS);
	assert_int_equal(judge("mx.example.net", "192.0.2.25").kind,
	    VERDICT_PASS);
	assert_int_equal(judge("[192.0.2.25]", "192.0.2.25").kind,
	    VERDICT_PASS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(the_reply_names_it),
	    cmocka_unit_test(this_machine_may_say_what_it_likes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
