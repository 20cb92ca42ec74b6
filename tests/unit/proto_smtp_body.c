/*
 * The dot automaton against a model that looks at the whole message at once,
 * for every string over the octets that matter and every way to cut it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/smtp_body.h"

struct result {
	char content[64];
	size_t len;
	bool ended;
	size_t rest; /* octets behind the end */
	bool bare;
};

/* The rule, said in the plainest way: split at CRLF, look at each line. */
static struct result
model(const char *s, size_t n)
{
	struct result r = {.rest = n};
	size_t i = 0;

	for (;;) {
		size_t end = i;

		while (end + 1 < n && !(s[end] == '\r' && s[end + 1] == '\n'))
			end++;
		if (end + 1 >= n)
			return r; /* no more whole line */
		if (end - i == 1 && s[i] == '.') {
			r.ended = true;
			r.rest = n - end - 2;
			return r;
		}
		if (s[i] == '.')
			i++;
		memcpy(r.content + r.len, s + i, end + 2 - i);
		r.len += end + 2 - i;
		for (; i < end; i++)
			if (s[i] == '\r' || s[i] == '\n')
				r.bare = true;
		i = end + 2;
	}
}

/* Feeds one piece; a heap copy of its size, so that ASan sees every slip. */
static void
feed(struct smtp_body *b, const char *s, size_t n, struct result *r)
{
	char *copy = malloc(n ? n : 1);
	struct span in = {copy, n}, out;
	enum smtp_body_step step;

	memcpy(copy, s, n);
	while ((step = smtp_body_dot(b, &in, &out)) == SMTP_BODY_SPAN) {
		assert_true(out.len > 0);
		assert_true(r->len + out.len <= sizeof(r->content));
		memcpy(r->content + r->len, out.ptr, out.len);
		r->len += out.len;
	}
	assert_int_equal(out.len, 0);
	r->ended = step == SMTP_BODY_END;
	r->rest = in.len;
	if (step == SMTP_BODY_MORE)
		assert_int_equal(in.len, 0);
	free(copy);
}

/* Cuts where the bits of `cuts` say. */
static struct result
automaton(const char *s, size_t n, unsigned cuts, struct smtp_body *b)
{
	struct result r = {.len = 0};
	size_t from = 0;

	smtp_body_init(b, 0);
	for (size_t i = 1; i <= n; i++) {
		if (i < n && !(cuts & (1u << (i - 1))))
			continue;
		feed(b, s + from, i - from, &r);
		if (r.ended) {
			r.rest += n - i;
			break;
		}
		from = i;
	}
	r.bare = b->bare;
	return r;
}

static void
check(const char *s, size_t n)
{
	struct result want = model(s, n);

	for (unsigned cuts = 0; cuts < (1u << (n - 1)); cuts++) {
		struct smtp_body b;
		struct result got = automaton(s, n, cuts, &b);

		assert_int_equal(got.ended, want.ended);
		if (!want.ended)
			continue; /* content is compared when it is whole */
		assert_int_equal(got.rest, want.rest);
		assert_int_equal(got.len, want.len);
		assert_memory_equal(got.content, want.content, want.len);
		assert_int_equal(got.bare, want.bare);
	}
}

static void
every_short_message(void **state)
{
	static const char octets[] = {'\r', '\n', '.', 'x'};
	char s[16];

	(void)state;
	for (size_t n = 1; n <= 5; n++) {
		for (unsigned v = 0; v < (1u << (2 * n)); v++) {
			for (size_t i = 0; i < n; i++)
				s[i] = octets[(v >> (2 * i)) & 3];
			check(s, n);
			/* and with an end behind it */
			memcpy(s + n, "\r\n.\r\n", 5);
			check(s, n + 5);
		}
	}
}

static void
ends_only_at_crlf_dot_crlf(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} no[] = {
	    {"a\n.\n", 4},
	    {"a\n.\r\n", 5},
	    {"a\r\n.\n", 5},
	    {"a\r.\r", 4},
	    {"a\r\n.\r", 5},
	    {"a\r\r\n.\r\r\n", 8},
	    {"a\r\n\0.\r\n", 7},
	    {"a\r\n.\0\r\n", 7},
	    {"a\r\n.\r\0\n", 7},
	    {"a\r\0\n.\r\n", 7},
	    {"a\r\n..\r\n", 7},
	    {"a\r\n. \r\n", 7},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		for (unsigned c = 0; c < (1u << (no[i].len - 1)); c++) {
			struct smtp_body b;

			assert_false(
			    automaton(no[i].text, no[i].len, c, &b).ended);
		}
	}
}

static void
line_limit(void **state)
{
	enum { MAX = 100 };
	char s[MAX + 8];

	(void)state;
	for (size_t n = MAX - 2; n <= MAX + 2; n++) {
		memset(s, 'x', n);
		memcpy(s + n, "\r\n.\r\n", 5);
		for (size_t piece = 1; piece <= n + 5; piece++) {
			struct smtp_body b;
			struct span out;

			smtp_body_init(&b, MAX);
			for (size_t i = 0; i < n + 5; i += piece) {
				size_t left = n + 5 - i;
				struct span in = {s + i,
				    left < piece ? left : piece};

				while (smtp_body_dot(&b, &in, &out) ==
				       SMTP_BODY_SPAN)
					;
			}
			assert_int_equal(b.overlong, n > MAX);
			assert_false(b.long_line);
		}
	}
}

/* RFC 5321 4.5.3.1.6: 1,000 octets with CRLF are in order. */
static void
long_line_quirk(void **state)
{
	char s[1100];

	(void)state;
	for (size_t n = 997; n <= 1000; n++) {
		struct smtp_body b;
		struct span out;
		struct span in = {s, n + 2};

		memset(s, 'x', n);
		memcpy(s + n, "\r\n", 2);
		smtp_body_init(&b, 65536);
		while (smtp_body_dot(&b, &in, &out) == SMTP_BODY_SPAN)
			;
		assert_int_equal(b.long_line, n + 2 > 1000);
		assert_false(b.overlong);
	}
}

/* A chunk's octets come out as they went in, and not one more is taken. */
static void
bdat_counts(void **state)
{
	static const char s[] = "a.\r\n.\r\nb\0c\r\nREST";
	const size_t n = sizeof(s) - 1 - 4;

	(void)state;
	for (unsigned cuts = 0; cuts < (1u << 12); cuts++) {
		struct smtp_body b;
		char got[64];
		size_t len = 0, from = 0;
		enum smtp_body_step step = SMTP_BODY_MORE;

		smtp_body_init(&b, 0);
		b.chunk = n;
		for (size_t i = 1; i <= sizeof(s) - 1; i++) {
			struct span in, out;

			if (i < sizeof(s) - 1 && !(cuts & (1u << (i % 12))))
				continue;
			in = (struct span){s + from, i - from};
			while ((step = smtp_body_bdat(&b, &in, &out)) ==
			       SMTP_BODY_SPAN) {
				memcpy(got + len, out.ptr, out.len);
				len += out.len;
			}
			from = i - in.len;
			if (step == SMTP_BODY_END)
				break;
		}
		assert_int_equal(step, SMTP_BODY_END);
		assert_int_equal(from, n);
		assert_int_equal(len, n);
		assert_memory_equal(got, s, n);
		assert_false(b.bare);
	}
}

static void
bdat_line_over_two_chunks(void **state)
{
	struct smtp_body b;
	struct span in = SPAN_LIT("a\r"), out;

	(void)state;
	smtp_body_init(&b, 0);
	b.chunk = 2;
	assert_int_equal(smtp_body_bdat(&b, &in, &out), SMTP_BODY_SPAN);
	assert_int_equal(smtp_body_bdat(&b, &in, &out), SMTP_BODY_END);
	b.chunk = 1;
	in = SPAN_LIT("\n");
	assert_int_equal(smtp_body_bdat(&b, &in, &out), SMTP_BODY_SPAN);
	smtp_body_finish(&b);
	assert_false(b.bare);

	smtp_body_init(&b, 0);
	b.chunk = 2;
	in = SPAN_LIT("a\r");
	smtp_body_bdat(&b, &in, &out);
	smtp_body_finish(&b);
	assert_true(b.bare);
}

static void
bdat_zero_takes_nothing(void **state)
{
	struct smtp_body b;
	struct span in = SPAN_LIT("QUIT\r\n"), out;

	(void)state;
	smtp_body_init(&b, 0);
	assert_int_equal(smtp_body_bdat(&b, &in, &out), SMTP_BODY_END);
	assert_int_equal(in.len, 6);
}

/*
 * FAULT B6: a caller that goes on with nothing has no pointer to add to. A
 * test for clang's sanitizer: in every state, and nothing is changed by it.
 */
static void
nothing_is_nothing(void **state)
{
	static const char s[] = "a\r\n.\r\rb\r\n.\r\n";
	struct smtp_body b;
	struct span in, out;

	(void)state;
	smtp_body_init(&b, 0);
	for (size_t i = 0; i < sizeof(s) - 1; i++) {
		struct smtp_body before = b;

		in = (struct span){NULL, 0};
		assert_int_equal(smtp_body_dot(&b, &in, &out), SMTP_BODY_MORE);
		b.chunk = 1;
		assert_int_equal(smtp_body_bdat(&b, &in, &out), SMTP_BODY_MORE);
		b.chunk = 0;
		assert_memory_equal(&b, &before, sizeof(b));
		in = (struct span){s + i, 1};
		while (smtp_body_dot(&b, &in, &out) == SMTP_BODY_SPAN)
			;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_short_message),
	    cmocka_unit_test(ends_only_at_crlf_dot_crlf),
	    cmocka_unit_test(line_limit),
	    cmocka_unit_test(long_line_quirk),
	    cmocka_unit_test(bdat_counts),
	    cmocka_unit_test(bdat_line_over_two_chunks),
	    cmocka_unit_test(bdat_zero_takes_nothing),
	    cmocka_unit_test(nothing_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
