/*
 * greylist: what becomes of a tuple with time, whom a name makes a client one
 * of, and what is said of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "grey_rig.h"
#include "io/shared.h"
#include "policy/check.h"

static struct greylist_answer
ask_as(const struct greylist *g, const char *client, const char *sender,
    int64_t at)
{
	const struct greylist_key k = key(client, sender, "example.org");

	return greylist_ask(g, t, &k, at);
}

static enum greylist_state
ask(const char *client, const char *sender, int64_t at)
{
	return ask_as(&usual, client, sender, at).state;
}

/* --- states --- */

static void
a_tuple_grows_old(void **state)
{
	const char *c = "192.0.2.1", *s = "example.com";

	(void)state;
	assert_int_equal(ask(c, s, NOW), GREYLIST_NEW);
	assert_int_equal(ask(c, s, NOW), GREYLIST_EARLY);
	assert_int_equal(ask(c, s, NOW + MINUTE - 1), GREYLIST_EARLY);
	assert_int_equal(ask(c, s, NOW + MINUTE), GREYLIST_BACK);
	assert_int_equal(ask(c, s, NOW + MINUTE), GREYLIST_PASSED);
	/* unused for so long that it is forgotten; used meanwhile it is not */
	assert_int_equal(ask(c, s, NOW + 30 * DAY), GREYLIST_PASSED);
	assert_int_equal(ask(c, s, NOW + 66 * DAY), GREYLIST_PASSED);
	assert_int_equal(ask(c, s, NOW + 103 * DAY), GREYLIST_NEW);
	/* too late, and it begins anew */
	assert_int_equal(ask(c, s, NOW + 106 * DAY), GREYLIST_NEW);
	assert_int_equal(ask(c, s, NOW + 108 * DAY), GREYLIST_BACK);
}

static void
the_wait_is_told(void **state)
{
	const char *c = "192.0.2.1", *s = "example.com";

	(void)state;
	assert_int_equal(ask_as(&usual, c, s, NOW).wait, 60);
	assert_int_equal(ask_as(&usual, c, s, NOW + 59999).wait, 1);
	assert_int_equal(ask_as(&usual, c, s, NOW + 20 * SECOND).wait, 40);
	assert_int_equal(ask_as(&usual, c, s, NOW - 20 * SECOND).wait, 60);
	assert_int_equal(ask_as(&usual, c, s, NOW + MINUTE).wait, 0);
	assert_int_equal(ask_as(&usual, c, s, NOW + MINUTE).wait, 0);
}

static void
each_part_counts(void **state)
{
	struct greylist_key k = key("192.0.2.1", "Example.COM", "example.ORG");

	(void)state;
	assert_int_equal(k.len,
	    strlen("192.0.2.0/24\nexample.com\nexample.org"));
	assert_memory_equal(k.text, "192.0.2.0/24\nexample.com\nexample.org",
	    k.len);
	greylist_ask(&usual, t, &k, NOW);
	k = key("192.0.2.99", "example.com", "example.org");
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state,
	    GREYLIST_EARLY);
	k = key("192.0.3.1", "example.com", "example.org");
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state, GREYLIST_NEW);
	k = key("192.0.2.1", "", "example.org");
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state, GREYLIST_NEW);
	k = key("192.0.2.1", "example.com", "example.net");
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state, GREYLIST_NEW);
}

/* Five have passed: the sixth need not wait, and nobody else's is lighter. */
static void
a_client_is_known(void **state)
{
	static const char *const names[] = {"a.example", "b.example",
	    "c.example", "d.example", "e.example"};
	struct greylist_answer a;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(ask("192.0.2.1", names[i], NOW), GREYLIST_NEW);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(ask("192.0.2.1", "z.example", NOW),
		    i ? GREYLIST_EARLY : GREYLIST_NEW);
		a = ask_as(&usual, "192.0.2.1", names[i], NOW + MINUTE);
		assert_int_equal(a.state, GREYLIST_BACK);
		assert_int_equal(a.passed, i + 1);
	}
	assert_int_equal(ask("192.0.2.1", "z.example", NOW), GREYLIST_KNOWN);
	assert_int_equal(ask("192.0.2.1", "y.example", NOW + 36 * DAY),
	    GREYLIST_KNOWN);
	/* used, so it is kept */
	assert_int_equal(ask("192.0.2.1", "x.example", NOW + 72 * DAY),
	    GREYLIST_KNOWN);
	assert_int_equal(ask("192.0.3.1", "z.example", NOW + 72 * DAY),
	    GREYLIST_NEW);
	assert_int_equal(ask_as(&lonely, "192.0.2.1", "x.example",
			     NOW + 72 * DAY)
			     .state,
	    GREYLIST_NEW);
	assert_int_equal(ask("192.0.2.1", "x.example", NOW + 109 * DAY),
	    GREYLIST_NEW);
}

static void
nobody_is_known_after_none(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%u.example", i);
		assert_int_equal(ask_as(&lonely, "192.0.2.1", name, NOW).state,
		    GREYLIST_NEW);
		assert_int_equal(ask_as(&lonely, "192.0.2.1", name,
				     NOW + MINUTE)
				     .passed,
		    0);
	}
}

/* A count that goes round would forget whom it knows. */
static void
a_count_ends(void **state)
{
	struct greylist g = {.delay = MINUTE,
	    .window = DAY,
	    .keep = DAY,
	    .after = 1000}; /* nobody is known who would not be counted */
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "%u.example", i);
		ask_as(&g, "192.0.2.1", name, NOW);
		ask_as(&g, "192.0.2.1", name, NOW + MINUTE);
	}
	g.after = GREYLIST_AFTER_MAX;
	assert_int_equal(ask_as(&g, "192.0.2.1", "z.example", NOW).state,
	    GREYLIST_KNOWN);
}

static void
a_look_changes_nothing(void **state)
{
	const struct greylist_key k =
	    key("192.0.2.1", "example.com", "example.org");

	(void)state;
	assert_true(greylist_would_defer(&usual, t, &k, NOW));
	assert_int_equal(t->changed, 0);
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state, GREYLIST_NEW);
	assert_int_equal(t->changed, 1);
	assert_true(greylist_would_defer(&usual, t, &k, NOW));
	assert_false(greylist_would_defer(&usual, t, &k, NOW + MINUTE));
	greylist_pass(&usual, t, &k, NOW);
	assert_false(greylist_would_defer(&usual, t, &k, NOW));
	assert_int_equal(greylist_ask(&usual, t, &k, NOW).state,
	    GREYLIST_PASSED);
}

/* A clock that was wrong for a while locks nobody out for good. */
static void
from_the_future(void **state)
{
	const char *c = "192.0.2.1", *s = "example.com";

	(void)state;
	assert_int_equal(ask(c, s, NOW + 400 * DAY), GREYLIST_NEW);
	assert_int_equal(ask(c, s, NOW), GREYLIST_NEW);
	assert_int_equal(ask(c, s, NOW + MINUTE), GREYLIST_BACK);
	assert_int_equal(ask(c, s, NOW - 30 * MINUTE), GREYLIST_PASSED);
}

/* No write for each message. */
static void
a_word_is_left_alone(void **state)
{
	const char *c = "192.0.2.1", *s = "example.com";

	(void)state;
	ask(c, s, NOW);
	ask(c, s, NOW + MINUTE);
	t->changed = 0;
	assert_int_equal(ask(c, s, NOW + DAY), GREYLIST_PASSED);
	assert_int_equal(t->changed, 0);
	assert_int_equal(ask(c, s, NOW + DAY + 2 * MINUTE), GREYLIST_PASSED);
	assert_int_equal(t->changed, 1);
}

/* Whatever stands in the mapping. */
static void
rubbish(void **state)
{
	char name[32];

	(void)state;
	for (unsigned i = 0; i < SHARED_GREY_SETS; i++)
		for (unsigned k = 0; k < SHARED_CELLS_SET; k++)
			t->sets[i].words[k] = (uint64_t)random() << 40 ^
					      (uint64_t)random() << 20 ^
					      (uint64_t)random();
	for (unsigned i = 0; i < 100000; i++) {
		struct greylist_answer a;

		snprintf(name, sizeof(name), "%u.example", i);
		a = ask_as(&usual, "192.0.2.1", name, NOW);
		assert_in_range(a.state, GREYLIST_NEW, GREYLIST_KNOWN);
		assert_in_range(a.wait, 0, 60);
	}
}

/* --- whom a name makes a client one of --- */

static void
identities(void **state)
{
	static const struct {
		const char *client, *name, *who;
	} cases[] = {
	    {"192.0.2.7", NULL, "192.0.2.0/24"},
	    {"2001:db8:1:2:3::4", NULL, "2001:db8:1:2::/64"},
	    /* pools */
	    {"40.107.22.71", "mail-am1.outbound.protection.outlook.com",
		"outbound.protection.outlook.com"},
	    {"209.85.221.44", "mail-wr1-f44.google.com", "google.com"},
	    {"192.0.2.7", "mx.example.net", "example.net"},
	    {"192.0.2.7", "mx.mail.example.co.uk", "mail.example.co.uk"},
	    {"192.0.2.7", "mx7.example.co.uk", "example.co.uk"},
	    {"192.0.2.7", "mx.t-online.de", "t-online.de"},
	    {"2001:db8::1", "mx1.example.net", "example.net"},
	    /* only the parent is no pool */
	    {"192.0.2.7", "example.net", "example.net"},
	    {"192.0.2.7", "example.co.uk", "example.co.uk"},
	    {"192.0.2.7", "example.com.br", "example.com.br"},
	    {"192.0.2.7", "example.or.jp", "example.or.jp"},
	    {"192.0.2.7", "localhost", "localhost"},
	    /* addresses that have a name */
	    {"79.209.162.179", "p4fd1a2b3.dip0.t-ipconnect.de",
		"79.209.162.0/24"},
	    {"192.168.1.5", "c0a80105.dyn.example.net", "192.168.1.0/24"},
	    {"198.51.100.7", "7.100.51.198.example.net", "198.51.100.0/24"},
	    {"198.51.100.7", "adsl-198-051-100-007.example.net",
		"198.51.100.0/24"},
	    {"198.51.100.7", "host7-100.example.net", "198.51.100.0/24"},
	    {"198.51.100.7", "host7.example.net", "example.net"},
	    {"198.51.100.7", "a1007.b7.example.net", "b7.example.net"},
	    {"10.10.10.10", "a10.example.net", "example.net"},
	    {"10.10.10.10", "a10-10.example.net", "10.10.10.0/24"},
	    {"2001:db8::1a2b:3c4d", "dsl-1a2b-3c4d.example.net",
		"2001:db8::/64"},
	    {"2001:db8::1a2b:3c4d", "20010db80000000000000000x.example.net",
		"2001:db8::/64"},
	    {"2001:db8::1a2b:3c4d", "c3d4.1a2b.example.net",
		"1a2b.example.net"},
	};
	char who[GREYLIST_WHO_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipaddr a = ip(cases[i].client);

		assert_string_equal(greylist_who(&a, cases[i].name, who),
		    cases[i].who);
	}
}

static void
long_names(void **state)
{
	struct ipaddr a = ip("192.0.2.7");
	char name[400], who[GREYLIST_WHO_MAX];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_string_equal(greylist_who(&a, name, who), "192.0.2.0/24");
	name[255] = '\0';
	assert_string_equal(greylist_who(&a, name, who), name);
	memset(name, '9', 255);
	assert_string_equal(greylist_who(&a, name, who), name);
}

/* --- the check --- */

static void
judge(struct check_case *c, const char *name, int64_t wall, struct verdict *v)
{
	struct facts f = {.known = name ? FACT_NAME : 0};

	if (name) {
		f.name = NAME_CONFIRMED;
		snprintf(f.client_name, sizeof(f.client_name), "%s", name);
	}
	c->facts = &f;
	c->wall = wall;
	*v = (struct verdict){0};
	greylist_judge(c, v);
}

static void
verdicts(void **state)
{
	struct envelope_rcpt r = {
	    .path = {.local = "a", .domain = "example.org"}};
	struct envelope e = {.client = ip("40.107.22.71"),
	    .sender = {.local = "b", .domain = "example.com"},
	    .nrcpts = 1,
	    .rcpts = &r};
	const struct door_subject s = {.env = &e};
	struct doors all = {.shared = shared_new()};
	struct door_config conf = {.grey = NULL};
	struct check_case c = {.all = &all, .conf = &conf, .subject = &s};
	struct verdict v;

	(void)state;
	judge(&c, NULL, NOW, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
	conf.grey = &usual;
	judge(&c, NULL, NOW, &v);
	assert_int_equal(v.kind, VERDICT_DEFER);
	assert_int_equal(v.code, 451);
	assert_string_equal(v.status, "4.7.1");
	assert_string_equal(v.said, "Greylisted, come back in 60 seconds");
	assert_null(v.text);
	assert_string_equal(v.value, "40.107.22.0/24 new");
	/* the name came later; then it is another client of the same pool */
	judge(&c, "mail-am1.outbound.protection.outlook.com", NOW, &v);
	assert_string_equal(v.value, "outbound.protection.outlook.com new");
	e.client = ip("52.100.1.2");
	judge(&c, "mail-bn8.outbound.protection.outlook.com", NOW + MINUTE, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
	assert_string_equal(v.value,
	    "outbound.protection.outlook.com came back");
	judge(&c, "mail-bn8.outbound.protection.outlook.com", NOW, &v);
	assert_string_equal(v.value,
	    "outbound.protection.outlook.com passed before");
	/* here, unless a proxy says so of somebody */
	e.client = ip("127.0.0.1");
	judge(&c, NULL, NOW, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
	e.via = ip("192.0.2.1");
	judge(&c, NULL, NOW, &v);
	assert_int_equal(v.kind, VERDICT_DEFER);
	e.client = ip("192.0.2.2");
	e.rcpts = NULL;
	judge(&c, NULL, NOW, &v);
	assert_int_equal(v.kind, VERDICT_PASS);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_table, close_table)
	const struct CMUnitTest tests[] = {
	    TEST(a_tuple_grows_old),
	    TEST(the_wait_is_told),
	    TEST(each_part_counts),
	    TEST(a_client_is_known),
	    TEST(nobody_is_known_after_none),
	    TEST(a_count_ends),
	    TEST(a_look_changes_nothing),
	    TEST(from_the_future),
	    TEST(a_word_is_left_alone),
	    TEST(rubbish),
	    cmocka_unit_test(identities),
	    cmocka_unit_test(long_names),
	    cmocka_unit_test(verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
