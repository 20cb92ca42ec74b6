/*
 * Files of a journal on a disk that fails: nothing is left of one that could
 * not be made, and a header that could not be written leaves the one before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "owner.h"
#include "scratch.h"
#define SYS_DISK 0
#include "sys.h"

#define SIZE (2 << 20)
#define MANY 400 /* records: more than one pwritev takes */

static struct crc32c crc;
static int dir;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	sys_reset();
	crc32c_init(&crc);
	scratch_mkdir("j");
	dir = open("j", O_RDONLY | O_DIRECTORY);
	return dir < 0;
}

static int
finish(void **state)
{
	sys_reset();
	close(dir);
	return scratch_teardown(state);
}

static struct segment *
create(void)
{
	return segment_create(&crc, OWNER_VERSION, dir, "1.log", SIZE);
}

static void
nothing_is_left(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
	} all[] = {{"openat", 1}, {"pwrite", 1}, {"pwrite", 2}, {"fsync", 1},
	    {"fsync", 2}, {"fstat", 1}, {"openat", 2}, {"fstat", 2}};

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sys_fail(all[i].call, all[i].nth, ENOSPC);
		assert_null(create());
		assert_true(sys_failed());
		/* what answers no fstat may be anything */
		assert_true(errno == ENOSPC || errno == EMEDIUMTYPE);
		assert_int_equal(scratch_count("j"), 0);
	}
}

/* It is not used: neither of its headers need be whole. */
static void
one_that_cannot_be_begun(void **state)
{
	struct segment *s = create();
	struct record_header h;

	(void)state;
	assert_int_equal(segment_begin(s), 0);
	owner_commit(s, 0, 100);
	for (unsigned i = 0; i < 3; i++) {
		sys_fail(i < 2 ? "pwrite" : "fdatasync", i < 2 ? i + 1 : 1,
		    EIO);
		assert_int_equal(segment_begin(s), -1);
		assert_int_equal(errno, EIO);
		assert_true(sys_failed());
	}
	assert_int_equal(segment_begin(s), 0);
	assert_int_equal(s->end, RECORD_FIRST);
	assert_true(segment_header(&crc, OWNER_VERSION, s->fd, &h));
	assert_int_equal(h.nonce, s->header.nonce);
	segment_free(&s);
}

static void
a_pass_that_fails_leaves_a_header(void **state)
{
	struct segment *s = create();
	struct record_header h;
	uint64_t first, second;

	(void)state;
	assert_int_equal(segment_begin(s), 0);
	first = owner_commit(s, 0, 100);
	second = owner_commit(s, 1, 100);
	assert_int_equal(segment_pass(&crc, s->header_fd, &s->header, first),
	    0);
	sys_fail("pwrite", 1, EIO);
	assert_int_equal(segment_pass(&crc, s->header_fd, &s->header, second),
	    -1);
	assert_true(segment_header(&crc, OWNER_VERSION, s->fd, &h));
	assert_int_equal(h.done, first);
	segment_free(&s);
}

static int
commit_many(struct segment *s, unsigned n)
{
	struct segment_part parts[MANY];
	struct buf records[MANY] = {{0}}, bodies[MANY] = {{0}};
	uint64_t at = s->end;
	int r;

	for (unsigned i = 0; i < n; i++) {
		owner_record(&records[i], &bodies[i], i, 700);
		parts[i] = (struct segment_part){&records[i],
		    buf_span(&bodies[i]), at};
		at = segment_next_record(at + records[i].len + bodies[i].len);
	}
	r = segment_commit(s, parts, n);
	for (unsigned i = 0; i < n; i++) {
		buf_free(&records[i]);
		buf_free(&bodies[i]);
	}
	return r;
}

static unsigned
readable(const struct segment *s)
{
	static char all[SIZE];
	struct record r;
	unsigned n = 0;

	assert_int_equal(pread(s->fd, all, SIZE, 0), SIZE);
	for (uint64_t at = RECORD_FIRST; at < SIZE; at += RECORD_ALIGN)
		n += record_decode(&crc, (struct span){all + at, SIZE - at},
		    s->header.nonce, at, &r);
	return n;
}

static void
more_than_one_call_takes(void **state)
{
	struct segment *s = create();

	(void)state;
	assert_int_equal(segment_begin(s), 0);
	assert_int_equal(commit_many(s, MANY), 0);
	assert_int_equal(readable(s), MANY);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(segment_begin(s), 0);
		sys_fail(i < 2 ? "pwritev" : "fdatasync", i < 2 ? i + 1 : 1,
		    EIO);
		assert_int_equal(commit_many(s, MANY), -1);
		assert_int_equal(errno, EIO);
		assert_true(sys_failed());
	}
	segment_free(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(nothing_is_left),
	    T(one_that_cannot_be_begun),
	    T(a_pass_that_fails_leaves_a_header),
	    T(more_than_one_call_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
