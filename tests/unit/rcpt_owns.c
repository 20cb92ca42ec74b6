/*
 * Whose address is this? What a login may write into MAIL FROM when no
 * senders-file says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables_rig.h"

static struct mail_domain *two; /* two.org */

static int
start(void **state)
{
	(void)state;
	tables_new(true, '+', "/m/%d/%u");
	assert_null(
	    recipients_add_domain(r, "two.org", "maildir:/m/%d/%u", &two));
	assert_null(recipients_add_user(r, two, "root"));
	user("alice");
	user("bob");
	return 0;
}

static void
assert_owns(bool expected, const char *login, const char *address)
{
	struct smtp_path from = parse(address);

	if (recipients_owns(r, login, &from) != expected)
		fail_msg("%s, %s", login, address);
}

/* It, in whatever spelling, and with a detail. */
static void
test_own_address(void **state)
{
	(void)state;
	user("alice+work"); /* somebody else */
	for (int i = 0; i < 2; i++) {
		const char *login = i ? "ALICE@Example.org" : "Alice";

		assert_owns(true, login, "aLICE@EXAMPLE.org");
		assert_owns(true, login, "alice+x+y@example.org");
		assert_owns(true, login, "alice+@example.org");
		assert_owns(false, login, "alice+work@example.org");
		assert_owns(false, login, "alic@example.org");
		assert_owns(false, login, "alic+x@example.org");
		assert_owns(false, login, "alice2+x@example.org");
		assert_owns(false, login, "+alice@example.org");
		assert_owns(false, login, "bob@example.org");
		assert_owns(false, login, "alice@example.com");
		assert_owns(false, login, "alice@[192.0.2.1]");
		assert_owns(!i, login, "alice@two.org");
	}
	assert_owns(true, "alice+work", "alice+work@example.org");
	assert_owns(false, "alice@example.com", "alice@example.org");
	/* who has a password needs no mailbox */
	assert_owns(true, "carol", "carol@example.org");
}

static void
test_no_folding(void **state)
{
	(void)state;
	tables_new(false, 0, "/m/%u");
	assert_owns(true, "Alice", "Alice@example.org");
	assert_owns(false, "Alice", "alice@example.org");
	assert_owns(false, "Alice", "Alice+x@example.org");
	/* nothing in front of a delimiter is nobody */
	tables_new(true, '+', "/m/%u");
	assert_owns(false, "", "+x@example.org");
}

/* All whom an alias leads to, through others too; of either domain. */
static void
test_aliases(void **state)
{
	(void)state;
	alias("sales: alice, root@two.org");
	alias("team: sales");
	alias("bob: alice"); /* never used: bob is a user */
	alias("loop: loop");
	for (int i = 0; i < 2; i++) {
		const char *address =
		    i ? "team@example.org" : "SALES@example.org";

		assert_owns(true, "alice", address);
		assert_owns(true, "alice@example.org", address);
		assert_owns(false, "alice@two.org", address);
		assert_owns(true, "root", address);
		assert_owns(true, "root@two.org", address);
		assert_owns(false, "root@example.org", address);
		assert_owns(false, "bob", address);
	}
	assert_owns(false, "alice", "sales+x@example.org");
	assert_owns(false, "alice", "bob@example.org");
	assert_owns(true, "bob", "bob@example.org");
	assert_owns(false, "alice", "loop@example.org");
	assert_owns(false, "alice", "team@two.org");
}

/* Its mail is another's, and nobody's address. */
static void
test_catch_all(void **state)
{
	(void)state;
	assert_null(recipients_catch_all(r, org, "alice"));
	alias("sales: alice");
	assert_owns(false, "alice", "any@example.org");
	assert_owns(true, "alice", "sales@example.org");
	/* carol's mail goes where that of sales does, and is not hers */
	assert_owns(false, "carol", "sales@example.org");
	assert_owns(false, "carol@example.org", "sales@example.org");
}

/* A directory may make anybody a user: no file system is asked. */
static void
test_users_from(void **state)
{
	(void)state;
	assert_null(recipients_users_from(r, org, "/nowhere/%d"));
	alias("sales: carol");
	assert_owns(true, "carol", "sales@example.org");
	assert_owns(true, "carol", "carol+x@example.org");
	assert_owns(false, "alice", "sales@example.org");
	assert_owns(false, "new", "sales@example.org");
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, tables_free)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_own_address),
	    T(test_no_folding),
	    T(test_aliases),
	    T(test_catch_all),
	    T(test_users_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
