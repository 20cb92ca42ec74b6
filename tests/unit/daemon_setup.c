/*
 * The directories of a start: whose they are, and what root does not do
 * where others can write. As root; as anybody else only what needs no root.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "setup.h"

#define USER 65534

static struct identity id;
static const char *planted; /* what a worker puts into its place, or NULL */

/* A worker of the user is quick: what is made is a link the next moment. */
int
mkdirat(int at, const char *name, mode_t mode)
{
	int r = (int)syscall(SYS_mkdirat, at, name, mode);

	if (r == 0 && planted) {
		assert_int_equal(unlinkat(at, name, AT_REMOVEDIR), 0);
		assert_int_equal(symlinkat(planted, at, name), 0);
	}
	return r;
}

static int
begin(void **state)
{
	planted = NULL;
	id = (struct identity){geteuid() == 0, geteuid(), getegid()};
	if (id.change)
		id.uid = id.gid = USER;
	if (scratch_setup(state))
		return -1;
	return chmod(".", 0755);
}

static struct stat
look(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void
assert_is(const char *path, uid_t uid, mode_t mode)
{
	struct stat st = look(path);

	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void
mkdir_of(const char *path, uid_t uid, mode_t mode)
{
	scratch_mkdir(path);
	if (geteuid() == 0)
		assert_int_equal(lchown(path, uid, uid), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static bool
opens(const char *rel)
{
	int fd = setup_directory(scratch_path(rel), &id);
	struct stat st;

	if (fd >= 0) {
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_ino, look(rel).st_ino);
		assert_int_equal(close(fd), 0);
	}
	return fd >= 0;
}

static void
makes_what_is_missing(void **state)
{
	mode_t old = umask(077);

	(void)state;
	assert_true(opens("a//b/mail/"));
	assert_is("a", geteuid(), 0711);
	assert_is("a/b", geteuid(), 0711);
	assert_is("a/b/mail", id.uid, 0700);
	assert_true(opens("a/b/mail"));
	umask(old);
}

/* FAULT B2: below a directory of the user all belongs to the user. */
static void
below_the_user(void **state)
{
	(void)state;
	mkdir_of("mail", id.uid, 0700);
	assert_true(opens("mail/example.org/postmaster"));
	assert_is("mail/example.org", id.uid, 0711);
	assert_is("mail/example.org/postmaster", id.uid, 0700);
	assert_int_equal(look("mail/example.org").st_gid, id.gid);
}

/* FAULT B1: a link where a worker could plant one leads root nowhere. */
static void
planted_link(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	mkdir_of("target", 0, 0755);
	mkdir_of("mail", id.uid, 0700);
	assert_int_equal(symlink("../target", "mail/link"), 0);
	assert_false(opens("mail/link/failed"));
	assert_false(opens("mail/link"));
	assert_is("target", 0, 0755);
	assert_false(scratch_exists("target/failed"));
	/* one of root's own making, too: the directory is not root's */
	assert_int_equal(lchown("mail/link", id.uid, id.gid), 0);
	assert_false(opens("mail/link/failed"));
	/* in a directory that all can write in: no rights of root's */
	mkdir_of("open", 0, 0777);
	assert_int_equal(symlink("../target", "open/link"), 0);
	assert_false(opens("open/link/failed"));
	assert_false(scratch_exists("target/failed"));
}

/* FAULT B1: nor one that takes the place of what was just made. */
static void
lost_race(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	mkdir_of("target", 0, 0755);
	mkdir_of("mail", id.uid, 0700);
	planted = scratch_path("target");
	assert_false(opens("mail/failed"));
	assert_is("target", 0, 0755);
	assert_false(opens("mail/x/failed"));
	assert_false(scratch_exists("target/failed"));
}

/* What the administrator made leads on, but never past a missing disk. */
static void
links_of_root(void **state)
{
	(void)state;
	scratch_mkdir("real");
	assert_int_equal(chmod("real", 0755), 0);
	assert_int_equal(symlink("real", "link"), 0);
	assert_true(opens("link/mail"));
	assert_is("real/mail", id.uid, 0700);
	assert_int_equal(symlink(scratch_path("real"), "real/up"), 0);
	assert_true(opens("real/up/up/mail"));
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	assert_false(opens("dangling"));
	assert_false(opens("dangling/mail"));
	assert_false(scratch_exists("nowhere"));
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_false(opens("loop/mail"));
}

/* FAULT B4: what others can write in is no place for mail. */
static void
others_write(void **state)
{
	(void)state;
	mkdir_of("group", id.uid, 0770);
	assert_false(opens("group"));
	mkdir_of("all", id.uid, 0703);
	assert_false(opens("all"));
	mkdir_of("good", id.uid, 0755);
	assert_true(opens("good"));
}

static void
no_directories(void **state)
{
	char longer[400];

	(void)state;
	scratch_touch("file");
	assert_false(opens("file"));
	assert_false(opens("file/x"));
	assert_int_equal(setup_directory("relative", &id), -1);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	longer[0] = '/';
	assert_int_equal(setup_directory(longer, &id), -1);
	if (geteuid() != 0)
		return;
	mkdir_of("closed", 0, 0700);
	assert_false(opens("closed"));
	mkdir_of("closed/mail", USER, 0700);
	assert_false(opens("closed/mail")); /* nobody gets there */
}

/* FAULT B1: root has all its rights back, whatever happened meanwhile. */
static void
root_again(void **state)
{
	gid_t groups[] = {4, 27}, now[8];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(setgroups(2, groups), 0);
	mkdir_of("mail", id.uid, 0700);
	assert_true(opens("mail/good"));
	assert_int_equal(symlink("/", "mail/bad"), 0);
	assert_false(opens("mail/bad"));
	assert_int_equal(geteuid(), 0);
	assert_int_equal(getegid(), 0);
	assert_int_equal(getgroups(8, now), 2);
	assert_memory_equal(now, groups, sizeof(groups));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, scratch_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(makes_what_is_missing),
	    T(below_the_user), T(planted_link), T(lost_race), T(links_of_root),
	    T(others_write), T(no_directories), T(root_again)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
