/*
 * What is kept for smtpd why: two files, none larger than its half; what lies
 * in their place is neither followed nor waited for.
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

#include "io/log.h"
#include "io/why.h"

static char path[] = "/tmp/smtpd-why-XXXXXX";
static int dir;

static int
make_dir(void **state)
{
	char why[64];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/smtpd-why-XXXXXX");
	snprintf(why, sizeof(why), "%s/why", mkdtemp(path));
	if (mkdir(why, 0700) < 0)
		return -1;
	dir = open(why, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0;
}

static int
remove_dir(void **state)
{
	char command[64];

	(void)state;
	close(dir);
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	return system(command);
}

/* Its octets; -1: it is not there. */
static long
size_of(const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0
		   ? -1
		   : (long)st.st_size;
}

static void
assert_holds(const char *name, const char *text)
{
	char got[4096] = "";
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, text);
}

static struct why *
open_one(uint64_t octets)
{
	struct why *w = why_open(path, 0, 1, octets);

	assert_non_null(w);
	return w;
}

static void
put(struct why *w, const char *text)
{
	assert_int_equal(why_put(w, span_str(text)), 0);
}

static void
takes_turns(void **state)
{
	struct why *w = open_one(16);

	(void)state;
	put(w, "one\n");
	put(w, "two\n");
	assert_holds("0.a", "one\ntwo\n");
	put(w, "3\n");
	assert_holds("0.a", "one\ntwo\n");
	assert_holds("0.b", "3\n");
	put(w, "4\n");
	assert_holds("0.b", "3\n4\n");
	put(w, "567\n");
	assert_holds("0.b", "3\n4\n567\n");
	put(w, "8\n");
	assert_holds("0.a", "8\n");
	put(w, "too long\n");
	assert_holds("0.a", "8\n");
	assert_holds("0.b", "3\n4\n567\n");
	why_free(&w);
	assert_null(w);
}

/* The next worker of the slot goes on where the last one was. */
static void
goes_on(void **state)
{
	struct why *w = open_one(16);
	struct timespec old[2] = {{1, 0}, {1, 0}};

	(void)state;
	put(w, "one\n");
	why_free(&w);
	w = open_one(16);
	put(w, "two\n");
	put(w, "3\n");
	why_free(&w);
	assert_int_equal(utimensat(dir, "0.a", old, 0), 0);
	w = open_one(16);
	put(w, "4\n");
	assert_holds("0.a", "one\ntwo\n");
	assert_holds("0.b", "3\n4\n");
	why_free(&w);
}

/* Two workers of a slot, while one of them leaves. */
static void
two_at_once(void **state)
{
	struct why *one = open_one(16), *two = open_one(16);

	(void)state;
	put(one, "one\n");
	put(two, "two\n");
	put(one, "3\n");
	put(two, "4\n"); /* it does not empty what the other has begun */
	assert_holds("0.a", "one\ntwo\n");
	assert_holds("0.b", "3\n4\n");
	why_free(&one);
	why_free(&two);
}

static void
never_larger(void **state)
{
	struct why *w = why_open(path, 1, 4, 4000);
	char line[64];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		int n =
		    snprintf(line, sizeof(line), "%0*u\n", (int)(i % 50), i);

		assert_true(n > 0);
		put(w, line);
		assert_true(size_of("1.a") <= 500 && size_of("1.b") <= 500);
	}
	/* what one of them holds is there always */
	assert_true(size_of("1.a") > 250 || size_of("1.b") > 250);
	why_free(&w);
}

static void
strange_files(void **state)
{
	struct why *w;

	(void)state;
	assert_int_equal(mkfifoat(dir, "0.a", 0600), 0);
	assert_int_equal(symlinkat("target", dir, "0.b"), 0);
	w = open_one(16);
	put(w, "one\n");
	put(w, "two\n");
	put(w, "3\n");
	assert_holds("0.a", "one\ntwo\n");
	assert_holds("0.b", "3\n");
	assert_int_equal(size_of("target"), -1);
	why_free(&w);
}

/* Nor what has a name elsewhere. */
static void
hard_link(void **state)
{
	struct why *w;
	int fd = openat(dir, "precious", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(linkat(dir, "precious", dir, "0.a", 0), 0);
	w = open_one(16);
	put(w, "one\n");
	assert_holds("precious", "x");
	assert_holds("0.a", "one\n");
	why_free(&w);
}

static void
a_directory_in_its_place(void **state)
{
	(void)state;
	assert_int_equal(mkdirat(dir, "0.b", 0700), 0);
	assert_null(why_open(path, 0, 1, 16));
	assert_int_not_equal(errno, 0);
}

static void
removed_meanwhile(void **state)
{
	struct why *w = open_one(100);

	(void)state;
	put(w, "one\n");
	assert_int_equal(unlinkat(dir, "0.a", 0), 0);
	put(w, "two\n");
	assert_true(size_of("0.a") + size_of("0.b") == 4);
	why_free(&w);
}

/* It is made, and a link to it is not followed. */
static void
the_directory(void **state)
{
	struct why *w;
	char why[64], elsewhere[64];

	(void)state;
	snprintf(why, sizeof(why), "%s/why", path);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", path);
	assert_int_equal(rename(why, elsewhere), 0);
	w = open_one(16);
	why_free(&w);
	assert_int_equal(unlinkat(AT_FDCWD, why, AT_REMOVEDIR), -1);
	assert_int_equal(errno, ENOTEMPTY);
	assert_int_equal(size_of("0.a"), -1);
	unlink(strcat(why, "/0.a"));
	why[strlen(why) - 1] = 'b';
	unlink(why);
	snprintf(why, sizeof(why), "%s/why", path);
	assert_int_equal(rmdir(why), 0);
	assert_int_equal(symlink("elsewhere", why), 0);
	assert_null(why_open(path, 0, 1, 16));
	assert_int_not_equal(errno, 0);
	assert_int_equal(size_of("0.a"), -1);
	assert_null(why_open("/nowhere", 0, 1, 16));
	assert_int_equal(errno, ENOENT);
}

static void
fewer_slots(void **state)
{
	struct why *w;

	(void)state;
	for (unsigned slot = 0; slot < 3; slot++) {
		w = why_open(path, slot, 3, 300);
		put(w, "x\n");
		why_free(&w);
	}
	assert_int_equal(size_of("2.a"), 2);
	w = why_open(path, 0, 2, 300);
	why_free(&w);
	assert_int_equal(size_of("0.a"), 2);
	assert_int_equal(size_of("1.a"), 2);
	assert_int_equal(size_of("2.a"), -1);
	errno = ENOENT;
	assert_null(why_open(path, 0, 2, 0));
	assert_int_equal(errno, 0);
	assert_int_equal(size_of("0.a"), -1);
	assert_int_equal(size_of("1.b"), -1);
}

/* What the log says of it, and what it does not. */
static void
from_the_log(void **state)
{
	char got[4096] = "";
	int fd;

	(void)state;
	log_keep(path, 0, 1, 4096);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	log_event(LOG_INFO, "plain", LOG_UINT("n", 1));
	log_event(LOG_TRACE | LOG_KEEP, "kept", LOG_STR("text", "a\nb"));
	log_keep(NULL, 0, 0, 0);
	log_event(LOG_TRACE | LOG_KEEP, "gone", LOG_UINT("n", 2));
	fd = openat(dir, "0.a", O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, got, sizeof(got) - 1) > 0);
	close(fd);
	assert_string_equal(got + sizeof("2026-11-24T08:11:56.123Z"),
	    "trace kept text=\"a\\nb\"\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(takes_turns),
	    TEST(goes_on),
	    TEST(two_at_once),
	    TEST(never_larger),
	    TEST(strange_files),
	    TEST(hard_link),
	    TEST(a_directory_in_its_place),
	    TEST(removed_meanwhile),
	    TEST(the_directory),
	    TEST(fewer_slots),
	    TEST(from_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
