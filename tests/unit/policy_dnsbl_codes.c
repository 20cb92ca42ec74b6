/*
 * Codes: what may be written, what an answer means, and what is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/dnsbl_codes.h"

static struct dnsbl_code
code(const char *text)
{
	struct dnsbl_code c;
	const char *why = dnsbl_code_parse(span_str(text), &c);

	if (why)
		print_error("%s: %s\n", text, why);
	assert_null(why);
	return c;
}

static void
what_may_be_written(void **state)
{
	static const struct {
		const char *text;
		struct dnsbl_code is;
	} good[] = {
	    {"127.0.0.2: 5", {{127, 0, 0, 2}, {127, 0, 0, 2}, 5}},
	    {"127.0.0.2-3:5", {{127, 0, 0, 2}, {127, 0, 0, 3}, 5}},
	    {"127.0.2-15.1: -2", {{127, 0, 2, 1}, {127, 0, 15, 1}, -2}},
	    {" 127.0.0.9-11 :\t-1000 ",
		{{127, 0, 0, 9}, {127, 0, 0, 11}, -1000}},
	    {"127-127.1-255.0-254.0-255: 1000",
		{{127, 1, 0, 0}, {127, 255, 254, 255}, 1000}},
	    {"127.0.0.2: 0", {{127, 0, 0, 2}, {127, 0, 0, 2}, 0}},
	    {"127.0.0.2: -0", {{127, 0, 0, 2}, {127, 0, 0, 2}, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct dnsbl_code c = code(good[i].text);

		assert_memory_equal(c.from, good[i].is.from, 4);
		assert_memory_equal(c.to, good[i].is.to, 4);
		assert_int_equal(c.weight, good[i].is.weight);
	}
}

static void
what_may_not(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "write a code"},
	    {":", "write a code"},
	    {"127.0.0.2", "write a code"},
	    {"127.0.0.2:", "write a code"},
	    {"127.0.0.2: +5", "write a code"},
	    {"127.0.0.2: --5", "write a code"},
	    {"127.0.0.2: 5 5", "write a code"},
	    {"127.0.0.2: 1001", "write a code"},
	    {"127.0.0.2: -1001", "write a code"},
	    {"127.0.0.2: 5x", "write a code"},
	    {"127.0.0: 5", "write a code"},
	    {"127.0.0.: 5", "write a code"},
	    {"127.0.0.2.: 5", "write a code"},
	    {"127.0.0.2.3: 5", "write a code"},
	    {"127..0.2: 5", "write a code"},
	    {"127.0.0.256: 5", "write a code"},
	    {"127.0.0.3-2: 5", "write a code"},
	    {"127.0.0.-2: 5", "write a code"},
	    {"127.0.0.2-: 5", "write a code"},
	    {"127.0.0.2-3-4: 5", "write a code"},
	    {"127.0.0. 2: 5", "write a code"},
	    {"127.0.0.2/32: 5", "write a code"},
	    {"0.0.0.2: 5", "begin it with 127"},
	    {"126-127.0.0.2: 5", "begin it with 127"},
	    {"127-128.0.0.2: 5", "begin it with 127"},
	    {"127.0.0.1: 5", "127.0.0.1 is what filters"},
	    {"127.0.0.0-255: 5", "127.0.0.1 is what filters"},
	    {"127.255.255.254: 5", "errors of lists"},
	    {"127.2-255.255.0: 5", "errors of lists"},
	};
	struct dnsbl_code c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = dnsbl_code_parse(span_str(bad[i].text), &c);

		if (!why || !strstr(why, bad[i].why))
			print_error("%s: %s\n", bad[i].text, why ? why : "-");
		assert_non_null(why);
		assert_non_null(strstr(why, bad[i].why));
	}
}

static void
which_meet(void **state)
{
	static const struct {
		const char *a, *b;
		bool meet;
	} rows[] = {
	    {"127.0.0.2: 5", "127.0.0.2: 4", true},
	    {"127.0.0.2-3: 5", "127.0.0.3-4: 5", true},
	    {"127.0.0.2-3: 5", "127.0.0.4: 5", false},
	    {"127.0.2-15.1: -2", "127.0.2-15.2-3: -5", false},
	    {"127.0-9.5.2: 1", "127.5.0-9.2: 1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dnsbl_code a = code(rows[i].a), b = code(rows[i].b);

		assert_int_equal(dnsbl_codes_meet(&a, &b), rows[i].meet);
		assert_int_equal(dnsbl_codes_meet(&b, &a), rows[i].meet);
	}
}

/* Octets of up to three records, 0.0.0.0 for none. */
static struct dnsbl_answer
said(const struct dnsbl_zone *z, const uint8_t codes[3][4])
{
	struct dns_record r[3] = {0};
	struct dns_answer a = {.status = DNS_FOUND, .records = r};

	while (a.n < 3 && codes[a.n][0]) {
		r[a.n].addr = ipaddr_v4(codes[a.n]);
		a.n++;
	}
	return dnsbl_read(z, &a);
}

static void
what_an_answer_means(void **state)
{
	const struct dnsbl_code codes[] = {
	    code("127.0.0.2-3: 5"),
	    code("127.0.0.4-11: 7"),
	    code("127.0.2-15.1: -2"),
	    code("127.0.2-15.2-3: -9"),
	    code("127.0.0.20: 0"),
	};
	const struct dnsbl_zone z = {.codes = codes,
	    .ncodes = sizeof(codes) / sizeof(codes[0])};
	static const struct {
		uint8_t codes[3][4];
		enum dnsbl_said said;
		enum dnsbl_fault fault;
		int weight;
		uint8_t about;
	} rows[] = {
	    {{{127, 0, 0, 2}}, DNSBL_SAID_LISTED, DNSBL_WELL, 5, 2},
	    {{{127, 0, 0, 11}}, DNSBL_SAID_LISTED, DNSBL_WELL, 7, 11},
	    {{{127, 0, 5, 1}}, DNSBL_SAID_LISTED, DNSBL_WELL, -2, 1},
	    {{{127, 0, 0, 20}}, DNSBL_SAID_LISTED, DNSBL_WELL, 0, 20},
	    /* the heaviest, wherever it stands */
	    {{{127, 0, 0, 2}, {127, 0, 0, 4}}, DNSBL_SAID_LISTED, DNSBL_WELL, 7,
		4},
	    {{{127, 0, 0, 4}, {127, 0, 0, 3}}, DNSBL_SAID_LISTED, DNSBL_WELL, 7,
		4},
	    {{{127, 0, 0, 4}, {127, 0, 2, 3}, {127, 0, 0, 3}},
		DNSBL_SAID_LISTED, DNSBL_WELL, -9, 3},
	    /* none of ours */
	    {{{127, 0, 0, 12}}, DNSBL_SAID_CODE, DNSBL_WELL, 0, 12},
	    {{{127, 0, 5, 0}}, DNSBL_SAID_CODE, DNSBL_WELL, 0, 0},
	    {{{127, 0, 0, 12}, {127, 0, 0, 2}}, DNSBL_SAID_LISTED, DNSBL_WELL,
		5, 2},
	    {{{127, 0, 0, 20}, {127, 0, 0, 12}}, DNSBL_SAID_LISTED, DNSBL_WELL,
		0, 20},
	    /* no answer to this */
	    {{{203, 0, 113, 2}}, DNSBL_SAID_WRONG, DNSBL_FOREIGN, 0, 2},
	    {{{126, 0, 0, 2}}, DNSBL_SAID_WRONG, DNSBL_FOREIGN, 0, 2},
	    {{{127, 0, 0, 1}}, DNSBL_SAID_WRONG, DNSBL_BLOCKED, 0, 1},
	    {{{127, 255, 255, 252}}, DNSBL_SAID_WRONG, DNSBL_MISTYPED, 0, 252},
	    {{{127, 255, 255, 254}}, DNSBL_SAID_WRONG, DNSBL_PUBLIC, 0, 254},
	    {{{127, 255, 255, 255}}, DNSBL_SAID_WRONG, DNSBL_TOO_MANY, 0, 255},
	    {{{127, 255, 255, 2}}, DNSBL_SAID_WRONG, DNSBL_ERROR, 0, 2},
	    {{{127, 0, 0, 255}}, DNSBL_SAID_WRONG, DNSBL_TOO_MANY, 0, 255},
	    {{{127, 0, 0, 2}, {203, 0, 113, 2}}, DNSBL_SAID_WRONG,
		DNSBL_FOREIGN, 0, 2},
	};
	const struct dnsbl_code any = code("127.0.0.2-255: 4");
	const struct dnsbl_zone wide = {.codes = &any, .ncodes = 1};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dnsbl_answer a = said(&z, rows[i].codes);

		assert_int_equal(a.said, rows[i].said);
		assert_int_equal(a.fault, rows[i].fault);
		assert_int_equal(a.weight, rows[i].weight);
		assert_int_equal(a.code[3], rows[i].about);
		assert_true(*dnsbl_faults[a.fault].reason || !a.fault);
		assert_true(*dnsbl_faults[a.fault].help || !a.fault);
	}
	/* who configures it knows what it means */
	assert_int_equal(said(&wide, rows[18].codes).said, DNSBL_SAID_LISTED);
	assert_int_equal(dnsbl_most(&z), 7);
	assert_int_equal(dnsbl_least(&z), -9);
	assert_int_equal(dnsbl_least(&wide), 0);
}

static void
what_no_answer_means(void **state)
{
	static const struct {
		enum dns_status status;
		unsigned why;
		enum dnsbl_said said;
	} rows[] = {
	    {DNS_NODATA, 0, DNSBL_SAID_NOT},
	    {DNS_NXDOMAIN, 0, DNSBL_SAID_NOT},
	    {DNS_FAILED, DNS_TIMEOUT, DNSBL_SAID_NOTHING},
	    {DNS_FAILED, DNS_SERVFAIL, DNSBL_SAID_NOTHING},
	    {DNS_FAILED, DNS_REFUSED, DNSBL_SAID_NOTHING},
	    {DNS_FAILED, DNS_NONSENSE, DNSBL_SAID_NOTHING},
	    {DNS_FAILED, DNS_OVERLOAD, DNSBL_SAID_UNASKED},
	    {DNS_FAILED, DNS_DOWN, DNSBL_SAID_UNASKED},
	    {DNS_FAILED, DNS_UNREACHABLE, DNSBL_SAID_UNASKED},
	};
	const struct dnsbl_zone z = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct dns_answer a = {.status = rows[i].status,
		    .why = rows[i].why};

		assert_int_equal(dnsbl_read(&z, &a).said, rows[i].said);
	}
}

static void
what_is_asked(void **state)
{
	char name[DNS_NAME_MAX + 1], zone[DNSBL_ZONE_MAX + 1] = "";
	struct ipaddr a;

	(void)state;
	ipaddr_parse(span_str("192.0.2.17"), &a);
	assert_string_equal(dnsbl_question(&a, "bl.test", name),
	    "17.2.0.192.bl.test");
	ipaddr_parse(span_str("::ffff:192.0.2.17"), &a);
	assert_string_equal(dnsbl_question(&a, "bl.test", name),
	    "17.2.0.192.bl.test");
	ipaddr_parse(span_str("2001:db8::7f00:2"), &a);
	assert_string_equal(dnsbl_question(&a, "bl.test", name),
	    "2.0.0.0.0.0.f.7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
	    "bl.test");
	memset(zone, 'a', DNSBL_ZONE_MAX);
	assert_int_equal(strlen(dnsbl_question(&a, zone, name)),
	    64 + DNSBL_ZONE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_may_be_written),
	    cmocka_unit_test(what_may_not),
	    cmocka_unit_test(which_meet),
	    cmocka_unit_test(what_an_answer_means),
	    cmocka_unit_test(what_no_answer_means),
	    cmocka_unit_test(what_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
