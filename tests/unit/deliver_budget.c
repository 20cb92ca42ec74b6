/*
 * Room for what is about to be written: each copy, of each worker, those that
 * died among them, is counted before it is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "io/log.h"
#include "rig.h"
#include "scratch.h"

#define BLOCK   4096
#define BLOCKS  1000u
#define RESERVE 10 /* percent */
#define ABOVE   100u
#define COPIES  20

/* --- a disk of which somebody says how full it is; before libc's --- */

static _Atomic unsigned available = BLOCKS; /* blocks */
static _Atomic unsigned inodes = BLOCKS;
static _Atomic unsigned asked;
static atomic_bool gone; /* for those who write behind 250: the threads */

int
fstatvfs(int fd, struct statvfs *v)
{
	bool none = gone && gettid() != getpid();

	(void)fd;
	asked++;
	*v = (struct statvfs){.f_frsize = BLOCK,
	    .f_blocks = BLOCKS,
	    .f_bavail = none ? 0 : available,
	    .f_files = BLOCKS,
	    .f_favail = none ? 0 : inodes};
	return 0;
}

/* So much above the reserve. */
static void
leave(unsigned blocks, unsigned files)
{
	available = ABOVE + blocks;
	inodes = ABOVE + files;
}

static int
start_with(bool journal)
{
	char local[8];

	if (post_setup("mail/%d/%u"))
		return -1;
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	post.options.reserve = RESERVE;
	post.options.journal = journal;
	for (unsigned i = 0; i < COPIES; i++) {
		snprintf(local, sizeof(local), "u%u", i);
		post_user(local);
	}
	leave(BLOCKS - ABOVE, BLOCKS - ABOVE);
	post_open();
	for (unsigned i = 0; i < COPIES; i++) {
		snprintf(local, sizeof(local), "u%u", i);
		post_rcpt(local);
	}
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(true);
}

static int
start_without(void **state)
{
	(void)state;
	return start_with(false);
}

/* A message to all; what the client heard. */
static const char *
send(size_t size)
{
	post.replies = post.refusals = 0;
	post_submit(NULL, size);
	rig_pass(20);
	assert_int_equal(post.replies + post.refusals, 1);
	return post.reply;
}

/* FAULT A5: copies x size, at the dot; and nothing is left behind. */
static void
each_copy_is_asked_for(void **state)
{
	(void)state;
	leave(2 * COPIES - 1, COPIES);
	assert_null(deliver_reserve(rig.deliver, 5000));
	assert_string_equal(send(5000), "452 4.3.1");
	assert_true(post_is_settled());
	assert_int_equal(scratch_files("mail"), 0);
	leave(2 * COPIES, COPIES - 1); /* inodes, too */
	assert_string_equal(send(5000), "452 4.3.1");
	leave(2 * COPIES, COPIES);
	assert_string_equal(send(5000), "");
	assert_true(post_is_settled());
	assert_int_equal(scratch_files("mail"), COPIES);
	assert_int_equal(counted(SHARED_UNPLACED), 0);
	assert_int_equal(counted(SHARED_UNPLACED_FILES), 0);
}

/* FAULT A5: one by one they would each find the same room. */
static void
what_others_have_not_placed(void **state)
{
	(void)state;
	leave(2 * COPIES, COPIES);
	shared_add(rig.shared, 2, SHARED_UNPLACED, 1);
	assert_string_equal(send(5000), "452 4.3.1");
	shared_add(rig.shared, 2, SHARED_UNPLACED, -1);
	shared_add(rig.shared, 2, SHARED_UNPLACED_FILES, 1);
	assert_string_equal(send(5000), "452 4.3.1");
	shared_add(rig.shared, 2, SHARED_UNPLACED_FILES, -1);
	assert_string_equal(send(5000), "");
}

/* FAULT A5: a worker that dies leaves its share to its journal, until that
 * was read back. */
static void
what_the_dead_have_not_placed(void **state)
{
	static const char id[] = POST_ID;
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "spool/journal/quarantine-%s", id);
	scratch_mkdir("spool/journal/here-and-locked");
	assert_int_equal(rename("spool/journal/here-and-locked", path), 0);
	shared_set_journal(rig.shared, 2, journal_name(rig.deliver->journal));
	shared_add(rig.shared, 2, SHARED_UNPLACED, 100);
	shared_clear_slot(rig.shared, 2);
	shared_set_journal(rig.shared, 3, id);
	shared_add(rig.shared, 3, SHARED_UNPLACED, 10);
	shared_clear_slot(rig.shared, 3);
	shared_add(rig.shared, 4, SHARED_UNPLACED, 1); /* without a journal */
	shared_clear_slot(rig.shared, 4);
	shared_clear_slot(rig.shared, 3); /* its next worker died at once */
	assert_int_equal(counted(SHARED_UNPLACED), 110);
	leave(2 * COPIES, COPIES);
	rig.deliver->journal_options.tick(rig.deliver); /* and the disk */
	assert_int_equal(shared_largest(rig.shared, SHARED_FREE_MAIL),
	    available * 1000);
	assert_int_equal(shared_largest(rig.shared, SHARED_FREE_SPOOL),
	    available * 1000);
	/* the one is there, the other in quarantine: nobody places it */
	assert_int_equal(counted(SHARED_UNPLACED), 100);
	assert_string_equal(send(5000), "452 4.3.1");
	snprintf(path, sizeof(path), "spool/journal/%s",
	    journal_name(rig.deliver->journal));
	assert_int_equal(rename(path, "spool/gone"), 0);
	rig_pass(100);
	assert_int_equal(counted(SHARED_UNPLACED), 0);
	assert_int_equal(rename("spool/gone", path), 0);
}

/* FAULT A5: whoever writes behind 250 holds rather than use the reserve. */
static void
held_alone_may_use_the_reserve(void **state)
{
	(void)state;
	gone = true; /* somebody else's files came meanwhile */
	assert_string_equal(send(5000), "");
	assert_true(post_is_settled());
	gone = false;
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(scratch_count("spool/held"), 1);
}

/* FAULT A5: so too where each message is written before 250. */
static void
without_a_journal(void **state)
{
	(void)state;
	leave(2 * COPIES - 1, COPIES);
	assert_string_equal(send(5000), "452 4.3.1");
	assert_int_equal(scratch_files("mail"), 0);
	leave(2 * COPIES, COPIES);
	assert_string_equal(send(5000), "");
	assert_int_equal(scratch_files("mail"), COPIES);
	assert_int_equal(counted(SHARED_UNPLACED), 0);
}

/* FAULT A5: a body of which nobody said how large it will be. */
static void
the_spool_is_asked_on_the_way(void **state)
{
	(void)state;
	leave(2, COPIES);
	assert_null(deliver_reserve(rig.deliver, 100));
	assert_string_equal(send(200000), "452 4.3.1");
	assert_int_equal(scratch_files("mail"), 0);
}

/* Where there is plenty a disk is asked once a second, not per message. */
static void
it_is_not_asked_each_time(void **state)
{
	struct space s = {0};
	struct space_need n = {100, 1};

	(void)state;
	leave(BLOCKS - ABOVE, 0);
	assert_int_equal(space_add(&s, 0), 0);
	asked = 0;
	for (int i = 0; i < 10; i++)
		(void)space_room(&s, 5, &n);
	assert_int_equal(asked, 1);
	(void)space_room(&s, 6, &n);
	assert_int_equal(asked, 2);
	space_free(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, post_finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_copy_is_asked_for),
	    T(what_others_have_not_placed),
	    T(what_the_dead_have_not_placed),
	    T(held_alone_may_use_the_reserve),
	    cmocka_unit_test_setup_teardown(without_a_journal, start_without,
		post_finish),
	    T(the_spool_is_asked_on_the_way),
	    T(it_is_not_asked_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
