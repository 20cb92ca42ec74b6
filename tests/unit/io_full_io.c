/*
 * Syncs that say that all is well when it is not, and closing after a fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/full_io.h"
#include "scratch.h"

/* --- a file system that gave up: these stand before libc's --- */

static bool is_read_only, is_shut_down;

int
syncfs(int fd)
{
	(void)fd;
	return 0;
}

int
fstatvfs(int fd, struct statvfs *vfs)
{
	(void)fd;
	memset(vfs, 0, sizeof(*vfs));
	vfs->f_flag = is_read_only ? ST_RDONLY | ST_NOSUID : ST_NOSUID;
	return 0;
}

int
fstat(int fd, struct stat *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	errno = EIO;
	return is_shut_down ? -1 : 0;
}

static int
open_dir(void)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void
all_is_well(void **state)
{
	int fd = open_dir();

	(void)state;
	assert_int_equal(0, full_sync_dir(fd));
	assert_int_equal(0, full_syncfs(fd));
	close(fd);
	assert_int_equal(-1, full_sync_dir(fd));
	assert_int_equal(EBADF, errno);
}

static void
made_read_only_by_the_kernel(void **state)
{
	int fd = open_dir();

	(void)state;
	is_read_only = true;
	assert_int_equal(-1, full_syncfs(fd));
	assert_int_equal(EROFS, errno);
	is_read_only = false;
	close(fd);
}

static void
shut_down(void **state)
{
	int fd = open_dir();

	(void)state;
	is_shut_down = true;
	assert_int_equal(-1, full_syncfs(fd));
	assert_int_equal(EIO, errno);
	assert_int_equal(-1, full_sync_dir(fd));
	assert_int_equal(EIO, errno);
	is_shut_down = false;
	close(fd);
}

/* Also what close(2) has to say is nothing to who tells of a fault. */
static void
closed(void **state)
{
	int fd = open_dir(), gone = fd;

	(void)state;
	errno = ENOSPC;
	assert_int_equal(-1, full_close(&fd));
	assert_int_equal(-1, fd);
	assert_int_equal(-1, fcntl(gone, F_GETFD));
	errno = ENOSPC;
	full_close(&fd);
	full_close(&gone);
	assert_int_equal(ENOSPC, errno);
}

static void
unlinked(void **state)
{
	int fd = open_dir();

	(void)state;
	scratch_touch("name");
	assert_int_equal(-1, full_unlink(fd, "name"));
	assert_false(scratch_exists("name"));
	errno = EIO;
	assert_int_equal(-1, full_unlink(fd, "name"));
	assert_int_equal(EIO, errno);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_is_well, scratch_setup,
		scratch_teardown),
	    cmocka_unit_test_setup_teardown(made_read_only_by_the_kernel,
		scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(shut_down, scratch_setup,
		scratch_teardown),
	    cmocka_unit_test(closed),
	    cmocka_unit_test_setup_teardown(unlinked, scratch_setup,
		scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
