/*
 * Recipients: the order in which a name is looked up, case, details, and that
 * no address becomes a path it must not become.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables_rig.h"

static void
test_domains(void **state)
{
	struct mail_domain *d = NULL;

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	user("alice");
	assert_goes("alice@example.org", "example.org/alice");
	assert_goes("alice@EXAMPLE.org", "example.org/alice");
	assert_result("alice@example.com", RCPT_FOREIGN);
	assert_result("alice@sub.example.org", RCPT_FOREIGN);
	assert_result("alice@[192.0.2.1]", RCPT_FOREIGN);
	assert_result("bob@example.org", RCPT_UNKNOWN);
	assert_ptr_equal(recipients_domain(r, "eXample.org"), org);
	assert_null(recipients_domain(r, "example"));
	assert_null(recipients_domain(r, ""));
	assert_ptr_equal(recipients_next_domain(r, NULL), org);
	assert_null(recipients_next_domain(r, org));
	assert_string_equal(mail_domain_name(org), "example.org");
	assert_int_equal(mail_domain_size(org), 0);
	recipients_limit_size(org, 7);
	assert_int_equal(mail_domain_size(org), 7);
	assert_non_null(
	    recipients_add_domain(r, "example.org", "maildir:/m/%u", &d));
	assert_non_null(recipients_add_domain(r, "", "maildir:/m/%u", &d));
	assert_non_null(recipients_add_domain(r, "a..b", "maildir:/m/%u", &d));
	assert_non_null(
	    recipients_add_domain(r, "[192.0.2.1]", "maildir:/m/%u", &d));
	assert_non_null(recipients_add_domain(r, "a.org", "m/%u", &d));
	assert_non_null(
	    recipients_add_domain(r, "tmp", "maildir:/m/%d/%u", &d));
	assert_null(d);
	assert_null(recipients_add_domain(r, "tmp", "maildir:/m/%u", &d));
}

#define UMLAUT                                                                 \
	"b\xc3\xbc"                                                            \
	"cher.example"
#define CAPITAL                                                                \
	"B\xc3\x9c"                                                            \
	"CHER.Example"
#define DECOMPOSED                                                             \
	"bu\xcc\x88"                                                           \
	"cher.example"
#define PUNY "XN--bcher-kva.example"

static bool
owns(const char *login, const char *local, const char *domain)
{
	struct smtp_path from = {.local = local, .domain = domain};

	return recipients_owns(r, login, &from);
}

/*
 * FAULT C4: a domain is one, whatever its spelling: in blocks, recipients,
 * targets of aliases, senders and logins. Its directory is as the block says.
 */
static void
test_spellings(void **state)
{
	static const char *const all[] = {UMLAUT, CAPITAL, DECOMPOSED, PUNY};
	char text[128];

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	for (int i = 0; i < 4; i++) {
		struct mail_domain *d, *again = NULL;

		tables_new(true, '+', "/m/%d/%u");
		assert_null(
		    recipients_add_domain(r, all[i], "maildir:/m/%d/%u", &d));
		assert_null(recipients_add_user(r, d, "bob"));
		snprintf(text, sizeof(text), "team: bob@%s", all[3 - i]);
		alias(text);
		for (int k = 0; k < 4; k++) {
			assert_non_null(recipients_add_domain(r, all[k],
			    "maildir:/m/%d/%u", &again));
			snprintf(text, sizeof(text), "bob@%s", all[k]);
			assert_int_equal(resolve(text), RCPT_OK);
			assert_string_equal(list->first->address, text);
			assert_int_equal(resolve("team@example.org"), RCPT_OK);
			snprintf(text, sizeof(text), "%s/bob",
			    mail_domain_name(d));
			assert_targets(text);
			assert_true(owns("bob", "bob", all[k]));
			snprintf(text, sizeof(text), "bob@%s", all[3 - k]);
			assert_true(owns(text, "bob", all[k]));
			assert_true(owns(text, "team", "example.org"));
			assert_false(owns(text, "eve", all[k]));
		}
		assert_null(again);
	}
	/* the mailboxes that are there do not move */
	tables_new(true, '+', "/m/%d/%u");
	assert_null(
	    recipients_add_domain(r, CAPITAL, "maildir:/m/%d/%u", &org));
	assert_string_equal(mail_domain_name(org), "b\xc3\x9c"
						   "cher.example");
}

/* What is no domain is nobody's, and no part of a configuration. */
static void
test_no_domain(void **state)
{
	struct mail_domain *d = NULL;

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	user("a");
	assert_result("a@\xe2\x98\x83.example", RCPT_FOREIGN);
	assert_false(owns("a", "a", "\xe2\x98\x83.example"));
	assert_false(owns("a@\xe2\x98\x83.example", "a", "example.org"));
	assert_non_null(recipients_add_domain(r, "\xe2\x98\x83.example",
	    "maildir:/m/%u", &d));
	assert_null(d);
	assert_non_null(
	    recipients_add_alias(r, org, "x: a, a@\xe2\x98\x83.example"));
	assert_non_null(recipients_catch_all(r, org, "a@\xe2\x98\x83.example"));
	assert_non_null(recipients_postmaster(r, "a@\xe2\x98\x83.example"));
}

static void
test_roots(void **state)
{
	struct mail_domain *d;

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	assert_null(recipients_add_domain(r, "b.org", "maildir://m/%u", &d));
	assert_null(recipients_add_domain(r, "c.org", "maildir:/m/box", &d));
	assert_null(recipients_add_domain(r, "d.org", "maildir:/m", &d));
	assert_string_equal(recipients_place(r, 0)->root.path, "/m");
	assert_int_equal(recipients_place(r, 0)->root.fd, -1);
	assert_string_equal(recipients_place(r, 1)->root.path, "/m/box");
	assert_null(recipients_place(r, 2));
}

static void
test_users(void **state)
{
	char longer[202];

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	user("a");
	user("a"); /* in a list and a file as well */
	user("\"x y\"");
	assert_goes("\"x y\"@example.org", "example.org/x y");
	assert_goes("\"a\"@example.org", "example.org/a");
	assert_goes("\"\\a\"@example.org", "example.org/a");
	assert_non_null(recipients_add_user(r, org, ""));
	assert_non_null(recipients_add_user(r, org, "a@example.org"));
	assert_non_null(recipients_add_user(r, org, "x y"));
	assert_non_null(recipients_add_user(r, org, "a/b"));
	assert_non_null(recipients_add_user(r, org, "\".a\""));
	assert_non_null(recipients_add_user(r, org, "\"..\""));
	assert_non_null(recipients_add_user(r, org, "new"));
	assert_non_null(recipients_add_user(r, org, "NEW"));
	memset(longer, 'x', 201);
	longer[201] = '\0';
	assert_non_null(recipients_add_user(r, org, longer));
	longer[200] = '\0';
	user(longer);
}

/* Without %u a name is no path, and may be any. */
static void
test_one_mailbox(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/box");
	user("a/b");
	user("tmp");
	assert_null(recipients_catch_all(r, org, "tmp"));
	assert_goes("a/b@example.org", ".");
	assert_goes("\"../../x\"@example.org", ".");
}

/* Every step of the order, taken away one by one. */
static void
test_order(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%u");
	for (int step = 0; step < 5; step++) {
		tables_new(true, '+', "/m/%u");
		if (step < 1)
			user("x+y");
		if (step < 2)
			alias("x+y: second");
		if (step < 3)
			user("x");
		if (step < 4)
			alias("x: fourth");
		assert_null(recipients_catch_all(r, org, "fifth"));
		user("second");
		user("fourth");
		user("fifth");
		assert_goes("x+y@example.org",
		    (const char *const[]){"x+y", "second", "x", "fourth",
			"fifth"}[step]);
	}
	/* an exact alias stands before a user without the detail */
	assert_goes("x@example.org", "fifth");
	assert_goes("second@example.org", "second");
}

static void
test_detail(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%u");
	user("a");
	user("+b");
	assert_goes("a+@example.org", "a");
	assert_goes("a+x+y@example.org", "a");
	assert_goes("a++@example.org", "a");
	assert_goes("\"a+ x\"@example.org", "a");
	assert_goes("+b@example.org", "+b");
	assert_result("+a@example.org", RCPT_UNKNOWN);
	assert_result("+@example.org", RCPT_UNKNOWN);
	assert_result("a-x@example.org", RCPT_UNKNOWN);
	tables_new(true, '-', "/m/%u");
	user("a");
	user("a-b");
	assert_goes("a-x-y@example.org", "a");
	assert_goes("a-b@example.org", "a-b");
	assert_goes("a-b-c@example.org", "a"); /* the first one counts */
	assert_result("a+x@example.org", RCPT_UNKNOWN);
	tables_new(true, 0, "/m/%u");
	user("a");
	assert_result("a+x@example.org", RCPT_UNKNOWN);
}

static void
test_case(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%u");
	user("Alice");
	alias("Sales: ALICE");
	assert_goes("aLICE@example.org", "alice");
	assert_goes("SALES+X@example.org", "alice");
	/* only ASCII has a case here */
	user("\xc3\x89");
	assert_goes("\xc3\x89@example.org", "\xc3\x89");
	assert_result("\xc3\xa9@example.org", RCPT_UNKNOWN);
	tables_new(false, '+', "/m/%u");
	user("Alice");
	user("alice");
	assert_goes("Alice@example.org", "Alice");
	assert_goes("alice@example.org", "alice");
	assert_result("ALICE@example.org", RCPT_UNKNOWN);
}

static void
test_postmaster(void **state)
{
	struct mail_domain *two;

	(void)state;
	tables_new(false, '+', "/m/%d/%u");
	assert_null(
	    recipients_add_domain(r, "two.org", "maildir:/m/%d/%u", &two));
	user("alice");
	assert_null(recipients_add_user(r, two, "root"));
	assert_null(recipients_add_alias(r, two, "PostMaster: root"));
	assert_result("postmaster", RCPT_UNKNOWN);
	assert_goes("POSTMASTER@two.org", "two.org/root");
	assert_goes("\"Postmaster\"@two.org", "two.org/root");
	/* the catch-all takes what nobody else does */
	assert_null(recipients_catch_all(r, org, "alice"));
	assert_goes("postmaster", "example.org/alice");
	assert_null(recipients_postmaster(r, "root@two.org"));
	assert_int_equal(resolve("PostMaster"), RCPT_OK);
	assert_string_equal(list->first->address, "PostMaster@example.org");
	assert_targets("two.org/root");
	assert_goes("Postmaster@example.org", "two.org/root");
	alias("postmaster: alice");
	assert_goes("postmaster", "example.org/alice");
	assert_goes("PostMaster@Example.org", "example.org/alice");
	user("POSTMASTER");
	assert_goes("postmaster@example.org", "example.org/postmaster");
}

/* FAULT C6: postmaster and abuse of our names and of our address. */
static void
test_server(void **state)
{
	static const char *const own[] = {"mx.example.net", "MX.Example.NET",
	    "other.example.net", "[192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"};
	static const char *const foreign[] = {"example.net", "[192.0.2.2]",
	    "[IPv6:2001:db8::1]"};
	const uint8_t v4[4] = {192, 0, 2, 1};
	struct mail_domain *two;
	char text[64];

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	recipients_add_host(r, "mx.example.net");
	recipients_add_host(r, "other.example.net");
	recipients_add_host(r, "two.org");
	assert_result("postmaster@[192.0.2.1]", RCPT_FOREIGN);
	server = ipaddr_v4(v4);
	user("alice");
	user("abuse"); /* of the domain, not of the server */
	alias("postmaster: alice");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		snprintf(text, sizeof(text), "PostMaster@%s", own[i]);
		assert_int_equal(resolve(text), RCPT_OK);
		assert_string_equal(list->first->address, text);
		assert_targets("example.org/alice");
		snprintf(text, sizeof(text), "Abuse@%s", own[i]);
		assert_goes(text, "example.org/alice");
		snprintf(text, sizeof(text), "alice@%s", own[i]);
		assert_result(text, RCPT_FOREIGN);
		snprintf(text, sizeof(text), "postmaster+x@%s", own[i]);
		assert_result(text, RCPT_FOREIGN);
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
		snprintf(text, sizeof(text), "postmaster@%s", foreign[i]);
		assert_result(text, RCPT_FOREIGN);
	}
	/* a name that is a domain has what its block says */
	assert_null(
	    recipients_add_domain(r, "two.org", "maildir:/m/%d/%u", &two));
	assert_null(recipients_add_user(r, two, "postmaster"));
	assert_goes("postmaster@two.org", "two.org/postmaster");
	assert_result("abuse@two.org", RCPT_UNKNOWN);
}

static void
test_no_domains(void **state)
{
	struct recipients_options o = {.delimiter = '+'};

	(void)state;
	r = recipients_new(&o);
	recipients_add_host(r, "mx.example.org");
	assert_result("postmaster", RCPT_FOREIGN);
	assert_result("postmaster@mx.example.org", RCPT_FOREIGN);
	assert_result("a@example.org", RCPT_FOREIGN);
	assert_null(recipients_place(r, 0));
	recipients_free(&r);
	assert_null(r);
	recipients_free(&r);
}

static void
test_addresses(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%u");
	user("a");
	user("b");
	alias("all: a, b");
	assert_int_equal(resolve("\"All+x y\"@EXAMPLE.org"), RCPT_OK);
	assert_string_equal(list->first->address, "\"All+x y\"@EXAMPLE.org");
	assert_string_equal(list->first->next->address,
	    "\"All+x y\"@EXAMPLE.org");
	/* the first address that leads to a mailbox stays */
	assert_int_equal(resolve("A@example.org"), RCPT_OK);
	assert_string_equal(list->first->address, "\"All+x y\"@EXAMPLE.org");
	assert_ptr_equal(list->first->domain, org);
	assert_ptr_equal(list->first->dest, recipients_place(r, 0));
	assert_targets("a b");
}

static void
test_unique_by_mailbox(void **state)
{
	struct mail_domain *two, *three;

	(void)state;
	tables_new(true, '+', "/m/%u");
	assert_null(recipients_add_domain(r, "two.org", "maildir:/m/%u", &two));
	assert_null(
	    recipients_add_domain(r, "three.org", "maildir:/n/%u", &three));
	user("a");
	assert_null(recipients_add_user(r, two, "a"));
	assert_null(recipients_add_user(r, three, "a"));
	alias("all: a, a@two.org, a@three.org, A");
	assert_goes("all@example.org", "a a");
	assert_int_equal(resolve("a@two.org"), RCPT_OK);
	assert_int_equal(resolve("all@example.org"), RCPT_OK);
	assert_string_equal(list->first->address, "a@two.org");
	assert_string_equal(list->first->next->address, "all@example.org");
	assert_targets("a a");
}

/* One target that fails fails the whole, and the list stays as it was. */
static void
test_all_or_nothing(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%u");
	user("a");
	user("b");
	alias("broken: b, nobody");
	alias("foreign: b, x@example.com");
	assert_int_equal(resolve("a@example.org"), RCPT_OK);
	assert_int_equal(resolve("broken@example.org"), RCPT_UNKNOWN);
	assert_int_equal(resolve("foreign@example.org"), RCPT_AGAIN);
	assert_targets("a");
}

/* Tables that recipients_check() refuses must not hang us all the same. */
static void
test_unchecked_loop(void **state)
{
	char line[64];

	(void)state;
	tables_new(true, '+', "/m/%u");
	alias("a: b");
	alias("b: a");
	alias("self: self+x");
	assert_result("a@example.org", RCPT_AGAIN);
	assert_result("self@example.org", RCPT_AGAIN);
	assert_null(recipients_catch_all(r, org, "nobody"));
	assert_result("z@example.org", RCPT_UNKNOWN);
	/* two ways at each of many steps: 2^40 without a memory */
	for (int i = 0; i < 40; i++) {
		snprintf(line, sizeof(line), "d%d: d%d, d%d+x", i, i + 1,
		    i + 1);
		alias(line);
	}
	user("d40");
	assert_result("d0@example.org", RCPT_AGAIN);
	assert_goes("d31@example.org", "d40");
}

static void
test_catch_all(void **state)
{
	struct mail_domain *two;

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	assert_null(
	    recipients_add_domain(r, "two.org", "maildir:/m/%d/%u", &two));
	assert_null(recipients_add_user(r, two, "rest"));
	user("a");
	alias("typo: nobody@two.org");
	assert_result("typo@example.org", RCPT_UNKNOWN);
	assert_null(recipients_catch_all(r, two, "rest"));
	assert_goes("any@two.org", "two.org/rest");
	assert_goes("\"../../etc\"@two.org", "two.org/rest");
	assert_goes("typo@example.org", "two.org/rest");
	assert_null(recipients_catch_all(r, org, "rest@two.org"));
	assert_goes("b+c@example.org", "two.org/rest");
	assert_goes("a+c@example.org", "example.org/a");
	assert_null(recipients_catch_all(r, org, "a"));
	assert_goes("b@example.org", "two.org/rest example.org/a");
}

/* The smallest that one of their domains has. */
static void
test_sizes(void **state)
{
	static const char *const names[] = {"any.org", "large.org", "small.org",
	    "other.org"};
	static const unsigned own[] = {0, 1000, 10, 100};
	static const unsigned all[] = {0, 1000, 10, 10};

	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct mail_domain *d;
		char address[32];

		assert_null(
		    recipients_add_domain(r, names[i], "maildir:/m/%d/%u", &d));
		assert_null(recipients_add_user(r, d, "u"));
		recipients_limit_size(d, own[i]);
		snprintf(address, sizeof(address), "u@%s", names[i]);
		assert_int_equal(resolve(address), RCPT_OK);
		assert_int_equal(list->size, all[i]);
	}
}

static void
test_merge(void **state)
{
	struct targets *copy = NULL;
	struct arena arena = {0};

	(void)state;
	tables_new(true, '+', "/m/%u");
	user("a");
	user("b");
	alias("all: b, a");
	assert_int_equal(resolve("a@example.org"), RCPT_OK);
	assert_int_equal(resolve("all@example.org"), RCPT_OK);
	assert_int_equal(resolve("all@example.org"), RCPT_OK);
	assert_int_equal(list->n, 2);
	assert_string_equal(list->first->address, "a@example.org");
	assert_string_equal(list->first->next->address, "all@example.org");
	assert_ptr_equal(list->first->next, list->last);
	/* and so does a set of several addresses */
	assert_true(targets_merge(r, &copy, list, &arena));
	assert_int_equal(copy->n, 2);
	assert_string_equal(copy->first->address, "a@example.org");
	assert_string_equal(copy->last->address, "all@example.org");
	arena_reset(&arena);
	assert_targets("a b");
}

static void
assert_origin(const char *address, const char *what, const char *name,
    unsigned line)
{
	const struct smtp_path p = parse(address);
	struct arena a = {0};
	struct rcpt_origin o = recipients_origin(r, &p, &server, &a);

	if (what)
		assert_string_equal(o.what, what);
	else
		assert_null(o.what);
	if (name)
		assert_string_equal(o.name, name);
	else
		assert_null(o.name);
	assert_int_equal(o.at.line, line);
	arena_reset(&a);
}

/* What an address is, and the line that says so. */
static void
test_origin(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	recipients_at(r, (struct where){"f", 1});
	user("alice");
	recipients_at(r, (struct where){"f", 2});
	alias("team: alice");
	alias("alice: alice"); /* it is a user first */
	recipients_at(r, (struct where){"f", 3});
	user("alice"); /* twice is harmless */
	assert_origin("Alice@example.org", "user", "alice", 1);
	assert_origin("alice+x@example.org", "user", "alice", 1);
	assert_origin("TEAM+y@example.org", "alias", "team", 2);
	assert_origin("bob@example.org", NULL, NULL, 0);
	assert_origin("bob@example.com", NULL, NULL, 0);
	assert_origin("postmaster@example.org", NULL, NULL, 0);
	assert_null(recipients_postmaster(r, "alice@example.org"));
	assert_origin("postmaster@example.org", "postmaster", NULL, 3);
	recipients_at(r, (struct where){"f", 4});
	assert_null(recipients_catch_all(r, org, "alice"));
	assert_origin("bob@example.org", "catch-all", NULL, 4);
}

#define T(f) cmocka_unit_test_teardown(f, tables_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_domains),
	    T(test_spellings),
	    T(test_no_domain),
	    T(test_roots),
	    T(test_users),
	    T(test_one_mailbox),
	    T(test_order),
	    T(test_detail),
	    T(test_case),
	    T(test_postmaster),
	    T(test_server),
	    T(test_no_domains),
	    T(test_addresses),
	    T(test_unique_by_mailbox),
	    T(test_all_or_nothing),
	    T(test_unchecked_loop),
	    T(test_catch_all),
	    T(test_sizes),
	    T(test_merge),
	    T(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
