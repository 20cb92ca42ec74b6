/*
 * client_reply: each case whole, octet by octet and cut in two at every
 * place; what is said of it is always the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/client_reply.h"

/* What came of one input: the texts joined by '|', and what was left. */
struct seen {
	struct client_reply r;
	enum client_reply_step step;
	struct buf texts;
	size_t left;
};

static void
take_steps(struct seen *s, struct span *in)
{
	while ((s->step = client_reply_step(&s->r, in)) == CLIENT_REPLY_LINE) {
		if (s->r.lines > 1)
			buf_append(&s->texts, "|", 1);
		buf_append_span(&s->texts, s->r.line);
	}
}

/* The first n octets come first, then one by one, or all if step is 0. */
static void
feed(struct seen *s, struct span all, size_t n, size_t step)
{
	struct span in = {all.ptr, n};

	*s = (struct seen){0};
	take_steps(s, &in);
	while (n < all.len && s->step == CLIENT_REPLY_NEED_INPUT) {
		size_t more = step ? step : all.len - n;

		in.len += more;
		n += more;
		take_steps(s, &in);
	}
	s->left = in.len + all.len - n;
}

static void
assert_same(const struct seen *a, const struct seen *b)
{
	assert_int_equal(a->step, b->step);
	assert_true(span_equal(buf_span(&a->texts), buf_span(&b->texts)));
	if (a->step == CLIENT_REPLY_END)
		assert_int_equal(a->left, b->left);
	assert_int_equal(a->r.code, b->r.code);
	assert_int_equal(a->r.longest, b->r.longest);
	assert_int_equal(a->r.bare_lf, b->r.bare_lf);
	assert_true(a->r.broken == b->r.broken);
	assert_memory_equal(a->r.text, b->r.text, sizeof(a->r.text));
}

/* Freed with buf_free(&texts). */
static struct seen
read_all(struct span all)
{
	struct seen whole, other;

	feed(&whole, all, all.len, 0);
	feed(&other, all, 0, 1);
	assert_same(&whole, &other);
	buf_free(&other.texts);
	for (size_t n = 0; n < all.len && all.len < 4096; n++) {
		feed(&other, all, n, 0);
		assert_same(&whole, &other);
		buf_free(&other.texts);
	}
	return whole;
}

static void
assert_reply(struct span all, unsigned code, const char *texts, size_t left)
{
	struct seen s = read_all(all);

	assert_int_equal(s.step, CLIENT_REPLY_END);
	assert_int_equal(s.r.code, code);
	assert_true(span_equal(buf_span(&s.texts), span_str(texts)));
	assert_int_equal(s.left, left);
	buf_free(&s.texts);
}

static void
assert_broken(struct span all, const char *why)
{
	struct seen s = read_all(all);

	assert_int_equal(s.step, CLIENT_REPLY_BROKEN);
	assert_non_null(strstr(s.r.broken, why));
	assert_int_equal(client_reply_step(&s.r, &all), CLIENT_REPLY_BROKEN);
	buf_free(&s.texts);
}

static void
replies(void **state)
{
	(void)state;
	assert_reply(SPAN_LIT("220 mx.example.org ESMTP ready\r\n"), 220,
	    "mx.example.org ESMTP ready", 0);
	assert_reply(SPAN_LIT("250-mx\r\n250-SIZE 1\r\n250 STARTTLS\r\n"), 250,
	    "mx|SIZE 1|STARTTLS", 0);
	assert_reply(SPAN_LIT("354\r\n"), 354, "", 0);
	assert_reply(SPAN_LIT("221 \r\n"), 221, "", 0);
	assert_reply(SPAN_LIT("250-\r\n250\r\n"), 250, "|", 0);
	assert_reply(SPAN_LIT("599 a\rb\r\n"), 599, "a\rb", 0);
	/* what follows is the next reply's */
	assert_reply(SPAN_LIT("250 a\r\n250 b\r\n"), 250, "a", 7);
}

static void
a_bare_lf_ends_a_line_and_is_told(void **state)
{
	struct seen s;

	(void)state;
	assert_reply(SPAN_LIT("220-a\n220 b\n"), 220, "a|b", 0);
	s = read_all(SPAN_LIT("220-a\n220 b\r\n"));
	assert_true(s.r.bare_lf);
	buf_free(&s.texts);
	s = read_all(SPAN_LIT("220-a\r\n220 b\r\n"));
	assert_false(s.r.bare_lf);
	assert_int_equal(s.r.longest, 7);
	buf_free(&s.texts);
}

static void
what_is_no_reply(void **state)
{
	static const char *const no_code[] = {"\r\n", "22\r\n", "abc def\r\n",
	    "199 low\r\n", "600 high\r\n", "22x 0\r\n", "220\tx\r\n",
	    "2200 x\r\n", " 220 x\r\n", "220-a\r\nb\r\n", "220-a\r\n\r\n",
	    "HTTP/1.1 400 Bad Request", "SSH-2.0-x"};

	(void)state;
	for (size_t i = 0; i < sizeof(no_code) / sizeof(no_code[0]); i++)
		assert_broken(span_str(no_code[i]), "without a code");
	assert_broken(SPAN_LIT("220-a\r\n250 b\r\n"), "changes");
	assert_broken(SPAN_LIT("\0\0\0\0\0\0\0\0"), "without a code");
}

/* A TLS alert has seven octets: whoever asks can still look at them. */
static void
is_not_judged_too_early(void **state)
{
	struct client_reply r = {0};
	struct span in = {"\x15\x03\x01\0\x02\x02\x28", 7};

	(void)state;
	assert_int_equal(client_reply_step(&r, &in), CLIENT_REPLY_NEED_INPUT);
	assert_int_equal(in.len, 7);
}

/* head, then x up to n octets with CR LF. */
static void
long_line(struct buf *b, const char *head, size_t n)
{
	size_t begin = b->len;

	buf_append_str(b, head);
	while (b->len - begin < n - 2)
		buf_append(b, "x", 1);
	buf_append_str(b, "\r\n");
}

static void
long_lines_are_cut(void **state)
{
	(void)state;
	for (size_t n = 2046; n <= 2052; n++) {
		struct buf b = {0};
		struct seen s;

		long_line(&b, "220-", n);
		buf_append_str(&b, "220 end\r\n");
		s = read_all(buf_span(&b));
		assert_int_equal(s.step, CLIENT_REPLY_END);
		assert_int_equal(s.r.longest, n);
		assert_false(s.r.bare_lf);
		assert_int_equal(s.texts.len,
		    (n <= 2048 ? n - 6 : 2044) + strlen("|end"));
		assert_int_equal(s.r.text_len, 200);
		buf_free(&s.texts);
		b.data[n - 2] = 'x';
		s = read_all(buf_span(&b));
		assert_int_equal(s.step, CLIENT_REPLY_END);
		assert_true(s.r.bare_lf);
		buf_free(&s.texts);
		buf_free(&b);
	}
}

static void
too_much_is_broken(void **state)
{
	struct buf b = {0};
	struct seen s;

	(void)state;
	for (int i = 0; i < 99; i++)
		buf_append_str(&b, "220-x\r\n");
	buf_append_str(&b, "220 x\r\n");
	s = read_all(buf_span(&b));
	assert_int_equal(s.step, CLIENT_REPLY_END);
	buf_free(&s.texts);
	b.len -= 7;
	buf_append_str(&b, "220-x\r\n220 x\r\n");
	assert_broken(buf_span(&b), "too many lines");
	b.len = 0;
	long_line(&b, "220 ", 65536);
	s = read_all(buf_span(&b));
	assert_int_equal(s.step, CLIENT_REPLY_END);
	buf_free(&s.texts);
	b.len = 0;
	long_line(&b, "220 ", 65537);
	assert_broken(buf_span(&b), "too long");
	/* what breaks it first is said, also of what is near the end */
	for (size_t near = 65520; near <= 65540; near++) {
		b.len = 0;
		for (int i = 0; i < 31; i++)
			long_line(&b, "220-", 2048);
		long_line(&b, "220-", near - b.len);
		long_line(&b, "HTTP", 100);
		assert_broken(buf_span(&b),
		    near + 8 > 65537 ? "too long" : "without a code");
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replies),
	    cmocka_unit_test(a_bare_lf_ends_a_line_and_is_told),
	    cmocka_unit_test(what_is_no_reply),
	    cmocka_unit_test(is_not_judged_too_early),
	    cmocka_unit_test(long_lines_are_cut),
	    cmocka_unit_test(too_much_is_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
