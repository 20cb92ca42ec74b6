/*
 * Maildirs: modes, names, links that must not be followed, nothing left
 * behind, and the fsync of every directory that was made.
 */
#include <errno.h>
#include <fcntl.h>
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

#include "dest/maildir.h"
#include "scratch.h"

/* What was fsynced, as paths in the order of the calls. */
static char synced[32][256];
static unsigned nsynced;

/* Stands before libc's. */
int
fsync(int fd)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (nsynced < 32) {
		n = readlink(link, synced[nsynced], 255);
		synced[nsynced++][n < 0 ? 0 : n] = '\0';
	}
	return (int)syscall(SYS_fsync, fd);
}

static unsigned before_tmp; /* so many when tmp was made */

int
mkdirat(int at, const char *name, mode_t mode)
{
	if (!strcmp(name, "tmp"))
		before_tmp = nsynced;
	return (int)syscall(SYS_mkdirat, at, name, mode);
}

/* A file system that knows no flags for a rename (NFS). */
static bool plain_rename;

int
renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
	if (plain_rename) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from, old, to, name, flags);
}

static bool
was_synced_in(const char *rel, unsigned from, unsigned to)
{
	const char *path = scratch_path(rel);

	for (unsigned i = from; i < to; i++) {
		if (!strcmp(synced[i], path))
			return true;
	}
	return false;
}

static bool
was_synced(const char *rel)
{
	return was_synced_in(rel, 0, nsynced);
}

static struct maildir_root
open_root(const char *rel)
{
	struct maildir_root r = {.path = (char *)(uintptr_t)scratch_path(rel),
	    .fd = -1,
	    .sync = -1};

	scratch_mkdirs(r.path);
	assert_int_equal(maildir_root_open(&r), 0);
	nsynced = 0;
	return r;
}

static void
assert_fails(const struct maildir_root *r, const char *rel, const char *name,
    int err)
{
	struct maildir_file f;

	errno = 0;
	assert_int_equal(maildir_create(r, rel, name, &f), -1);
	assert_int_equal(errno, err);
	assert_int_equal(f.box, -1);
	assert_int_equal(f.fd, -1);
}

static void
test_component_valid(void **state)
{
	static const char *const bad[] = {"", ".", "..", ".x", "a/b", "/",
	    "a\nb", "a\x7f", "\x01", "cur", "new", "tmp"};
	static const char *const good[] = {"a", "a.", "a..b", "%d", "Cur",
	    "curx", "a b", "\"", "\\", "-", "\xc3\xa9", "~", "*"};
	char name[202];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(maildir_component_valid(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(maildir_component_valid(good[i]));
	memset(name, 'x', sizeof(name));
	name[200] = '\0';
	assert_true(maildir_component_valid(name));
	name[200] = 'x';
	name[201] = '\0';
	assert_false(maildir_component_valid(name));
}

/* A root itself may be reached by a link: the administrator made it. */
static void
test_root_by_link(void **state)
{
	struct maildir_root r;

	(void)state;
	scratch_mkdir("real");
	assert_int_equal(symlink("real", "link"), 0);
	r = open_root("link/mail");
	maildir_root_close(&r);
}

/* FAULT B7: another directory, none, and the first one back: each is seen,
 * and the numbers of the descriptors stay. */
static void
test_root_changes(void **state)
{
	struct maildir_root r = open_root("r");
	int fd = r.fd, sync = r.sync;

	(void)state;
	assert_false(maildir_root_changed(&r));
	assert_int_equal(rename("r", "away"), 0);
	assert_true(maildir_root_changed(&r));
	assert_int_equal(maildir_root_renew(&r), -1);
	assert_int_equal(errno, ENOENT);
	assert_true(r.gone);
	assert_false(maildir_root_changed(&r)); /* it is known */
	scratch_mkdir("r");
	scratch_mkdir("r/box");
	scratch_mkdir("r/box/cur");
	assert_true(maildir_root_changed(&r));
	assert_int_equal(maildir_root_renew(&r), 1);
	assert_int_equal(maildir_exists(&r, "box"), 1);
	assert_false(maildir_root_changed(&r));
	assert_int_equal(rename("r", "away2"), 0);
	assert_int_equal(rename("away", "r"), 0);
	assert_int_equal(maildir_root_renew(&r), 1);
	assert_int_equal(rename("r", "away"), 0);
	assert_int_equal(maildir_root_renew(&r), -1);
	assert_int_equal(rename("away", "r"), 0);
	assert_true(maildir_root_changed(&r));
	assert_int_equal(maildir_root_renew(&r), 0);
	assert_false(r.gone);
	assert_int_equal(r.fd, fd);
	assert_int_equal(r.sync, sync);
	maildir_root_close(&r);
}

static void
test_root_open_fails(void **state)
{
	struct maildir_root r = {.path = (char *)(uintptr_t)scratch_path("r"),
	    .fd = -1,
	    .sync = -1};

	(void)state;
	assert_int_equal(maildir_root_open(&r), -1);
	assert_int_equal(errno, ENOENT);
	scratch_touch("r");
	assert_int_equal(maildir_root_open(&r), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(r.fd, -1);
	assert_int_equal(unlink("r"), 0);
	scratch_mkdir("r");
	if (geteuid() == 0)
		assert_int_equal(chmod(scratch_path(""), 0711), 0);
	else
		assert_int_equal(chmod("r", 0500), 0);
	assert_int_equal(geteuid() ? 0 : seteuid(65534), 0);
	assert_int_equal(maildir_root_open(&r), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(getuid() ? 0 : seteuid(0), 0);
	assert_int_equal(chmod("r", 0700), 0);
}

static void
test_life_of_a_file(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;
	struct buf b;

	(void)state;
	assert_int_equal(maildir_create(&r, "d/u", "n1", &f), 0);
	assert_int_equal(scratch_mode("mail/d"), 0700);
	assert_int_equal(scratch_mode("mail/d/u"), 0700);
	assert_int_equal(scratch_mode("mail/d/u/tmp"), 0700);
	assert_int_equal(scratch_mode("mail/d/u/new"), 0700);
	assert_int_equal(scratch_mode("mail/d/u/cur"), 0700);
	assert_int_equal(scratch_mode("mail/d/u/tmp/n1"), 0600);
	assert_int_equal(write(f.fd, "hello\n", 6), 6);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(f.fd, -1);
	assert_false(scratch_exists("mail/d/u/new/n1"));
	assert_int_equal(maildir_commit(&f), 0);
	assert_true(f.published);
	assert_false(scratch_exists("mail/d/u/tmp/n1"));
	b = scratch_read("mail/d/u/new/n1");
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.data, "hello\n", 6);
	buf_free(&b);
	maildir_close(&f);
	assert_int_equal(f.box, -1);
	maildir_root_close(&r);
}

/* Every directory made on the way is fsynced in its parent, then the file. */
static void
test_synced(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	assert_int_equal(maildir_create(&r, "d/u", "n", &f), 0);
	assert_true(was_synced("mail"));
	assert_true(was_synced("mail/d"));
	assert_true(was_synced("mail/d/u"));
	nsynced = 0;
	assert_int_equal(maildir_sync(&f), 0);
	assert_true(was_synced("mail/d/u/tmp/n"));
	nsynced = 0;
	assert_int_equal(maildir_commit(&f), 0);
	assert_true(was_synced("mail/d/u/new"));
	maildir_close(&f);
	/* and the second message costs nothing of this */
	nsynced = 0;
	assert_int_equal(maildir_create(&r, "d/u", "n2", &f), 0);
	assert_int_equal(nsynced, 0);
	maildir_abort(&f);
	maildir_root_close(&r);
}

/* FAULT F12: where there is a tmp, new and cur are on disk; and so is it. */
static void
test_synced_around_tmp(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	assert_int_equal(maildir_create(&r, "d/u", "n", &f), 0);
	assert_true(was_synced_in("mail/d/u", 0, before_tmp));
	assert_true(was_synced_in("mail/d/u", before_tmp, nsynced));
	maildir_abort(&f);
	maildir_root_close(&r);
}

/*
 * A mailbox without tmp may have been made by somebody who has not synced
 * the way to it yet: whoever delivers does it himself.
 */
static void
test_half_made(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	scratch_mkdir("mail/d");
	scratch_mkdir("mail/d/u");
	scratch_mkdir("mail/d/u/new");
	assert_int_equal(maildir_create(&r, "d/u", "n", &f), 0);
	assert_true(was_synced("mail"));
	assert_true(was_synced("mail/d"));
	assert_true(was_synced("mail/d/u"));
	assert_true(scratch_exists("mail/d/u/cur"));
	maildir_abort(&f);
	assert_int_equal(rmdir("mail/d/u/cur"), 0);
	assert_int_equal(maildir_create(&r, "d/u", "n", &f), 0);
	assert_true(scratch_exists("mail/d/u/cur"));
	maildir_abort(&f);
	maildir_root_close(&r);
}

static void
test_root_is_mailbox(void **state)
{
	struct maildir_root r = open_root("box");
	struct maildir_file f;

	(void)state;
	assert_int_equal(maildir_create(&r, ".", "n", &f), 0);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(maildir_commit(&f), 0);
	maildir_close(&f);
	assert_true(scratch_exists("box/new/n"));
	maildir_root_close(&r);
}

static void
never_over_a_file(void)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f, g;

	assert_int_equal(maildir_create(&r, "u", "n", &f), 0);
	assert_fails(&r, "u", "n", EEXIST);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(maildir_commit(&f), 0);
	assert_int_equal(maildir_create(&r, "u", "n", &g), 0);
	assert_int_equal(maildir_sync(&g), 0);
	assert_int_equal(maildir_commit(&g), -1);
	assert_int_equal(errno, EEXIST);
	assert_false(g.published);
	maildir_abort(&g);
	assert_true(scratch_exists("mail/u/new/n"));
	assert_int_equal(scratch_count("mail/u/tmp"), 0);
	maildir_close(&f);
	/* nor through a link that lies in wait in tmp */
	assert_int_equal(symlink("../../../target", "mail/u/tmp/l"), 0);
	assert_fails(&r, "u", "l", EEXIST);
	assert_false(scratch_exists("target"));
	maildir_root_close(&r);
}

static void
test_never_over_a_file(void **state)
{
	(void)state;
	never_over_a_file();
}

static void
test_without_renameat2(void **state)
{
	(void)state;
	plain_rename = true;
	never_over_a_file();
	plain_rename = false;
}

static void
test_abort(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	assert_int_equal(maildir_create(&r, "u", "a", &f), 0);
	errno = ENOSPC;
	maildir_abort(&f);
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(f.box, -1);
	assert_int_equal(f.fd, -1);
	assert_int_equal(scratch_files("mail"), 0);
	/* a published file is taken back, for good */
	assert_int_equal(maildir_create(&r, "u", "b", &f), 0);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(maildir_commit(&f), 0);
	assert_int_equal(scratch_files("mail"), 1);
	nsynced = 0;
	maildir_abort(&f);
	assert_int_equal(scratch_files("mail"), 0);
	assert_true(was_synced("mail/u/new"));
	maildir_abort(&f); /* once more is harmless */
	maildir_root_close(&r);
}

static void
test_reopen(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	assert_int_equal(maildir_create(&r, "u", "a", &f), 0);
	assert_int_equal(maildir_sync(&f), 0);
	maildir_close(&f);
	assert_int_equal(maildir_reopen(&r, "u", &f), 0);
	assert_int_equal(maildir_commit(&f), 0);
	maildir_close(&f);
	assert_true(scratch_exists("mail/u/new/a"));
	assert_int_equal(maildir_reopen(&r, "u", &f), 0);
	maildir_abort(&f);
	assert_false(scratch_exists("mail/u/new/a"));
	maildir_root_close(&r);
}

static void
test_links_are_not_followed(void **state)
{
	static const char *const dirs[] = {"tmp", "new", "cur"};
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	scratch_mkdir("out");
	scratch_mkdir("out/u");
	assert_int_equal(symlink("../out", "mail/u"), 0);
	assert_int_equal(symlink("../out", "mail/d"), 0);
	assert_fails(&r, "u", "n", ELOOP);
	assert_fails(&r, "d/u", "n", ELOOP);
	assert_fails(&r, "d/v", "n", ELOOP);
	for (unsigned i = 0; i < 3; i++) {
		const char *dir = dirs[i];
		char from[64];

		assert_int_equal(maildir_create(&r, dir, "n", &f), 0);
		maildir_abort(&f);
		snprintf(from, sizeof(from), "mail/%s/%s", dir, dir);
		assert_int_equal(rmdir(from), 0);
		assert_int_equal(symlink("../../out", from), 0);
		assert_fails(&r, dir, "n", ELOOP);
	}
	assert_int_equal(scratch_files("out"), 0);
	assert_int_equal(scratch_count("out"), 1);
	assert_int_equal(scratch_count("out/u"), 0);
	maildir_root_close(&r);
}

/* new/ becomes a link between create and commit. */
static void
test_link_at_commit(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;

	(void)state;
	scratch_mkdir("out");
	assert_int_equal(maildir_create(&r, "u", "n", &f), 0);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(rmdir("mail/u/new"), 0);
	assert_int_equal(symlink("../../out", "mail/u/new"), 0);
	assert_int_equal(maildir_commit(&f), -1);
	assert_int_equal(errno, ELOOP);
	maildir_abort(&f);
	assert_int_equal(scratch_count("out"), 0);
	assert_int_equal(scratch_count("mail/u/tmp"), 0);
	maildir_root_close(&r);
}

/* Whatever a path above this room let through. */
static void
test_never_outside(void **state)
{
	struct maildir_root r = open_root("mail");
	char name[300];

	(void)state;
	scratch_mkdir("out");
	assert_fails(&r, "..", "n", EXDEV);
	assert_fails(&r, "../out", "n", EXDEV);
	assert_fails(&r, "u/../../out", "n", EXDEV);
	assert_fails(&r, scratch_path("out"), "n", EXDEV);
	assert_int_equal(scratch_count("out"), 0);
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	assert_fails(&r, "u", name, ENAMETOOLONG);
	assert_fails(&r, name, "n", ENAMETOOLONG);
	assert_int_equal(scratch_files("mail"), 0);
	maildir_root_close(&r);
}

static void
test_longest_names(void **state)
{
	struct maildir_root r = open_root("mail");
	struct maildir_file f;
	char name[256];

	(void)state;
	memset(name, 'x', 255);
	name[255] = '\0';
	assert_int_equal(maildir_create(&r, name, name, &f), 0);
	assert_int_equal(maildir_sync(&f), 0);
	assert_int_equal(maildir_commit(&f), 0);
	assert_string_equal(f.name, name);
	maildir_close(&f);
	assert_int_equal(scratch_files("mail"), 1);
	maildir_root_close(&r);
}

static void
test_something_in_the_way(void **state)
{
	struct maildir_root r = open_root("mail");

	(void)state;
	scratch_touch("mail/u");
	assert_fails(&r, "u", "n", ENOTDIR);
	assert_fails(&r, "u/v", "n", ENOTDIR);
	scratch_mkdir("mail/w");
	scratch_touch("mail/w/new");
	assert_fails(&r, "w", "n", ENOTDIR);
	maildir_root_close(&r);
}

static void
test_exists(void **state)
{
	struct maildir_root r = open_root("mail");

	(void)state;
	scratch_mkdir("mail/u");
	scratch_touch("mail/f");
	assert_int_equal(symlink("u", "mail/l"), 0);
	assert_int_equal(maildir_exists(&r, "u"), 0);
	assert_int_equal(maildir_exists(&r, "."), 0);
	scratch_mkdir("mail/u/cur");
	scratch_mkdir("mail/cur");
	assert_int_equal(maildir_exists(&r, "u"), 1);
	assert_int_equal(maildir_exists(&r, "."), 1);
	assert_int_equal(maildir_exists(&r, "v"), 0);
	assert_int_equal(maildir_exists(&r, "f"), 0);
	assert_int_equal(maildir_exists(&r, "f/x"), 0);
	assert_int_equal(maildir_exists(&r, "l"), 0);
	assert_int_equal(maildir_exists(&r, ".."), -1);
	maildir_root_close(&r);
	assert_int_equal(maildir_exists(&r, "u"), -1);
}

/* No test may leave a descriptor behind. */
static unsigned descriptors;

static int
start(void **state)
{
	descriptors = scratch_count("/proc/self/fd");
	return scratch_setup(state);
}

static int
finish(void **state)
{
	assert_int_equal(scratch_count("/proc/self/fd"), descriptors);
	return scratch_teardown(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_component_valid),
	    T(test_root_by_link),
	    T(test_root_open_fails),
	    T(test_root_changes),
	    T(test_life_of_a_file),
	    T(test_synced),
	    T(test_synced_around_tmp),
	    T(test_half_made),
	    T(test_root_is_mailbox),
	    T(test_never_over_a_file),
	    T(test_without_renameat2),
	    T(test_abort),
	    T(test_reopen),
	    T(test_links_are_not_followed),
	    T(test_link_at_commit),
	    T(test_never_outside),
	    T(test_longest_names),
	    T(test_something_in_the_way),
	    T(test_exists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
