/*
 * client_body against the automaton that receives: every text over the octets
 * that matter comes out as it went in, however it was cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/client_body.h"
#include "proto/smtp_body.h"

/* From a copy of its own size. */
static void
add(struct client_body *b, struct span s, bool dots, struct buf *out)
{
	char *copy = malloc(s.len + !s.len);

	if (s.len)
		memcpy(copy, s.ptr, s.len);
	client_body_add(b, (struct span){copy, s.len}, dots, out);
	free(copy);
}

/* Two cuts; the same place twice is one. */
static void
write_cut(struct span s, size_t i, size_t j, bool dots, struct buf *out)
{
	struct client_body b = {0};

	out->len = 0;
	add(&b, (struct span){s.ptr, i}, dots, out);
	add(&b, (struct span){s.ptr + i, j - i}, dots, out);
	add(&b, (struct span){s.ptr + j, s.len - j}, dots, out);
	client_body_end(&b, dots, out);
	assert_false(b.inside);
}

/* What a receiver stores has CRLF: as it lies in a spool. */
static void
read_back(struct span wire, struct buf *r)
{
	struct smtp_body b;
	struct span out;
	enum smtp_body_step step;

	smtp_body_init(&b, 0);
	r->len = 0;
	while ((step = smtp_body_dot(&b, &wire, &out)) == SMTP_BODY_SPAN)
		for (size_t i = 0; i < out.len; i++)
			if (out.ptr[i] != '\r')
				buf_append(r, &out.ptr[i], 1);
	assert_int_equal(step, SMTP_BODY_END);
	assert_int_equal(wire.len, 0);
	assert_false(b.bare);
}

static void
check(struct span s)
{
	struct buf want = {0}, wire = {0}, other = {0}, back = {0};

	for (size_t i = 0; i < s.len; i++)
		buf_append(&want, s.ptr[i] == '\r' ? " " : &s.ptr[i], 1);
	if (s.len && s.ptr[s.len - 1] != '\n')
		buf_append(&want, "\n", 1);
	write_cut(s, s.len, s.len, true, &wire);
	read_back(buf_span(&wire), &back);
	assert_true(span_equal(buf_span(&back), buf_span(&want)));
	for (size_t i = 0; i <= s.len; i++)
		for (size_t j = i; j <= s.len; j++) {
			write_cut(s, i, j, true, &other);
			assert_true(
			    span_equal(buf_span(&other), buf_span(&wire)));
		}
	buf_free(&want);
	buf_free(&wire);
	buf_free(&other);
	buf_free(&back);
}

static void
what_is_sent_is_received(void **state)
{
	static const char octets[] = "x.\n\r";
	char s[6];

	(void)state;
	for (unsigned n = 0; n <= sizeof(s); n++)
		for (unsigned i = 0; i < 1u << 2 * n; i++) {
			for (unsigned k = 0; k < n; k++)
				s[k] = octets[i >> 2 * k & 3];
			check((struct span){s, n});
		}
}

static void
assert_wire(const char *text, bool dots, const char *want)
{
	struct buf out = {0};

	write_cut(span_str(text), 0, 0, dots, &out);
	assert_true(span_equal(buf_span(&out), span_str(want)));
	buf_free(&out);
}

static void
as_octets(void **state)
{
	(void)state;
	assert_wire("", true, ".\r\n");
	assert_wire("a\n\n.b\n.\nc.", true,
	    "a\r\n\r\n..b\r\n..\r\nc.\r\n.\r\n");
	assert_wire("a\r\nb\r\r", true, "a \r\nb  \r\n.\r\n");
	assert_wire("\xff\x80 \t", true, "\xff\x80 \t\r\n.\r\n");
}

static void
without_dots(void **state)
{
	(void)state;
	assert_wire("", false, "");
	assert_wire(".a\n.\r", false, ".a\r\n. \r\n");
	assert_wire("a\n", false, "a\r\n");
}

static void
zeros_are_octets(void **state)
{
	struct buf out = {0};

	(void)state;
	write_cut(SPAN_LIT("\0\n.\0"), 2, 3, true, &out);
	assert_true(
	    span_equal(buf_span(&out), SPAN_LIT("\0\r\n..\0\r\n.\r\n")));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_sent_is_received),
	    cmocka_unit_test(as_octets),
	    cmocka_unit_test(without_dots),
	    cmocka_unit_test(zeros_are_octets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
