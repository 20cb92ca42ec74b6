/*
 * Access rules: what they mean, which one of several decides, and what is said
 * of one that is no good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/access.h"
#include "policy/check.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define UE       "\xc3\xbc"

static const struct access_options folding = {.fold = true};

static struct access *
rules(const struct access_options *o, const char *const *texts, unsigned n)
{
	struct access *a = access_new(o);
	char why[ACCESS_WHY_MAX];

	for (unsigned i = 0; i < n; i++)
		if (!access_add(a, span_str(texts[i]),
			(struct where){"f", i + 1}, why))
			fail_msg("%s", why);
	access_ready(a);
	return a;
}

static struct verdict
ask(const struct access *a, check_judge *judge, const struct envelope *env,
    const struct smtp_path *rcpt)
{
	const struct door_config conf = {.access = a};
	const struct door_subject subject = {.env = env, .rcpt = rcpt};
	struct verdict v = {.kind = VERDICT_PASS};

	judge(&(struct check_case){.conf = &conf, .subject = &subject}, &v);
	return v;
}

/* The line that decides; 0: none. */
static unsigned
ask_client(const struct access *a, const char *client)
{
	struct envelope env = {.port = 1};

	if (*client)
		assert_int_equal(ipaddr_parse(span_str(client), &env.client),
		    0);
	return ask(a, access_client, &env, NULL).at.line;
}

static unsigned
ask_helo(const struct access *a, const char *name)
{
	struct envelope env = {.port = 1};
	unsigned line;

	env.helo = name ? strdup(name) : NULL;
	line = ask(a, access_helo, &env, NULL).at.line;
	free(env.helo);
	return line;
}

static unsigned
ask_login(const struct access *a, const char *name)
{
	struct envelope env = {.port = 1};
	unsigned line;

	env.login = name ? strdup(name) : NULL;
	line = ask(a, access_login, &env, NULL).at.line;
	free(env.login);
	return line;
}

/* text as MAIL or RCPT has it, brackets included. */
static unsigned
ask_path(const struct access *a, bool sender, const char *text)
{
	struct envelope env = {.port = 1};
	struct smtp_path rcpt = {.local = NULL};
	struct arena arena = {0};
	unsigned line;

	assert_int_equal(smtp_path_parse(span_str(text),
			     sender ? SMTP_PATH_REVERSE : SMTP_PATH_FORWARD,
			     &arena, sender ? &env.sender : &rcpt),
	    0);
	line = sender ? ask(a, access_sender, &env, NULL).at.line
		      : ask(a, access_rcpt, &env, &rcpt).at.line;
	arena_reset(&arena);
	return line;
}

static void
clients(void **state)
{
	static const char *const texts[] = {"reject client 192.0.2.0/24",
	    "allow client 192.0.2.7", "defer client 0.0.0.0/0",
	    "reject client 2001:db8::/32",
	    "observe client 2001:db8::", "reject client 2001:db8:1::: go away"};
	struct access *a = rules(&folding, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_client(a, "192.0.2.1"), 1);
	assert_int_equal(ask_client(a, "192.0.2.7"), 2);
	assert_int_equal(ask_client(a, "::ffff:192.0.2.7"), 2);
	assert_int_equal(ask_client(a, "198.51.100.1"), 3);
	assert_int_equal(ask_client(a, "2001:db8::2"), 4);
	assert_int_equal(ask_client(a, "2001:db8::"), 5);
	assert_int_equal(ask_client(a, "2001:db8:1::"), 6);
	assert_int_equal(ask_client(a, "2001:db9::"), 0);
	assert_int_equal(ask_client(a, ""), 0);
	access_free(&a);
	assert_null(a);
}

static void
helos(void **state)
{
	static const char *const texts[] = {"reject helo .example.org",
	    "observe helo mx.Example.org", "reject helo .b.example.org",
	    "reject helo localhost", "reject helo [192.0.2.1]",
	    "reject helo [IPv6:2001:DB8:0::1]",
	    "reject helo .b" UE "cher.test"};
	struct access *a = rules(&folding, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_helo(a, "a.example.ORG"), 1);
	assert_int_equal(ask_helo(a, "MX.example.org"), 2);
	assert_int_equal(ask_helo(a, "a.mx.example.org"), 1);
	assert_int_equal(ask_helo(a, "a.b.example.org"), 3);
	assert_int_equal(ask_helo(a, "b.example.org"), 1);
	assert_int_equal(ask_helo(a, "example.org"), 0);
	assert_int_equal(ask_helo(a, "badexample.org"), 0);
	assert_int_equal(ask_helo(a, "LOCALHOST"), 4);
	assert_int_equal(ask_helo(a, "localhost.a"), 0);
	assert_int_equal(ask_helo(a, "[192.0.2.1]"), 5);
	assert_int_equal(ask_helo(a, "[ipv6:2001:db8::1]"), 6);
	assert_int_equal(ask_helo(a, "mx.xn--bcher-kva.test"), 7);
	/* what is no domain in IDNA2008 does not slip by */
	assert_int_equal(ask_helo(a, "\xe2\x98\x83-.a.example.org"), 1);
	assert_int_equal(ask_helo(a, NULL), 0);
	access_free(&a);
}

static void
senders(void **state)
{
	static const char *const texts[] = {"reject sender @spam.test",
	    "observe sender Good@Spam.Test", "reject sender @.spam.test",
	    "defer sender <>", "reject sender @.b" UE "cher.test",
	    "reject sender \"a b\"@quoted.test: no: way",
	    "reject sender @[192.0.2.1]"};
	struct access *a = rules(&folding, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_path(a, true, "<x@SPAM.test>"), 1);
	assert_int_equal(ask_path(a, true, "<gOOd@spam.test>"), 2);
	assert_int_equal(ask_path(a, true, "<good+x@spam.test>"), 1);
	assert_int_equal(ask_path(a, true, "<good@a.b.spam.test>"), 3);
	assert_int_equal(ask_path(a, true, "<good@notspam.test>"), 0);
	assert_int_equal(ask_path(a, true, "<>"), 4);
	assert_int_equal(ask_path(a, true, "<x@a.xn--bcher-kva.test>"), 5);
	assert_int_equal(ask_path(a, true, "<\"A b\"@quoted.test>"), 6);
	assert_int_equal(ask_path(a, true, "<x@[192.0.2.1]>"), 7);
	assert_int_equal(ask_path(a, false, "<x@spam.test>"), 0);
	access_free(&a);
}

static void
recipients(void **state)
{
	static const char *const texts[] =
	    {"allow recipient postmaster@example.org",
		"reject recipient Alice@example.org",
		"reject recipient @example.org"};
	static const struct access_options keeping = {.fold = false};
	struct access *a = rules(&keeping, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_path(a, false, "<PostMaster@example.org>"), 1);
	assert_int_equal(ask_path(a, false, "<Alice@Example.org>"), 2);
	assert_int_equal(ask_path(a, false, "<alice@example.org>"), 3);
	assert_int_equal(ask_path(a, false, "<postmaster>"), 0);
	assert_int_equal(ask_path(a, true, "<bob@example.org>"), 0);
	access_free(&a);
	a = rules(&folding, texts, COUNT(texts));
	assert_int_equal(ask_path(a, false, "<alice@example.org>"), 2);
	access_free(&a);
}

static void
logins(void **state)
{
	static const char *const texts[] = {"allow login *",
	    "reject login Mallory", "defer login bob@b" UE "cher.test",
	    "observe login \"two words\""};
	struct access *a = rules(&folding, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_login(a, "alice"), 1);
	assert_int_equal(ask_login(a, "mallory"), 2);
	assert_int_equal(ask_login(a, "BOB@xn--bcher-kva.test"), 3);
	assert_int_equal(ask_login(a, "*"), 1);
	assert_int_equal(ask_login(a, NULL), 0);
	access_free(&a);
}

/* No rules of a kind, and names as long as they come. */
static void
long_names(void **state)
{
	static const char *const texts[] = {"reject helo .z", "allow login a"};
	struct access *a = rules(&folding, texts, COUNT(texts));
	char name[2000];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 1; i < 255; i += 2)
		name[i] = '.';
	name[254] = 'z';
	assert_int_equal(ask_helo(a, name), 0);
	assert_int_equal(ask_login(a, name), 0);
	name[255] = '\0';
	assert_int_equal(ask_helo(a, name), 1);
	assert_int_equal(ask_path(a, true, "<a@b.test>"), 0);
	access_free(&a);
}

static void
verdicts(void **state)
{
	static const struct {
		const char *rule;
		enum verdict_kind kind;
		bool observed;
		unsigned code;
		const char *status, *text, *value;
	} rows[] = {
	    {"reject helo a", VERDICT_REJECT, false, 550, "5.7.1",
		"Access denied", "helo a"},
	    {"defer helo a: 450 4.7.0", VERDICT_DEFER, false, 450, "4.7.0",
		"Access denied", "helo a"},
	    {"defer  helo a :  come back", VERDICT_DEFER, false, 451, "4.7.1",
		"come back", "helo a"},
	    {"reject helo a: 521 5.3.2 Not here: at all", VERDICT_REJECT, false,
		521, "5.3.2", "Not here: at all", "helo a"},
	    {"reject helo a: 12 monkeys", VERDICT_REJECT, false, 550, "5.7.1",
		"12 monkeys", "helo a"},
	    {"observe helo A: 451 4.7.1 x", VERDICT_DEFER, true, 451, "4.7.1",
		"x", "helo A"},
	    {"observe helo a", VERDICT_REJECT, true, 550, "5.7.1",
		"Access denied", "helo a"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct access *a = rules(&folding, &rows[i].rule, 1);
		char helo[] = "a";
		const struct envelope env = {.helo = helo};
		struct verdict v = ask(a, access_helo, &env, NULL);

		assert_int_equal(v.kind, rows[i].kind);
		assert_int_equal(v.observed, rows[i].observed);
		assert_int_equal(v.code, rows[i].code);
		assert_string_equal(v.status, rows[i].status);
		assert_string_equal(v.text, rows[i].text);
		assert_string_equal(v.value, rows[i].value);
		assert_string_equal(v.at.file, "f");
		access_free(&a);
	}
}

/* The greeting has a 554 and a 421, whatever is written (RFC 5321 3.1). */
static void
greeting(void **state)
{
	static const struct {
		const char *rule;
		enum verdict_kind kind;
		unsigned code;
		const char *status, *text;
	} rows[] = {
	    {"reject client 192.0.2.1: 550 5.7.9 No mail from here",
		VERDICT_REJECT, 554, NULL, "No mail from here"},
	    {"reject client 192.0.2.1", VERDICT_REJECT, 554, NULL,
		"Access denied"},
	    {"defer client 192.0.2.1: 450 4.7.9 Later", VERDICT_DEFER, 421,
		"4.7.9", "Later"},
	    {"defer client 192.0.2.1", VERDICT_DEFER, 421, "4.7.1",
		"Access denied"},
	};
	struct envelope env = {.port = 1};

	(void)state;
	assert_int_equal(ipaddr_parse(SPAN_LIT("192.0.2.1"), &env.client), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct access *a = rules(&folding, &rows[i].rule, 1);
		struct verdict v = ask(a, access_client, &env, NULL);

		assert_int_equal(v.kind, rows[i].kind);
		assert_int_equal(v.code, rows[i].code);
		if (rows[i].status)
			assert_string_equal(v.status, rows[i].status);
		else
			assert_null(v.status);
		assert_string_equal(v.text, rows[i].text);
		assert_string_equal(v.value, "client 192.0.2.1");
		access_free(&a);
	}
}

static void
faults(void **state)
{
	static const struct {
		const char *rule, *why;
	} rows[] = {
	    {"", "a rule begins with allow, reject, defer or observe"},
	    {"deny client 192.0.2.1", "a rule begins with allow, reject"},
	    {"Reject client 192.0.2.1", "a rule begins with allow, reject"},
	    {"reject", "the second word is client, helo, sender, recipient"},
	    {"reject from a@b.test", "the second word is client, helo"},
	    {"reject client", "it lacks a network such as 192.0.2.0/24"},
	    {"reject client 192.0.2.1/24", "the third word is a network"},
	    {"reject client 192.0.2.1:", "the third word is a network"},
	    {"reject client mx.test", "the third word is a network"},
	    {"reject client 192.0.2.1 go away", "a colon and a blank stand"},
	    {"reject helo 192.0.2.0/24", "the third word is a name"},
	    {"reject sender *@spam.test", "the third word is user@"},
	    {"reject recipient *@example.org", "the third word is user@"},
	    {"reject helo .", "the third word is a name"},
	    {"reject helo [192.0.2]", "the third word is a name"},
	    {"reject helo .[192.0.2.1]", "the third word is a name"},
	    {"reject sender spam.test", "the third word is user@example.org"},
	    {"reject sender @", "the third word is user@example.org"},
	    {"reject sender @.", "the third word is user@example.org"},
	    {"reject sender @a@b", "the third word is user@example.org"},
	    {"reject recipient <>", "@.example.org for all below it"},
	    {"reject sender a@b.test: 450 4.7.1 x", "reject has a code of 5xx"},
	    {"defer sender a@b.test: 550 5.7.1 x", "reject has a code of 5xx"},
	    {"reject sender a@b.test: 250 2.0.0 x", "the code is 4xx or 5xx"},
	    {"reject sender a@b.test: 560 5.0.0 x", "the code is 4xx or 5xx"},
	    {"reject sender a@b.test: 550", "behind the code stands"},
	    {"reject sender a@b.test: 550 No", "behind the code stands"},
	    {"reject sender a@b.test: 550 5.7.1x No", "behind the code stands"},
	    {"reject sender a@b.test: 550 4.7.1 No", "the same digit"},
	    {"reject sender a@b.test: n" UE, "the text is ASCII"},
	    {"reject sender a@b.test: a\tb", "the text is ASCII"},
	    {"reject sender a@b.test: a\r\n250 ok", "a rule is one line"},
	    {"reject sender a@b.test: \xe2\x80\xae", "a rule is one line"},
	    {"allow client 192.0.2.1: welcome", "allow says nothing"},
	    {"allow sender @partner.example",
		"allow sender \"@partner.example\": anybody can write that "
		"address: write allow client with its network"},
	    {"allow helo mx.test",
		"allow helo \"mx.test\": anybody can say that name: write "
		"allow client with its network"},
	};
	struct access *a = access_new(&folding);
	char why[ACCESS_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (access_add(a, span_str(rows[i].rule),
			(struct where){"f", 1}, why))
			fail_msg("%s", rows[i].rule);
		if (!strstr(why, rows[i].why))
			fail_msg("%s: %s", rows[i].rule, why);
	}
	access_ready(a);
	access_free(&a);
}

static void
too_long(void **state)
{
	struct access *a = access_new(&folding);
	char rule[1000], why[ACCESS_WHY_MAX];
	const struct where at = {"f", 1};
	int n = snprintf(rule, sizeof(rule), "reject login a: ");

	(void)state;
	memset(rule + n, 'x', sizeof(rule) - (size_t)n);
	assert_true(
	    access_add(a, (struct span){rule, (size_t)n + 400}, at, why));
	rule[13] = 'b';
	assert_false(
	    access_add(a, (struct span){rule, (size_t)n + 401}, at, why));
	assert_non_null(strstr(why, "at most 400"));
	memset(rule + 13, 'x', 600);
	assert_false(access_add(a, (struct span){rule, 600}, at, why));
	assert_non_null(strstr(why, "a login, or *"));
	access_free(&a);
}

/* The same key in whatever spelling; the fault names the first line. */
static void
twins(void **state)
{
	static const char *const pairs[][2] = {
	    {"reject client 192.0.2.1", "allow client 192.0.2.1/32"},
	    {"reject client 2001:db8::1", "defer client 2001:DB8:0::1"},
	    {"reject helo .A.test", "observe helo .a.TEST"},
	    {"reject helo [IPv6:2001:db8::1]",
		"reject helo [IPv6:2001:DB8:0::1]"},
	    {"reject sender <>", "defer sender <>"},
	    {"reject sender @b" UE "cher.test",
		"reject sender @xn--bcher-kva.test"},
	    {"reject recipient A@b.test", "allow recipient a@B.test"},
	    {"reject login A", "allow login a"},
	};
	char why[ACCESS_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct access *a = access_new(&folding);

		assert_true(access_add(a, span_str(pairs[i][0]),
		    (struct where){"one", 7}, why));
		assert_false(access_add(a, span_str(pairs[i][1]),
		    (struct where){"two", 9}, why));
		if (!strstr(why, "there is a rule for it already, in line 7 of "
				 "one: keep one of them"))
			fail_msg("%s", why);
		access_free(&a);
	}
}

/* Each kind has a table of its own, and so have suffixes. */
static void
no_twins(void **state)
{
	static const char *const texts[] = {"reject helo a.test",
	    "reject helo .a.test", "reject sender @a.test",
	    "reject sender @.a.test", "reject recipient @a.test",
	    "reject login @a.test", "reject login a.test",
	    "reject client 192.0.2.0/31", "reject client 192.0.2.0/32"};
	struct access *a = rules(&folding, texts, COUNT(texts));

	(void)state;
	assert_int_equal(ask_login(a, "a.test"), 7);
	assert_int_equal(ask_client(a, "192.0.2.1"), 8);
	access_free(&a);
}

static void
thousands(void **state)
{
	struct access *a = access_new(&folding);
	char text[64], why[ACCESS_WHY_MAX];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "reject client 10.%u.%u.%u",
		    i / 5000, i % 5000 / 250, i % 250);
		assert_true(access_add(a, span_str(text),
		    (struct where){"f", i + 1}, why));
		snprintf(text, sizeof(text), "reject sender @x%u.test", i);
		assert_true(access_add(a, span_str(text),
		    (struct where){"f", i + 1}, why));
	}
	access_ready(a);
	assert_int_equal(ask_client(a, "10.1.19.249"), 10000);
	assert_int_equal(ask_client(a, "10.1.19.250"), 0);
	assert_int_equal(ask_path(a, true, "<a@x4711.test>"), 4712);
	access_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clients),
	    cmocka_unit_test(helos),
	    cmocka_unit_test(senders),
	    cmocka_unit_test(recipients),
	    cmocka_unit_test(logins),
	    cmocka_unit_test(long_names),
	    cmocka_unit_test(verdicts),
	    cmocka_unit_test(greeting),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(twins),
	    cmocka_unit_test(no_twins),
	    cmocka_unit_test(thousands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
