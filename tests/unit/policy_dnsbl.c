/*
 * dnsbl: from what the lists said to what is done: a table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/check.h"
#include "policy/dnsbl_health.h"

/* What they weigh is in the facts; here it matters that one may vouch. */
static const struct dnsbl_code bad = {{127, 0, 0, 2}, {127, 0, 0, 9}, 5};
static const struct dnsbl_code kind = {{127, 0, 0, 2}, {127, 0, 0, 9}, -3};

static const struct dnsbl_zone zones[] = {
    {.name = "a.test", .at = {"smtpd.conf", 7}, .codes = &bad, .ncodes = 1},
    {.name = "b.test", .at = {"smtpd.conf", 8}, .codes = &bad, .ncodes = 1},
    {.name = "w.test", .at = {"smtpd.conf", 9}, .codes = &kind, .ncodes = 1},
};
static const struct dnsbl lists = {zones, 3};

struct said {
	enum fact_list state;
	int weight;
	uint8_t last; /* octet of its code */
};

/* clang-format off */
#define NOT       {LIST_NOT, 0, 0}
#define SILENT    {LIST_SILENT, 0, 0}
#define LISTED(w) {LIST_LISTED, (w), 2}
/* clang-format on */

static struct verdict
judge(const struct dnsbl *d, const struct said *said, struct shared *s,
    unsigned known)
{
	const struct door_config conf = {.lists = d,
	    .refuse_at = 5,
	    .vouch_at = 3};
	const struct doors all = {.conf = &conf, .shared = s};
	struct envelope env = {0};
	const struct door_subject subject = {.env = &env};
	struct facts f = {.known = known};
	const struct check_case c = {.all = &all,
	    .conf = &conf,
	    .subject = &subject,
	    .facts = &f};
	struct verdict v = {.kind = VERDICT_PASS};

	ipaddr_parse(span_str("192.0.2.7"), &env.client);
	for (unsigned i = 0; d && i < d->n; i++) {
		f.lists[i].state = said[i].state;
		f.lists[i].weight = said[i].weight;
		memcpy(f.lists[i].code, (uint8_t[]){127, 0, 0, said[i].last},
		    4);
	}
	dnsbl_judge(&c, &v);
	return v;
}

static void
what_is_done(void **state)
{
	static const struct {
		struct said said[3];
		enum verdict_kind kind;
		unsigned code, line;
		const char *text, *value;
	} rows[] = {
	    {{NOT, NOT, NOT}, VERDICT_PASS, 0, 0, "", ""},
	    {{SILENT, SILENT, SILENT}, VERDICT_PASS, 0, 0, "", ""},
	    {{LISTED(5), NOT, NOT}, VERDICT_REJECT, 550, 7,
		"192.0.2.7 is listed by a.test", "a.test=127.0.0.2 score=5"},
	    {{LISTED(4), NOT, NOT}, VERDICT_PASS, 0, 0, "",
		"a.test=127.0.0.2 score=4"},
	    {{LISTED(2), LISTED(3), NOT}, VERDICT_REJECT, 550, 8,
		"192.0.2.7 is listed by b.test",
		"a.test=127.0.0.2 b.test=127.0.0.2 score=5"},
	    {{LISTED(3), LISTED(3), NOT}, VERDICT_REJECT, 550, 7,
		"192.0.2.7 is listed by a.test",
		"a.test=127.0.0.2 b.test=127.0.0.2 score=6"},
	    /* a silent one takes nothing from the others */
	    {{SILENT, LISTED(5), NOT}, VERDICT_REJECT, 550, 8,
		"192.0.2.7 is listed by b.test", "b.test=127.0.0.2 score=5"},
	    /* but for what may speak for the client */
	    {{LISTED(5), NOT, SILENT}, VERDICT_DEFER, 451, 7,
		"192.0.2.7 is listed by a.test", "a.test=127.0.0.2 score=5"},
	    {{LISTED(4), NOT, SILENT}, VERDICT_PASS, 0, 0, "",
		"a.test=127.0.0.2 score=4"},
	    {{LISTED(7), NOT, LISTED(-3)}, VERDICT_PASS, 0, 0, "",
		"a.test=127.0.0.2 w.test=127.0.0.2 score=4"},
	    {{LISTED(8), NOT, LISTED(-3)}, VERDICT_REJECT, 550, 7,
		"192.0.2.7 is listed by a.test",
		"a.test=127.0.0.2 w.test=127.0.0.2 score=5"},
	    {{NOT, NOT, LISTED(-3)}, VERDICT_ALLOW, 0, 0, "",
		"w.test=127.0.0.2 score=-3"},
	    {{NOT, NOT, LISTED(-2)}, VERDICT_PASS, 0, 0, "",
		"w.test=127.0.0.2 score=-2"},
	    {{SILENT, SILENT, LISTED(-1000)}, VERDICT_ALLOW, 0, 0, "",
		"w.test=127.0.0.2 score=-1000"},
	    {{LISTED(1), NOT, LISTED(-3)}, VERDICT_PASS, 0, 0, "",
		"a.test=127.0.0.2 w.test=127.0.0.2 score=-2"},
	    {{LISTED(0), NOT, NOT}, VERDICT_PASS, 0, 0, "",
		"a.test=127.0.0.2 score=0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v =
		    judge(&lists, rows[i].said, NULL, FACT_LISTS);

		assert_int_equal(v.kind, rows[i].kind);
		assert_int_equal(v.code, rows[i].code);
		assert_int_equal(v.at.line, rows[i].line);
		assert_null(v.text);
		assert_string_equal(v.said, rows[i].text);
		assert_string_equal(v.value, rows[i].value);
		if (v.code)
			assert_string_equal(v.status,
			    v.code == 550 ? "5.7.1" : "4.7.1");
		/* what is not known is a pass */
		v = judge(&lists, rows[i].said, NULL, FACT_NAME);
		assert_int_equal(v.kind, VERDICT_PASS);
		assert_string_equal(v.value, "");
	}
	assert_int_equal(judge(NULL, rows[2].said, NULL, FACT_LISTS).kind,
	    VERDICT_PASS);
}

/* What was said by a list that is off by now counts no more. */
static void
what_is_off_by_now(void **state)
{
	static const struct said said[3] = {LISTED(5), NOT, LISTED(-3)};
	static const struct said listed[3] = {LISTED(5), NOT, NOT};
	struct shared *s = shared_new();

	(void)state;
	for (int i = 0; i < 3; i++)
		dnsbl_test_done(dnsbl_place(s, &zones[i]), DNSBL_TEST_GOOD,
		    DNSBL_WELL, 0, 1);
	assert_int_equal(judge(&lists, listed, s, FACT_LISTS).code, 550);
	dnsbl_test_done(dnsbl_place(s, &zones[2]), DNSBL_TEST_BAD,
	    DNSBL_EVERYBODY, 0, 2);
	assert_int_equal(judge(&lists, said, s, FACT_LISTS).code, 451);
	dnsbl_test_done(dnsbl_place(s, &zones[0]), DNSBL_TEST_BAD,
	    DNSBL_EVERYBODY, 0, 3);
	assert_int_equal(judge(&lists, said, s, FACT_LISTS).kind, VERDICT_PASS);
}

/* As many as there may be, with names as long as they may be. */
static void
the_score_is_always_told(void **state)
{
	char name[DNSBL_ZONE_MAX + 1] = "";
	struct dnsbl_zone z[DNSBL_MAX];
	struct said said[DNSBL_MAX];
	struct verdict v;

	(void)state;
	memset(name, 'a', DNSBL_ZONE_MAX);
	for (int i = 0; i < DNSBL_MAX; i++) {
		z[i] = (struct dnsbl_zone){.name = name,
		    .codes = &bad,
		    .ncodes = 1};
		said[i] = (struct said){LIST_LISTED, DNSBL_WEIGHT_MAX, 255};
	}
	v = judge(&(struct dnsbl){z, DNSBL_MAX}, said, NULL, FACT_LISTS);
	assert_string_equal(v.value,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... "
	    "score=16000");
	assert_int_equal(strlen(v.said), 23 + DNSBL_ZONE_MAX);
	for (int i = 0; i < DNSBL_MAX; i++)
		said[i].weight = -DNSBL_WEIGHT_MAX;
	v = judge(&(struct dnsbl){z, DNSBL_MAX}, said, NULL, FACT_LISTS);
	assert_int_equal(v.kind, VERDICT_ALLOW);
	assert_non_null(strstr(v.value, " score=-16000"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_done),
	    cmocka_unit_test(what_is_off_by_now),
	    cmocka_unit_test(the_score_is_always_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
