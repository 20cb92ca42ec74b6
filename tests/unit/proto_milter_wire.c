/*
 * Packets as they are on the wire, and what comes back: the good ones, and
 * those that make no sense. What is cut lies in memory of exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/milter_wire.h"

static struct buf out;
static char *exact;

static struct span
octets(struct span s)
{
	free(exact);
	exact = malloc(s.len ? s.len : 1);
	if (s.len)
		memcpy(exact, s.ptr, s.len);
	return (struct span){exact, s.len};
}

#define OCTETS(s) octets(SPAN_LIT(s))

/* All that was said since the last time. */
#define said(s)                                                                \
	do {                                                                   \
		assert_int_equal(out.len, sizeof(s) - 1);                      \
		assert_memory_equal(out.data, (s), sizeof(s) - 1);             \
		out.len = 0;                                                   \
	} while (0)

static struct ipaddr
address(const char *text)
{
	struct ipaddr a = {0};

	ipaddr_parse(span_str(text), &a);
	return a;
}

static void
commands(void **state)
{
	static const char *const args[] = {"SIZE=5", NULL, "SMTPUTF8"};
	struct ipaddr v4 = address("192.0.2.1"), v6 = address("2001:db8::1"),
		      none = {0};

	(void)state;
	milter_wire_options(&out);
	said("\0\0\0\x0d"
	     "O\0\0\0\6\0\0\0\x31\0\x1f\xf7\xff");
	milter_wire_connect(&out, NULL, &v4, 0x1234);
	said("\0\0\0\x16"
	     "Cunknown\0"
	     "4\x12\x34"
	     "192.0.2.1\0");
	milter_wire_connect(&out, "a.test", &v6, 25);
	said("\0\0\0\x17"
	     "Ca.test\0"
	     "6\0\x19"
	     "2001:db8::1\0");
	milter_wire_connect(&out, "a", &none, 25);
	said("\0\0\0\4"
	     "Ca\0U");
	milter_wire_helo(&out, "[192.0.2.1]");
	said("\0\0\0\x0d"
	     "H[192.0.2.1]\0");
	milter_wire_path(&out, MILTER_MAIL, SPAN_LIT("a@b"), args, 3);
	said("\0\0\0\x17"
	     "M<a@b>\0SIZE=5\0SMTPUTF8\0");
	milter_wire_path(&out, MILTER_RCPT, SPAN_LIT(""), NULL, 0);
	said("\0\0\0\4"
	     "R<>\0");
	milter_wire_command(&out, MILTER_DATA);
	milter_wire_command(&out, MILTER_QUIT);
	said("\0\0\0\1T\0\0\0\1Q");
	milter_wire_body(&out, SPAN_LIT("a\r\n"));
	said("\0\0\0\4Ba\r\n");
}

static void
macros(void **state)
{
	static const struct milter_macro all[] = {{"i", "1"}, {"{x}", NULL},
	    {"j", ""}};

	(void)state;
	milter_wire_macros(&out, MILTER_MAIL, all, 3);
	said("\0\0\0\x09"
	     "DMi\0"
	     "1\0j\0\0");
	milter_wire_macros(&out, MILTER_MAIL, all + 1, 1);
	milter_wire_macros(&out, MILTER_MAIL, all, 0);
	said("");
}

static void
headers(void **state)
{
	(void)state;
	milter_wire_header(&out, SPAN_LIT("To"), SPAN_LIT("  a\n\tb"), false);
	said("\0\0\0\x0a"
	     "LTo\0 a\n\tb\0");
	milter_wire_header(&out, SPAN_LIT("To"), SPAN_LIT(" a"), true);
	said("\0\0\0\x07"
	     "LTo\0 a\0");
	milter_wire_header(&out, SPAN_LIT("To"), SPAN_LIT("\ta\rb\0c"), false);
	said("\0\0\0\x0b"
	     "LTo\0\ta b c\0");
	milter_wire_header(&out, SPAN_LIT("To"), SPAN_LIT(""), false);
	said("\0\0\0\5LTo\0\0");
}

static void
cut(void **state)
{
	static const char all[] = "\0\0\0\1c\0\0\0\3rxy\0\0\0\2";
	struct milter_packet p;
	struct span in;

	(void)state;
	for (size_t n = 0; n < sizeof(all) - 1; n++) {
		in = octets((struct span){all, n});
		assert_int_equal(milter_wire_cut(&in, &p),
		    n < 5 ? MILTER_CUT_MORE : MILTER_CUT_PACKET);
	}
	in = octets((struct span){all, sizeof(all) - 1});
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_PACKET);
	assert_true(p.command == 'c' && !p.data.len);
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_PACKET);
	assert_true(p.command == 'r' && span_equal(p.data, SPAN_LIT("xy")));
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_MORE);
	assert_int_equal(in.len, 4);
	in = OCTETS("\0\0\0\0");
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_BAD);
	in = OCTETS("\0\x10\0\0");
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_MORE);
	in = OCTETS("\0\x10\0\1c");
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_BAD);
	in = OCTETS("\xff\xff\xff\xff");
	assert_int_equal(milter_wire_cut(&in, &p), MILTER_CUT_BAD);
}

static void
options(void **state)
{
	static const enum milter_command all[] = {MILTER_CONNECT, MILTER_HELO,
	    MILTER_MAIL, MILTER_RCPT, MILTER_DATA, MILTER_HEADER,
	    MILTER_HEADER_END, MILTER_BODY, MILTER_BODY_END};
	const unsigned count = sizeof(all) / sizeof(all[0]);
	struct milter_options o;

	(void)state;
	assert_false(milter_wire_read_options(OCTETS("\0\0\0\6"), &o));
	assert_false(
	    milter_wire_read_options(OCTETS("\0\0\0\6\0\0\0\0\0\0\0"), &o));
	assert_false(
	    milter_wire_read_options(OCTETS("\0\0\0\1\0\0\0\0\0\0\0\0"), &o));
	assert_false(
	    milter_wire_read_options(OCTETS("\0\0\0\7\0\0\0\0\0\0\0\0"), &o));
	assert_true(milter_wire_read_options(OCTETS("\0\0\0\6\xff\xff\xff\xff"
						    "\xff\xff\xff\xff"),
	    &o));
	assert_int_equal(o.actions, 0x31);
	assert_int_equal(o.protocol, 0x1ff7ff);
	for (unsigned i = 0; i < count; i++) {
		bool end = all[i] == MILTER_BODY_END;

		assert_int_equal(milter_wants(&o, all[i]), end);
		assert_int_equal(milter_answers(&o, all[i]), end);
	}
	assert_true(milter_may_skip(&o) && milter_keeps_space(&o));
	assert_true(
	    milter_wire_read_options(OCTETS("\0\0\0\6\0\0\0\1\0\0\0\0more"),
		&o));
	for (unsigned i = 0; i < count; i++)
		assert_true(
		    milter_wants(&o, all[i]) && milter_answers(&o, all[i]));
	assert_false(milter_may_skip(&o) || milter_keeps_space(&o));
	assert_true(milter_may_edit(&o, 'h') && milter_may_edit(&o, 'i'));
	assert_false(milter_may_edit(&o, 'm'));
	/* it was made when there was no DATA */
	assert_true(
	    milter_wire_read_options(OCTETS("\0\0\0\3\0\0\0\x10\0\0\0\0"), &o));
	assert_false(milter_wants(&o, MILTER_DATA));
	assert_true(milter_may_edit(&o, 'm') && !milter_may_edit(&o, 'h'));
	assert_true(
	    milter_wire_read_options(OCTETS("\0\0\0\4\0\0\0\0\0\0\0\0"), &o));
	assert_true(milter_wants(&o, MILTER_DATA));
}

static void
edits(void **state)
{
	struct milter_packet p = {'i', {NULL, 0}};
	struct milter_edit e;

	(void)state;
	p.data = OCTETS("\1\2\3\4X-A\0b\0");
	assert_true(milter_wire_read_edit(&p, &e));
	assert_int_equal(e.n, 0x01020304);
	assert_true(span_equal(e.name, SPAN_LIT("X-A")));
	assert_true(span_equal(e.value, SPAN_LIT("b")));
	p = (struct milter_packet){'h', OCTETS("X\0\0")};
	assert_true(milter_wire_read_edit(&p, &e) && !e.n && !e.value.len);
	for (size_t n = 0; n < 3; n++) {
		p.data = octets((struct span){"X\0y", n});
		assert_false(milter_wire_read_edit(&p, &e));
	}
	p.data = OCTETS("X\0y");
	assert_false(milter_wire_read_edit(&p, &e));
	p.data = OCTETS("X\0y\0z\0");
	assert_false(milter_wire_read_edit(&p, &e));
	p = (struct milter_packet){'m', OCTETS("\0\0\0")};
	assert_false(milter_wire_read_edit(&p, &e));
	p.data = OCTETS("\0\0\0\1");
	assert_false(milter_wire_read_edit(&p, &e));
}

static void
texts(void **state)
{
	static const struct {
		struct span data;
		unsigned code; /* 0: it makes no sense */
		const char *status, *text;
	} all[] = {
	    {SPAN_LIT("550 5.7.1 No\0"), 550, "5.7.1", "No"},
	    {SPAN_LIT("451 later\0"), 451, "", "later"},
	    {SPAN_LIT("421 4.3.2 bye\0"), 421, "4.3.2", "bye"},
	    {SPAN_LIT("550\0"), 550, "", ""},
	    {SPAN_LIT("550 5.7.1\0"), 550, "5.7.1", ""},
	    {SPAN_LIT("550-5.7.1 one\r\n550 5.7.1 two\r\n\0"), 550, "5.7.1",
		"one two"},
	    {SPAN_LIT("550-one\n550-\n550 three\0"), 550, "", "one three"},
	    {SPAN_LIT("550 100%% of %d %\0"), 550, "", "100% of %d %"},
	    {SPAN_LIT("550 a\tb\x1b\xc3\xa4\r.\0"), 550, "", "a?b????."},
	    {SPAN_LIT("550 4.7.1 No\0"), 0, NULL, NULL},
	    {SPAN_LIT("550-one\r\n451 two\0"), 0, NULL, NULL},
	    {SPAN_LIT("550 one\r\ntwo\0"), 0, NULL, NULL},
	    {SPAN_LIT("250 2.0.0 Ok\0"), 0, NULL, NULL},
	    {SPAN_LIT("354 go\0"), 0, NULL, NULL},
	    {SPAN_LIT("600 no\0"), 0, NULL, NULL},
	    {SPAN_LIT("5500 no\0"), 0, NULL, NULL},
	    {SPAN_LIT("55\0"), 0, NULL, NULL},
	    {SPAN_LIT("\0"), 0, NULL, NULL},
	    {SPAN_LIT(""), 0, NULL, NULL},
	    {SPAN_LIT("550 no"), 0, NULL, NULL},
	    {SPAN_LIT("550 no\0\0"), 0, NULL, NULL},
	};
	struct milter_text t;
	struct buf long_one = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool good = milter_wire_read_text(octets(all[i].data), &t);

		assert_int_equal(good, all[i].code != 0);
		if (!good)
			continue;
		assert_int_equal(t.code, all[i].code);
		assert_string_equal(t.status, all[i].status);
		assert_string_equal(t.text, all[i].text);
	}
	for (int i = 0; i < 1000; i++)
		buf_append_str(&long_one, "550-x\r\n");
	buf_append(&long_one, "", 1);
	assert_true(milter_wire_read_text(octets(buf_span(&long_one)), &t));
	assert_int_equal(strlen(t.text), MILTER_TEXT_MAX);
	buf_free(&long_one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(commands),
	    cmocka_unit_test(macros),
	    cmocka_unit_test(headers),
	    cmocka_unit_test(cut),
	    cmocka_unit_test(options),
	    cmocka_unit_test(edits),
	    cmocka_unit_test(texts),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(exact);
	buf_free(&out);
	return failed;
}
