/*
 * What must be on disk, and in which order, before a message counts as held.
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
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/held.h"
#include "letters.h"
#include "scratch.h"

/* --- the calls, a letter each: these stand before libc's --- */

static char calls[16];

static void
called(char c)
{
	size_t n = strlen(calls);

	assert_true(n + 1 < sizeof(calls));
	calls[n] = c;
}

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	called(S_ISDIR(st.st_mode) ? 'd' : 'f');
	return (int)syscall(SYS_fsync, fd);
}

int
renameat(int from, const char *old, int to, const char *name)
{
	called('r');
	return (int)syscall(SYS_renameat2, from, old, to, name, 0);
}

/* FAULT F12: the file, its name, and the folder that the name is in. */
static void
each_step_is_synced(void **state)
{
	struct maildir_root root = {.path = strdup(scratch_path("mail"))};
	struct message m;
	struct crc32c crc;
	int held;

	(void)state;
	crc32c_init(&crc);
	scratch_mkdir("held");
	held = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	letter_init(&m, &root, 0, 1, 100);
	m.copies[0].error = EDQUOT;
	assert_int_equal(held_write(&crc, held, &m, NULL), 0);
	assert_string_equal(calls, "frd");
	assert_int_equal(scratch_count("held"), 1);
	letter_free(&m);
	close(held);
	free(root.path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_step_is_synced, scratch_setup,
		scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
