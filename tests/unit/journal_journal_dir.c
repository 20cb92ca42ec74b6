/*
 * Directories of journals: who has one, what a maker that died has left, and
 * what becomes of one where the disk fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>

#include <cmocka.h>

#include "journal/journal_dir.h"
#include "scratch.h"
#define SYS_DISK 0
#include "sys.h"

#define NAME "0123456789ABCDEF"

static int spool, root;
static struct journal_dir d;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	sys_reset();
	scratch_mkdirs("spool/journal");
	spool = open("spool", O_RDONLY | O_DIRECTORY);
	root = open("spool/journal", O_RDONLY | O_DIRECTORY);
	d = (struct journal_dir){.root = root, .fd = -1};
	return 0;
}

static int
finish(void **state)
{
	sys_reset();
	journal_dir_close(&d);
	close(root);
	close(spool);
	return scratch_teardown(state);
}

struct fault {
	const char *call;
	unsigned nth;
	int error;
};

/* Each of them, at a function that says so. */
static void
each_fails(const struct fault *f, int (*fn)(void))
{
	for (; f->call; f++) {
		sys_fail(f->call, f->nth, f->error);
		if (fn() != -1 || errno != f->error || !sys_failed())
			fail_msg("%s %u: %s", f->call, f->nth, strerror(errno));
	}
}

static int
open_damaged(void)
{
	return journal_dir_open(spool, "damaged");
}

static void
a_folder_that_is_missing_is_made(void **state)
{
	static const struct fault all[] = {{"openat", 1, EMFILE},
	    {"mkdirat", 1, ENOSPC}, {NULL, 0, 0}};
	static const struct fault made[] = {{"fsync", 1, EIO}, {NULL, 0, 0}};
	int fd;

	(void)state;
	each_fails(all, open_damaged);
	assert_false(scratch_exists("spool/damaged"));
	each_fails(made, open_damaged);
	fd = open_damaged();
	assert_true(fd >= 0);
	close(fd);
	scratch_touch("spool/file");
	assert_int_equal(journal_dir_open(spool, "file"), -1);
	assert_int_equal(errno, ENOTDIR);
}

static int
make(void)
{
	int r = journal_dir_make(root, &d);

	assert_int_equal(r < 0, d.fd < 0);
	return r;
}

/* What is left of it is nobody's: whoever adopts takes it away. */
static void
one_that_cannot_be_made(void **state)
{
	static const struct fault all[] = {{"mkdirat", 1, ENOSPC},
	    {"openat", 1, EMFILE}, {"renameat", 1, EIO}, {NULL, 0, 0}};
	static const struct fault named[] = {{"fsync", 1, EIO}, {NULL, 0, 0}};

	(void)state;
	each_fails(all, make);
	assert_int_equal(scratch_count("spool/journal"), 2);
	assert_int_equal(journal_dir_adopt(root, "", &d), 0);
	assert_int_equal(d.fd, -1);
	assert_int_equal(scratch_count("spool/journal"), 0);
	each_fails(named, make);
	assert_int_equal(journal_dir_adopt(root, "", &d), 0);
	assert_true(d.fd >= 0); /* empty, but complete */
}

/* Somebody tidies up before it is locked: once is no fault, always is. */
static void
one_that_is_taken_away(void **state)
{
	(void)state;
	sys_fail("openat", 1, ENOENT);
	assert_int_equal(make(), 0);
	journal_dir_close(&d);
	sys_fail("openat", 0, ENOENT);
	assert_int_equal(make(), -1);
	assert_int_equal(errno, ENOENT);
}

static void
one_that_is_being_made_stays(void **state)
{
	int made;

	(void)state;
	scratch_mkdir("spool/journal/.new-" NAME);
	made = open("spool/journal/.new-" NAME, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(made, LOCK_EX), 0);
	assert_int_equal(journal_dir_adopt(root, "", &d), 0);
	assert_int_equal(d.fd, -1);
	assert_true(scratch_exists("spool/journal/.new-" NAME));
	close(made);
	assert_int_equal(journal_dir_adopt(root, "", &d), 0);
	assert_int_equal(scratch_count("spool/journal"), 0);
}

static int
adopt(void)
{
	return journal_dir_adopt(root, "", &d);
}

/* What is skipped, in quarantine, no directory, or not to be had now. */
static void
some_are_not_adopted(void **state)
{
	static const struct fault all[] = {{"openat", 1, EMFILE}, {NULL, 0, 0}};

	(void)state;
	scratch_mkdir("spool/journal/quarantine-" NAME);
	scratch_touch("spool/journal/FEDCBA9876543210");
	scratch_mkdir("spool/journal/" NAME);
	assert_int_equal(journal_dir_adopt(root, NAME, &d), 0);
	assert_int_equal(d.fd, -1);
	each_fails(all, adopt); /* the list itself */
	assert_int_equal(adopt(), 0);
	assert_string_equal(d.name, NAME);
}

static int
doubt(void)
{
	return journal_dir_doubt(&d);
}

static int
quarantine(void)
{
	return journal_dir_quarantine(&d);
}

static int
take_away(void)
{
	return journal_dir_remove(&d);
}

/* It stays ours, and is left to the next one as it is. */
static void
an_end_that_fails(void **state)
{
	static const struct fault doubts[] = {{"openat", 1, ENOSPC},
	    {"fsync", 1, EIO}, {"fsync", 2, EIO}, {NULL, 0, 0}};
	static const struct fault renames[] = {{"renameat", 1, EIO},
	    {NULL, 0, 0}};
	static const struct fault removals[] = {{"openat", 1, EMFILE},
	    {"unlinkat", 1, EIO}, {"unlinkat", 2, EIO}, {NULL, 0, 0}};

	(void)state;
	assert_int_equal(make(), 0);
	each_fails(doubts, doubt);
	assert_true(journal_dir_doubted(&d));
	each_fails(renames, quarantine);
	each_fails(removals, take_away);
	assert_true(d.fd >= 0);
	assert_int_equal(scratch_count("spool/journal"), 1);
	assert_int_equal(take_away(), 0);
	assert_int_equal(scratch_count("spool/journal"), 0);
	assert_int_equal(d.fd, -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_folder_that_is_missing_is_made),
	    T(one_that_cannot_be_made),
	    T(one_that_is_taken_away),
	    T(one_that_is_being_made_stays),
	    T(some_are_not_adopted),
	    T(an_end_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
