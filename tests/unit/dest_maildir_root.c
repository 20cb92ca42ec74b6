/*
 * What may become a name below a root; roots that change; what their file
 * systems are trusted with; and whom a mailbox lets in.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "dest/maildir.h"
#include "scratch.h"

static long type; /* of every file system; 0: it does not answer */

int
fstatfs(int fd, struct statfs *fs)
{
	(void)fd;
	*fs = (struct statfs){.f_type = type};
	errno = EIO;
	return type ? 0 : -1;
}

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
	type = EXT4_SUPER_MAGIC;
	return maildir_root_open(&root);
}

static int
finish(void **state)
{
	maildir_root_close(&root);
	free(root.path);
	assert_int_equal(scratch_count("/proc/self/fd"), descriptors);
	return scratch_teardown(state);
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
	(void)state;
	assert_int_equal(rename("mail", "real"), 0);
	assert_int_equal(symlink("real", "mail"), 0);
	assert_int_equal(maildir_root_open(&root), 0);
	assert_false(maildir_root_changed(&root));
}

static void
test_root_open_fails(void **state)
{
	(void)state;
	maildir_root_close(&root);
	assert_int_equal(rmdir("mail"), 0);
	assert_int_equal(maildir_root_open(&root), -1);
	assert_int_equal(errno, ENOENT);
	scratch_touch("mail");
	assert_int_equal(maildir_root_open(&root), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(root.fd, -1);
	assert_int_equal(unlink("mail"), 0);
	scratch_mkdir("mail");
	if (geteuid() == 0)
		assert_int_equal(chmod(scratch_path(""), 0711), 0);
	else
		assert_int_equal(chmod("mail", 0500), 0);
	assert_int_equal(geteuid() ? 0 : seteuid(65534), 0);
	assert_int_equal(maildir_root_open(&root), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(getuid() ? 0 : seteuid(0), 0);
	assert_int_equal(chmod("mail", 0700), 0);
}

/* FAULT B7: another directory, none, and the first one back: each is seen,
 * and the numbers of the descriptors stay. */
static void
test_root_changes(void **state)
{
	int fd = root.fd, sync = root.sync;

	(void)state;
	assert_false(maildir_root_changed(&root));
	assert_int_equal(rename("mail", "away"), 0);
	assert_true(maildir_root_changed(&root));
	assert_int_equal(maildir_root_renew(&root), -1);
	assert_int_equal(errno, ENOENT);
	assert_true(root.gone);
	assert_false(maildir_root_changed(&root)); /* it is known */
	scratch_mkdir("mail");
	scratch_mkdir("mail/box");
	scratch_mkdir("mail/box/cur");
	assert_true(maildir_root_changed(&root));
	assert_int_equal(maildir_root_renew(&root), 1);
	assert_int_equal(maildir_exists(&root, "box"), 1);
	assert_false(maildir_root_changed(&root));
	assert_int_equal(rename("mail", "away2"), 0);
	assert_int_equal(rename("away", "mail"), 0);
	assert_int_equal(maildir_root_renew(&root), 1);
	assert_int_equal(rename("mail", "away"), 0);
	assert_int_equal(maildir_root_renew(&root), -1);
	assert_int_equal(rename("away", "mail"), 0);
	assert_true(maildir_root_changed(&root));
	assert_int_equal(maildir_root_renew(&root), 0);
	assert_false(root.gone);
	assert_int_equal(root.fd, fd);
	assert_int_equal(root.sync, sync);
}

static void
test_trusted(void **state)
{
	static const struct {
		long type;
		bool trusted;
	} all[] = {
	    {EXT4_SUPER_MAGIC, true},
	    {XFS_SUPER_MAGIC, true},
	    {BTRFS_SUPER_MAGIC, true},
	    {F2FS_SUPER_MAGIC, true},
	    {NFS_SUPER_MAGIC, false},
	    {TMPFS_MAGIC, false},
	    {OVERLAYFS_SUPER_MAGIC, false},
	    {0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		type = all[i].type;
		assert_int_equal(maildir_root_open(&root), 0);
		assert_int_equal(root.sync >= 0, all[i].trusted);
		assert_int_equal(maildir_root_sync_each(&root),
		    !all[i].trusted);
	}
}

/* The directory that a root was, under another name. */
static void
put_aside(const char *name)
{
	assert_int_equal(rename("mail", name), 0);
	scratch_mkdir("mail");
	assert_true(maildir_root_changed(&root));
}

/*
 * FAULT B7: another file system at its path may be worth more trust, or less;
 * a descriptor for syncfs() that threads may use is never closed.
 */
static void
test_renewed(void **state)
{
	int sync = root.sync;
	struct stat at, st;

	(void)state;
	put_aside("first");
	type = NFS_SUPER_MAGIC;
	assert_int_equal(maildir_root_renew(&root), 1);
	assert_true(maildir_root_sync_each(&root));
	assert_int_equal(root.sync, sync);
	assert_true(fcntl(sync, F_GETFD) >= 0);
	put_aside("second");
	type = XFS_SUPER_MAGIC;
	root.dev = 0;
	assert_int_equal(maildir_root_renew(&root), 1);
	assert_false(maildir_root_sync_each(&root));
	assert_int_equal(root.sync, sync);
	assert_int_equal(stat("mail", &at), 0);
	assert_int_equal(fstat(sync, &st), 0);
	assert_int_equal(st.st_ino, at.st_ino);
	assert_int_equal(root.dev, at.st_dev);
	/* and from none to one */
	type = NFS_SUPER_MAGIC;
	assert_int_equal(maildir_root_open(&root), 0);
	put_aside("third");
	type = XFS_SUPER_MAGIC;
	assert_int_equal(maildir_root_renew(&root), 1);
	assert_false(maildir_root_sync_each(&root));
	assert_int_equal(stat("mail", &at), 0);
	assert_int_equal(fstat(root.sync, &st), 0);
	assert_int_equal(st.st_ino, at.st_ino);
	assert_true(fcntl(root.sync, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(root.fd, F_GETFD) & FD_CLOEXEC);
}

static void
test_exists(void **state)
{
	(void)state;
	scratch_mkdir("mail/u");
	scratch_touch("mail/f");
	assert_int_equal(symlink("u", "mail/l"), 0);
	assert_int_equal(maildir_exists(&root, "u"), 0);
	assert_int_equal(maildir_exists(&root, "."), 0);
	scratch_mkdir("mail/u/cur");
	scratch_mkdir("mail/cur");
	assert_int_equal(maildir_exists(&root, "u"), 1);
	assert_int_equal(maildir_exists(&root, "."), 1);
	assert_int_equal(maildir_exists(&root, "v"), 0);
	assert_int_equal(maildir_exists(&root, "f"), 0);
	assert_int_equal(maildir_exists(&root, "f/x"), 0);
	assert_int_equal(maildir_exists(&root, "l"), 0);
	assert_int_equal(maildir_exists(&root, ".."), -1);
	maildir_root_close(&root);
	assert_int_equal(maildir_exists(&root, "u"), -1);
}

static int
access_to(const char *rel)
{
	return maildir_access(&root, rel) < 0 ? errno : 0;
}

/* FAULT A4: one that we may not read, write or enter takes no mail. */
static void
test_access(void **state)
{
	static const mode_t bad[] = {0500, 0300, 0600};

	(void)state;
	scratch_mkdir("mail/u");
	scratch_touch("mail/file");
	assert_int_equal(symlink("u", "mail/link"), 0);
	if (geteuid() == 0) { /* root may do anything */
		assert_int_equal(chmod(".", 0711), 0);
		assert_int_equal(chmod("mail", 0711), 0);
		assert_int_equal(chown("mail/u", 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	assert_int_equal(access_to("u"), 0);
	assert_int_equal(access_to("none"), 0);
	assert_int_equal(access_to("file"), ENOTDIR);
	assert_int_equal(access_to("link"), ELOOP);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(chmod("mail/u", bad[i]), 0);
		assert_int_equal(access_to("u"), EACCES);
	}
	assert_int_equal(chmod("mail/u", 0700), 0);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
}

static void
test_words(void **state)
{
	(void)state;
	assert_null(maildir_error(0));
	assert_string_equal(maildir_error(ELOOP),
	    "Symbolic links are not followed");
	assert_string_equal(maildir_error(EDQUOT), strerror(EDQUOT));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_component_valid),
	    T(test_root_by_link),
	    T(test_root_open_fails),
	    T(test_root_changes),
	    T(test_trusted),
	    T(test_renewed),
	    T(test_exists),
	    T(test_access),
	    T(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
