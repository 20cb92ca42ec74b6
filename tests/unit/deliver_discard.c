/*
 * Mail that goes nowhere: taken, logged, dropped, and nothing waits for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "log_catch.h"
#include "rig.h"
#include "scratch.h"

#define LARGE 200000 /* a file of its own */

static void
alias(const char *line)
{
	assert_null(
	    recipients_add_alias(post.options.recipients, post.org, line));
}

static int
start(void **state)
{
	(void)state;
	if (post_setup("mail/%u"))
		return -1;
	post_user("u");
	alias("no-reply: discard:");
	alias("both: discard:, u");
	return 0;
}

static void
open_all(bool journal)
{
	post.options.journal = journal;
	post_open();
	log_forget();
}

static int
finish(void **state)
{
	int r = post_finish(state);

	log_forget();
	return r;
}

static void
rcpt(const char *local)
{
	post_rcpt(local);
	assert_int_equal(post.refusals, 0);
	post.replies = 0;
}

/* Nothing is asked of a disk, and neither a thread nor a commit waited for. */
static void
nobody_gets_it(bool journal)
{
	open_all(journal);
	rcpt("no-reply");
	rcpt("no-reply");
	rig_hold(RIG_JOBS);
	if (journal)
		rig_hold(RIG_COMMITS);
	post_submit(NULL, 50000);
	rig_pass(1);
	assert_int_equal(post.replies, 1);
	assert_int_equal(logged("discarded", "message=0123456789ABCDEF."), 1);
	assert_int_equal(logged("discarded",
			     "rcpt=no-reply@example.org size=50000\n"),
	    1);
	assert_int_equal(deliver_pending(rig.deliver), 0);
	rig_go_on();
	assert_int_equal(scratch_count("mail"), 0);
}

static void
with_a_journal(void **state)
{
	(void)state;
	nobody_gets_it(true);
}

static void
without(void **state)
{
	(void)state;
	nobody_gets_it(false);
}

/* Its file goes with it. */
static void
a_large_one(void **state)
{
	(void)state;
	open_all(true);
	rcpt("no-reply");
	post_submit(NULL, LARGE);
	rig_pass(1);
	assert_int_equal(post.replies, 1);
	assert_int_equal(logged("discarded", "size=200000\n"), 1);
	rig_pass(1000);
	assert_true(deliver_is_empty(rig.deliver));
}

/* Who is behind it gets a file that is his, also when it is the body's own. */
static void
another_gets_it(bool journal, size_t size)
{
	char text[512] = "";
	FILE *f;

	open_all(journal);
	rcpt("no-reply");
	rcpt("u");
	post_submit(NULL, size);
	rig_pass(1000);
	assert_int_equal(post.replies, 1);
	assert_int_equal(logged("discarded", "rcpt=no-reply@example.org"), 1);
	assert_int_equal(logged("delivered", "rcpt=u@example.org"), 1);
	assert_int_equal(scratch_count("mail"), 1);
	assert_int_equal(scratch_count("mail/u/new"), 1);
	f = popen("cat mail/u/new/*", "r");
	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 100);
	while (fgetc(f) != EOF)
		;
	pclose(f);
	assert_memory_equal(text,
	    "Return-Path: <s@example.com>\n"
	    "Delivered-To: u@example.org\nReceived: ",
	    67);
}

static void
one_more(void **state)
{
	(void)state;
	another_gets_it(true, 50000);
}

static void
one_more_large(void **state)
{
	(void)state;
	another_gets_it(true, LARGE);
}

static void
one_more_without_a_journal(void **state)
{
	(void)state;
	another_gets_it(false, 50000);
}

/* It was promised nothing, and lost nothing. */
static void
who_is_gone(void **state)
{
	(void)state;
	open_all(true);
	rcpt("no-reply");
	ask_cancel(post_submit(NULL, 50000), ASK_GO_ON);
	rig_pass(1);
	assert_int_equal(post.replies + post.refusals, 0);
	assert_int_equal(logged("discarded", "rcpt="), 1);
	ask_cancel(post_submit(NULL, 50000), ASK_ABANDON);
	rig_pass(1);
	assert_int_equal(post.replies + post.refusals, 0);
	assert_int_equal(logged("discarded", "rcpt="), 1);
}

/* What is not taken is not dropped, either: here, and below. */
static void
a_refusal(void **state)
{
	struct ask **asked;

	(void)state;
	open_all(true);
	rcpt("both");
	rig_hold(RIG_COMMITS);
	asked = post_submit(NULL, 50000);
	rig_pass(1);
	ask_cancel(asked, ASK_ABANDON);
	rig_go_on();
	rig_pass(1000);
	assert_int_equal(logged("abandoned", "message="), 1);
	assert_int_equal(logged("discarded", "rcpt="), 0);
	assert_int_equal(scratch_count("mail"), 0);
}

static void
no_room(void **state)
{
	(void)state;
	open_all(true);
	rcpt("both");
	rig.deliver->space.reserve = 100;
	post_submit(NULL, 50000);
	rig_pass(1);
	assert_int_equal(post.refusals, 1);
	assert_int_equal(logged("undelivered", "message="), 1);
	assert_int_equal(logged("discarded", "rcpt="), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(with_a_journal), T(without),
	    T(a_large_one), T(one_more), T(one_more_large),
	    T(one_more_without_a_journal), T(who_is_gone), T(a_refusal),
	    T(no_room)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
