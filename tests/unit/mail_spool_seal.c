/*
 * A body's file gets its name: what is on disk when it has it, also where a
 * file that never had one must be copied.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "mail/spool.h"
#include "scratch.h"

/* --- what is synced: these stand before libc's --- */

static bool no_links;
static ino_t synced[8];
static unsigned nsynced;

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(nsynced < 8);
	synced[nsynced++] = st.st_ino;
	return (int)syscall(SYS_fsync, fd);
}

int
linkat(int from, const char *old, int to, const char *name, int flags)
{
	if (no_links) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_linkat, from, old, to, name, flags);
}

/* FAULT F12: the file that has the name, and then the folder, each way. */
static void
both_ways(void **state)
{
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat file, folder;

	(void)state;
	assert_int_equal(fstat(dir, &folder), 0);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "copied" : "linked";
		struct spool_content c = {.filed = 5, .tail = SPAN_LIT("tail")};
		struct buf b;

		no_links = i;
		nsynced = 0;
		c.fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		assert_int_equal(pwrite(c.fd, "head ", 5, 0), 5);
		assert_int_equal(spool_seal(&c, dir, name), 0);
		assert_int_equal(stat(name, &file), 0);
		assert_true(nsynced >= 2);
		assert_int_equal(synced[nsynced - 2], file.st_ino);
		assert_int_equal(synced[nsynced - 1], folder.st_ino);
		b = scratch_read(name);
		assert_true(span_equal(buf_span(&b), SPAN_LIT("head tail")));
		buf_free(&b);
		close(c.fd);
	}
	close(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(both_ways, scratch_setup,
		scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
