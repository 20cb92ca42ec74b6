/*
 * Aliases: their syntax, and what recipients_check() says about where they
 * lead: loops, diamonds, limits, foreign targets, postmasters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables_rig.h"

static struct buf faults; /* a line each: "E|W domain name text" */

static int
start(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	return 0;
}

static int
finish(void **state)
{
	buf_free(&faults);
	return tables_free(state);
}

static void
on_fault(void *ctx, bool warn, const char *domain, const char *name,
    const char *text)
{
	assert_ptr_equal(ctx, &faults);
	buf_printf(&faults, "%c %s %s %s\n", warn ? 'W' : 'E', domain,
	    name ? name : "-", text);
}

static unsigned
check(void)
{
	unsigned n;

	faults.len = 0;
	n = recipients_check(r, on_fault, &faults);
	buf_append(&faults, "", 1);
	return n;
}

/* Exactly these faults. */
static void
assert_faults(unsigned errors, const char *expected)
{
	assert_int_equal(check(), errors);
	assert_string_equal(faults.data, expected);
}

/* A domain with nothing to say about. */
static void
good(void)
{
	user("root");
	alias("postmaster: root");
	alias("abuse: root");
	assert_faults(0, "");
}

/* The mailboxes behind local@example.org, or -1. */
static int
count(const char *local)
{
	char address[64];
	int n;

	snprintf(address, sizeof(address), "%s@example.org", local);
	n = resolve(address) == RCPT_OK ? (int)list->n : -1;
	list = NULL;
	return n;
}

static void
test_syntax(void **state)
{
	static const char *const bad[] = {"", "x", "x:", ":", ": root", "x: ,",
	    "x: root,", "x: ,root", "x: root,,root", "x y: root", "x: a b",
	    "x@example.org: root", "x: root@", "x: @example.org", "x: ro\"ot",
	    "\"x: root", "x: \"root", "x: a@b@c", "x: <root>", "x.: root",
	    "x: a..b", "x: |\"prog\"", "x: root\n"};

	(void)state;
	good();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(recipients_add_alias(r, org, bad[i]));
	assert_int_equal(count("x"), -1);
	alias("\t x \t:\troot ,  ROOT@Example.Org\t");
	assert_int_equal(count("x"), 1);
	assert_non_null(recipients_add_alias(r, org, "X: root"));
	alias("y:root");
	assert_int_equal(count("y"), 1);
	assert_faults(0, "");
}

/* Separators inside quotes separate nothing. */
static void
test_quotes(void **state)
{
	(void)state;
	good();
	user("\"a,b\"");
	user("\"c\\\",d\"");
	alias("\"x:y,z\": \"a,b\", \"c\\\",d\"@example.org, root");
	assert_int_equal(count("\"x:y,z\""), 3);
	alias("\"plain\": \"root\"");
	assert_int_equal(count("plain"), 1);
	assert_faults(0, "");
}

#define FOREIGN                                                                \
	"leads to another domain: mail of strangers is never sent on; "        \
	"forward from the mailbox (Sieve), or name a destination"

static void
test_foreign(void **state)
{
	(void)state;
	good();
	alias("x: root, someone@example.com");
	alias("y: \"a b\"@[192.0.2.1]");
	alias("z: x");
	assert_faults(3,
	    "E example.org x alias target someone@example.com " FOREIGN "\n"
	    "E example.org y alias target \"a b\"@[192.0.2.1] " FOREIGN "\n"
	    "E example.org z alias target someone@example.com " FOREIGN "\n");
}

static void
test_nobody(void **state)
{
	(void)state;
	good();
	alias("x: root, nobody");
	assert_faults(1,
	    "E example.org x alias target nobody@example.org leads to nobody: "
	    "add that user or alias\n");
	/* a catch-all takes it as it takes any name */
	assert_null(recipients_catch_all(r, org, "root"));
	assert_faults(0, "");
}

static void
test_loops(void **state)
{
	(void)state;
	good();
	alias("self: self");
	assert_int_equal(check(), 1);
	alias("a: root, b");
	alias("b: c+detail");
	alias("c: a@EXAMPLE.org");
	alias("outside: a");
	assert_int_equal(check(), 5);
	assert_non_null(strstr(faults.data,
	    "E example.org a alias target a@EXAMPLE.org leads back to where "
	    "it came from\n"));
	assert_non_null(strstr(faults.data, "E example.org outside "));
	assert_int_equal(count("outside"), -1);
}

/* Two ways to one mailbox are no loop, and it gets one copy. */
static void
test_diamond(void **state)
{
	(void)state;
	good();
	user("u");
	alias("left: bottom, u");
	alias("right: bottom");
	alias("bottom: u, root");
	alias("top: left, right, bottom, left+x");
	assert_faults(0, "");
	assert_int_equal(count("top"), 2);
	assert_int_equal(count("top+x"), 2);
}

static void
test_user_wins(void **state)
{
	(void)state;
	good();
	alias("root: nobody@example.com");
	assert_faults(0,
	    "W example.org root is a user as well, who gets this mail: the "
	    "alias is never used\n");
	assert_int_equal(count("root"), 1);
}

/* last: how many aliases stand in a row before the user. */
static void
chain(unsigned n)
{
	char line[64];

	for (unsigned i = 1; i <= n; i++) {
		snprintf(line, sizeof(line), "a%u: a%u", i, i - 1);
		alias(line);
	}
}

static void
test_depth(void **state)
{
	(void)state;
	good();
	user("a0");
	chain(RECIPIENTS_DEPTH_MAX);
	assert_faults(0, "");
	assert_int_equal(count("a10"), 1);
	alias("a11: a10");
	assert_faults(1,
	    "E example.org a11 alias target a1@example.org is more than 10 "
	    "aliases deep\n");
	assert_int_equal(count("a11"), -1);
}

/* "name: u<from>, ... u<to>", and the users with it. */
static void
fan(const char *name, unsigned from, unsigned to)
{
	struct buf line = {0};
	char u[16];

	buf_printf(&line, "%s: u%u", name, from);
	for (unsigned i = from; i <= to; i++) {
		snprintf(u, sizeof(u), "u%u", i);
		user(u);
		if (i != from)
			buf_printf(&line, ", %s", u);
	}
	buf_append(&line, "", 1);
	alias(line.data);
	buf_free(&line);
}

static void
test_width(void **state)
{
	(void)state;
	good();
	fan("first", 1, 60);
	fan("rest", 41, RECIPIENTS_EXPAND_MAX);
	/* forty are named twice, and are still one each */
	alias("all: first, rest, first, rest");
	assert_faults(0, "");
	assert_int_equal(count("all"), RECIPIENTS_EXPAND_MAX);
	alias("more: all, root");
	assert_faults(1,
	    "E example.org more alias target root@example.org makes it more "
	    "than 100 mailboxes\n");
	assert_int_equal(count("more"), -1);
}

/* Many names that lead to few mailboxes are bounded as well. */
static void
test_many_names(void **state)
{
	struct buf line = {0};
	char one[32];

	(void)state;
	good();
	buf_append_str(&line, "all: root");
	for (int i = 0; i < 1100; i++) {
		snprintf(one, sizeof(one), "n%d: root", i);
		alias(one);
		buf_printf(&line, ", n%d", i);
	}
	buf_append(&line, "", 1);
	alias(line.data);
	buf_free(&line);
	assert_int_equal(check(), 1);
	assert_int_equal(count("all"), -1);
	assert_int_equal(count("n1099"), 1);
}

static void
test_postmaster(void **state)
{
	struct mail_domain *two;

	(void)state;
	user("abuse");
	assert_faults(1,
	    "E example.org - has no postmaster: add the alias \"postmaster: "
	    "user\", or postmaster = \"user@domain\" for all domains\n");
	user("Postmaster");
	assert_faults(0, "");
	assert_null(
	    recipients_add_domain(r, "two.org", "maildir:/m/%d/%u", &two));
	assert_null(recipients_add_user(r, two, "abuse"));
	assert_int_equal(check(), 1);
	assert_non_null(recipients_postmaster(r, "abuse"));
	assert_null(recipients_postmaster(r, "abuse@two.org"));
	assert_faults(0, "");
	assert_non_null(recipients_postmaster(r, "abuse@two.org"));
}

/* Directories come and go; postmaster must not. */
static void
test_postmaster_live(void **state)
{
	(void)state;
	assert_null(recipients_users_from(r, org, "/m/%d"));
	assert_int_equal(check(), 1);
	alias("postmaster: someone");
	assert_faults(0, "");
}

static void
test_top_postmaster_faults(void **state)
{
	(void)state;
	user("abuse");
	assert_null(recipients_postmaster(r, "x@example.com"));
	assert_faults(1,
	    "E  postmaster postmaster x@example.com " FOREIGN "\n");
	start(NULL);
	user("abuse");
	assert_null(recipients_postmaster(r, "postmaster@example.org"));
	assert_faults(1,
	    "E  postmaster postmaster postmaster@example.org leads back to "
	    "where it came from\n");
}

static void
test_catch_all_faults(void **state)
{
	(void)state;
	good();
	assert_null(recipients_catch_all(r, org, "nobody"));
	assert_faults(1,
	    "E example.org - catch-all nobody@example.org leads to nobody: add "
	    "that user or alias\n");
	assert_int_equal(count("x"), -1);
}

static void
test_catch_all_syntax(void **state)
{
	(void)state;
	good();
	assert_non_null(recipients_catch_all(r, org, ""));
	assert_non_null(recipients_catch_all(r, org, "a b"));
	assert_non_null(recipients_catch_all(r, org, "a@"));
	assert_null(recipients_catch_all(r, org, "ROOT+x@example.org"));
	assert_faults(0, "");
	assert_int_equal(count("x"), 1);
}

/* Where a directory could make it a user, a name is not nobody's. */
static void
test_live_targets(void **state)
{
	(void)state;
	good();
	assert_null(recipients_users_from(r, org, "/m/%d"));
	assert_null(recipients_catch_all(r, org, "bob"));
	alias("sales: carol, dave");
	alias("dots: \"..\"@example.org");
	assert_faults(0, "");
	/* but what it is without its directory is looked at */
	alias("carol: erin, x@example.com");
	assert_int_equal(check(), 2);
}

static void
test_abuse(void **state)
{
	(void)state;
	user("postmaster");
	assert_faults(0,
	    "W example.org - has no abuse address: add the alias \"abuse: "
	    "user\"\n");
	assert_null(recipients_catch_all(r, org, "postmaster"));
	assert_faults(0, "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_syntax),
	    T(test_quotes),
	    T(test_foreign),
	    T(test_nobody),
	    T(test_loops),
	    T(test_diamond),
	    T(test_user_wins),
	    T(test_depth),
	    T(test_width),
	    T(test_many_names),
	    T(test_postmaster),
	    T(test_postmaster_live),
	    T(test_top_postmaster_faults),
	    T(test_catch_all_faults),
	    T(test_catch_all_syntax),
	    T(test_live_targets),
	    T(test_abuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
