/*
 * What is learned of a client's name from those who own its zones: the truth,
 * nothing, lies, and silence.
 */
#include "facts_rig.h"

#define CLIENT  "192.0.2.0" /* all addresses of the liar's begin with it */
#define REVERSE "0.2.0.192.in-addr.arpa"
#define CLIENT6 "2001:db8::1"
#define REVERSE6                                                               \
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."     \
	"ip6.arpa"

static void
come_from(const char *client)
{
	assert_int_equal(ipaddr_parse(span_str(client), &rig.env.client), 0);
}

static void
learn(enum fact_name is)
{
	rig_learn(fact_name_ask, FACT_NAME);
	assert_int_equal(rig.facts.name, is);
}

static void
learn_name(const char *name)
{
	learn(NAME_CONFIRMED);
	assert_string_equal(rig.facts.client_name, name);
}

/* By what the reverse zone says. */
static void
reverse(void **state)
{
	static const struct {
		const char *like;
		enum fact_name is;
	} rows[] = {
	    {"nx", NAME_NONE},
	    {"txt", NAME_NONE}, /* something, but no PTR */
	    {"tc", NAME_NONE},  /* as is heard by TCP */
	    {"ptr", NAME_CONFIRMED},
	    {"servfail", NAME_UNKNOWN},
	    {"refused", NAME_UNKNOWN},
	    {"silent", NAME_UNKNOWN},
	    {"wrongid", NAME_UNKNOWN},
	    {"wrongname", NAME_UNKNOWN},
	    {"short", NAME_UNKNOWN},
	    {"circle", NAME_UNKNOWN},
	    {"tcdrop", NAME_UNKNOWN},
	    {"tcsilent", NAME_UNKNOWN},
	};

	(void)state;
	come_from(CLIENT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		liar_like(rig.liar, REVERSE, 0, rows[i].like);
		learn(rows[i].is);
	}
}

/* By what the name says. */
static void
forward(void **state)
{
	static const struct {
		const char *name;
		enum fact_name is;
	} rows[] = {
	    {"a.test", NAME_CONFIRMED},
	    {"chain.test", NAME_CONFIRMED},
	    {"tc.test", NAME_CONFIRMED},
	    {"late.test", NAME_CONFIRMED},
	    {"many40.test", NAME_CONFIRMED},
	    {"many129.test", NAME_UNKNOWN},
	    {"nx.test", NAME_UNCONFIRMED},
	    {"nodata.test", NAME_UNCONFIRMED},
	    {"other.test", NAME_UNCONFIRMED},
	    {"servfail.test", NAME_UNKNOWN},
	    {"silent.test", NAME_UNKNOWN},
	    {"wrongid.test", NAME_UNKNOWN},
	    {"circle.test", NAME_UNKNOWN},
	    {"tcsilent.test", NAME_UNKNOWN},
	};

	(void)state;
	come_from(CLIENT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		liar_forget(rig.liar);
		liar_add(rig.liar, "nodata.test", DNS_AAAA, CLIENT6);
		liar_add(rig.liar, "other.test", DNS_A, "192.0.2.1");
		liar_add(rig.liar, REVERSE, DNS_PTR, rows[i].name);
		learn(rows[i].is);
		if (rows[i].is == NAME_CONFIRMED)
			assert_string_equal(rig.facts.client_name,
			    rows[i].name);
	}
}

/* An address of the other kind is none. */
static void
families(void **state)
{
	(void)state;
	liar_add(rig.liar, REVERSE6, DNS_PTR, "two.test");
	come_from(CLIENT6);
	learn_name("two.test");
	liar_add(rig.liar, REVERSE, DNS_PTR, "six.test");
	liar_add(rig.liar, "six.test", DNS_AAAA, "::ffff:192.0.2.0");
	come_from(CLIENT);
	learn(NAME_UNCONFIRMED);
	come_from("::ffff:192.0.2.0");
	liar_add(rig.liar, "six.test", DNS_A, CLIENT);
	learn_name("six.test");
}

/* RFC 2317: who has a part of a /24 has a zone elsewhere. */
static void
delegated(void **state)
{
	(void)state;
	liar_add(rig.liar, REVERSE, DNS_CNAME, "0.part.test");
	liar_add(rig.liar, "0.part.test", DNS_PTR, "a.test");
	come_from(CLIENT);
	learn_name("a.test");
}

/* Of several the first in the order of the alphabet, however they stand. */
static void
several(void **state)
{
	static const char *const names[] = {"1.test", "2.test", "a.test",
	    "many40.test"};

	(void)state;
	come_from(CLIENT);
	for (unsigned turn = 0; turn < 4; turn++) {
		liar_forget(rig.liar);
		liar_like(rig.liar, "1.test", 0, "silent");
		liar_like(rig.liar, "2.test", 0, "nx");
		for (unsigned i = 0; i < 4; i++)
			liar_add(rig.liar, REVERSE, DNS_PTR,
			    names[(i + turn) % 4]);
		/* who of them has no answer does not hide the others */
		learn_name("a.test");
	}
	liar_forget(rig.liar);
	liar_add(rig.liar, REVERSE, DNS_PTR, "silent.test");
	liar_add(rig.liar, REVERSE, DNS_PTR, "nx.test");
	learn(NAME_UNKNOWN); /* it might have led back */
}

static void
hostile(void **state)
{
	static const char longest[] =
	    "a23456789012345678901234567890123456789012345678901234567890123."
	    "b23456789012345678901234567890123456789012345678901234567890123."
	    "c23456789012345678901234567890123456789012345678901234567890123."
	    "d234567890123456789012345678901234567890123456789012345678901";
	static const char *const bad[] = {"a\1b.test", "a b.test",
	    "a\r\nX: y.test", "(a).test", "a\"b.test", "a\\b.test", "\xff.test",
	    "a/b.test", ".", "<a>.test", "a@b.test"};

	(void)state;
	come_from(CLIENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		liar_forget(rig.liar);
		liar_add(rig.liar, REVERSE, DNS_PTR, bad[i]);
		liar_asked(rig.liar);
		learn(NAME_UNCONFIRMED);
		assert_int_equal(liar_asked(rig.liar), 1);
	}
	/* they hide none that is good */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		liar_add(rig.liar, REVERSE, DNS_PTR, bad[i]);
	liar_add(rig.liar, REVERSE, DNS_PTR, "A.Test");
	liar_asked(rig.liar);
	learn_name("a.test");
	assert_int_equal(liar_asked(rig.liar), 2);
	/* the longest that there can be */
	liar_forget(rig.liar);
	assert_int_equal(strlen(longest), 253);
	liar_add(rig.liar, REVERSE, DNS_PTR, longest);
	liar_add(rig.liar, longest, DNS_A, CLIENT);
	learn_name(longest);
}

/* Few are asked about; the same ones, also if one is there twice. */
static void
hundred(void **state)
{
	static char names[100][24];

	(void)state;
	come_from(CLIENT);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]), "nx.%02u.test",
		    (i * 37) % 100);
		liar_add(rig.liar, REVERSE, DNS_PTR, names[i]);
	}
	for (unsigned i = 0; i < 20; i++)
		liar_add(rig.liar, REVERSE, DNS_PTR, "NX.00.test");
	liar_asked(rig.liar);
	learn(NAME_UNCONFIRMED);
	assert_int_equal(liar_asked(rig.liar) - liar_asked_tcp(rig.liar), 5);
	liar_add(rig.liar, "nx.03.test", DNS_A, CLIENT);
	liar_add(rig.liar, "nx.04.test", DNS_A, CLIENT);
	learn_name("nx.03.test");
	for (unsigned i = 0; i < 100; i++)
		liar_add(rig.liar, REVERSE, DNS_PTR, names[i]);
	learn(NAME_UNKNOWN); /* more than anybody reads */
}

static void
not_asked(void **state)
{
	(void)state;
	assert_false(rig_ask(fact_name_ask)); /* no address */
	come_from("127.0.0.1");
	assert_false(rig_ask(fact_name_ask));
	come_from("::1");
	assert_false(rig_ask(fact_name_ask));
	come_from(CLIENT);
	rig.doors.resolve = NULL;
	rig.facts.name = NAME_CONFIRMED;
	assert_false(rig_ask(fact_name_ask));
	assert_int_equal(rig.facts.name, NAME_UNKNOWN);
	assert_int_equal(liar_asked(rig.liar), 0);
}

static void
cancelled(void **state)
{
	(void)state;
	come_from(CLIENT);
	liar_add(rig.liar, REVERSE, DNS_PTR, "1.test");
	liar_like(rig.liar, "1.test", 0, "silent");
	liar_add(rig.liar, REVERSE, DNS_PTR, "late.test");
	liar_add(rig.liar, REVERSE, DNS_PTR, "nx.test");
	rig_cancel_always(fact_name_ask);
}

/* As many strangers as it takes: nobody waits, and whoever is ours is heard. */
static void
strangers_have_a_share(void **state)
{
	struct fact_from from = {.all = &rig.doors,
	    .env = &rig.env,
	    .deadline = clock_now() + TIMEOUT};
	static struct facts all[RESOLVE_STRANGERS + 8];
	static struct ask *asks[RESOLVE_STRANGERS + 8];

	(void)state;
	come_from(CLIENT);
	liar_like(rig.liar, REVERSE, 0, "silent");
	for (unsigned i = 0; i < RESOLVE_STRANGERS + 8; i++) {
		from.stranger = i + 1;
		asks[i] = fact_name_ask(&from, &all[i], rig_told, &rig);
		assert_non_null(asks[i]);
	}
	assert_int_equal(resolve_overloads(rig.resolve), 8);
	rig.told = 0;
	clock_pass(TIMEOUT);
	assert_int_equal(rig.told, RESOLVE_STRANGERS + 8);
	for (unsigned i = 0; i < RESOLVE_STRANGERS + 8; i++)
		assert_int_equal(all[i].name, NAME_UNKNOWN);
}

/* What it has its names lead to counts as its own. */
static void
names_are_strangers(void **state)
{
	static const char *const names[] = {"1.test", "2.test", "3.test",
	    "4.test"};
	const struct fact_from from = {.all = &rig.doors,
	    .env = &rig.env,
	    .stranger = 7,
	    .deadline = clock_now() + TIMEOUT};
	struct facts all[RESOLVE_STRANGER / 4 + 1];

	(void)state;
	come_from(CLIENT);
	for (unsigned i = 0; i < 4; i++) {
		liar_add(rig.liar, REVERSE, DNS_PTR, names[i]);
		liar_like(rig.liar, names[i], 0, "silent");
	}
	for (unsigned i = 0; i < RESOLVE_STRANGER / 4 + 1; i++)
		fact_name_ask(&from, &all[i], rig_told, &rig);
	clock_pass(0);
	assert_int_equal(resolve_overloads(rig.resolve), 4);
	clock_pass(TIMEOUT);
	assert_int_equal(rig.told, RESOLVE_STRANGER / 4 + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(reverse, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(forward, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(families, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(delegated, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(several, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(hostile, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(hundred, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(not_asked, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(cancelled, rig_up, rig_down),
	    cmocka_unit_test_setup_teardown(strangers_have_a_share, rig_up,
		rig_down),
	    cmocka_unit_test_setup_teardown(names_are_strangers, rig_up,
		rig_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
