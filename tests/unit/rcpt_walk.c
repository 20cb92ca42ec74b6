/*
 * What must be looked up in the file system: directories that make users, and
 * folders.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "tables_rig.h"

static int
finish(void **state)
{
	tables_free(state);
	return scratch_teardown(state);
}

static void
open_roots(void)
{
	struct destination *d;

	for (unsigned i = 0; (d = recipients_place(r, i)); i++) {
		scratch_mkdirs(d->root.path);
		assert_int_equal(maildir_root_open(&d->root), 0);
	}
}

/* FAULT C10: a directory without cur/ is no folder, whatever its name. */
static void
test_folders(void **state)
{
	(void)state;
	tables_new(true, '+', scratch_path("mail/%d/%u/.%t"));
	user("alice");
	alias("sales: alice+list");
	open_roots();
	assert_goes("alice@example.org", "example.org/alice");
	assert_goes("alice+list@example.org", "example.org/alice");
	scratch_mkdir("mail/example.org");
	scratch_mkdir("mail/example.org/alice");
	scratch_mkdir("mail/example.org/alice/.list");
	scratch_mkdir("mail/example.org/.list");
	scratch_mkdir("mail/example.org/.list/cur");
	assert_goes("alice+list@example.org", "example.org/alice");
	scratch_touch("mail/example.org/alice/.list/cur");
	assert_goes("alice+list@example.org", "example.org/alice");
	assert_int_equal(unlink("mail/example.org/alice/.list/cur"), 0);
	scratch_mkdir("mail/example.org/alice/.list/cur");
	scratch_touch("mail/example.org/alice/.file");
	assert_int_equal(symlink(".list", "mail/example.org/alice/.link"), 0);
	assert_goes("alice+list@example.org", "example.org/alice/.list");
	assert_goes("alice+other@example.org", "example.org/alice");
	assert_goes("alice+@example.org", "example.org/alice");
	assert_goes("alice+file@example.org", "example.org/alice");
	assert_goes("alice+link@example.org", "example.org/alice");
	assert_goes("alice+new@example.org", "example.org/alice");
	assert_goes("\"alice+./../.list\"@example.org", "example.org/alice");
	assert_goes("\"alice+list/../../.list\"@example.org",
	    "example.org/alice");
	/* an alias names the folder; the client's detail is not passed on */
	assert_goes("sales@example.org", "example.org/alice/.list");
	assert_goes("sales+other@example.org", "example.org/alice/.list");
	assert_true(live("alice+list@example.org"));
	assert_true(live("sales@example.org"));
	assert_false(live("alice@example.org"));
	assert_false(live("alice@example.com"));
}

static void
test_longest_folder(void **state)
{
	char text[320];

	(void)state;
	tables_new(true, '+', scratch_path("mail/%u/.%t"));
	user("a");
	open_roots();
	snprintf(text, sizeof(text), "a+%0200d@example.org", 0);
	assert_goes(text, "a");
	snprintf(text, sizeof(text), "a+%0254d@example.org", 0);
	assert_goes(text, "a");
}

static void
test_users_from(void **state)
{
	(void)state;
	tables_new(true, '+', scratch_path("mail/%d/%u"));
	assert_null(recipients_users_from(r, org, scratch_path("mail/%d")));
	alias("carol: dave");
	alias("dave: alice");
	open_roots();
	/* no such directory yet: nobody, and no failure */
	assert_result("alice@example.org", RCPT_UNKNOWN);
	scratch_mkdir("mail/example.org");
	assert_result("alice@example.org", RCPT_UNKNOWN);
	scratch_mkdir("mail/example.org/alice");
	scratch_mkdir("mail/example.org/new");
	scratch_mkdir("mail/example.org/.hidden");
	scratch_touch("mail/example.org/file");
	assert_int_equal(symlink("alice", "mail/example.org/link"), 0);
	assert_goes("Alice@example.org", "example.org/alice");
	assert_goes("alice+x@example.org", "example.org/alice");
	assert_result("file@example.org", RCPT_UNKNOWN);
	assert_result("link@example.org", RCPT_UNKNOWN);
	assert_result("new@example.org", RCPT_UNKNOWN);
	/* FAULT A4: what a file system makes is nobody's mailbox */
	scratch_mkdir("mail/example.org/lost+found");
	assert_result("lost+found@example.org", RCPT_UNKNOWN);
	assert_result("\".hidden\"@example.org", RCPT_UNKNOWN);
	assert_result("\"..\"@example.org", RCPT_UNKNOWN);
	assert_result("\".\"@example.org", RCPT_UNKNOWN);
	assert_result("\"../example.org\"@example.org", RCPT_UNKNOWN);
	assert_result("\"alice/../alice\"@example.org", RCPT_UNKNOWN);
	/* directories stand where users do: before aliases */
	assert_goes("carol@example.org", "example.org/alice");
	scratch_mkdir("mail/example.org/carol");
	assert_goes("carol@example.org", "example.org/carol");
	scratch_mkdir("mail/example.org/dave+x");
	assert_goes("dave+x@example.org", "example.org/dave+x");
	assert_true(live("alice@example.org"));
	assert_true(live("carol@example.org"));
	assert_false(live("carol@example.com"));
}

/* Longer than any name of a directory: unknown, not a failure. */
static void
test_users_from_longest(void **state)
{
	char text[320];

	(void)state;
	tables_new(true, '+', scratch_path("mail/%u"));
	assert_null(recipients_users_from(r, org, scratch_path("mail")));
	open_roots();
	for (int n = 199; n <= 256; n++) {
		snprintf(text, sizeof(text), "%0*d@example.org", n, 0);
		assert_result(text, RCPT_UNKNOWN);
	}
}

static void
test_users_from_again(void **state)
{
	(void)state;
	tables_new(true, '+', scratch_path("mail/%u"));
	assert_null(recipients_users_from(r, org, scratch_path("from")));
	alias("sales: alice");
	open_roots();
	assert_int_equal(symlink("from", "from"), 0);
	assert_result("alice@example.org", RCPT_AGAIN);
	/* whether it is a user is not known: no alias may answer instead */
	assert_result("sales@example.org", RCPT_AGAIN);
	user("sales");
	assert_goes("sales@example.org", "sales");
}

/*
 * Where every question to the file system fails, a look is unsure of exactly
 * what cannot be looked up. A job too many would be harmless; one too few
 * blocks the loop.
 */
static void
test_live(void **state)
{
	static const struct {
		const char *address;
		bool live;
	} all[] = {
	    {"alice@example.org", false},
	    {"alice+x@example.org", false},
	    {"nobody@example.org", false},
	    {"far@example.org", true},
	    {"near@example.org", false},
	    {"last@example.org", true},
	    {"never@example.org", false},
	    {"late@example.org", true},
	    {"sure@example.org", false},
	    {"folder@example.org", true},
	    {"root@live.org", false},
	    {"root+x@live.org", true},
	    {"sales@live.org", true},
	    {"any@live.org", true},
	    {"new@live.org", false},
	    {"\"a/b\"@live.org", false},
	    {"\"a/b+x\"@live.org", false},
	    {"lost+found@live.org", true},
	    {"postmaster@live.org", true},
	    {"alice@folders.org", false},
	    {"alice+x@folders.org", true},
	    {"alice+@folders.org", false},
	    {"alice+cur@folders.org", false},
	    {"nobody+x@folders.org", false},
	    {"sales@folders.org", false},
	    {"sales+x@folders.org", false},
	    {"alice@example.com", false},
	};
	struct mail_domain *d;

	(void)state;
	tables_new(true, '+', scratch_path("closed/%d/%u"));
	user("alice");
	alias("far: any@live.org");
	alias("near: alice, root@live.org, alice@folders.org");
	alias("last: near, sales@folders.org, far");
	alias("never: nobody, any@live.org");
	alias("late: any@live.org, nobody");
	alias("sure: new@live.org");
	alias("folder: alice+x@folders.org");
	assert_null(recipients_add_domain(r, "live.org",
	    scratch_maildir("closed"), &d));
	assert_null(recipients_users_from(r, d, scratch_path("loop")));
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_null(recipients_add_user(r, d, "root"));
	assert_null(recipients_add_alias(r, d, "sales: root"));
	assert_null(recipients_catch_all(r, d, "root"));
	assert_null(recipients_add_domain(r, "folders.org",
	    scratch_maildir("closed/%d/%u/.%t"), &d));
	assert_null(recipients_add_user(r, d, "alice"));
	assert_null(recipients_add_alias(r, d, "sales: alice"));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *address = all[i].address;

		if (live(address) != all[i].live ||
		    (resolve(address) == RCPT_AGAIN) != all[i].live)
			fail_msg("%s", address);
	}
}

/*
 * FAULT A4: a directory made it a user, and it cannot take mail: all that
 * lead there are refused. Who is in the tables was meant by somebody.
 */
static void
test_shut(void **state)
{
	(void)state;
	tables_new(true, '+', scratch_path("mail/%u"));
	assert_null(recipients_users_from(r, org, scratch_path("mail")));
	user("bob");
	alias("both: bob, alice");
	open_roots();
	scratch_mkdir("mail/alice");
	scratch_mkdir("mail/bob");
	if (geteuid() == 0) { /* whom nothing is shut to */
		assert_int_equal(chmod(".", 0711), 0);
		assert_int_equal(chmod("mail", 0755), 0);
		assert_int_equal(seteuid(65534), 0);
	} else {
		assert_int_equal(chmod("mail/alice", 0500), 0);
		assert_int_equal(chmod("mail/bob", 0500), 0);
	}
	assert_result("alice@example.org", RCPT_SHUT);
	assert_int_equal(errno, EACCES);
	assert_result("alice+x@example.org", RCPT_SHUT);
	assert_result("both@example.org", RCPT_SHUT);
	assert_goes("bob@example.org", "bob");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod("mail/alice", 0700), 0);
	assert_int_equal(chmod("mail/bob", 0700), 0);
	assert_goes("both@example.org", "bob alice");
}

static void
test_users_from_faults(void **state)
{
	struct mail_domain *tmp;

	(void)state;
	tables_new(true, '+', "/m/%u");
	assert_non_null(recipients_users_from(r, org, "m"));
	assert_non_null(recipients_users_from(r, org, "/m/%u"));
	assert_non_null(recipients_users_from(r, org, "/m/%t"));
	assert_non_null(recipients_users_from(r, org, "/m/../x"));
	assert_false(live("a@example.org"));
	assert_null(recipients_users_from(r, org, "/m/%d/Maildir"));
	assert_true(live("a@example.org"));
	assert_null(recipients_add_domain(r, "tmp", "maildir:/m/%u", &tmp));
	assert_non_null(recipients_users_from(r, tmp, "/m/%d"));
	assert_null(recipients_users_from(r, tmp, "/m"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_folders),
	    T(test_longest_folder),
	    T(test_users_from),
	    T(test_users_from_longest),
	    T(test_users_from_again),
	    T(test_live),
	    T(test_shut),
	    T(test_users_from_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
