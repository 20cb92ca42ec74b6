/*
 * Journals whose owners died, read back: all that is in one is redone before
 * it goes, and what is damaged is kept for a look.
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

#include "journal/attempts.h"
#include "journal/journal_dir.h"
#include "journal/recovery_run.h"
#include "owner.h"
#include "scratch.h"
#define SYS_DISK 0
#include "sys.h"

#define RECORDS 12
#define SIZE    (1 << 20)

static struct crc32c crc;
static int dir;
static struct segment *segment;
static struct owner owner;
static uint64_t offsets[RECORDS];
static atomic_bool stop;
static unsigned naside; /* files that recover() has put aside */

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	sys_reset();
	crc32c_init(&crc);
	owner_init(&owner);
	scratch_mkdir("j");
	dir = open(scratch_path("j"), O_RDONLY | O_DIRECTORY);
	segment =
	    segment_create(&crc, OWNER_VERSION, dir, "00000001.log", SIZE);
	assert_non_null(segment);
	assert_int_equal(segment_begin(segment), 0);
	for (unsigned i = 0; i < RECORDS; i++)
		offsets[i] = owner_commit(segment, i, 100 + 900 * i);
	return 0;
}

static int
finish(void **state)
{
	sys_reset();
	segment_free(&segment);
	close(dir);
	stop = false;
	return scratch_teardown(state);
}

/* All records but these were redone, once each. */
static void
assert_there(unsigned from, unsigned to)
{
	for (unsigned i = 0; i < RECORDS; i++)
		assert_int_equal(owner.again[i] + owner.rewritten[i],
		    i < from || i >= to);
}

static void
flip(uint64_t at)
{
	char c;

	assert_int_equal(pread(segment->fd, &c, 1, (off_t)at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(segment->fd, &c, 1, (off_t)at), 1);
}

static const char *fault; /* a call that fails when recover() begins, or NULL */
static unsigned nth;

static struct recovery_result
recover(void)
{
	struct recovery_from from = {.crc = crc, .owner = owner_of(&owner)};
	struct recovery_result x;
	char to[512];

	if (!scratch_exists("journal"))
		scratch_mkdir("journal");
	if (!scratch_exists("damaged"))
		scratch_mkdir("damaged");
	snprintf(to, sizeof(to), "%s",
	    scratch_path("journal/0123456789ABCDEF"));
	if (scratch_exists("j"))
		assert_int_equal(rename(scratch_path("j"), to), 0);
	from.root = open(scratch_path("journal"), O_RDONLY | O_DIRECTORY);
	from.damaged = open(scratch_path("damaged"), O_RDONLY | O_DIRECTORY);
	if (fault)
		sys_fail(fault, nth, EIO);
	recovery_run(&from, "", &stop, &x);
	naside = 0;
	for (size_t at = 0; at < x.aside.len; naside++)
		at += strlen(x.aside.data + at) + 1;
	buf_free(&x.aside);
	close(from.root);
	close(from.damaged);
	return x;
}

static void
a_journal_is_read_back_and_removed(void **state)
{
	struct recovery_result x = recover();

	(void)state;
	assert_string_equal(x.name, "0123456789ABCDEF");
	assert_int_equal(x.error, 0);
	assert_int_equal(x.count.placed, RECORDS);
	assert_there(0, 0);
	assert_int_equal(scratch_count(scratch_path("journal")), 0);
	assert_int_equal(scratch_count(scratch_path("damaged")), 0);
}

/* A worker that leaves does not stay for it; the next one goes on. */
static void
stopped_on_the_way(void **state)
{
	struct recovery_result x;

	(void)state;
	stop = true;
	x = recover();
	assert_int_equal(x.error, ECANCELED);
	assert_there(0, RECORDS);
	stop = false;
	x = recover();
	assert_int_equal(x.error, 0);
	assert_there(0, 0);
}

/* Either header will do. */
static void
one_header_is_enough(void **state)
{
	struct recovery_result x;

	(void)state;
	flip(16);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.count.damaged, 0);
	assert_there(0, 0);
}

/* A pass that was cut short spoils the older one, never both. */
static void
headers_take_turns(void **state)
{
	struct record_header h;

	(void)state;
	for (unsigned i = 1; i < 7; i++) {
		assert_int_equal(segment_pass(&crc, segment->header_fd,
				     &segment->header, offsets[i]),
		    0);
		assert_true(
		    segment_header(&crc, OWNER_VERSION, segment->fd, &h));
		assert_int_equal(h.done, offsets[i]);
		flip(h.turn % 2 * RECORD_PAGE + 16);
		assert_true(
		    segment_header(&crc, OWNER_VERSION, segment->fd, &h));
		assert_int_equal(h.done, i > 1 ? offsets[i - 1] : RECORD_FIRST);
		flip((h.turn + 1) % 2 * RECORD_PAGE + 16);
	}
}

/* A kill during a commit is no damage: nothing is put aside for a look. */
static void
a_torn_tail_is_recovered(void **state)
{
	struct recovery_result x;

	(void)state;
	flip((size_t)offsets[RECORDS - 1] + 100);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.count.damaged, 0);
	assert_true(x.torn);
	assert_int_equal(scratch_count(scratch_path("damaged")), 0);
	assert_there(RECORDS - 1, RECORDS);
}

static void
without_a_header(void **state)
{
	struct recovery_result x;

	(void)state;
	flip(16);
	flip(4096 + 40);
	x = recover();
	assert_int_equal(x.count.damaged, 1);
	assert_there(0, RECORDS);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

static void
cut_short(void **state)
{
	struct recovery_result x;

	(void)state;
	assert_int_equal(ftruncate(segment->fd, (off_t)offsets[8] + 100), 0);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_true(x.count.damaged >= 1);
	assert_there(8, RECORDS);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

/* FAULT F1: one that is neither placed nor held: the journal keeps it. */
static void
nobody_takes_it(void **state)
{
	struct recovery_result x;

	(void)state;
	owner.refuses = 5;
	x = recover();
	assert_int_equal(x.error, EIO);
	assert_int_equal(x.count.lost, 1);
	assert_there(5, 6);
	assert_int_equal(owner.syncs, 0);
	assert_int_equal(scratch_count("journal"), 1);
	owner_init(&owner);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_there(0, 0);
	assert_int_equal(scratch_count("journal"), 0);
}

/* What makes no sense to its owner is damaged, and kept for a look. */
static void
records_that_make_no_sense(void **state)
{
	struct recovery_result x;

	(void)state;
	owner.makes_none = true;
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.count.damaged, RECORDS);
	assert_int_equal(scratch_count("damaged"), 1);
	assert_int_equal(scratch_count("journal"), 0);
}

/* The next one that succeeds proves nothing: all is written anew. */
static void
a_sync_that_fails(void **state)
{
	struct recovery_result x;

	(void)state;
	owner.sync_fails = 1;
	owner.sync_error = EIO;
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(owner.syncs, 2);
	for (unsigned i = 0; i < RECORDS; i++) {
		assert_int_equal(owner.again[i], 1);
		assert_int_equal(owner.rewritten[i], 1);
	}
	assert_int_equal(scratch_count("journal"), 0);
}

/* And whoever reads it after us knows that from the first record on. */
static void
a_sync_that_fails_twice(void **state)
{
	struct recovery_result x;

	(void)state;
	owner.sync_fails = 2;
	owner.sync_error = ESTALE;
	x = recover();
	assert_int_equal(x.error, EIO);
	assert_true(scratch_exists("journal/0123456789ABCDEF/doubt"));
	owner_init(&owner);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_there(0, 0);
	assert_int_equal(owner.rewritten[0], 1);
	assert_int_equal(scratch_count("journal"), 0);
}

/* Somebody holds it: hands off. */
static void
a_journal_with_an_owner(void **state)
{
	char to[512];
	struct recovery_result x;
	struct journal_dir d;
	int fd;

	(void)state;
	scratch_mkdir("journal");
	fd = open(scratch_path("journal"), O_RDONLY | O_DIRECTORY);
	assert_int_equal(journal_dir_make(fd, &d), 0);
	snprintf(to, sizeof(to), "%s/%s/00000001.log", scratch_path("journal"),
	    d.name);
	assert_int_equal(rename(scratch_path("j/00000001.log"), to), 0);
	assert_int_equal(rmdir(scratch_path("j")), 0);
	x = recover();
	assert_string_equal(x.name, "");
	assert_there(0, RECORDS);
	journal_dir_close(&d); /* as when its process ends */
	x = recover();
	assert_int_equal(x.count.placed, RECORDS);
	assert_there(0, 0);
	close(fd);
}

/* Whoever read this record died, again and again. */
static void
ended_there(unsigned i, unsigned times)
{
	struct attempts a;

	for (unsigned n = 0; n < times; n++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", 8192));
		assert_true(attempts_begin(&a, "00000001.log", offsets[i]));
		attempts_close(&a);
	}
}

static void
a_record_that_ends_its_readers(void **state)
{
	struct recovery_result x;
	struct record_header h;

	(void)state;
	ended_there(6, ATTEMPTS_MAX);
	x = recover();
	assert_int_equal(x.left_out, 1);
	assert_there(6, 7);
	assert_int_equal(access(scratch_path(
				    "journal/quarantine-0123456789ABCDEF"),
			     F_OK),
	    0);
	/* a reader that lives through it finds it there */
	assert_true(segment_header(&crc, OWNER_VERSION, segment->fd, &h));
	assert_int_equal(h.done, RECORD_FIRST);
	x = recover();
	assert_string_equal(x.name, "");
}

/* Killed here and there, or not inside a record: no fault of the journal. */
static void
readers_that_were_killed(void **state)
{
	struct recovery_result x;
	struct attempts a;

	(void)state;
	for (unsigned i = 0; i < RECORDS; i++)
		ended_there(i, ATTEMPTS_MAX - 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", offsets[3]));
		attempts_rest(&a);
		attempts_close(&a);
	}
	x = recover();
	assert_int_equal(x.left_out, 0);
	assert_there(0, 0);
}

static uint32_t
version_of(const char *root, const char *name)
{
	struct recovery_from from = {.crc = crc, .owner = owner_of(&owner)};
	uint32_t version;

	from.root = open(root, O_RDONLY | O_DIRECTORY);
	version = recovery_version(&from, name);
	close(from.root);
	return version;
}

static void
a_version_of_the_future(void **state)
{
	char head[HEADER_LEN];
	struct record_header h = segment->header;
	struct recovery_result x;

	(void)state;
	h.version = OWNER_VERSION + 1;
	h.turn += 2;
	record_header_encode(&crc, &h, head);
	assert_int_equal(pwrite(segment->fd, head, sizeof(head), 0),
	    HEADER_LEN);
	x = recover();
	assert_int_equal(x.error, EPROTO);
	assert_there(0, RECORDS);
	assert_int_equal(version_of("journal", x.name), OWNER_VERSION + 1);
}

/* FAULT B3: what is none of our files neither stops the reading nor stays. */
static void
things_that_are_no_segments(void **state)
{
	struct recovery_result x;
	int fd;

	(void)state;
	assert_int_equal(mkfifoat(dir, "00000002.log", 0600), 0);
	assert_int_equal(symlinkat("/dev/zero", dir, "00000003.log"), 0);
	assert_int_equal(mkdirat(dir, "00000004.log", 0700), 0);
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(mkfifoat(dir, "attempts", 0600), 0);
	assert_int_equal(mkfifoat(dir, "doubt", 0600), 0);
	fd = openat(dir, "00000005.log", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)SEGMENT_MAX + 1), 0);
	close(fd);
	assert_int_equal(version_of(".", "j"), OWNER_VERSION);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(naside, 6);
	assert_int_equal(scratch_count(scratch_path("damaged")), 6);
	assert_int_equal(scratch_count(scratch_path("journal")), 0);
	assert_there(0, 0);
}

/* FAULT B3: a FIFO in the place of the note neither waits nor takes it. */
static void
a_doubt_that_is_no_file(void **state)
{
	struct journal_dir d = {.fd = dir};

	(void)state;
	assert_int_equal(mkfifoat(dir, "doubt", 0600), 0);
	assert_int_equal(journal_dir_doubt(&d), 0);
	assert_true(journal_dir_doubted(&d));
}

/* FAULT B3: an end before the first record is counted, too. */
static void
a_segment_that_ends_its_readers(void **state)
{
	struct recovery_result x;
	struct attempts a;

	(void)state;
	for (unsigned n = 0; n < ATTEMPTS_MAX; n++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", 0));
		attempts_close(&a);
	}
	x = recover();
	assert_int_equal(x.left_out, 1);
	assert_there(0, RECORDS);
	assert_int_equal(access(scratch_path(
				    "journal/quarantine-0123456789ABCDEF"),
			     F_OK),
	    0);
}

static void
write_headers(const struct record_header *h)
{
	char head[HEADER_LEN];

	record_header_encode(&crc, h, head);
	for (off_t at = 0; at <= RECORD_PAGE; at += RECORD_PAGE)
		assert_int_equal(pwrite(segment->fd, head, sizeof(head), at),
		    HEADER_LEN);
}

/* FAULT B3: a header whose numbers cannot be is no header, and no way to
 * pass over what is behind it. */
static void
numbers_of_a_header(void **state)
{
	const uint64_t done[] = {0, RECORD_FIRST - 512, RECORD_FIRST + 1,
	    SIZE + 512, UINT64_MAX};
	struct record_header h = segment->header;
	char head[HEADER_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		h.done = done[i];
		record_header_encode(&crc, &h, head);
		assert_false(
		    record_header_decode(&crc, OWNER_VERSION, head, &h));
	}
	write_headers(&h);
	assert_int_equal(recover().count.damaged, 1);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

static void
again(void **state)
{
	assert_int_equal(finish(state), 0);
	assert_int_equal(start(state), 0);
}

/* Redone at least once, and the journal is gone: no more is to be done. */
static void
assert_safe(void)
{
	for (unsigned i = 0; i < RECORDS; i++)
		assert_true(owner.again[i] + owner.rewritten[i] > 0);
	assert_int_equal(scratch_count("journal"), 0);
}

/* Whichever call fails: it is said, and who comes next finds all there. */
static void
each_call_fails(void **state)
{
	static const char *const calls[] = {"openat", "fstat", "pread",
	    "pwrite", "fsync", "fdatasync", "unlinkat"};
	struct recovery_result x;
	unsigned failed;
	bool over;

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		failed = 0;
		over = false;
		for (nth = 1; !over; nth++) {
			again(state);
			owner.sync_fails = 1; /* so it is doubted on the way */
			owner.sync_error = EIO;
			fault = calls[i];
			x = recover();
			fault = NULL;
			over = !sys_failed();
			sys_reset();
			failed += x.error != 0;
			if (x.error || scratch_count("journal"))
				x = recover();
			assert_int_equal(x.error, 0);
			assert_safe();
		}
		assert_true(failed > 0);
	}
}

/* Octets that cannot be read, and then can: nothing is lost for it. */
static void
a_disk_that_is_read_in_pieces(void **state)
{
	struct recovery_result x;

	(void)state;
	fault = "pread";
	for (nth = 1; nth < 30; nth++) {
		again(state);
		x = recover();
		if (!x.error && x.count.damaged)
			break;
		sys_reset();
	}
	fault = NULL;
	assert_true(nth < 30);
	assert_int_equal(x.count.placed, RECORDS);
	assert_int_equal(scratch_count("damaged"), 1);
	assert_there(0, 0);
}

/* Nothing but zeros, or not even those: a crash came while it was made. */
static void
segments_that_were_never_used(void **state)
{
	struct recovery_result x;
	struct segment *s =
	    segment_create(&crc, OWNER_VERSION, dir, "00000002.log", SIZE);
	int fd = openat(dir, "00000003.log", O_WRONLY | O_CREAT, 0600);

	(void)state;
	segment_free(&s);
	close(fd);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.count.damaged, 0);
	assert_int_equal(scratch_count("damaged"), 0);
	assert_there(0, 0);
}

/* The body of a damaged record stays, unless a mailbox has it. */
static void
bodies_beside_what_is_damaged(void **state)
{
	struct recovery_result x;

	for (unsigned i = 0; i < 3; i++) {
		again(state);
		close(openat(dir, "a.body", O_WRONLY | O_CREAT, 0600));
		close(openat(dir, "b.body", O_WRONLY | O_CREAT, 0600));
		assert_int_equal(linkat(dir, "b.body", AT_FDCWD, "b", 0), 0);
		if (i)
			flip(offsets[4] + 100);
		if (i == 2) { /* behind that of the segment */
			fault = "renameat";
			nth = 2;
		}
		x = recover();
		fault = NULL;
		assert_int_equal(x.error, i == 2 ? EIO : 0);
		if (i == 2) {
			assert_true(
			    scratch_exists("journal/0123456789ABCDEF/a.body"));
			continue;
		}
		assert_int_equal(scratch_exists(
				     "damaged/0123456789ABCDEF-a.body"),
		    i == 1);
		assert_int_equal(scratch_count("damaged"), 2 * i);
		assert_int_equal(scratch_count("journal"), 0);
	}
}

/* It cannot be put aside, and so it stays where it is. */
static void
what_is_not_put_aside(void **state)
{
	struct recovery_result x;

	(void)state;
	flip(16);
	flip(RECORD_PAGE + 16);
	fault = "renameat";
	nth = 1;
	x = recover();
	fault = NULL;
	assert_int_equal(x.error, EIO);
	assert_int_equal(scratch_count("damaged"), 0);
	assert_true(scratch_exists("journal/0123456789ABCDEF/00000001.log"));
	assert_int_equal(recover().error, 0);
	assert_int_equal(scratch_count("damaged"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_journal_is_read_back_and_removed),
	    T(stopped_on_the_way),
	    T(one_header_is_enough),
	    T(headers_take_turns),
	    T(a_torn_tail_is_recovered),
	    T(without_a_header),
	    T(cut_short),
	    T(nobody_takes_it),
	    T(records_that_make_no_sense),
	    T(a_sync_that_fails),
	    T(a_sync_that_fails_twice),
	    T(a_journal_with_an_owner),
	    T(a_record_that_ends_its_readers),
	    T(readers_that_were_killed),
	    T(a_version_of_the_future),
	    T(things_that_are_no_segments),
	    T(a_doubt_that_is_no_file),
	    T(a_segment_that_ends_its_readers),
	    T(numbers_of_a_header),
	    T(each_call_fails),
	    T(a_disk_that_is_read_in_pieces),
	    T(segments_that_were_never_used),
	    T(bodies_beside_what_is_damaged),
	    T(what_is_not_put_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
