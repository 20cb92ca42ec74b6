/*
 * greylist_file: what is written is read; what is damaged, or no file of ours,
 * is only forgotten; whoever dies leaves the old file or the new one.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "grey_rig.h"
#include "policy/greylist_file.h"
#include "scratch.h"
#include "sys.h"

#define SIZE                                                                   \
	(GREYLIST_FILE_HEADER +                                                \
	    GREYLIST_FILE_BLOCKS * (GREYLIST_FILE_BLOCK + 4))

static int dir;

static int
open_file(void **state)
{
	open_table(state);
	scratch_setup(state);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	assert_true(dir >= 0);
	sys_reset();
	return 0;
}

static int
close_file(void **state)
{
	sys_reset();
	close(dir);
	scratch_teardown(state);
	return close_table(state);
}

/* As after a start: another key, and nothing in it. */
static void
empty(void)
{
	void *none = NULL;

	close_table(&none);
	open_table(&none);
	memcpy(t->hash_key, "drawn once more", SIPHASH_KEY_LEN);
}

/* The nth has passed; n begins with no 0, so that all are as long. */
static struct greylist_key
nth(unsigned n)
{
	char name[32];

	snprintf(name, sizeof(name), "%u.example", n);
	return key("192.0.2.1", name, "example.org");
}

static void
pass(unsigned n)
{
	struct greylist_key k = nth(n);

	greylist_pass(&lonely, t, &k, NOW);
}

static bool
has_passed(unsigned n)
{
	struct greylist_key k = nth(n);

	return !greylist_would_defer(&lonely, t, &k, NOW);
}

static int
save(void)
{
	return greylist_file_write(t, dir, 3, NOW, NULL);
}

static void
poke(uint64_t at, const void *octets, size_t n)
{
	int fd = open("greylist", O_WRONLY);

	assert_int_equal(pwrite(fd, octets, n, (off_t)at), (ssize_t)n);
	close(fd);
}

/* Not used, and nothing is changed. */
static void
assert_refused(int error)
{
	empty();
	assert_int_equal(greylist_file_read(t, dir), -1);
	assert_int_equal(errno, error);
	assert_memory_equal(t->hash_key, "drawn once more", SIPHASH_KEY_LEN);
	assert_false(has_passed(1));
}

static void
what_is_written_is_read(void **state)
{
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		pass(i);
	assert_int_equal(t->changed, 1);
	assert_int_equal(save(), 0);
	assert_int_equal(t->changed, 0);
	assert_string_equal(sys_log(), "sync greylist.3.new\n"
				       "rename greylist.3.new greylist\n"
				       "sync .\n");
	assert_int_equal(stat("greylist", &st), 0);
	assert_int_equal(st.st_size, SIZE);
	assert_int_equal(st.st_mode & 0777, 0600);
	empty();
	assert_int_equal(greylist_file_read(t, dir), 0);
	assert_int_equal(t->changed, 0);
	for (unsigned i = 0; i < 10000; i++)
		assert_true(has_passed(i));
	assert_false(has_passed(10000));
	assert_int_equal(scratch_files("."), 1);
}

/* Of a full one, too. */
static void
each_word_is_there(void **state)
{
	struct shared_set *was = malloc(sizeof(t->sets));
	uint64_t n = 1;

	(void)state;
	assert_non_null(was);
	for (unsigned i = 0; i < SHARED_GREY_SETS; i++)
		for (unsigned k = 0; k < SHARED_CELLS_SET; k++)
			t->sets[i].words[k] = n *= 0x9e3779b97f4a7c15;
	memcpy(was, t->sets, sizeof(t->sets));
	assert_int_equal(save(), 0);
	empty();
	assert_int_equal(greylist_file_read(t, dir), 0);
	assert_memory_equal(was, t->sets, sizeof(t->sets));
	free(was);
}

/* In one block: what stood there is forgotten, and nothing else. */
static void
a_damaged_block(void **state)
{
	unsigned there = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		pass(i);
	save();
	/* in its words, and in the sum behind it */
	poke(GREYLIST_FILE_HEADER + 7 * (GREYLIST_FILE_BLOCK + 4) + 999, "xyz",
	    3);
	poke(GREYLIST_FILE_HEADER + 9 * (GREYLIST_FILE_BLOCK + 4) - 1, "\x5a",
	    1);
	empty();
	assert_int_equal(greylist_file_read(t, dir), 2);
	for (unsigned i = 0; i < 10000; i++)
		there += has_passed(i);
	assert_in_range(there, 10000 * 125 / 128, 10000 * 127 / 128);
	for (unsigned i = 7 * 1024; i < 9 * 1024; i++)
		for (unsigned k = 0; k < SHARED_CELLS_SET; k++)
			assert_int_equal(t->sets[i].words[k], 0);
}

static void
a_damaged_header(void **state)
{
	static const unsigned places[] = {0, 8, 16, 31, 32, 35};

	(void)state;
	pass(1);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct buf was;
		char other;

		save();
		was = scratch_read("greylist");
		other = (char)~was.data[places[i]];
		poke(places[i], &other, 1);
		buf_free(&was);
		assert_refused(EBADMSG);
		pass(1);
	}
}

static void
no_such_file(void **state)
{
	(void)state;
	assert_refused(ENOENT);
	scratch_touch("greylist");
	assert_refused(EMEDIUMTYPE);
	assert_int_equal(truncate("greylist", SIZE), 0);
	assert_refused(EBADMSG);
	pass(1);
	save();
	assert_int_equal(truncate("greylist", SIZE - 1), 0);
	assert_refused(EMEDIUMTYPE);
	assert_int_equal(truncate("greylist", SIZE + 1), 0);
	assert_refused(EMEDIUMTYPE);
	unlink("greylist");
	assert_int_equal(mkfifo("greylist", 0600), 0);
	assert_refused(EMEDIUMTYPE);
	unlink("greylist");
	scratch_mkdir("greylist");
	assert_refused(EMEDIUMTYPE);
	rmdir("greylist");
	pass(1);
	save();
	rename("greylist", "elsewhere");
	assert_int_equal(symlink("elsewhere", "greylist"), 0);
	assert_refused(EMEDIUMTYPE);
}

/* Whatever lies where it writes is neither followed nor waited for. */
static void
in_the_way(void **state)
{
	struct stat st;

	(void)state;
	pass(1);
	scratch_touch("victim");
	assert_int_equal(symlink("victim", "greylist.3.new"), 0);
	assert_int_equal(symlink("victim", "greylist"), 0);
	assert_int_equal(save(), 0);
	assert_int_equal(stat("victim", &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(mkfifo("greylist.3.new", 0600), 0);
	assert_int_equal(save(), 0);
	scratch_mkdir("greylist.3.new");
	assert_int_equal(save(), -1);
	assert_int_equal(t->changed, 1);
	rmdir("greylist.3.new");
	empty();
	assert_int_equal(greylist_file_read(t, dir), 0);
	assert_true(has_passed(1));
}

/* The old one stays, and is written again when there is time. */
static void
errors(void **state)
{
	static const char *const calls[] = {"openat", "fsync", "renameat"};

	(void)state;
	pass(1);
	save();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		pass(2);
		sys_fail(calls[i], 1, EIO);
		assert_int_equal(save(), -1);
		assert_int_equal(errno, EIO);
		assert_true(sys_failed());
		assert_int_equal(t->changed, 1);
		assert_int_equal(scratch_files("."), 1);
		empty();
		assert_int_equal(greylist_file_read(t, dir), 0);
		assert_true(has_passed(1));
		assert_false(has_passed(2));
	}
}

static void
save_and_die(unsigned at)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		sys_die(at);
		_exit(save() ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), at ? 7 : 0);
}

static void
a_crash_leaves_one_or_the_other(void **state)
{
	unsigned last;

	(void)state;
	pass(1);
	assert_int_equal(save(), 0);
	sys_die(0);
	assert_int_equal(save(), 0);
	last = sys_changes;
	assert_int_equal(last, 5 + 1 + GREYLIST_FILE_BLOCKS);
	/* all but most of the blocks */
	for (unsigned i = 1; i <= last; i += i == 5 ? last - 9 : 1) {
		pass(i + 1);
		save_and_die(i);
		empty();
		assert_int_equal(greylist_file_read(t, dir), 0);
		assert_true(has_passed(1));
		/* from the rename on it is the new one */
		assert_int_equal(has_passed(i + 1), i == last);
		pass(i + 1);
		/* the next one is not in its way */
		assert_int_equal(save(), 0);
		empty();
		assert_int_equal(greylist_file_read(t, dir), 0);
		assert_true(has_passed(i + 1));
	}
	assert_int_equal(scratch_files("."), 1);
}

static void
tidy(void **state)
{
	(void)state;
	pass(1);
	save();
	scratch_touch("greylist.0.new");
	scratch_touch("greylist.63.new");
	scratch_touch("greylist.9");
	greylist_file_tidy(dir);
	assert_int_equal(scratch_files("."), 2);
	assert_true(scratch_exists("greylist"));
	assert_true(scratch_exists("greylist.9"));
}

/* Half of it is written again and again while it is changed. */
static void
while_it_changes(void **state)
{
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		pass(i);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		for (unsigned i = 1000;; i++)
			pass(i);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(save(), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	empty();
	assert_int_equal(greylist_file_read(t, dir), 0);
	for (unsigned i = 0; i < 1000; i++)
		assert_true(has_passed(i));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_file, close_file)
	const struct CMUnitTest tests[] = {
	    TEST(what_is_written_is_read),
	    TEST(each_word_is_there),
	    TEST(a_damaged_block),
	    TEST(a_damaged_header),
	    TEST(no_such_file),
	    TEST(in_the_way),
	    TEST(errors),
	    TEST(a_crash_leaves_one_or_the_other),
	    TEST(tidy),
	    TEST(while_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
