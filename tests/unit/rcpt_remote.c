/*
 * What is handed to somebody else: which address it is given, and that each is
 * one copy.
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
	tables_new(true, '+', "/m/%u");
	return 0;
}

/* "destination to-or-path destination to-or-path" */
static void
assert_led(const char *address, const char *expected)
{
	char text[1024] = "";
	size_t n = 0;

	if (address)
		assert_int_equal(resolve(address), RCPT_OK);
	for (const struct target *t = list->first; t; t = t->next) {
		assert_int_equal(!t->path, t->dest->kind->remote);
		assert_int_equal(!t->to, !t->dest->kind->remote);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %s",
		    n ? " " : "", t->dest->text, t->path ? t->path : t->to);
	}
	assert_string_equal(text, expected);
	list = NULL;
}

static struct mail_domain *
domain(const char *name, const char *deliver)
{
	struct mail_domain *d;

	assert_null(recipients_add_domain(r, name, deliver, &d));
	return d;
}

static void
catch_all(struct mail_domain *d, const char *text)
{
	assert_null(recipients_catch_all(r, d, text));
}

/* Its key, the detail as it was written, the domain in lower case. */
static void
of_a_user(void **state)
{
	struct mail_domain *d = domain("a.org", "lmtp:/s");

	(void)state;
	assert_null(recipients_deliver(r, d, "maildir:/archive/%u"));
	assert_null(recipients_deliver(r, d, "route:store"));
	assert_null(recipients_add_user(r, d, "alice"));
	assert_null(recipients_add_user(r, d, "\"bob b\""));
	assert_led("Alice@A.org",
	    "lmtp:/s alice@a.org /archive alice route:store alice@a.org");
	assert_led("ALICE+Shop@a.ORG",
	    "lmtp:/s alice+Shop@a.org /archive alice route:store "
	    "alice+Shop@a.org");
	assert_led("\"bob b\"@a.org",
	    "lmtp:/s \"bob b\"@a.org /archive bob b route:store "
	    "\"bob b\"@a.org");
	assert_result("carol@a.org", RCPT_UNKNOWN);
}

static void
of_an_alias(void **state)
{
	(void)state;
	user("bob");
	alias("support: bob, smtp://app.example.org:2500");
	alias("list: pipe:/usr/bin/mlmmj-receive -L /srv/list");
	alias("desk: support");
	alias("desk2: support+2");
	assert_led("Support@Example.org",
	    "/m bob smtp://app.example.org:2500 Support@example.org");
	assert_led("support+x@example.org",
	    "/m bob smtp://app.example.org:2500 support+x@example.org");
	assert_led("desk+y@example.org",
	    "/m bob smtp://app.example.org:2500 support@example.org");
	assert_led("desk2@example.org",
	    "/m bob smtp://app.example.org:2500 support+2@example.org");
	assert_led("list+sub@example.org",
	    "pipe:/usr/bin/mlmmj-receive -L /srv/list list+sub@example.org");
}

/* Nobody need be known by name. */
static void
of_a_catch_all(void **state)
{
	struct mail_domain *d = domain("b.org", NULL);

	(void)state;
	catch_all(d, "lmtp:/s");
	catch_all(d, "maildir:/archive");
	assert_null(recipients_add_alias(r, d, "support: Bob, carol+c"));
	assert_led("Any.One+x@B.org", "lmtp:/s Any.One+x@b.org /archive .");
	assert_led("support@b.org",
	    "lmtp:/s Bob@b.org /archive . lmtp:/s carol+c@b.org");
	assert_led("postmaster@b.org", "lmtp:/s postmaster@b.org /archive .");
}

/* A second way to an alias has another address. */
static void
two_ways(void **state)
{
	(void)state;
	user("bob");
	alias("in: bob, lmtp:/s, discard:");
	alias("all: in+a, in+b, in+a, in");
	assert_led("all@example.org", "/m bob lmtp:/s in+a@example.org "
				      "discard: . lmtp:/s in+b@example.org "
				      "lmtp:/s in@example.org");
}

/* Once for each destination and address, whoever led there. */
static void
the_same_is_one(void **state)
{
	struct mail_domain *d = domain("c.org", NULL);

	(void)state;
	catch_all(d, "lmtp:/s");
	catch_all(d, "lmtp:/s");
	catch_all(d, "lmtp:/t");
	assert_null(recipients_add_alias(r, d, "x: bob, bob"));
	assert_null(recipients_add_alias(r, d, "y: bob"));
	assert_int_equal(resolve("x@c.org"), RCPT_OK);
	assert_int_equal(resolve("y@c.org"), RCPT_OK);
	assert_int_equal(resolve("bob@C.org"), RCPT_OK);
	assert_int_equal(list->n, 2);
	assert_int_equal(list->octets,
	    2 * (strlen("lmtp:/s") + strlen("bob@c.org") + strlen("x@c.org")));
	assert_led(NULL, "lmtp:/s bob@c.org lmtp:/t bob@c.org");
}

/* What is meant for the server itself has a name in the first domain. */
static void
postmasters(void **state)
{
	(void)state;
	recipients_free(&r);
	r = recipients_new(
	    &(struct recipients_options){.fold = true, .targets = 10});
	catch_all(domain("b.org", NULL), "lmtp:/s");
	recipients_add_host(r, "mx.b.org");
	assert_led("postmaster", "lmtp:/s postmaster@b.org");
	assert_led("abuse@mx.b.org", "lmtp:/s postmaster@b.org");
}

static unsigned asked;

static const char *
find_route(void *ctx, const char *text, const struct route **p)
{
	static struct route found;
	const char *rest;

	assert_ptr_equal(ctx, &asked);
	asked++;
	if (strcmp(text, "route:none") == 0)
		return "there is none";
	assert_null(destination_parse("smtp://h", &found.kind, &rest));
	*p = &found;
	return NULL;
}

/* Its kind is that of what it says; nobody asks for a Maildir's. */
static void
are_routes(void **state)
{
	const struct destination *d, *again;

	(void)state;
	recipients_free(&r);
	r = recipients_new(&(struct recipients_options){.fold = true,
	    .targets = 10,
	    .route = find_route,
	    .ctx = &asked});
	org = domain("example.org", "maildir:/m/%u");
	assert_int_equal(asked, 0);
	assert_string_equal(recipients_deliver(r, org, "route:none"),
	    "there is none");
	assert_string_equal(recipients_catch_all(r, org, "route:none"),
	    "there is none");
	assert_string_equal(recipients_add_alias(r, org, "x: route:none"),
	    "there is none");
	assert_string_equal(recipients_remote(r, "route:none", &d),
	    "there is none");
	assert_null(d);
	assert_null(recipients_remote(r, "route:out", &d));
	assert_string_equal(d->text, "route:out");
	assert_string_equal(d->kind->scheme, "smtp");
	assert_non_null(d->route);
	assert_null(recipients_deliver(r, org, "route:out"));
	assert_null(recipients_remote(r, "route:out", &again));
	assert_ptr_equal(d, again);
	assert_null(recipients_place(r, 1));
}

/* An address elsewhere, as it is, beside those here. */
static void
relayed(void **state)
{
	const struct smtp_path p = {.local = "X", .domain = "Else.org"};
	const struct destination *d;
	struct targets found = {0};
	struct arena a = {0};

	(void)state;
	recipients_limit_size(org, 7);
	user("bob");
	assert_null(recipients_remote(r, "smtp://relay", &d));
	targets_add_relayed(r, &found, d, &p, &a);
	targets_add_relayed(r, &found, d, &p, &a);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.size, 0);
	assert_null(found.first->domain);
	assert_string_equal(found.first->address, "X@Else.org");
	assert_int_equal(resolve("bob@example.org"), RCPT_OK);
	assert_true(targets_merge(r, &list, &found, &a));
	assert_int_equal(list->size, 7);
	assert_led(NULL, "/m bob smtp://relay X@Else.org");
	arena_reset(&a);
}

static bool
owns(const char *login, const char *local, const char *domain_name)
{
	const struct smtp_path from = {.local = local, .domain = domain_name};

	return recipients_owns(r, login, &from);
}

/* With a server that takes all names each is somebody's own mailbox. */
static void
whose(void **state)
{
	struct mail_domain *d = domain("b.org", NULL);
	struct mail_domain *u = domain("u.org", "lmtp:/s");

	(void)state;
	catch_all(d, "lmtp:/s");
	assert_null(recipients_add_alias(r, d, "support: bob"));
	assert_null(recipients_add_alias(r, d, "team: bob, carol"));
	assert_null(recipients_add_alias(r, d, "app: smtp://app"));
	assert_null(recipients_add_user(r, u, "dave"));
	assert_null(recipients_add_user(r, u, "eve"));
	assert_null(recipients_add_alias(r, u, "sales: dave"));
	assert_true(owns("bob@b.org", "bob", "b.org"));
	assert_true(owns("bob@b.org", "support", "b.org"));
	assert_true(owns("bob", "support", "b.org"));
	assert_true(owns("carol@b.org", "team", "b.org"));
	assert_false(owns("carol@b.org", "support", "b.org"));
	assert_false(owns("bob@b.org", "carol", "b.org"));
	assert_false(owns("bob@b.org", "app", "b.org"));
	assert_false(owns("team@b.org", "support", "b.org"));
	assert_true(owns("dave@u.org", "sales", "u.org"));
	assert_false(owns("eve@u.org", "sales", "u.org"));
	assert_false(owns("bob@u.org", "support", "b.org"));
}

static void
on_fault(void *ctx, bool warn, const char *name, const char *alias_name,
    const char *text)
{
	(void)name;
	(void)alias_name;
	if (!warn)
		snprintf(ctx, 256, "%s", text);
}

/* A catch-all takes postmaster's mail; nothing goes to strangers. */
static void
checked(void **state)
{
	char text[256] = "";

	(void)state;
	recipients_free(&r);
	r = recipients_new(
	    &(struct recipients_options){.fold = true, .targets = 10});
	org = domain("example.org", NULL);
	assert_int_equal(recipients_check(r, on_fault, text), 1);
	assert_non_null(strstr(text, "has no postmaster"));
	catch_all(org, "lmtp:/s");
	assert_int_equal(recipients_check(r, on_fault, text), 0);
	alias("out: x@else.org");
	assert_int_equal(recipients_check(r, on_fault, text), 1);
	assert_string_equal(text,
	    "alias target x@else.org leads to another domain: mail of "
	    "strangers is never sent on; forward from the mailbox (Sieve), or "
	    "name a destination");
}

static void
no_wildcards(void **state)
{
	static const char why[] = "is no wildcard here: write catch-all";

	(void)state;
	assert_string_equal(recipients_add_user(r, org, "*"), why);
	assert_string_equal(recipients_add_user(r, org, "@example.org"), why);
	assert_string_equal(recipients_add_user(r, org, "@"), why);
	assert_null(recipients_add_user(r, org, "a*"));
	assert_string_equal(recipients_add_alias(r, org, "*: a*"), why);
	assert_string_equal(recipients_add_alias(r, org, "@a.org: a*"), why);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, tables_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(of_a_user), T(of_an_alias),
	    T(of_a_catch_all), T(two_ways), T(the_same_is_one), T(postmasters),
	    T(are_routes), T(relayed), T(whose), T(checked), T(no_wildcards)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
