/*
 * Contents: the octets that come out, wherever they lie; and what may end or
 * begin anew at each point, with a job under way or without.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate.h"
#include "mail/content.h"
#include "scratch.h"

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT_MAX  400000
#define STEPS     12 /* of a content that has all parts */

static struct loop loop;
static struct jobs *jobs;
static struct content *content;
static struct spool_content body;
static char text[TEXT_MAX];
static int mores;
static bool free_in_more;
static bool in_memory;

/* libc's is not asked: what it says depends on the file system. */
ssize_t
preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	assert_int_equal(flags, RWF_NOWAIT);
	if (in_memory)
		return preadv(fd, v, n, at);
	errno = EAGAIN;
	return -1;
}

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	for (size_t i = 0; i < TEXT_MAX; i++)
		text[i] = (char)(i % 251);
	mores = 0;
	free_in_more = in_memory = false;
	body = (struct spool_content){.fd = -1};
	if (loop_init(&loop))
		return -1;
	jobs = jobs_new(&loop, 1);
	return jobs ? 0 : -1;
}

static int
finish(void **state)
{
	content_free(&content);
	content_free(&content); /* NULL is nothing */
	jobs_free(&jobs);
	loop_free(&loop);
	if (body.fd >= 0)
		close(body.fd);
	return scratch_teardown(state);
}

static void
turn(void)
{
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static void
on_more(void *ctx)
{
	assert_ptr_equal(ctx, &mores);
	mores++;
	if (free_in_more)
		content_free(&content);
	loop_stop(&loop);
}

/* Until each job before this has come back. */
static void
settle(void)
{
	gate_close(jobs, &loop);
	gate_open();
	turn();
}

/*
 * The text in three parts, with this many octets of something else in front of
 * the file's. The message's own descriptor is closed at once.
 */
static size_t
begin(size_t top, size_t from, size_t filed, size_t tail)
{
	content_free(&content);
	assert_true(top + filed + tail <= TEXT_MAX);
	body = (struct spool_content){.fd = -1,
	    .tail = {text + top + filed, tail}};
	if (filed) {
		body.fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
		body.from = from;
		body.filed = from + filed;
		assert_int_equal(pwrite(body.fd, text + top, filed,
				     (off_t)from),
		    (ssize_t)filed);
	}
	content =
	    content_new(jobs, (struct span){text, top}, &body, on_more, &mores);
	if (filed)
		close(body.fd);
	body.fd = -1;
	return top + filed + tail;
}

/* The next piece, waited for. */
static enum content_step
next(struct span *out)
{
	enum content_step step = content_next(content, out);
	int before = mores;

	if (step != CONTENT_WAIT)
		return step;
	assert_int_equal(content_next(content, out), CONTENT_WAIT);
	turn();
	assert_int_equal(mores, before + 1);
	step = content_next(content, out);
	assert_int_not_equal(step, CONTENT_WAIT);
	return step;
}

static void
assert_whole(size_t n)
{
	size_t at = 0;
	struct span s;

	while (next(&s) == CONTENT_DATA) {
		assert_true(s.len > 0 && s.len <= CONTENT_BLOCK);
		assert_true(s.len <= n - at);
		assert_memory_equal(s.ptr, text + at, s.len);
		at += s.len;
	}
	assert_int_equal(at, n);
	assert_int_equal(content_error(content), 0);
	assert_int_equal(content_next(content, &s), CONTENT_END);
}

static void
test_splits(void **state)
{
	static const size_t tops[] = {0, 1, 70000};
	static const size_t files[] = {0, 1, CONTENT_BLOCK - 1, CONTENT_BLOCK,
	    CONTENT_BLOCK + 1, 2 * CONTENT_BLOCK + 5};
	static const size_t tails[] = {0, 1, 2 * CONTENT_BLOCK - 50000};

	(void)state;
	for (size_t i = 0; i < LENGTH(tops); i++)
		for (size_t k = 0; k < LENGTH(files); k++)
			for (size_t j = 0; j < LENGTH(tails); j++)
				for (size_t from = 0; from < 200; from += 123)
					assert_whole(begin(tops[i], from,
					    files[k], tails[j]));
}

static unsigned
descriptors(void)
{
	unsigned n = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* To its nth step; a read is then under way, perhaps done, perhaps not. */
static void
go(unsigned steps, bool wait)
{
	struct span s;

	while (steps--) {
		if (wait)
			next(&s);
		else
			content_next(content, &s);
	}
}

/* No call back, and the descriptor goes with the last job. */
static void
test_free_anywhere(void **state)
{
	unsigned before = descriptors();

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		begin(10, 3, 3 * CONTENT_BLOCK, 10);
		go(n, true);
		mores = 0;
		gate_close(jobs, NULL);
		go(1, false);
		content_free(&content);
		gate_open();
		settle();
		assert_null(content);
		assert_int_equal(mores, 0);
		assert_int_equal(descriptors(), before);
	}
}

static void
test_free_in_more(void **state)
{
	struct span s;

	(void)state;
	begin(0, 0, CONTENT_BLOCK + 1, 0);
	free_in_more = true;
	assert_int_equal(content_next(content, &s), CONTENT_WAIT);
	turn();
	assert_int_equal(mores, 1);
	assert_null(content);
	settle();
	assert_int_equal(mores, 1);
}

/* The threads end first: with the read not begun, and done, but not told. */
static void
test_jobs_first(void **state)
{
	struct span s;

	(void)state;
	for (int begun = 0; begun < 2; begun++) {
		if (!jobs)
			jobs = jobs_new(&loop, 1);
		begin(0, 0, CONTENT_BLOCK, 0);
		if (!begun)
			gate_close(jobs, NULL);
		assert_int_equal(content_next(content, &s), CONTENT_WAIT);
		gate_open();
		jobs_free(&jobs);
		content_free(&content);
		assert_int_equal(mores, 0);
	}
}

static void
test_rewind_anywhere(void **state)
{
	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		size_t size = begin(10, 3, 3 * CONTENT_BLOCK, 10);

		go(n, true);
		gate_close(jobs, NULL);
		go(1, false);
		content_rewind(content);
		gate_open();
		mores = 0;
		settle();
		assert_int_equal(mores, 0);
		assert_whole(size);
		content_rewind(content);
		assert_whole(size);
	}
}

/* What was given out before is right; then it is an error, and stays one. */
static void
test_short_file(void **state)
{
	(void)state;
	for (size_t n = 1; n <= CONTENT_BLOCK + 1; n += CONTENT_BLOCK / 2) {
		enum content_step step;
		size_t at = 0;
		struct span s;

		begin(5, 0, 2 * CONTENT_BLOCK, 5);
		assert_int_equal(truncate("file",
				     (off_t)(2 * CONTENT_BLOCK - n)),
		    0);
		while ((step = next(&s)) == CONTENT_DATA) {
			assert_memory_equal(s.ptr, text + at, s.len);
			at += s.len;
		}
		assert_int_equal(step, CONTENT_FAILED);
		assert_int_equal(content_error(content), EIO);
		assert_int_equal(content_next(content, &s), CONTENT_FAILED);
	}
}

static void
test_no_descriptor(void **state)
{
	struct span s;

	(void)state;
	body.filed = 1;
	content = content_new(jobs, SPAN_LIT("x"), &body, on_more, &mores);
	assert_int_equal(content_next(content, &s), CONTENT_FAILED);
	assert_int_equal(content_error(content), EBADF);
	assert_int_equal(jobs_pending(jobs), 0);
}

/* Never more than one block is read ahead, or read at once. */
static void
test_one_ahead(void **state)
{
	struct span s;

	(void)state;
	begin(0, 0, 3 * CONTENT_BLOCK, 0);
	assert_int_equal(next(&s), CONTENT_DATA);
	assert_int_equal(jobs_pending(jobs), 1);
	mores = 0;
	settle();
	assert_int_equal(mores, 0);
	assert_int_equal(jobs_pending(jobs), 0);
	/* it is there: nobody waits for it */
	assert_int_equal(content_next(content, &s), CONTENT_DATA);
	assert_memory_equal(s.ptr, text + CONTENT_BLOCK, s.len);
	assert_int_equal(jobs_pending(jobs), 1);
}

/* No thread is needed but for each fourth block, behind which others go on. */
static void
test_in_memory(void **state)
{
	size_t size = begin(10, 3, 5 * CONTENT_BLOCK + 1, 10);
	struct span s;

	(void)state;
	in_memory = true;
	assert_whole(size);
	content_rewind(content);
	assert_int_equal(next(&s), CONTENT_DATA);
	assert_int_equal(next(&s), CONTENT_DATA);
	assert_int_equal(jobs_pending(jobs), 0);
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(jobs_pending(jobs), 0);
		assert_int_equal(content_next(content, &s), CONTENT_DATA);
		assert_int_equal(s.len, CONTENT_BLOCK);
		assert_memory_equal(s.ptr, text + 10 + i * CONTENT_BLOCK,
		    s.len);
	}
	assert_int_equal(jobs_pending(jobs), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_splits),
	    T(test_free_anywhere),
	    T(test_free_in_more),
	    T(test_jobs_first),
	    T(test_rewind_anywhere),
	    T(test_short_file),
	    T(test_no_descriptor),
	    T(test_one_ahead),
	    T(test_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
