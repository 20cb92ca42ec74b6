/*
 * The journal by itself: commits, checkpoints, and what a sync that failed
 * once has touched. Its owner only counts.
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
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "journal/journal_state.h"
#include "jrig.h"
#include "owner.h"
#include "scratch.h"
#include "sys.h"

static struct owner owner, live; /* redoes; has placed what is finished */
static int spool;
static unsigned looks;
static bool moves; /* while it is synced */

static void
on_look(void *ctx)
{
	(void)ctx;
	looks++;
}

static int
sync_live(void *ctx)
{
	(void)ctx;
	if (moves)
		journal_doubt(jrig.journal);
	return owner_sync(&live);
}

static int
start_with(void **state, uint64_t segment)
{
	struct journal_options o = {.segment = segment,
	    .owner = owner_of(&owner),
	    .sync = sync_live,
	    .look = on_look};

	if (scratch_setup(state))
		return -1;
	sys_reset();
	looks = 0;
	moves = false;
	owner_init(&owner);
	owner_init(&live);
	scratch_mkdir("spool");
	spool = open("spool", O_RDONLY | O_DIRECTORY);
	jrig_open(&o, spool);
	return 0;
}

static int
start(void **state)
{
	return start_with(state, 0);
}

static int
finish(void **state)
{
	sys_reset();
	jrig_close();
	close(spool);
	return scratch_teardown(state);
}

static struct journal_entry
commit_with(unsigned n, const char *file)
{
	struct journal_entry e = {.file = file ? strdup(file) : NULL};
	struct buf body = {0};

	owner_record(&e.record, &body, n, 3000);
	e.body = buf_span(&body);
	jrig_commit(&e);
	buf_free(&body);
	return e;
}

static struct journal_entry
commit(unsigned n)
{
	return commit_with(n, NULL);
}

static const char *
in_journal(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "spool/journal/%s/%s",
	    journal_name(jrig.journal), name);
	return path;
}

/* How often this was synced. */
static unsigned
syncs_of(const char *path)
{
	char line[128];
	unsigned n = 0;

	snprintf(line, sizeof(line), "sync %s\n", path);
	for (const char *p = sys_log(); (p = strstr(p, line)); p++)
		n++;
	return n;
}

/* Or a power cut would take the file, and all that was answered. */
static void
the_name_is_on_disk_before_an_answer(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "spool/journal/%s",
	    journal_name(jrig.journal));
	sys_reset();
	(void)commit(0);
	assert_int_equal(syncs_of(path), 1);
	(void)commit(1); /* in the same file */
	assert_int_equal(syncs_of(path), 1);
}

static void
finished_records_are_passed(void **state)
{
	struct journal_entry a = commit(0), b = commit(1);

	(void)state;
	jrig_settle();
	assert_int_equal(live.syncs, 0); /* nothing is finished */
	assert_true(journal_size(jrig.journal) > 6000);
	journal_finish(jrig.journal, &b);
	jrig_settle();
	assert_true(
	    journal_size(jrig.journal) > 6000); /* not before the first */
	journal_finish(jrig.journal, &a);
	jrig_settle();
	assert_int_equal(journal_size(jrig.journal), 0);
	assert_int_equal(live.syncs, 1);
	assert_int_equal(owner.again[0] + owner.rewritten[0], 0);
}

/* The sync succeeds the second time, and proves nothing by it. */
static void
what_a_failed_sync_has_touched(void **state)
{
	struct journal_entry a = commit(0), b = commit(1), c;

	(void)state;
	journal_finish(jrig.journal, &a);
	live.sync_fails = 1;
	live.sync_error = EIO;
	jrig_settle();
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(owner.version, OWNER_VERSION);
	assert_int_equal(owner.dirfd, journal_dirfd(jrig.journal));
	assert_true(scratch_exists(in_journal("doubt")));
	/* placed while it ran, as it were: finished after it */
	journal_finish(jrig.journal, &b);
	jrig_settle();
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(owner.rewritten[1], 1);
	/* what comes later is not in doubt, and not written twice */
	c = commit(2);
	journal_finish(jrig.journal, &c);
	jrig_settle();
	assert_int_equal(owner.rewritten[2], 0);
	assert_int_equal(journal_size(jrig.journal), 0);
}

/* A client that was told no gets no mail by a rewrite. */
static void
dropped_is_not_rewritten(void **state)
{
	struct journal_entry a = commit(0), b = commit(1);

	(void)state;
	journal_drop(jrig.journal, &a);
	journal_finish(jrig.journal, &b);
	live.sync_fails = 1;
	live.sync_error = EIO;
	jrig_settle();
	assert_int_equal(owner.rewritten[0], 0);
	assert_int_equal(owner.rewritten[1], 1);
}

/* FAULT B7: what was placed is not where its path leads to: it is redone,
 * whether the checkpoint saw it first or somebody else. */
static void
what_was_moved_away(void **state)
{
	struct journal_entry a = commit(0), b, c;

	(void)state;
	journal_finish(jrig.journal, &a);
	live.sync_fails = 1;
	live.sync_error = ESTALE;
	jrig_settle();
	assert_int_equal(looks, 1);
	assert_int_equal(owner.rewritten[0], 1);
	b = commit(1);
	journal_finish(jrig.journal, &b);
	journal_doubt(jrig.journal);
	jrig_settle();
	assert_int_equal(owner.rewritten[1], 1);
	/* what comes later is where it should be by itself */
	c = commit(2);
	journal_finish(jrig.journal, &c);
	jrig_settle();
	assert_int_equal(owner.rewritten[2], 0);
	assert_int_equal(journal_size(jrig.journal), 0);
	assert_int_equal(looks, 1);
}

/* FAULT B7: by the time of the sync it was there again, but it had moved. */
static void
what_moves_meanwhile(void **state)
{
	struct journal_entry a = commit(0);

	(void)state;
	journal_finish(jrig.journal, &a);
	moves = true;
	jrig_settle();
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(looks, 1);
	assert_int_equal(journal_size(jrig.journal), 0);
}

/* FAULT B7: and what is redone may be moved away in its turn. */
static void
what_was_moved_again(void **state)
{
	struct journal_entry a = commit(0);

	(void)state;
	journal_finish(jrig.journal, &a);
	live.sync_fails = owner.sync_fails = 1;
	live.sync_error = owner.sync_error = ESTALE;
	jrig_settle();
	assert_int_equal(owner.rewritten[0], 2);
	assert_int_equal(journal_size(jrig.journal), 0);
}

/* What is neither placed nor held stays, in a segment that gets no more. */
static void
what_cannot_be_redone(void **state)
{
	struct journal_entry a, b;

	(void)state;
	jrig.options.checkpoint = 1; /* it is tried again and again */
	a = commit(0);
	live.sync_fails = 1;
	live.sync_error = EIO;
	owner.refuses = 0;
	journal_finish(jrig.journal, &a);
	jrig_turn();
	jrig_turn();
	assert_true(journal_size(jrig.journal) > 3000);
	assert_true(journal_entry_at_risk(&a));
	b = commit(1);
	assert_false(journal_entry_at_risk(&b));
	journal_finish(jrig.journal, &b);
	owner.refuses = -1;
	for (int i = 0; i < 10 && journal_size(jrig.journal); i++)
		jrig_turn();
	assert_int_equal(journal_size(jrig.journal), 0);
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(owner.rewritten[1], 0);
	assert_int_equal(scratch_count("spool/damaged"), 1);
}

/* One that cannot be read back, neither. */
static void
what_makes_no_sense(void **state)
{
	struct journal_entry a = commit(0);

	(void)state;
	journal_finish(jrig.journal, &a);
	live.sync_fails = 1;
	live.sync_error = EIO;
	owner.makes_none = true;
	jrig_settle();
	assert_true(journal_size(jrig.journal) > 3000);
	assert_true(journal_entry_at_risk(&a));
}

/* Nor is a record passed before that is on disk: its body is unlinked then. */
static void
a_pass_that_fails(void **state)
{
	struct journal_entry a = commit_with(0, "0.body");

	(void)state;
	close(openat(journal_dirfd(jrig.journal), "0.body", O_CREAT, 0600));
	journal_finish(jrig.journal, &a);
	sys_fail("fdatasync", 1, EIO);
	jrig_settle();
	assert_true(sys_failed());
	assert_int_equal(access(scratch_path(in_journal("0.body")), F_OK), 0);
	assert_true(journal_size(jrig.journal) > 3000);
	assert_true(journal_entry_at_risk(&a));
}

/* FAULT B7: nothing is committed to a spool that nobody would find; and no
 * file is given up for it. */
static void
a_spool_is_replaced(void **state)
{
	struct journal_entry a = commit(0), c;

	(void)state;
	assert_int_equal(rename("spool", "old"), 0);
	commit(1);
	assert_int_equal(jrig.error, ESTALE);
	assert_int_equal(looks, 1);
	scratch_mkdir("spool");
	commit(1);
	assert_int_equal(jrig.error, ESTALE);
	assert_int_equal(rmdir("spool"), 0);
	assert_int_equal(rename("old", "spool"), 0);
	c = commit(2);
	assert_int_equal(jrig.error, 0);
	assert_int_equal(jrig.broken, 0);
	assert_false(journal_entry_at_risk(&a));
	journal_finish(jrig.journal, &a);
	journal_finish(jrig.journal, &c);
	jrig_settle();
	assert_int_equal(journal_size(jrig.journal), 0);
}

static void
one_failure_costs_one_batch(void **state)
{
	struct journal_entry a = commit(0), c;

	(void)state;
	assert_int_equal(jrig.error, 0);
	sys_fail("fdatasync", 1, EIO);
	commit(1);
	assert_int_equal(jrig.error, EIO);
	assert_true(journal_entry_at_risk(&a));
	c = commit(2);
	assert_int_equal(jrig.error, 0);
	assert_int_equal(jrig.broken, 0);
	journal_finish(jrig.journal, &a);
	journal_finish(jrig.journal, &c);
	jrig_settle();
	assert_int_equal(scratch_count("spool/damaged"), 1);
}

static void
two_in_a_row_are_the_end(void **state)
{
	(void)state;
	commit(0);
	sys_fail("fdatasync", 1, EIO);
	commit(1);
	assert_int_equal(jrig.error, EIO);
	/* the next file's header, or its commit */
	sys_fail("fdatasync", 1, EIO);
	sys_fail("fdatasync", 1, EIO);
	commit(2);
	assert_int_equal(jrig.error, EIO);
	assert_int_equal(jrig.broken, 1);
}

/* FAULT F7: and what went well in between makes them two first ones. */
static void
failures_now_and_then(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		if (i % 2)
			sys_fail("fdatasync", 1, EIO);
		commit(i);
		assert_int_equal(jrig.error, i % 2 ? EIO : 0);
	}
	assert_int_equal(jrig.broken, 0);
}

/* And then nobody asks the disk any more. */
static void
nothing_is_taken_behind_that(void **state)
{
	(void)state;
	two_in_a_row_are_the_end(state);
	sys_reset();
	commit(3);
	assert_int_equal(jrig.error, EIO);
	assert_int_equal(sys_changes, 0);
	assert_int_equal(jrig.broken, 1);
}

static void
a_place_that_is_no_folder(void **state)
{
	struct journal *none;

	(void)state;
	scratch_mkdir("other");
	scratch_touch("other/journal");
	close(spool);
	spool = open("other", O_RDONLY | O_DIRECTORY);
	none = journal_new(&jrig.options, spool, &jrig.loop, jrig.aside);
	assert_null(none);
	assert_int_equal(errno, ENOTDIR);
	journal_free(&none);
}

/* Its body goes with a record. */
static void
a_body_of_its_own_goes(void **state)
{
	struct journal_entry a = commit_with(0, "0.body");

	(void)state;
	close(openat(journal_dirfd(jrig.journal), "0.body", O_CREAT, 0600));
	jrig_settle();
	assert_true(scratch_exists(in_journal("0.body")));
	journal_finish(jrig.journal, &a);
	jrig_settle();
	assert_false(scratch_exists(in_journal("0.body")));
}

/* It is tried again, at the next checkpoint's time. */
static void
what_is_damaged_cannot_be_moved(void **state)
{
	static const char *const calls[] = {"renameat", "fsync"};

	for (unsigned i = 0; i < 2; i++) {
		struct journal_entry a;

		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		a = commit(0);
		sys_fail("fdatasync", 1, EIO);
		commit(1);
		assert_true(journal_entry_at_risk(&a));
		commit(2); /* in the next file */
		journal_finish(jrig.journal, &a);
		sys_fail(calls[i], 1, EIO);
		jrig_settle();
		assert_true(sys_failed());
		assert_int_equal(scratch_count("spool/damaged"), i);
		assert_non_null(jrig.journal->retired);
		clock_pass(3600 * 1000);
		assert_int_equal(scratch_count("spool/damaged"), 1);
		assert_null(jrig.journal->retired);
	}
}

/* Nothing can be noted in what cannot be written: whoever finds it after us
 * begins at its start, and looks for every body. */
static void
bodies_of_what_is_damaged(void **state)
{
	struct journal_entry a = commit_with(0, "0.body");
	struct journal_entry b = commit(1);

	(void)state;
	close(openat(journal_dirfd(jrig.journal), "0.body", O_CREAT, 0600));
	sys_fail("fdatasync", 1, EIO);
	commit(2);
	assert_true(journal_entry_at_risk(&a));
	commit(3); /* in the next file */
	journal_finish(jrig.journal, &a);
	jrig_settle();
	assert_true(scratch_exists(in_journal("0.body")));
	journal_finish(jrig.journal, &b);
	jrig_settle();
	assert_false(scratch_exists(in_journal("0.body")));
	assert_int_equal(scratch_count("spool/damaged"), 1);
}

/* All is written anew by us, even if nobody after us would know. */
static void
a_doubt_that_is_not_noted(void **state)
{
	struct journal_entry a = commit(0);

	(void)state;
	journal_finish(jrig.journal, &a);
	live.sync_fails = 1;
	live.sync_error = EIO;
	sys_fail("openat", 1, ENOSPC);
	jrig_settle();
	assert_true(sys_failed());
	assert_false(scratch_exists(in_journal("doubt")));
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(journal_size(jrig.journal), 0);
}

/* --- files that are full --- */

#define PAGES 6 /* commits that a small one has room for */

static int
start_small(void **state)
{
	return start_with(state, RECORD_FIRST + PAGES * RECORD_PAGE);
}

static unsigned
files(void)
{
	return scratch_count(in_journal("."));
}

static void
a_full_one_is_used_again(void **state)
{
	unsigned most = 0;

	(void)state;
	for (unsigned i = 0; i < 10 * PAGES; i++) {
		struct journal_entry e = commit(i);

		assert_int_equal(jrig.error, 0);
		journal_finish(jrig.journal, &e);
		jrig_settle();
		most = files() > most ? files() : most;
	}
	assert_int_equal(journal_size(jrig.journal), 0);
	assert_true(most <= 3);
	assert_int_equal(owner.rewritten[0], 0);
}

/* What gathers and does not fit waits for the next one, in its order. */
static struct journal_entry *order[3 * PAGES];

static void
on_ordered(struct journal_entry *e, int error)
{
	assert_int_equal(error, 0);
	order[jrig.answers++] = e;
}

static void
more_than_one_takes(void **state)
{
	struct journal_entry all[3 * PAGES];
	struct buf bodies[3 * PAGES] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 3 * PAGES; i++) {
		all[i] = (struct journal_entry){.done = on_ordered};
		owner_record(&all[i].record, &bodies[i], i, 3800);
		all[i].body = buf_span(&bodies[i]);
		journal_commit(jrig.journal, &all[i]);
	}
	assert_int_equal(jrig.answers, 0);
	jrig_turn();
	assert_int_equal(jrig.answers, 3 * PAGES);
	for (unsigned i = 0; i < 3 * PAGES; i++) {
		assert_ptr_equal(order[i], &all[i]);
		assert_true(!i || all[i].segment != all[i - 1].segment ||
			    all[i].offset > all[i - 1].offset);
		journal_finish(jrig.journal, &all[i]);
	}
	assert_ptr_not_equal(all[0].segment, all[3 * PAGES - 1].segment);
	jrig_settle();
	assert_int_equal(journal_size(jrig.journal), 0);
	for (unsigned i = 0; i < 3 * PAGES; i++) {
		buf_free(&all[i].record);
		buf_free(&bodies[i]);
	}
}

/* A full disk is no broken one: mail is refused until there is room. Files
 * that are there but cannot be begun now are not lost by it, either. */
static void
no_room_for_the_next_one(void **state)
{
	struct journal_entry all[3 * PAGES];
	unsigned there, n;

	for (unsigned again = 0; again < 2; again++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start_small(state), 0);
		n = again ? 3 * PAGES : 1;
		for (unsigned i = 0; i < n; i++)
			all[i] = commit(i);
		for (unsigned i = 0; i < n; i++)
			journal_finish(jrig.journal, &all[i]);
		jrig_settle();
		there = files();
		sys_fail("pwrite", 0, ENOSPC);
		while (!jrig.error)
			commit(n);
		for (unsigned k = 0; k < 4; k++)
			commit(n);
		assert_int_equal(jrig.error, ENOSPC);
		assert_int_equal(jrig.broken, 0);
		assert_int_equal(files(), there);
		sys_reset();
		commit(n);
		assert_int_equal(jrig.error, 0);
		assert_int_equal(files(), there + !again);
	}
}

/* All others count: once for the timer, once for what waits. */
static void
none_can_be_begun(void **state)
{
	(void)state;
	sys_fail("pwrite", 0, EIO);
	jrig_turn();
	assert_int_equal(jrig.broken, 0);
	commit(0);
	assert_int_equal(jrig.error, EIO);
	assert_int_equal(jrig.broken, 1);
	assert_int_equal(files(), 0);
}

/* FAULT B7: also what is in files that get no more. */
static void
what_was_moved_away_is_in_several(void **state)
{
	struct journal_entry all[2 * PAGES + 1];
	unsigned n = sizeof(all) / sizeof(all[0]);

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		all[i] = commit(i);
		if (i != PAGES + 1)
			journal_finish(jrig.journal, &all[i]);
	}
	journal_doubt(jrig.journal);
	jrig_settle();
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(owner.rewritten[i],
		    i < PAGES + 1 || i >= 2 * PAGES);
	journal_finish(jrig.journal, &all[PAGES + 1]);
	jrig_settle();
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(owner.rewritten[i], 1);
	assert_int_equal(journal_size(jrig.journal), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)
#define S(f) cmocka_unit_test_setup_teardown(f, start_small, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(the_name_is_on_disk_before_an_answer),
	    T(finished_records_are_passed),
	    T(what_a_failed_sync_has_touched),
	    T(dropped_is_not_rewritten),
	    T(what_was_moved_away),
	    T(what_moves_meanwhile),
	    T(what_was_moved_again),
	    T(what_cannot_be_redone),
	    T(what_makes_no_sense),
	    T(a_pass_that_fails),
	    T(a_spool_is_replaced),
	    T(one_failure_costs_one_batch),
	    T(two_in_a_row_are_the_end),
	    T(failures_now_and_then),
	    T(nothing_is_taken_behind_that),
	    T(a_place_that_is_no_folder),
	    T(a_body_of_its_own_goes),
	    T(what_is_damaged_cannot_be_moved),
	    T(bodies_of_what_is_damaged),
	    T(a_doubt_that_is_not_noted),
	    S(a_full_one_is_used_again),
	    S(more_than_one_takes),
	    S(no_room_for_the_next_one),
	    S(none_can_be_begun),
	    S(what_was_moved_away_is_in_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
