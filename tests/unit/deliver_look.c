/*
 * A spool and roots that are moved away, replaced and brought back under a
 * worker: what is said, once each, and where mail is afterwards.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "journal/journal_state.h"
#include "log_catch.h"
#include "rig.h"
#include "scratch.h"

#define SECOND 1000

/* --- how often the journal doubts when a root is opened: before libc's --- */

static unsigned doubts;

int
open(const char *path, int flags, ...)
{
	size_t n = strlen(path);
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (n > 5 && !strcmp(path + n - 5, "/mail") && rig.deliver)
		doubts = rig.deliver->journal->moves;
	return openat(AT_FDCWD, path, flags, mode);
}

/* --- a worker --- */

static int
start_with(uint64_t checkpoint)
{
	if (post_setup("mail/%u"))
		return -1;
	post.options.checkpoint = checkpoint;
	post_user("u");
	post_open();
	post_rcpt("u");
	post.replies = 0;
	rig_pass(1);
	log_forget();
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(50);
}

/* Nobody looks but who places. */
static int
start_without_looks(void **state)
{
	(void)state;
	return start_with(3600 * SECOND);
}

static int
finish(void **state)
{
	int r = post_finish(state);

	log_forget();
	return r;
}

static void
a_spool_that_is_moved_away(void **state)
{
	(void)state;
	assert_null(deliver_reserve(rig.deliver, 1));
	assert_int_equal(rename("spool", "old"), 0);
	for (unsigned i = 0; i < 3; i++)
		rig_pass(SECOND);
	assert_int_equal(logged("spool-replaced", "path="), 1);
	assert_string_equal(deliver_reserve(rig.deliver, 1)->status, "4.3.1");
	scratch_mkdir("spool"); /* another one */
	rig_pass(SECOND);
	assert_non_null(deliver_reserve(rig.deliver, 1));
	assert_int_equal(rmdir("spool"), 0);
	assert_int_equal(rename("old", "spool"), 0);
	for (unsigned i = 0; i < 3; i++)
		rig_pass(SECOND);
	assert_int_equal(logged("spool-back", "path="), 1);
	assert_int_equal(logged("spool-replaced", "path="), 1);
	assert_null(deliver_reserve(rig.deliver, 1));
}

/* FAULT B7: its mail is held until then. */
static void
a_root_that_comes_back(void **state)
{
	(void)state;
	assert_int_equal(rename("mail", "away"), 0);
	for (unsigned i = 0; i < 3; i++)
		rig_pass(SECOND);
	assert_int_equal(logged("root-gone", "path="), 1);
	post_submit("x\r\n", 3);
	rig_pass(100);
	assert_int_equal(post.replies, 1);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_int_equal(rename("away", "mail"), 0);
	for (unsigned i = 0; i < 3; i++)
		rig_pass(SECOND);
	assert_int_equal(logged("root-back", "path="), 1);
	assert_int_equal(logged("root-gone", "path="), 1);
	assert_int_equal(scratch_count("spool/held"), 0);
	assert_int_equal(scratch_count("mail/u/new"), 1);
}

/* FAULT B7: what was placed since the last checkpoint is there, too. */
static void
a_root_that_is_replaced(void **state)
{
	(void)state;
	post_submit("x\r\n", 3);
	rig_pass(20);
	assert_int_equal(scratch_count("mail/u/new"), 1);
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	rig_pass(SECOND);
	assert_int_equal(logged("root-replaced", "path="), 1);
	assert_int_equal(scratch_count("mail/u/new"), 1);
	post_submit("y\r\n", 3);
	rig_pass(SECOND);
	assert_int_equal(scratch_count("mail/u/new"), 2);
	assert_int_equal(logged("root-replaced", "path="), 1);
	assert_int_equal(scratch_count("old/u/new"), 1);
}

/* FAULT B7: a checkpoint may sync the new one as soon as it is open, and would
 * pass what is in the old one. */
static void
what_was_placed_is_doubted_first(void **state)
{
	unsigned before = rig.deliver->journal->moves;

	(void)state;
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	rig_pass(SECOND);
	assert_int_equal(logged("root-replaced", "path="), 1);
	assert_int_equal(doubts, before + 1);
}

/* FAULT B7: whoever is about to place something looks first. */
static void
a_root_that_nobody_has_looked_at(void **state)
{
	(void)state;
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	post_submit("x\r\n", 3);
	rig_pass(20);
	assert_int_equal(post.replies, 1);
	assert_int_equal(logged("root-replaced", "path="), 1);
	assert_int_equal(scratch_count("mail/u/new"), 1);
	assert_int_equal(scratch_files("old"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_spool_that_is_moved_away),
	    T(a_root_that_comes_back),
	    T(a_root_that_is_replaced),
	    T(what_was_placed_is_doubted_first),
	    cmocka_unit_test_setup_teardown(a_root_that_nobody_has_looked_at,
		start_without_looks, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
