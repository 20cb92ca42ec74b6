/*
 * Spools: the octets that come out, however they were cut going in and
 * however the disk takes them; errors; and how much waits in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate.h"
#include "mail/spool.h"
#include "scratch.h"

/* --- a disk that misbehaves: these stand before libc's --- */

static struct {
	int fail;         /* errno of every write from fail_at on; 0: none */
	unsigned fail_at; /* write calls that still succeed */
	size_t most;      /* octets that one call takes; 0: all */
	bool interrupt;   /* every other call is EINTR */
	int no_tmpfile;   /* errno of a file without a name, or 0 */
	int open_error;
	unsigned calls;
} disk;

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	disk.calls++;
	if (disk.interrupt && disk.calls % 2) {
		errno = EINTR;
		return -1;
	}
	if (disk.fail && disk.calls > disk.fail_at) {
		errno = disk.fail;
		return -1;
	}
	if (disk.most && n > disk.most)
		n = disk.most;
	return syscall(SYS_pwrite64, fd, data, n, at);
}

int
openat(int dir, const char *path, int flags, ...)
{
	if (disk.open_error)
		errno = disk.open_error;
	else if (disk.no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE)
		errno = disk.no_tmpfile;
	else
		return (int)syscall(SYS_openat, dir, path, flags, 0600);
	return -1;
}

/* --- a loop with one thread, which a gate can hold up --- */

static struct loop loop;
static struct jobs *jobs;
static struct spool *spool;
static int dir;
static int rooms, readies;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	memset(&disk, 0, sizeof(disk));
	rooms = readies = 0;
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || loop_init(&loop))
		return -1;
	jobs = jobs_new(&loop, 1);
	return jobs ? 0 : -1;
}

static int
finish(void **state)
{
	spool_free(&spool);
	spool_free(&spool); /* NULL is nothing */
	jobs_free(&jobs);
	loop_free(&loop);
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
on_room(void *ctx)
{
	assert_ptr_equal(ctx, &rooms);
	rooms++;
	loop_stop(&loop);
}

static void
on_ready(void *ctx)
{
	assert_ptr_equal(ctx, &readies);
	readies++;
	loop_stop(&loop);
}

/* Until every job before this has come back. */
static void
settle(void)
{
	gate_close(jobs, &loop);
	gate_open();
	turn();
}

static void
begin(void)
{
	spool_free(&spool);
	spool = spool_new(&(struct spool_options){.jobs = jobs,
	    .dirfd = dir,
	    .memory = SPOOL_MEMORY});
	spool_on_room(spool, on_room, &rooms);
}

static void
put(const char *data, size_t n)
{
	int before = rooms;

	if (spool_write(spool, (struct span){data, n}))
		return;
	turn();
	assert_int_equal(rooms, before + 1);
}

static void
end(void)
{
	readies = 0;
	spool_finish(spool, on_ready, &readies);
	if (!readies)
		turn();
	assert_int_equal(readies, 1);
}

/* With CRLF for LF, also behind the last line. */
static size_t
on_the_wire(const char *p, size_t n)
{
	size_t wire = n;

	for (size_t i = 0; i < n; i++)
		wire += p[i] == '\n';
	return n && p[n - 1] != '\n' ? wire + 2 : wire;
}

static void
assert_content(const char *expected, size_t n)
{
	struct spool_content c = spool_content(spool);
	struct buf got = {0};

	assert_int_equal(spool_error(spool), 0);
	assert_int_equal(c.from, 0);
	assert_int_equal(c.filed + c.tail.len, n);
	assert_int_equal(c.fd < 0, c.filed == 0);
	assert_int_equal(spool_wire(spool), on_the_wire(expected, n));
	if (c.filed) {
		assert_int_equal(pread(c.fd, buf_reserve(&got, c.filed),
				     c.filed, 0),
		    (ssize_t)c.filed);
		got.len += c.filed;
		assert_int_equal(lseek(c.fd, 0, SEEK_END), (off_t)c.filed);
	}
	buf_append_span(&got, c.tail);
	assert_true(span_equal(buf_span(&got), (struct span){expected, n}));
	buf_free(&got);
}

/* CRLF to LF in the plainest way; then a blank in front gets a line. */
static size_t
convert(const char *in, size_t n, char *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (in[i] == '\r' && i + 1 < n && in[i + 1] == '\n')
			continue;
		out[k++] = in[i];
	}
	if (k && (out[0] == ' ' || out[0] == '\t' || out[0] == '\r')) {
		memmove(out + 1, out, k++);
		out[0] = '\n';
	}
	return k;
}

/* All of it, cut in every two places. */
static void
cut_everywhere(const char *in, size_t n)
{
	char out[8];
	size_t want = convert(in, n, out);

	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			begin();
			put(in, a);
			put(in + a, b - a);
			put(in + b, n - b);
			end();
			assert_content(out, want);
		}
	}
}

/*
 * Every text of up to six of these octets.
 * FAULT C2: our header ends where the body begins, however it begins.
 * FAULT C13: a bare LF is a line end, a bare CR an octet, in every cutting.
 */
static void
test_cuts(void **state)
{
	static const char octets[] = "a\r\n ";
	unsigned texts = 1;
	char in[6];

	(void)state;
	for (size_t n = 0; n <= sizeof(in); n++, texts *= 4) {
		for (unsigned t = 0; t < texts; t++) {
			unsigned rest = t;

			for (size_t i = 0; i < n; i++, rest /= 4)
				in[i] = octets[rest % 4];
			cut_everywhere(in, n);
		}
	}
}

static void
test_empty(void **state)
{
	(void)state;
	begin();
	end();
	assert_content("", 0);
	begin();
	put("", 0);
	put("\r", 1);
	put("", 0);
	end();
	assert_content("\n\r", 2);
	begin();
	put("\tx", 2);
	end();
	assert_content("\n\tx", 3);
}

/* Text with every kind of line end, and a NUL. */
static char *
make_text(size_t n)
{
	char *text = malloc(n);
	uint64_t x = 88172645463325252;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		text[i] = x % 19 == 0                         ? '\r'
			  : x % 17 == 0                       ? '\n'
			  : i && text[i - 1] == '\r' && x % 2 ? '\n'
							      : (char)(x >> 24);
	}
	return text;
}

/* A body of n octets in pieces of up to most, checked whole. */
static void
run_body(size_t n, size_t most)
{
	char *text = make_text(n), *want = malloc(n + 1);
	size_t at = 0, piece, size;

	assert_non_null(want);
	size = convert(text, n, want);
	begin();
	for (unsigned i = 0; at < n; i++, at += piece) {
		piece = 1 + (i * 7919u) % most;
		if (piece > n - at)
			piece = n - at;
		put(text + at, piece);
	}
	end();
	assert_content(want, size);
	free(text);
	free(want);
}

static void
test_large(void **state)
{
	(void)state;
	run_body(3000000, 65536);
	run_body(300000, 700);
}

static void
test_memory_border(void **state)
{
	char *text = calloc(1, SPOOL_MEMORY + 1);

	(void)state;
	assert_non_null(text);
	begin();
	put(text, SPOOL_MEMORY);
	end();
	assert_content(text, SPOOL_MEMORY);
	assert_int_equal(spool_content(spool).fd, -1);
	begin();
	put(text, SPOOL_MEMORY);
	put(text, 1);
	end();
	assert_content(text, SPOOL_MEMORY + 1);
	assert_true(spool_content(spool).fd >= 0);
	free(text);
}

/* The file has no name, and nobody else may read it. */
static void
check_unnamed(void)
{
	struct stat st;

	run_body(200000, 65536);
	assert_int_equal(fstat(spool_content(spool).fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(scratch_count("."), 0);
}

static void
test_unnamed(void **state)
{
	(void)state;
	check_unnamed();
	disk.no_tmpfile = EOPNOTSUPP;
	check_unnamed();
	disk.no_tmpfile = EISDIR; /* an old kernel's */
	check_unnamed();
}

static void
test_partial_writes(void **state)
{
	(void)state;
	disk.most = 1000;
	disk.interrupt = true;
	run_body(300000, 65536);
}

static void
feed(size_t n)
{
	static const char zeros[65536];

	for (size_t piece; n; n -= piece) {
		piece = n < sizeof(zeros) ? n : sizeof(zeros);
		put(zeros, piece);
	}
}

static void
test_errors(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 5; at++) {
		memset(&disk, 0, sizeof(disk));
		disk.fail = ENOSPC;
		disk.fail_at = at;
		disk.most = 50000; /* in the middle of a block as well */
		begin();
		feed(1000000);
		end();
		assert_int_equal(spool_error(spool), ENOSPC);
		/* what came after it was dropped */
		assert_true(disk.calls <= at + 1);
	}
}

/* The first error stays, and the last block's is not missed. */
static void
test_error_at_the_end(void **state)
{
	(void)state;
	disk.fail = EDQUOT;
	gate_close(jobs, NULL);
	begin();
	assert_true(spool_write(spool, SPAN_LIT("x")));
	spool_write(spool, (struct span){(const char[65536]){0}, 65536});
	spool_finish(spool, on_ready, &readies);
	assert_int_equal(readies, 0);
	gate_open();
	turn();
	assert_int_equal(readies, 1);
	assert_int_equal(spool_error(spool), EDQUOT);
	assert_int_equal(rooms, 0);
}

/* What has gathered when the body is complete is the tail, of any size. */
static void
test_finish_while_writing(void **state)
{
	char *text = malloc(SPOOL_MEMORY + 60000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < SPOOL_MEMORY + 60000; i++)
		text[i] = (char)('a' + i % 23);
	gate_close(jobs, NULL);
	begin();
	assert_true(spool_write(spool, (struct span){text, SPOOL_MEMORY}));
	assert_true(spool_write(spool, (struct span){text + SPOOL_MEMORY, 1}));
	assert_true(
	    spool_write(spool, (struct span){text + SPOOL_MEMORY + 1, 59999}));
	spool_finish(spool, on_ready, &readies);
	assert_int_equal(readies, 0);
	gate_open();
	turn();
	assert_int_equal(readies, 1);
	assert_content(text, SPOOL_MEMORY + 60000);
	assert_int_equal(spool_content(spool).tail.len, 59999);
	assert_int_equal(disk.calls, 1);
	free(text);
}

static void
test_open_error(void **state)
{
	(void)state;
	disk.open_error = EMFILE;
	begin();
	feed(300000);
	end();
	assert_int_equal(spool_error(spool), EMFILE);
}

/* A disk that stands still: a bounded amount is taken, then none. */
static void
test_back_pressure(void **state)
{
	static const char block[4096];
	size_t taken = 0;

	(void)state;
	gate_close(jobs, NULL);
	begin();
	do
		taken += sizeof(block);
	while (spool_write(spool, (struct span){block, sizeof(block)}));
	assert_true(taken > SPOOL_MEMORY);
	assert_true(taken <= 3 * SPOOL_MEMORY);
	assert_int_equal(rooms, 0);
	gate_open();
	turn();
	assert_int_equal(rooms, 1);
	settle();
	assert_int_equal(rooms, 1);
	end();
	assert_int_equal(spool_content(spool).filed +
			     spool_content(spool).tail.len,
	    taken);
}

/* When the whole disk is slow, a spool takes no more than it is writing. */
static void
test_pressure(void **state)
{
	static const char block[4096];
	size_t taken = 0;

	(void)state;
	for (int i = 0; i < 70; i++)
		gate_close(jobs, NULL);
	begin();
	do
		taken += sizeof(block);
	while (spool_write(spool, (struct span){block, sizeof(block)}));
	assert_int_equal(taken, SPOOL_MEMORY + sizeof(block));
	for (int i = 0; i < 70; i++)
		gate_open();
	turn();
	assert_int_equal(rooms, 1);
	end();
	assert_int_equal(spool_content(spool).filed +
			     spool_content(spool).tail.len,
	    taken);
}

static size_t room_left;

static bool
has_room(void *ctx, size_t n)
{
	assert_ptr_equal(ctx, &room_left);
	if (n > room_left)
		return false;
	room_left -= n;
	return true;
}

/* FAULT A5: each block asks for its own room; without it is ENOSPC. */
static void
test_no_room(void **state)
{
	(void)state;
	for (size_t room = 0; room <= 400000; room += 100000) {
		memset(&disk, 0, sizeof(disk));
		room_left = room;
		spool_free(&spool);
		spool = spool_new(&(struct spool_options){.jobs = jobs,
		    .dirfd = dir,
		    .memory = SPOOL_MEMORY,
		    .room = has_room,
		    .room_ctx = &room_left});
		spool_on_room(spool, on_room, &rooms);
		feed(300000);
		end();
		assert_int_equal(spool_error(spool),
		    room < 300000 ? ENOSPC : 0);
		if (!room)
			assert_int_equal(disk.calls, 0);
	}
}

static void
put_head(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when)
{
	assert_null(e);
	assert_string_equal(hostname, "mx.example.org");
	assert_int_equal(when, 7);
	buf_append_str(out, "Lines:\n");
}

/* Lines of ours are on top of a file, once, and of a file only. */
static void
test_head(void **state)
{
	(void)state;
	for (size_t n = 100; n <= 1000000; n *= 100) {
		struct spool_content c;
		struct buf all = {0};

		spool_free(&spool);
		spool = spool_new(&(struct spool_options){.jobs = jobs,
		    .dirfd = dir,
		    .memory = SPOOL_MEMORY,
		    .when = 7,
		    .head = put_head,
		    .hostname = "mx.example.org"});
		assert_int_equal(spool_when(spool), 7);
		spool_on_room(spool, on_room, &rooms);
		feed(n - 1);
		put("x", 1);
		end();
		c = spool_content(spool);
		assert_int_equal(c.from, n > SPOOL_MEMORY ? 7 : 0);
		if (c.filed)
			assert_int_equal(pread(c.fd, buf_reserve(&all, c.filed),
					     c.filed, 0),
			    c.filed);
		all.len = c.filed;
		buf_append_span(&all, c.tail);
		assert_int_equal(all.len, c.from + n);
		assert_memory_equal(all.data, "Lines:\n", c.from);
		assert_int_equal(all.data[c.from], '\0');
		assert_int_equal(all.data[all.len - 1], 'x');
		buf_free(&all);
	}
}

/* The client goes away while its block is on the way to the disk. */
static void
test_free_while_writing(void **state)
{
	(void)state;
	gate_close(jobs, NULL);
	begin();
	feed(SPOOL_MEMORY);
	assert_true(spool_write(spool, SPAN_LIT("xx")));
	spool_free(&spool);
	assert_null(spool);
	gate_open();
	settle();
	assert_int_equal(disk.calls, 1);
	assert_int_equal(rooms, 0);
	/* and with the jobs themselves, before or after */
	for (int after = 0; after < 2; after++) {
		if (!jobs)
			jobs = jobs_new(&loop, 1);
		gate_close(jobs, NULL);
		begin();
		feed(SPOOL_MEMORY);
		assert_true(spool_write(spool, SPAN_LIT("xx")));
		if (!after)
			spool_free(&spool);
		gate_open();
		jobs_free(&jobs);
		spool_free(&spool);
	}
	assert_int_equal(rooms, 0);
}

static void
free_in_callback(void *ctx)
{
	(void)ctx;
	spool_free(&spool);
	loop_stop(&loop);
}

static void
test_free_in_callbacks(void **state)
{
	(void)state;
	gate_close(jobs, NULL);
	begin();
	spool_on_room(spool, free_in_callback, NULL);
	while (spool_write(spool, (struct span){(const char[65536]){0}, 65536}))
		;
	gate_open();
	turn();
	assert_null(spool);
	begin();
	put((const char[65536]){0}, 65536);
	put("xx", 2);
	spool_finish(spool, free_in_callback, NULL);
	turn();
	assert_null(spool);
	begin();
	spool_finish(spool, free_in_callback, NULL);
	assert_null(spool);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_cuts),
	    T(test_empty),
	    T(test_large),
	    T(test_memory_border),
	    T(test_unnamed),
	    T(test_partial_writes),
	    T(test_errors),
	    T(test_error_at_the_end),
	    T(test_finish_while_writing),
	    T(test_open_error),
	    T(test_back_pressure),
	    T(test_pressure),
	    T(test_no_room),
	    T(test_head),
	    T(test_free_while_writing),
	    T(test_free_in_callbacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
