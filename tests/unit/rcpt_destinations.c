/*
 * Destinations in the place of addresses, and more than one for each user.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables_rig.h"

static int
start(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	return 0;
}

/* "destination path destination path" */
static void
assert_led(const char *address, const char *expected)
{
	char text[1024] = "";
	size_t n = 0;

	assert_int_equal(resolve(address), RCPT_OK);
	for (const struct target *t = list->first; t; t = t->next) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s",
		    n ? " " : "", t->dest->text, t->path);
		assert_string_equal(t->address, address);
	}
	assert_string_equal(text, expected);
	list = NULL;
}

static void
deliver(const char *text)
{
	assert_null(recipients_deliver(r, org, text));
}

static void
catch_all(const char *text)
{
	assert_null(recipients_catch_all(r, org, text));
}

static void
each_gets_a_copy(void **state)
{
	(void)state;
	deliver("maildir:/m/all");
	deliver("discard:");
	deliver("maildir:/n/%u");
	user("a");
	assert_led("A@example.org",
	    "/m example.org/a /m/all . discard: . /n a");
}

static void
the_same_is_one(void **state)
{
	(void)state;
	deliver("maildir:/m/%d/%u");
	deliver("maildir://m/%d//%u/");
	deliver("maildir:/m/all");
	deliver("maildir:/m/all");
	deliver("discard:");
	deliver("discard:");
	user("a");
	alias("b: a, maildir:/m/all, discard:, maildir:/m/all/");
	assert_led("a@example.org", "/m example.org/a /m/all . discard: .");
	assert_led("b@example.org", "/m example.org/a /m/all . discard: .");
	assert_string_equal(recipients_place(r, 0)->text, "/m");
	assert_string_equal(recipients_place(r, 1)->text, "/m/all");
	assert_null(recipients_place(r, 2)); /* what drops mail has no root */
}

/* A user has a path in each of them. */
static void
no_path(void **state)
{
	struct mail_domain *d;

	(void)state;
	assert_null(recipients_add_domain(r, "a.org", "discard:", &d));
	assert_null(recipients_add_user(r, d, "\".b\""));
	assert_null(recipients_add_domain(r, "b.org", "discard:", &d));
	assert_null(recipients_deliver(r, d, "maildir:/m/%u"));
	assert_non_null(recipients_add_user(r, d, "\".b\""));
	assert_null(recipients_add_user(r, d, "b"));
	assert_null(recipients_add_domain(r, "tmp", "maildir:/m/%u", &d));
	assert_non_null(recipients_deliver(r, d, "maildir:/m/%d/%u"));
	assert_non_null(recipients_deliver(r, d, "imap:/x"));
	assert_led("\".b\"@a.org", "discard: .");
	assert_led("b@b.org", "discard: . /m b");
}

static void
behind_an_alias(void **state)
{
	(void)state;
	user("bob");
	alias("support: bob, maildir:/srv/support");
	alias("archive:maildir:/srv/archive");
	alias("no-reply: discard:");
	alias("all: support, archive, no-reply");
	assert_led("support+x@example.org",
	    "/m example.org/bob /srv/support .");
	assert_led("archive@example.org", "/srv/archive .");
	assert_led("no-reply@example.org", "discard: .");
	assert_led("all@example.org", "/m example.org/bob /srv/support . "
				      "/srv/archive . discard: .");
}

/* It is of a size that the domain takes whose alias it is. */
static void
size_of_an_alias(void **state)
{
	(void)state;
	recipients_limit_size(org, 7);
	alias("archive: maildir:/srv/archive");
	assert_int_equal(resolve("archive@example.org"), RCPT_OK);
	assert_int_equal(list->size, 7);
}

static void
catch_all_list(void **state)
{
	(void)state;
	user("bob");
	catch_all("maildir:/srv/rest");
	catch_all("bob");
	catch_all("discard:");
	assert_led("any@example.org",
	    "/srv/rest . /m example.org/bob discard: .");
	assert_led("bob@example.org", "/m example.org/bob");
}

static void
wrong(void **state)
{
	static const struct {
		const char *target, *why;
	} all[] = {
	    {"maildir:/m/%u", "would make a mailbox for every name that a "
			      "stranger invents: write a path without %"},
	    {"maildir:/m/%d/x", "would make a mailbox for every name that a "
				"stranger invents: write a path without %"},
	    {"maildir:/m/%x", "knows only %u (user), %d (domain) and %t "
			      "(detail) behind a %"},
	    {"maildir:m", "write an absolute path behind the colon, one that "
			  "begins with /"},
	    {"/var/mail/x", "write \"maildir:\" in front of the path"},
	    {"imap:x", "write one of maildir: lmtp: smtp: smtps: http: "
		       "https: pipe: discard: route:"},
	    {"discard:x", "nothing may stand behind the colon"},
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_string_equal(recipients_catch_all(r, org, all[i].target),
		    all[i].why);
		snprintf(line, sizeof(line), "x: a, %s", all[i].target);
		assert_string_equal(recipients_add_alias(r, org, line),
		    all[i].why);
	}
	assert_result("any@example.org", RCPT_UNKNOWN);
	assert_non_null(recipients_postmaster(r, "discard:"));
	assert_non_null(recipients_postmaster(r, "maildir:/m"));
}

static void
on_fault(void *ctx, bool warn, const char *domain, const char *name,
    const char *text)
{
	(void)domain;
	(void)name;
	assert_false(warn);
	snprintf(ctx, 128, "%s", text);
}

/* The hundred and first has no address to show. */
static void
too_many(void **state)
{
	char line[2048] = "abuse: postmaster", text[128] = "";
	size_t n = strlen(line);

	(void)state;
	user("postmaster");
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n,
		    ", maildir:/d%d", i);
	alias(line);
	assert_int_equal(recipients_check(r, on_fault, text), 1);
	assert_string_equal(text,
	    "alias target /d99 makes it more than 100 mailboxes");
}

/* Nothing there is asked whether it can take mail. */
static void
live_users(void **state)
{
	struct mail_domain *d;

	(void)state;
	assert_null(recipients_add_domain(r, "a.org", "discard:", &d));
	assert_null(recipients_users_from(r, d, "/"));
	assert_led("proc@a.org", "discard: .");
	assert_result("none@a.org", RCPT_UNKNOWN);
}

static bool
owns(const char *login, const char *local)
{
	const struct smtp_path from = {.local = local, .domain = "example.org"};

	return recipients_owns(r, login, &from);
}

/* What all have in common is nobody's own; nor is what nobody has. */
static void
whose(void **state)
{
	struct mail_domain *d;

	(void)state;
	deliver("maildir:/m/all");
	deliver("discard:");
	user("alice");
	user("bob");
	alias("sales: alice");
	alias("archive: maildir:/m/all, discard:");
	alias("no-reply: discard:");
	assert_true(owns("alice", "sales"));
	assert_false(owns("bob", "sales"));
	assert_false(owns("alice", "archive"));
	assert_false(owns("alice", "no-reply"));
	alias("shop: x@all.org");
	assert_null(recipients_add_domain(r, "all.org", "maildir:/m/all", &d));
	assert_null(recipients_deliver(r, d, "maildir:/n/%u"));
	assert_null(recipients_add_user(r, d, "x"));
	assert_null(recipients_add_user(r, d, "y"));
	assert_true(owns("x@all.org", "shop"));
	assert_false(owns("y@all.org", "shop"));
	assert_null(recipients_add_domain(r, "sink.org", "discard:", &d));
	assert_null(recipients_add_user(r, d, "carol"));
	assert_false(owns("carol", "no-reply"));
	assert_false(owns("carol@sink.org", "no-reply"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, tables_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(each_gets_a_copy),
	    T(the_same_is_one), T(no_path), T(behind_an_alias),
	    T(size_of_an_alias), T(catch_all_list), T(wrong), T(too_many),
	    T(live_users), T(whose)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
