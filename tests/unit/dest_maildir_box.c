/*
 * A mailbox is opened: what is made and in which order it comes to the disk,
 * and that nothing leads outside its root.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dest/maildir.h"
#include "scratch.h"
#include "sys.h"

static struct maildir_root root;
static unsigned descriptors;

static int
start(void **state)
{
	descriptors = scratch_count("/proc/self/fd");
	if (scratch_setup(state))
		return -1;
	scratch_mkdir("mail");
	root = (struct maildir_root){.path = strdup(scratch_path("mail")),
	    .fd = -1,
	    .sync = -1};
	sys_reset();
	return maildir_root_open(&root);
}

static int
finish(void **state)
{
	sys_reset();
	maildir_root_close(&root);
	free(root.path);
	assert_int_equal(scratch_count("/proc/self/fd"), descriptors);
	return scratch_teardown(state);
}

/* 0, or errno. */
static int
open_box(const char *rel)
{
	struct maildir_box b;
	struct stat st;

	if (maildir_box_open(&root, rel, &b) < 0) {
		assert_int_equal(b.dir, -1);
		assert_int_equal(b.tmp, -1);
		assert_int_equal(b.new, -1);
		return errno;
	}
	assert_int_equal(fstat(b.new, &st), 0);
	assert_int_equal(b.dev, st.st_dev);
	errno = ENOSPC;
	maildir_box_close(&b);
	assert_int_equal(errno, ENOSPC);
	maildir_box_close(&b); /* once more is harmless */
	return 0;
}

/*
 * FAULT F12: where there is a tmp, all that leads to it, and new and cur, are
 * on disk; and so is tmp when it is opened.
 */
static void
test_made(void **state)
{
	static const char *const dirs[] = {"mail/d", "mail/d/u", "mail/d/u/tmp",
	    "mail/d/u/new", "mail/d/u/cur"};

	(void)state;
	assert_int_equal(open_box("d/u"), 0);
	assert_string_equal(sys_log(), "mkdir mail/d\n"
				       "sync mail\n"
				       "mkdir mail/d/u\n"
				       "sync mail/d\n"
				       "mkdir mail/d/u/new\n"
				       "mkdir mail/d/u/cur\n"
				       "sync mail/d/u\n"
				       "mkdir mail/d/u/tmp\n"
				       "sync mail/d/u\n");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		assert_int_equal(scratch_mode(dirs[i]), 0700);
	/* and the second message costs nothing of this */
	sys_reset();
	assert_int_equal(open_box("d/u"), 0);
	assert_string_equal(sys_log(), "");
}

static void
test_root_is_mailbox(void **state)
{
	(void)state;
	assert_int_equal(open_box("."), 0);
	assert_string_equal(sys_log(), "mkdir mail/new\n"
				       "mkdir mail/cur\n"
				       "sync mail\n"
				       "mkdir mail/tmp\n"
				       "sync mail\n");
}

/*
 * One that lacks a part may have been made by somebody who has not synced the
 * way to it yet: whoever opens it does it himself.
 */
static void
test_half_made(void **state)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	char want[512], part[64];

	(void)state;
	assert_int_equal(open_box("d/u"), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(part, sizeof(part), "mail/d/u/%s", parts[i]);
		assert_int_equal(rmdir(part), 0);
		sys_reset();
		assert_int_equal(open_box("d/u"), 0);
		snprintf(want, sizeof(want),
		    "sync mail\nsync mail/d\n%s%s%ssync mail/d/u\n"
		    "%s%s%ssync mail/d/u\n",
		    i ? "mkdir " : "", i ? part : "", i ? "\n" : "",
		    i ? "" : "mkdir ", i ? "" : part, i ? "" : "\n");
		assert_string_equal(sys_log(), want);
	}
}

/* What was not made or is not on disk is no mailbox yet. */
static void
test_errors(void **state)
{
	char path[64];

	(void)state;
	for (unsigned i = 1; i <= 4; i++) {
		snprintf(path, sizeof(path), "d%u/u", i);
		sys_fail("fsync", i, EIO);
		assert_int_equal(open_box(path), EIO);
		sys_reset();
		assert_int_equal(open_box(path), 0);
	}
	for (unsigned i = 1; i <= 5; i++) {
		snprintf(path, sizeof(path), "e%u/u", i);
		sys_fail("mkdirat", i, EDQUOT);
		assert_int_equal(open_box(path), EDQUOT);
		sys_reset();
		assert_int_equal(open_box(path), 0);
	}
	sys_fail("fstat", 1, EIO);
	assert_int_equal(open_box("e1/u"), EIO);
}

static void
test_links_are_not_followed(void **state)
{
	static const char *const parts[] = {"tmp", "new", "cur"};
	char part[64];

	(void)state;
	scratch_mkdir("out");
	scratch_mkdir("out/u");
	assert_int_equal(symlink("../out", "mail/u"), 0);
	assert_int_equal(symlink("../out", "mail/d"), 0);
	assert_int_equal(open_box("u"), ELOOP);
	assert_int_equal(open_box("d/u"), ELOOP);
	assert_int_equal(open_box("d/v"), ELOOP);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(open_box(parts[i]), 0);
		snprintf(part, sizeof(part), "mail/%s/%s", parts[i], parts[i]);
		assert_int_equal(rmdir(part), 0);
		assert_int_equal(symlink("../../out", part), 0);
		assert_int_equal(open_box(parts[i]), ELOOP);
	}
	assert_int_equal(scratch_count("out"), 1);
	assert_int_equal(scratch_count("out/u"), 0);
}

/* Whatever a path above this room let through. */
static void
test_never_outside(void **state)
{
	char name[257];

	(void)state;
	scratch_mkdir("out");
	assert_int_equal(open_box(".."), EXDEV);
	assert_int_equal(open_box("../out"), EXDEV);
	assert_int_equal(open_box("u/../../out"), EXDEV);
	assert_int_equal(open_box(scratch_path("out")), EXDEV);
	assert_int_equal(scratch_count("out"), 0);
	memset(name, 'x', 256);
	name[256] = '\0';
	assert_int_equal(open_box(name), ENAMETOOLONG);
	assert_int_equal(open_box(name + 1), 0);
}

static void
test_something_in_the_way(void **state)
{
	(void)state;
	scratch_touch("mail/u");
	assert_int_equal(open_box("u"), ENOTDIR);
	assert_int_equal(open_box("u/v"), ENOTDIR);
	scratch_mkdir("mail/w");
	scratch_touch("mail/w/new");
	assert_int_equal(open_box("w"), ENOTDIR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_made),
	    T(test_root_is_mailbox),
	    T(test_half_made),
	    T(test_errors),
	    T(test_links_are_not_followed),
	    T(test_never_outside),
	    T(test_something_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
