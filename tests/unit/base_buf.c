/*
 * buf and span: growth, the edges, and what must abort.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static const struct span nothing = {NULL, 0};

static void
assert_holds(const struct buf *b, const char *want)
{
	assert_true(span_equal(buf_span(b), span_str(want)));
	assert_true(b->len <= b->cap);
}

static void
span_equal_counts_every_byte(void **state)
{
	(void)state;
	assert_true(span_equal(nothing, nothing));
	assert_true(span_equal(nothing, SPAN_LIT("")));
	assert_true(span_equal(SPAN_LIT("a\0b"), SPAN_LIT("a\0b")));
	assert_false(span_equal(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
	assert_false(span_equal(SPAN_LIT("a"), SPAN_LIT("a\0")));
	assert_false(span_equal(SPAN_LIT("a"), SPAN_LIT("A")));
	assert_false(span_equal(SPAN_LIT("ab"), SPAN_LIT("a")));
	assert_false(span_equal(nothing, SPAN_LIT("a")));
	assert_int_equal(span_str("").len, 0);
	assert_int_equal(span_str("abc").len, 3);
	assert_int_equal(SPAN_LIT("a\0b").len, 3);
}

static void
span_skip_to_the_end(void **state)
{
	struct span s = SPAN_LIT("abc");
	struct span empty = nothing;

	(void)state;
	span_skip(&s, 0);
	assert_true(span_equal(s, SPAN_LIT("abc")));
	span_skip(&s, 2);
	assert_true(span_equal(s, SPAN_LIT("c")));
	span_skip(&s, 1);
	assert_int_equal(s.len, 0);
	span_skip(&s, 0);
	span_skip(&empty, 0);
	assert_null(empty.ptr);
}

static void
zeroed_is_empty(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_append(&b, NULL, 0);
	buf_append_span(&b, nothing);
	buf_append_str(&b, "");
	buf_consume(&b, 0);
	assert_null(b.data);
	assert_int_equal(buf_span(&b).len, 0);
	buf_free(&b);
	buf_free(&b);
}

/* Appends of every size against the same bytes laid out by hand. */
static void
append_keeps_what_was_there(void **state)
{
	static char want[300 * 301 / 2];
	struct buf b = {0};
	size_t len = 0;

	(void)state;
	for (size_t n = 0; n <= 300; n++) {
		memset(want + len, (int)(n % 251), n);
		buf_append(&b, want + len, n);
		len += n;
		assert_int_equal(b.len, len);
		assert_true(b.cap >= b.len);
		assert_true(span_equal(buf_span(&b), (struct span){want, len}));
	}
	buf_free(&b);
	assert_null(b.data);
	assert_int_equal(b.len + b.cap, 0);
	buf_append_str(&b, "again");
	assert_holds(&b, "again");
	buf_free(&b);
}

/* Linear growth would make a long reply quadratic. */
static void
grows_by_doubling(void **state)
{
	struct buf b = {0};
	unsigned grown = 0;

	(void)state;
	for (size_t i = 0; i < 1 << 20; i++) {
		size_t cap = b.cap;

		buf_append(&b, "x", 1);
		grown += b.cap != cap;
	}
	assert_in_range(grown, 1, 20);
	assert_true(b.cap <= 2 << 20);
	buf_free(&b);
}

static void
reserve_gives_room_and_adds_nothing(void **state)
{
	struct buf b = {0};
	char *at;

	(void)state;
	buf_append_str(&b, "head");
	at = buf_reserve(&b, 5000);
	assert_int_equal(b.len, 4);
	assert_ptr_equal(at, b.data + 4);
	memset(at, 'x', 5000); /* AddressSanitizer watches */
	b.len += 5000;
	assert_memory_equal(b.data, "headxxx", 7);
	/* what fits is given without moving */
	b.len = 4;
	assert_ptr_equal(buf_reserve(&b, b.cap - 4), b.data + 4);
	assert_ptr_equal(buf_reserve(&b, 0), b.data + 4);
	buf_free(&b);
	assert_non_null(buf_reserve(&b, 0));
	buf_free(&b);
}

static void
consume_from_the_front(void **state)
{
	struct buf b = {0};
	size_t cap;

	(void)state;
	buf_append_str(&b, "0123456789");
	cap = b.cap;
	buf_consume(&b, 0);
	assert_holds(&b, "0123456789");
	buf_consume(&b, 3); /* the rest overlaps its old place */
	assert_holds(&b, "3456789");
	buf_append_str(&b, "ab");
	assert_holds(&b, "3456789ab");
	buf_consume(&b, 9);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.cap, cap);
	buf_append_str(&b, "c");
	assert_holds(&b, "c");
	buf_free(&b);
}

/* Around the first capacity and its doubles, where the NUL has no room. */
static void
printf_at_every_length(void **state)
{
	(void)state;
	for (int head = 0; head < 3; head++) {
		for (int n = 0; n < 300; n++) {
			struct buf b = {0};
			char want[400];

			buf_append(&b, "abc", (size_t)head);
			buf_printf(&b, "%0*d|%s", n, 7, "x\n");
			snprintf(want, sizeof(want), "%.*s%0*d|x\n", head,
			    "abc", n, 7);
			assert_holds(&b, want);
			buf_free(&b);
		}
	}
}

static void
printf_appends(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_printf(&b, "%s", "");
	assert_int_equal(b.len, 0);
	for (int i = 0; i < 50; i++)
		buf_printf(&b, "%d,", i % 10);
	buf_printf(&b, "%s%%", "%s");
	assert_int_equal(b.len, 103);
	assert_memory_equal(b.data, "0,1,2,3,4,5,6,7,8,9,0,", 22);
	assert_memory_equal(b.data + 98, "9,%s%", 5);
	buf_free(&b);
}

static void
numbers_append(void **state)
{
	static const uint64_t all[] = {0, 7, 10, 354, 999, 1000, UINT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (int width = 0; width <= 20; width++) {
			struct buf b = {0};
			char want[32];

			snprintf(want, sizeof(want), "%0*" PRIu64, width,
			    all[i]);
			buf_append_uint(&b, all[i], (unsigned)width);
			buf_append(&b, "", 1);
			assert_string_equal(b.data, want);
			buf_free(&b);
		}
}

static void
reserve_too_much(void)
{
	struct buf b = {0};

	buf_append_str(&b, "x");
	buf_reserve(&b, SIZE_MAX); /* 1 + SIZE_MAX is 0 */
}

/* What was consumed does not count any more, but is still there. */
static void
wipes_what_it_held(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_wipe(&b);
	buf_append_str(&b, "behind what an allocator writes: secret");
	buf_consume(&b, b.len);
	buf_wipe(&b);
	assert_null(b.data);
	buf_reserve(&b, 1); /* the same memory, most likely */
	assert_null(memmem(b.data, b.cap, "secret", strlen("secret")));
	buf_free(&b);
}

static void
consume_too_much(void)
{
	struct buf b = {0};

	buf_append_str(&b, "x");
	buf_consume(&b, 2);
}

static void
skip_too_much(void)
{
	struct span s = SPAN_LIT("x");

	span_skip(&s, 2);
}

static void
assert_aborts(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO); /* what assert says is expected */
		signal(SIGABRT, SIG_DFL);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void
broken_invariants_abort(void **state)
{
	(void)state;
	assert_aborts(reserve_too_much);
	assert_aborts(consume_too_much);
	assert_aborts(skip_too_much);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(span_equal_counts_every_byte),
	    cmocka_unit_test(span_skip_to_the_end),
	    cmocka_unit_test(zeroed_is_empty),
	    cmocka_unit_test(append_keeps_what_was_there),
	    cmocka_unit_test(grows_by_doubling),
	    cmocka_unit_test(reserve_gives_room_and_adds_nothing),
	    cmocka_unit_test(consume_from_the_front),
	    cmocka_unit_test(printf_at_every_length),
	    cmocka_unit_test(printf_appends),
	    cmocka_unit_test(numbers_append),
	    cmocka_unit_test(wipes_what_it_held),
	    cmocka_unit_test(broken_invariants_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
