/*
 * A spool whose front is replaced: what it holds then, in memory and in a file,
 * wherever the two meet; what the disk may do meanwhile; and who goes first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gate.h"
#include "mail/spool.h"
#include "scratch.h"
#include "sys.h"

/* --- copies that misbehave: this stands before libc's --- */

static struct {
	int error;       /* of every call, or 0 */
	size_t most;     /* octets that one call takes; 0: all */
	bool interrupt;  /* every other call is EINTR */
	bool ends;       /* the file is shorter than it was */
	unsigned allows; /* calls before any of these */
	unsigned calls;
} copies;

ssize_t
copy_file_range(int from, off_t *in, int to, off_t *out, size_t n, unsigned f)
{
	unsigned calls = copies.calls++;

	if (copies.error && calls >= copies.allows) {
		errno = copies.error;
		return -1;
	}
	if (copies.ends)
		return 0;
	if (copies.interrupt && calls % 2) {
		errno = EINTR;
		return -1;
	}
	if (copies.most && n > copies.most)
		n = copies.most;
	return syscall(SYS_copy_file_range, from, in, to, out, n, f);
}

static unsigned begun;

int
sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	(void)fd;
	(void)at;
	(void)n;
	(void)flags;
	begun++;
	return 0;
}

/* --- a loop with one thread, which a gate can hold up --- */

static struct loop loop;
static struct jobs *jobs;
static struct spool *spool;
static int dir;
static int readies, edits;
static size_t room;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	memset(&copies, 0, sizeof(copies));
	sys_reset();
	readies = edits = 0;
	room = SIZE_MAX;
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || loop_init(&loop))
		return -1;
	jobs = jobs_new(&loop, 1);
	return jobs ? 0 : -1;
}

static int
finish(void **state)
{
	sys_reset();
	spool_free(&spool);
	jobs_free(&jobs);
	loop_free(&loop);
	assert_int_equal(scratch_count("."), 0);
	close(dir);
	return scratch_teardown(state);
}

static void
turn(void)
{
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static void
on_call(void *ctx)
{
	++*(int *)ctx;
	loop_stop(&loop);
}

static void
on_room(void *ctx)
{
	(void)ctx;
}

/* Until every job before this has come back. */
static void
settle(void)
{
	gate_close(jobs, &loop);
	gate_open();
	turn();
}

static bool
has_room(void *ctx, size_t n)
{
	size_t *left = ctx;

	if (n > *left)
		return false;
	*left -= n;
	return true;
}

/* It has these octets, of which the first ones are in a file. */
static void
gather(struct span all, size_t filed, size_t memory)
{
	struct span parts[2] = {{all.ptr, filed}, all};

	span_skip(&parts[1], filed);
	spool_free(&spool);
	spool = spool_new(&(struct spool_options){.jobs = jobs,
	    .dirfd = dir,
	    .memory = memory,
	    .room = has_room,
	    .room_ctx = &room,
	    .edited = true});
	spool_on_room(spool, on_room, NULL);
	for (int i = 0; i < 2; i++) {
		while (parts[i].len) {
			struct span one = parts[i];

			one.len = one.len < 65536 ? one.len : 65536;
			spool_write(spool, one);
			span_skip(&parts[i], one.len);
			if (!i)
				settle();
		}
	}
	readies = 0;
	spool_finish(spool, on_call, &readies);
	if (!readies)
		turn();
	assert_int_equal(spool_error(spool), 0);
}

static int
edit(struct span ours, struct span header, size_t skip)
{
	edits = 0;
	spool_edit(spool, ours, header, skip, on_call, &edits);
	if (!edits)
		turn();
	assert_int_equal(edits, 1);
	return spool_error(spool);
}

static struct buf
content(size_t *from)
{
	struct spool_content c = spool_content(spool);
	struct buf all = {0};

	*from = c.from;
	assert_true(c.from <= c.filed);
	if (c.filed) {
		assert_int_equal(lseek(c.fd, 0, SEEK_END), (off_t)c.filed);
		assert_int_equal(pread(c.fd, buf_reserve(&all, c.filed),
				     c.filed, 0),
		    (ssize_t)c.filed);
		all.len = c.filed;
	}
	buf_append_span(&all, c.tail);
	return all;
}

/* With CRLF for LF, also behind the last line. */
static uint64_t
on_the_wire(struct span s)
{
	uint64_t wire = s.len;

	for (size_t i = 0; i < s.len; i++)
		wire += s.ptr[i] == '\n';
	return s.len && s.ptr[s.len - 1] != '\n' ? wire + 2 : wire;
}

/* What was gathered, with another front; ours only on top of a file. */
static void
assert_edited(struct span was, struct span ours, struct span header,
    size_t skip)
{
	struct buf want = {0}, is;
	struct span rest = was;
	size_t from;

	is = content(&from);
	span_skip(&rest, skip);
	if (spool_content(spool).fd >= 0)
		buf_append_span(&want, ours);
	assert_int_equal(from, want.len);
	buf_append_span(&want, header);
	buf_append_span(&want, rest);
	assert_true(span_equal(buf_span(&is), buf_span(&want)));
	buf_consume(&want, from);
	assert_int_equal(spool_wire(spool), on_the_wire(buf_span(&want)));
	buf_free(&want);
	buf_free(&is);
}

#define OURS   SPAN_LIT("Return-Path: <>\nReceived: x\n\ty\n")
#define HEADER SPAN_LIT("A: 2\nX: 1\n y\n")

static void
check(struct span was, struct span ours, struct span header, size_t skip)
{
	assert_int_equal(edit(ours, header, skip), 0);
	assert_edited(was, ours, header, skip);
}

/*
 * Bodies of every kind, cut by the file's end in every place, and everything up
 * to any octet replaced.
 */
static void
test_cuts(void **state)
{
	static const char *const bodies[] = {"", "\n", "\n x", "x", "A: 1\n",
	    "A: 1\n\nbody\n\n", "A: 1\nB: 2\nbody", "\n\n"};
	static const struct span none = {NULL, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct span b = span_str(bodies[i]);

		for (size_t filed = 0; filed <= b.len; filed++) {
			for (size_t skip = 0; skip <= b.len; skip++) {
				gather(b, filed, filed ? 0 : 4096);
				check(b, OURS, HEADER, skip);
				gather(b, filed, filed ? 0 : 4096);
				check(b, none, HEADER, skip);
				gather(b, filed, filed ? 0 : 4096);
				check(b, OURS, none, skip);
			}
		}
	}
}

/* In memory as long as it may be there, with its lines. */
static void
test_memory_border(void **state)
{
	const size_t skip = 4, memory = 100;
	char body[104] = "A: 1\n\nbody";

	(void)state;
	memset(body + 10, 'y', sizeof(body) - 10);
	for (size_t n = memory - 20; n <= memory; n++) {
		struct span b = {body, n};
		bool fits = n - skip + HEADER.len <= memory;

		gather(b, 0, memory);
		check(b, OURS, HEADER, skip);
		assert_int_equal(spool_content(spool).fd < 0, fits);
		assert_int_equal(spool_content(spool).tail.len,
		    n - skip + (fits ? HEADER.len : 0));
	}
}

static char *
make_text(size_t n)
{
	char *text = malloc(n);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 23);
	return text;
}

/* Around what is read at once, and where file and tail meet. */
static void
test_sizes(void **state)
{
	static const size_t skips[] = {0, 1, 60, 61, 65535, 65536, 65537,
	    131071, 131072, 131073, 196607, 196608, 262144};
	const size_t n = 300000;
	char *text = make_text(n);

	(void)state;
	for (size_t i = 0; i < sizeof(skips) / sizeof(skips[0]); i++) {
		for (size_t filed = 131071; filed <= 131073; filed++) {
			struct span b = {text, n};

			gather(b, filed, 65536);
			check(b, OURS, HEADER, skips[i]);
		}
	}
	free(text);
}

/* Once more, on what came of it: a file is replaced as often as need be. */
static void
test_again(void **state)
{
	char *text = make_text(200000);
	struct span b = {text, 200000};
	struct buf all = {0};

	(void)state;
	gather(b, 131072, 65536);
	check(b, OURS, HEADER, 100000);
	buf_append_span(&all, HEADER);
	span_skip(&b, 100000);
	buf_append_span(&all, b);
	check(buf_span(&all), SPAN_LIT("Z: 1\n"), SPAN_LIT("B: 1\n"), 5);
	buf_free(&all);
	free(text);
}

static void
run_copy(void)
{
	char *text = make_text(3000000);
	struct span b = {text, 3000000};

	copies.calls = 0;
	gather(b, 2900000, 65536);
	check(b, OURS, HEADER, 70000);
	assert_true(copies.calls > 0);
	free(text);
}

/* Where the kernel cannot copy, or stops in the middle, we do. */
static void
test_copies(void **state)
{
	static const int errors[] = {EXDEV, ENOSYS, EOPNOTSUPP, EINVAL};

	(void)state;
	run_copy();
	assert_int_equal(begun, 0); /* that would be for nothing */
	copies.most = 100000;
	copies.interrupt = true;
	run_copy();
	assert_true(copies.calls > 50);
	for (size_t i = 0; i < 4; i++) {
		copies.error = errors[i];
		copies.allows = 0;
		run_copy();
		assert_int_equal(copies.calls, 1);
		copies.allows = 3;
		run_copy();
		assert_int_equal(copies.calls, 4);
	}
}

/* --- errors --- */

static void
run_error(int error)
{
	char *text = make_text(300000);

	copies.calls = 0;
	assert_int_equal(edit(OURS, HEADER, 70000), error);
	free(text);
	/* and it stays so */
	sys_reset();
	assert_int_equal(edit(OURS, HEADER, 0), error);
}

static void
test_errors(void **state)
{
	static const struct {
		const char *name;
		unsigned nth;
		int error;
	} rows[] = {
	    {"openat", 1, EMFILE},
	    {"pread", 1, EIO}, /* what is skipped */
	    {"pread", 2, EIO},
	    {"pwrite", 1, ENOSPC},
	};
	char *text = make_text(300000);
	struct span b = {text, 300000};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gather(b, 200000, 65536);
		sys_fail(rows[i].name, rows[i].nth, rows[i].error);
		run_error(rows[i].error);
	}
	gather(b, 200000, 65536);
	copies.error = EDQUOT;
	run_error(EDQUOT);
	copies.error = 0;
	copies.ends = true;
	gather(b, 200000, 65536);
	run_error(EIO);
	/* where it is copied by hand */
	copies.ends = false;
	copies.error = EXDEV;
	gather(b, 200000, 65536);
	sys_fail("pwrite", 3, ENOSPC);
	run_error(ENOSPC);
	free(text);
}

/* FAULT A5: a new file asks for its own room, as each block does. */
static void
test_no_room(void **state)
{
	char *text = make_text(200000);
	struct span b = {text, 200000};

	(void)state;
	for (int enough = 0; enough < 2; enough++) {
		room = SIZE_MAX;
		gather(b, 131072, 65536);
		room = OURS.len + HEADER.len - 61 - !enough;
		room += spool_content(spool).filed;
		assert_int_equal(edit(OURS, HEADER, 61), enough ? 0 : ENOSPC);
		/* in memory none is asked for */
		room = 0;
		gather(SPAN_LIT("x"), 0, 4096);
		assert_int_equal(edit(OURS, HEADER, 0), 0);
		gather(SPAN_LIT("x"), 0, 10);
		assert_int_equal(edit(OURS, HEADER, 0), ENOSPC);
	}
	free(text);
}

/* --- who goes first --- */

static void
begin_edit(void)
{
	static char text[200000];

	memset(text, 'x', sizeof(text));
	gather((struct span){text, sizeof(text)}, 131072, 65536);
	gate_close(jobs, NULL);
	edits = 0;
	spool_edit(spool, OURS, HEADER, 1000, on_call, &edits);
	assert_int_equal(edits, 0);
}

static void
test_freed_meanwhile(void **state)
{
	(void)state;
	begin_edit();
	spool_free(&spool);
	assert_null(spool);
	gate_open();
	settle();
	assert_int_equal(edits, 0);
	/* and with the jobs themselves, before or after */
	for (int after = 0; after < 2; after++) {
		if (!jobs)
			jobs = jobs_new(&loop, 1);
		begin_edit();
		if (!after)
			spool_free(&spool);
		gate_open();
		jobs_free(&jobs);
		spool_free(&spool);
	}
	assert_int_equal(edits, 0);
}

static void
free_in_callback(void *ctx)
{
	(void)ctx;
	spool_free(&spool);
	loop_stop(&loop);
}

static void
test_freed_in_callback(void **state)
{
	(void)state;
	gather(SPAN_LIT("x"), 1, 0);
	spool_edit(spool, OURS, HEADER, 0, free_in_callback, NULL);
	turn();
	assert_null(spool);
	gather(SPAN_LIT("x"), 0, 4096);
	spool_edit(spool, OURS, HEADER, 0, free_in_callback, NULL);
	assert_null(spool);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_cuts),
	    T(test_memory_border),
	    T(test_sizes),
	    T(test_again),
	    T(test_copies),
	    T(test_errors),
	    T(test_no_room),
	    T(test_freed_meanwhile),
	    T(test_freed_in_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
