/*
 * Journals of the dead, one after another while a worker serves: what is said
 * of each, and when the next attempt is.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "journal/attempts.h"
#include "journal/recovery.h"
#include "log_catch.h"
#include "owner.h"
#include "scratch.h"

#define RECORDS 3
#define SIZE    (1 << 20)
#define FIRST   "0000000000000001"
#define SECOND  "0000000000000002"

static struct loop loop;
static struct jobs *aside;
static struct crc32c crc;
static struct recovery *recovery;
static struct owner owner;
static int spool;

static bool
is_busy(void)
{
	return jobs_pending(aside) > 0;
}

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	crc32c_init(&crc);
	owner_init(&owner);
	scratch_mkdirs("spool/journal");
	spool = open("spool", O_RDONLY | O_DIRECTORY);
	clock_stop(&loop, is_busy);
	assert_int_equal(loop_init(&loop), 0);
	aside = jobs_new(&loop, 1);
	log_forget();
	return 0;
}

static int
finish(void **state)
{
	jobs_free(&aside);
	recovery_free(&recovery);
	loop_free(&loop);
	clock_go();
	close(spool);
	log_forget();
	return scratch_teardown(state);
}

static void
open_recovery(void)
{
	const struct journal_owner o = owner_of(&owner);

	recovery = recovery_new(spool, &o, aside);
	assert_non_null(recovery);
}

/* And what comes of it, up to its end. */
static void
tick(void)
{
	recovery_tick(recovery);
	clock_pass(1);
}

/* Records from this number on, in a journal whose owner died. */
static void
leave(const char *name, uint32_t version, unsigned from)
{
	char path[64];
	struct segment *s;
	int dir;

	snprintf(path, sizeof(path), "spool/journal/%s", name);
	scratch_mkdir(path);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	s = segment_create(&crc, version, dir, "00000001.log", SIZE);
	assert_non_null(s);
	assert_int_equal(segment_begin(s), 0);
	for (unsigned i = 0; i < RECORDS; i++)
		owner_commit(s, from + i, 100);
	segment_free(&s);
	close(dir);
}

static int
open_journal(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "spool/journal/%s", name);
	return open(path, O_RDONLY | O_DIRECTORY);
}

/* One tick for all of them, and nothing for none. */
static void
one_behind_the_other(void **state)
{
	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	leave(SECOND, OWNER_VERSION, 100);
	open_recovery();
	recovery_tick(recovery);
	recovery_tick(recovery); /* it is at it */
	assert_int_equal(jobs_pending(aside), 1);
	clock_pass(1);
	assert_int_equal(logged("recovered", "copies=3 held=0 damaged=0"), 2);
	assert_int_equal(logged("recovered", "journal=" FIRST), 1);
	assert_int_equal(logged("recovered", "journal=" SECOND), 1);
	assert_int_equal(owner.again[0], 1);
	assert_int_equal(owner.again[102], 1);
	assert_int_equal(scratch_count("spool/journal"), 0);
	tick();
	assert_int_equal(logged("recovered", ""), 2);
}

/* It waits for twice as many ticks each time, up to 32. */
static void
one_that_fails_waits(void **state)
{
	unsigned pauses[9], n = 0, ticks = 0;

	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	open_recovery();
	owner.refuses = 1;
	tick();
	assert_int_equal(logged("recovered",
			     "undelivered=1 error=Input/output error\n"),
	    1);
	while (n < 8) {
		unsigned before = logged("recovered", "");

		ticks++;
		tick();
		tick(); /* what is skipped once is not the next time */
		if (logged("recovered", "") == before)
			continue;
		pauses[n++] = ticks;
		ticks = 0;
	}
	for (unsigned i = 1; i < n; i++)
		assert_true(pauses[i] >= pauses[i - 1]);
	assert_true(pauses[7] > 4 * pauses[0] && pauses[7] <= 2 * 32);
	assert_true(scratch_exists("spool/journal/" FIRST));
	owner.refuses = -1;
	for (unsigned i = 0; i < 2 * 33; i++)
		tick();
	assert_int_equal(owner.again[1], 1);
	assert_int_equal(scratch_count("spool/journal"), 0);
}

/* The others are not kept waiting by one that fails for good. */
static void
the_others_come_first(void **state)
{
	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	leave(SECOND, OWNER_VERSION, 100);
	open_recovery();
	owner.refuses = 1;
	for (unsigned i = 0; i < 6; i++)
		tick();
	assert_int_equal(owner.again[100], 1);
	assert_false(scratch_exists("spool/journal/" SECOND));
	assert_true(scratch_exists("spool/journal/" FIRST));
}

static void
a_worker_that_leaves(void **state)
{
	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	open_recovery();
	recovery_stop(recovery);
	tick();
	assert_int_equal(logged("recovered", "error=Operation canceled"), 1);
	assert_int_equal(owner.again[0], 0);
	assert_true(scratch_exists("spool/journal/" FIRST));
}

static void
what_is_said_of_it(void **state)
{
	struct attempts a;
	int dir, fd;

	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	dir = open_journal(FIRST);
	for (unsigned i = 0; i < ATTEMPTS_MAX; i++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", RECORD_FIRST));
		attempts_close(&a);
	}
	assert_int_equal(mkfifoat(dir, "00000002.log", 0600), 0);
	fd = openat(dir, "00000001.log", O_WRONLY);
	/* the last one is torn */
	assert_int_equal(pwrite(fd, "?", 1,
			     RECORD_FIRST + 2 * RECORD_PAGE + 60),
	    1);
	close(fd);
	close(dir);
	open_recovery();
	tick();
	assert_int_equal(logged("quarantine", "journal=" FIRST " records=1"),
	    1);
	assert_int_equal(logged("set-aside",
			     "journal=" FIRST " file=00000002.log"),
	    1);
	assert_int_equal(logged("recovered",
			     "copies=1 held=0 damaged=1 torn=1"),
	    1);
	assert_true(scratch_exists("spool/journal/quarantine-" FIRST));
	assert_int_equal(scratch_count("spool/damaged"), 1);
}

/* A start that would not read all there is is none. */
static void
one_of_a_newer_version(void **state)
{
	const struct journal_owner o = owner_of(&owner);

	(void)state;
	leave(FIRST, OWNER_VERSION, 0);
	leave(SECOND, OWNER_VERSION + 1, 100);
	scratch_touch("spool/journal/file");
	assert_null(recovery_new(spool, &o, aside));
	assert_int_equal(errno, EPROTO);
	assert_int_equal(logged("journal-version",
			     "journal=" SECOND " version=8 ours=7"),
	    1);
}

static void
no_folder_for_it(void **state)
{
	const struct journal_owner o = owner_of(&owner);

	(void)state;
	scratch_touch("spool/damaged");
	assert_null(recovery_new(spool, &o, aside));
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(rename("spool/damaged", "spool/j"), 0);
	assert_int_equal(rmdir("spool/journal"), 0);
	scratch_touch("spool/journal");
	assert_null(recovery_new(spool, &o, aside));
	assert_int_equal(errno, ENOTDIR);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(one_behind_the_other),
	    T(one_that_fails_waits),
	    T(the_others_come_first),
	    T(a_worker_that_leaves),
	    T(what_is_said_of_it),
	    T(one_of_a_newer_version),
	    T(no_folder_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
