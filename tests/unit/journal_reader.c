/*
 * Segments that were torn, flipped, mixed up and forged: each record that is
 * intact is redone, and nothing else ever is.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal/reader.h"
#include "owner.h"
#include "scratch.h"

#define RECORDS 12
#define SIZE    (1 << 20)

static struct crc32c crc;
static int dir;
static struct segment *segment;
static uint64_t offsets[RECORDS];
static struct owner owner;
static uint64_t left_out; /* the offset of a record that is */

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	crc32c_init(&crc);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	segment = segment_create(&crc, OWNER_VERSION, dir, "1.log", SIZE);
	assert_non_null(segment);
	assert_int_equal(segment_begin(segment), 0);
	for (unsigned i = 0; i < RECORDS; i++)
		offsets[i] = owner_commit(segment, i, 100 + 900 * i);
	left_out = 0;
	return 0;
}

static int
finish(void **state)
{
	segment_free(&segment);
	close(dir);
	return scratch_teardown(state);
}

static bool
at(void *ctx, uint64_t offset)
{
	(void)ctx;
	return offset != left_out;
}

static struct reader
new_reader(const struct journal_owner *o, enum redo_how how)
{
	return (struct reader){.crc = &crc,
	    .owner = o,
	    .dirfd = dir,
	    .how = how,
	    .at = at};
}

static int
read_all(struct reader *r)
{
	owner_init(&owner);
	return reader_range(r, segment->fd, &segment->header,
	    segment->header.done, SIZE);
}

static struct reader
run(enum redo_how how)
{
	struct journal_owner o = owner_of(&owner);
	struct reader r = new_reader(&o, how);

	assert_int_equal(read_all(&r), 0);
	return r;
}

/* All but these were redone, once each. */
static void
assert_there(unsigned from, unsigned to)
{
	for (unsigned i = 0; i < RECORDS; i++)
		assert_int_equal(owner.again[i], i < from || i >= to);
}

static void
flip(uint64_t offset)
{
	char c;

	assert_int_equal(pread(segment->fd, &c, 1, (off_t)offset), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(segment->fd, &c, 1, (off_t)offset), 1);
}

static void
all_are_redone(void **state)
{
	struct reader r;

	(void)state;
	r = run(REDO_AGAIN);
	assert_int_equal(r.count.damaged, 0);
	assert_int_equal(r.count.placed, RECORDS);
	assert_int_equal(owner.version, OWNER_VERSION);
	assert_int_equal(owner.dirfd, dir);
	assert_there(0, 0);
	run(REDO_REWRITE);
	assert_there(0, RECORDS);
	for (unsigned i = 0; i < RECORDS; i++)
		assert_int_equal(owner.rewritten[i], 1);
}

static void
nothing_below_done(void **state)
{
	(void)state;
	assert_int_equal(segment_pass(&crc, segment->header_fd,
			     &segment->header, offsets[5]),
	    0);
	run(REDO_AGAIN);
	assert_there(0, 5);
}

static void
one_is_left_out(void **state)
{
	(void)state;
	left_out = offsets[3];
	assert_int_equal(run(REDO_AGAIN).count.damaged, 0);
	assert_there(3, 4);
}

/* All others are redone, and the caller hears of it. */
static void
one_cannot_be_redone(void **state)
{
	struct journal_owner o = owner_of(&owner);
	struct reader r = new_reader(&o, REDO_AGAIN);

	(void)state;
	owner_init(&owner);
	owner.refuses = 2;
	assert_int_equal(reader_range(&r, segment->fd, &segment->header,
			     RECORD_FIRST, SIZE),
	    -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(r.count.lost, 1);
	assert_there(2, 3);
}

static void
none_makes_sense(void **state)
{
	struct journal_owner o = owner_of(&owner);
	struct reader r = new_reader(&o, REDO_AGAIN);

	(void)state;
	owner_init(&owner);
	owner.makes_none = true;
	assert_int_equal(reader_range(&r, segment->fd, &segment->header,
			     RECORD_FIRST, SIZE),
	    0);
	assert_int_equal(r.count.damaged, RECORDS);
}

static void
stopped(void **state)
{
	struct journal_owner o = owner_of(&owner);
	struct reader r = new_reader(&o, REDO_AGAIN);
	const atomic_bool stop = true;

	(void)state;
	r.stop = &stop;
	assert_int_equal(read_all(&r), -1);
	assert_int_equal(errno, ECANCELED);
	assert_there(0, RECORDS);
}

/* Any octet of a record, its head or its body: that one alone is missing. */
static void
a_flipped_bit(void **state)
{
	uint64_t in[] = {0, 7, 8, 15, 16, 19, 20, 23, 24, 27, 28, 32, 39, 40,
	    60, 150, 400, 1000};
	struct reader r;

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		flip(offsets[4] + in[i]);
		r = run(REDO_AGAIN);
		/* without its nonce it is of another use; it is not the last */
		assert_int_equal(r.count.damaged, in[i] >= 8);
		assert_false(r.torn);
		assert_there(4, 5);
		flip(offsets[4] + in[i]);
	}
	assert_int_equal(run(REDO_AGAIN).count.damaged, 0);
	assert_there(0, 0);
}

static void
a_page_of_zeros(void **state)
{
	static const char zeros[4096];

	(void)state;
	assert_int_equal(pwrite(segment->fd, zeros, sizeof(zeros),
			     (off_t)offsets[7]),
	    sizeof(zeros));
	run(REDO_AGAIN);
	assert_there(7, 8);
}

/* The end of a commit never came to the disk; what is there is stale. */
static void
a_torn_tail(void **state)
{
	char stale[512];
	struct reader r;

	(void)state;
	memset(stale, 'x', sizeof(stale));
	assert_int_equal(pwrite(segment->fd, stale, sizeof(stale),
			     (off_t)offsets[RECORDS - 1] + 4096),
	    sizeof(stale));
	r = run(REDO_AGAIN);
	assert_int_equal(r.count.damaged, 0);
	assert_true(r.torn);
	assert_there(RECORDS - 1, RECORDS);
}

/* Records of others, or of ours at another place, prove nothing. */
static void
moved_records(void **state)
{
	char *all = malloc(SIZE);
	size_t n = (size_t)(offsets[5] - offsets[4]);

	(void)state;
	assert_int_equal(pread(segment->fd, all, SIZE, 0), SIZE);
	/* a copy of one in the place of the next */
	assert_int_equal(pwrite(segment->fd, all + offsets[4], n,
			     (off_t)offsets[5]),
	    (ssize_t)n);
	run(REDO_AGAIN);
	assert_there(5, 6);
	free(all);
}

static void
the_last_use_of_the_file(void **state)
{
	(void)state;
	assert_int_equal(segment_begin(segment), 0);
	owner_commit(segment, 99, 5000);
	assert_int_equal(run(REDO_AGAIN).count.damaged, 0);
	assert_int_equal(owner.again[99], 1);
	assert_there(0, RECORDS);
}

/*
 * A body that holds records, whole, aligned, and of the right offsets; the
 * record that it is in is damaged, so that all is searched.
 */
static void
forge(uint64_t first_nonce)
{
	struct buf good = {0}, body = {0}, bad = {0}, content = {0};
	struct segment_part part = {&good, {0}, segment->end};

	record_begin(&good, 1);
	owner_record(&bad, &content, 666, 100);
	for (unsigned i = 1; i <= 64; i++) {
		size_t n = i * 1024 - good.len - body.len;

		memset(buf_reserve(&body, n), 'x', n);
		body.len += n;
		record_seal(&crc, &bad, buf_span(&content), first_nonce + i,
		    segment->end + i * 1024);
		buf_append_span(&body, buf_span(&bad));
		buf_append_span(&body, buf_span(&content));
	}
	part.body = buf_span(&body);
	assert_int_equal(segment_commit(segment, &part, 1), 0);
	flip(segment->end + good.len);
	buf_free(&good);
	buf_free(&body);
	buf_free(&bad);
	buf_free(&content);
}

/* What a stranger cannot know is the nonce. */
static void
a_forged_record(void **state)
{
	(void)state;
	forge(0);
	run(REDO_AGAIN);
	assert_int_equal(owner.again[666], 0);
	assert_there(0, 0);
	forge(segment->header.nonce - 7);
	run(REDO_AGAIN);
	assert_int_equal(owner.again[666], 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(all_are_redone),
	    T(nothing_below_done),
	    T(one_is_left_out),
	    T(one_cannot_be_redone),
	    T(none_makes_sense),
	    T(stopped),
	    T(a_flipped_bit),
	    T(a_page_of_zeros),
	    T(a_torn_tail),
	    T(moved_records),
	    T(the_last_use_of_the_file),
	    T(a_forged_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
