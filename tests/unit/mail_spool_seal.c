/*
 * A body's file gets its name: what is on disk when it has it, also where a
 * file that never had one must be copied; and what is left when it has not.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mail/spool.h"
#include "scratch.h"
#include "sys.h"

#define FILED 150000 /* more than is copied at once */

static int copy_error; /* of every call, or 0 */

ssize_t
copy_file_range(int from, off_t *in, int to, off_t *out, size_t n, unsigned f)
{
	errno = copy_error;
	return copy_error
		   ? -1
		   : syscall(SYS_copy_file_range, from, in, to, out, n, f);
}

static int dir;
static struct spool_content content;
static struct buf whole;

static int
start(void **state)
{
	char *data;

	if (scratch_setup(state))
		return -1;
	scratch_mkdir("j");
	dir = open("j", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	data = buf_reserve(&whole, FILED + 4);
	for (int i = 0; i < FILED; i++)
		data[i] = (char)('a' + i % 23);
	memcpy(data + FILED, "tail", 4);
	whole.len = FILED + 4;
	content =
	    (struct spool_content){.fd = open(".",
				       O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		.from = 10,
		.filed = FILED,
		.tail = {data + FILED, 4}};
	assert_int_equal(pwrite(content.fd, data, FILED, 0), FILED);
	sys_reset();
	return 0;
}

static int
finish(void **state)
{
	sys_reset();
	close(content.fd);
	close(dir);
	buf_free(&whole);
	return scratch_teardown(state);
}

static void
assert_sealed(const char *log)
{
	struct buf b = scratch_read("j/body");

	assert_true(span_equal(buf_span(&b), buf_span(&whole)));
	buf_free(&b);
	assert_int_equal(scratch_mode("j/body"), 0600);
	assert_int_equal(scratch_count("j"), 1);
	assert_int_equal(content.from, 10);
	assert_int_equal(content.filed, whole.len);
	assert_int_equal(content.tail.len, 0);
	assert_string_equal(sys_log(), log);
}

/* FAULT F12: the file that has the name, and then the folder. */
static void
test_named(void **state)
{
	(void)state;
	assert_int_equal(spool_seal(&content, dir, "body"), 0);
	assert_sealed("sync #\n"
		      "link # j/body\n"
		      "sync j\n");
}

/* FAULT F12: the same where it is another file that gets the name. */
static void
test_copied(void **state)
{
	(void)state;
	sys_fail("linkat", 1, EOPNOTSUPP);
	assert_int_equal(spool_seal(&content, dir, "body"), 0);
	assert_sealed("sync #\n"
		      "sync j/body\n"
		      "sync j\n");
}

/* A file of that name is another body's, and stays that. */
static void
test_name_taken(void **state)
{
	(void)state;
	scratch_touch("j/body");
	assert_int_equal(spool_seal(&content, dir, "body"), -1);
	assert_int_equal(errno, EEXIST);
	sys_fail("linkat", 1, EXDEV);
	assert_int_equal(spool_seal(&content, dir, "body"), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(scratch_mode("j/body") & 0700, 0600);
	assert_int_equal(scratch_count("j"), 1);
}

/* What is not on disk has no name, and the error is the first. */
static void
test_errors(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error;
	} all[] = {
	    {"pwrite", 1, ENOSPC},
	    {"fsync", 1, EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sys_fail(all[i].call, all[i].nth, all[i].error);
		assert_int_equal(spool_seal(&content, dir, "body"), -1);
		assert_int_equal(errno, all[i].error);
		assert_int_equal(scratch_count("j"), 0);
		assert_int_equal(content.tail.len, 4);
	}
	sys_fail("fsync", 2, EIO); /* of the folder */
	assert_int_equal(spool_seal(&content, dir, "body"), -1);
	assert_int_equal(errno, EIO);
}

/* Half a copy is none: its name goes. */
static void
test_errors_of_a_copy(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error;
	} all[] = {
	    {"openat", 1, EDQUOT}, {"pread", 1, EIO}, {"pread", 3, EIO},
	    {"pwrite", 2, ENOSPC}, /* the first is the tail's */
	    {"pwrite", 4, ENOSPC}, {"fsync", 2, EIO},
	    {"", 1, EIO}, /* the kernel's own copy */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct spool_content c = content;

		sys_reset();
		copy_error = *all[i].call ? EXDEV : all[i].error;
		sys_fail("linkat", 0, EXDEV);
		sys_fail(all[i].call, all[i].nth, all[i].error);
		assert_int_equal(spool_seal(&c, dir, "body"), -1);
		assert_int_equal(errno, all[i].error);
		assert_int_equal(scratch_count("j"), 0);
	}
	copy_error = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_named),
	    T(test_copied),
	    T(test_name_taken),
	    T(test_errors),
	    T(test_errors_of_a_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
