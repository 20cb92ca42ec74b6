/*
 * smtp_addr: the grammar octet by octet, and what strangers may try with
 * quotes, brackets and routes.
 *
 * Every input is a heap copy of exactly its size, so that AddressSanitizer
 * sees the first octet read beyond it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/smtp_addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* RFC 5322 3.2.3, written out. */
#define ATEXT                                                                  \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"       \
	"!#$%&'*+-/=?^_`{|}~"

/* A parser and its kind behind one face: what, and all of s. */
enum grammar {
	REVERSE,
	FORWARD,
	MAILBOX,
};

static int
parse_span(enum grammar g, struct span s, struct arena *a, struct smtp_path *r)
{
	char *heap = malloc(s.len);
	int rc;

	assert_true(heap || !s.len);
	if (s.len)
		memcpy(heap, s.ptr, s.len);
	s.ptr = heap;
	if (g == MAILBOX)
		rc = smtp_mailbox_parse(s, a, r);
	else
		rc = smtp_path_parse(s,
		    g == REVERSE ? SMTP_PATH_REVERSE : SMTP_PATH_FORWARD, a, r);
	free(heap); /* nothing of the result may point into it */
	return rc;
}

static int
parse(enum grammar g, const char *text, struct arena *a, struct smtp_path *r)
{
	return parse_span(g, span_str(text), a, r);
}

/* Refused, with result and arena untouched. */
static void
assert_refused(enum grammar g, struct span s)
{
	struct arena a = {0};
	struct smtp_path p = {"untouched", "untouched", true, true, true};

	if (!parse_span(g, s, &a, &p))
		fail_msg("taken: %.*s", (int)s.len, s.ptr);
	assert_null(a.chunks);
	assert_string_equal(p.local, "untouched");
	assert_true(p.literal && p.eightbit);
}

struct row {
	const char *text;
	const char *local;
	const char *domain;
	bool literal;
	bool eightbit;
};

static void
assert_row(enum grammar g, const struct row *row)
{
	struct arena a = {0};
	struct smtp_path p;

	if (parse(g, row->text, &a, &p))
		fail_msg("refused: %s", row->text);
	assert_string_equal(p.local, row->local);
	assert_string_equal(p.domain, row->domain);
	assert_int_equal(p.literal, row->literal);
	assert_int_equal(p.eightbit, row->eightbit);
	arena_reset(&a);
}

/* Mailboxes: taken in a path of either kind and bare. */
static const struct row mailboxes[] = {
    {"a@b", "a", "b", 0, 0},
    {"alice@example.org", "alice", "example.org", 0, 0},
    {"Alice.B@Example.ORG", "Alice.B", "Example.ORG", 0, 0},
    {"a.b.c+d@x-y.z_1", "a.b.c+d", "x-y.z_1", 0, 0},
    {ATEXT "@a", ATEXT, "a", 0, 0},
    {"postmaster@b", "postmaster", "b", 0, 0},
    {"\"a\"@b", "a", "b", 0, 0},
    {"\"a b\"@c", "a b", "c", 0, 0},
    {"\" \"@c", " ", "c", 0, 0},
    {"\"a@b\"@c", "a@b", "c", 0, 0},
    {"\">\"@c", ">", "c", 0, 0},
    {"\"<a>\"@c", "<a>", "c", 0, 0},
    {"\"a>b@c\"@d", "a>b@c", "d", 0, 0},
    {"\"@x,@y:z\"@c", "@x,@y:z", "c", 0, 0},
    {"\"\\\"\"@c", "\"", "c", 0, 0},
    {"\"\\\\\"@c", "\\", "c", 0, 0},
    {"\"\\\\\\\"@x\"@c", "\\\"@x", "c", 0, 0},
    {"\"\\a\\ \\.\"@c", "a .", "c", 0, 0},
    {"\"..\"@c", "..", "c", 0, 0},
    {"\".a.\"@c", ".a.", "c", 0, 0},
    {"\"/../x\"@c", "/../x", "c", 0, 0},
    {"a@[192.0.2.1]", "a", "[192.0.2.1]", 1, 0},
    {"a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]", 1, 0},
    {"a@[ipV6:::]", "a", "[ipV6:::]", 1, 0},
    {"a@[IPv6:::ffff:1.2.3.4]", "a", "[IPv6:::ffff:1.2.3.4]", 1, 0},
    {"\xc3\xa9@b", "\xc3\xa9", "b", 0, 1},
    {"\"\xc3\xa9 \xf0\x9f\x98\x80\"@b", "\xc3\xa9 \xf0\x9f\x98\x80", "b", 0, 1},
    {"a@b\xc3\xbc.de", "a", "b\xc3\xbc.de", 0, 1},
};

/* No mailbox, hence in no path. */
static const char *const no_mailbox[] = {"@", "a", "a@", "@b", "a@b@c", "a b@c",
    " a@b", "a@b ", "a @b", "a@ b", "a\t@b", "a@.b", "a@b.", "a@b..c", "a@.",
    "a@b c", "a@b,c", "a@b:c", "a@b/c", "a@b*c", "a@[b]", "a,b@c", "a:b@c",
    "a;b@c", "(x)a@b", "a(x)@b", "a@b(x)", "a\\@b@c", "\\a@b", "a[@b", "a]@b",
    "<a@b", "a@b>", "a>@b", "a<@b", "<a@b>", "\"", "\"\"", "\"\"@b", "\"a",
    "\"a@b", "\"a\\\"@b", "\"\\\"@b", "\"\\", "\"a\"", "\"a\"b@c", "a\"b\"@c",
    "\"a\".b@c", "a.\"b\"@c", "\"a\"\"b\"@c", "\"a\" @b", "\"a\"@",
    "\"a\tb\"@c", "\"a\rb\"@c", "\"a\nb\"@c", "\"a\x7f\"@c", "\"\\\x01\"@c",
    "\"\\\x7f\"@c", "\"\\\xc3\xa9\"@c", "\"\xc3\\\xa9\"@c", "a\x7f@b",
    "a@b\x7f", "\xc3@b", "\xa9@b", "\xc3.\xa9@b", "\xc3@\xa9", "\xc0\xaf@b",
    "\xed\xa0\x80@b", "\"\xff\"@b", "a@\xc3.de", "a@b\xfe", "a@[]", "a@[",
    "a@]", "a@[1.2.3.4", "a@1.2.3.4]", "a@[1.2.3.4].", "a@[1.2.3.4]b",
    "a@[[1.2.3.4]]", "a@[1.2.3.4]@b", "a@[1.2.3]", "a@[1.2.3.256]",
    "a@[01.2.3.4]", "a@[ 1.2.3.4]", "a@[::1]", "a@[2001:db8::1]", "a@[IPv6:]",
    "a@[IPv6::]", "a@[IPv6:1.2.3.4]", "a@[IPv6:fe80::1%1]", "a@[IPv4:1.2.3.4]",
    "a@[IPv6 ::1]", "a@[IPv6-::1]", "a@[x-tag:text]", "a@b[1.2.3.4]"};

static void
mailboxes_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mailboxes); i++) {
		char text[300];
		struct row row = mailboxes[i];

		assert_row(MAILBOX, &row);
		row.text = text;
		snprintf(text, sizeof(text), "<%s>", mailboxes[i].text);
		assert_row(REVERSE, &row);
		assert_row(FORWARD, &row);
		assert_refused(MAILBOX, span_str(text));
		snprintf(text, sizeof(text), "<@a,@b.c:%s>", mailboxes[i].text);
		assert_row(REVERSE, &row);
		assert_row(FORWARD, &row);
	}
	for (size_t i = 0; i < COUNT(no_mailbox); i++) {
		char text[300];

		assert_refused(MAILBOX, span_str(no_mailbox[i]));
		snprintf(text, sizeof(text), "<%s>", no_mailbox[i]);
		assert_refused(REVERSE, span_str(text));
		assert_refused(FORWARD, span_str(text));
	}
}

/* FAULT C8: a sender may have such an address, nobody of ours has. */
static void
odd_senders(void **state)
{
	static const char *const odd[][3] = {
	    {".a@b", ".a", "b"},
	    {"a.@b", "a.", "b"},
	    {"a..b@c", "a..b", "c"},
	    {".@b", ".", "b"},
	    {"..@b", "..", "b"},
	    {"a@-b", "a", "-b"},
	    {"a@b-", "a", "b-"},
	    {"a@b-.c", "a", "b-.c"},
	    {"a@b.-c", "a", "b.-c"},
	    {"\"..\"@-", "..", "-"},
	};
	struct arena a = {0};
	struct smtp_path p;
	char text[300];

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		assert_refused(MAILBOX, span_str(odd[i][0]));
		snprintf(text, sizeof(text), "<%s>", odd[i][0]);
		assert_refused(FORWARD, span_str(text));
		assert_int_equal(parse(REVERSE, text, &a, &p), 0);
		assert_true(p.odd);
		assert_string_equal(p.local, odd[i][1]);
		assert_string_equal(p.domain, odd[i][2]);
	}
	assert_int_equal(parse(REVERSE, "<@-a:a--b@c-d.e>", &a, &p), 0);
	assert_false(p.odd);
	arena_reset(&a);
}

/* Nothing can be left out: no prefix and no suffix of a path is a path. */
static void
prefixes_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mailboxes); i++) {
		char text[300];
		size_t n;

		snprintf(text, sizeof(text), "<@a,@b.c:%s>", mailboxes[i].text);
		n = strlen(text);
		for (size_t cut = 0; cut < n; cut++) {
			struct span s = {text, cut};

			assert_refused(REVERSE, s);
			s = (struct span){text + n - cut, cut};
			assert_refused(FORWARD, s);
		}
	}
}

static const char *const no_path[] = {"", "<", ">", "><", "<<>>", "< >", "<> ",
    " <>", "a@b", "<a@b", "a@b>", "<a@b>>", "<<a@b>", "<a@b> ", " <a@b>",
    "<a@b>x", "<a@b><c@d>", "<a>b@c>", "<\"a\"@b\">", "<\"a>", "<\"a\\\">",
    "<\"a@b>", "<postmaster@>", "<@>", "<\"postmaster\">", "< postmaster>",
    "<postmaster >", "<postmaster.>", "<@a>", "<@a:>", "<@a:postmaster>",
    "<:a@b>", "<@:a@b>", "<@a,:b@c>", "<@a,b:c@d>", "<,@a:b@c>", "<@a,,@b:c@d>",
    "<@a@b:c@d>", "<@a:@b:c@d>", "<@a.:b@c>", "<@.a:b@c>", "<@a,@:b@c>",
    "<@a, @b:c@d>", "<@a ,@b:c@d>", "<@a: b@c>", "<a:b@c>", "<@a;b@c>",
    "<@a,@b;c@d>", "<@[1.2.3.4]:a@b>", "<@\"a\":b@c>", "<@a\xc3:b@c>",
    "<@a:b@c"};

static void
paths(void **state)
{
	const struct row null = {"<>", "", "", 0, 0};
	const struct row bare[] = {
	    {"<postmaster>", "postmaster", "", 0, 0},
	    {"<PostMaster>", "PostMaster", "", 0, 0},
	};
	const struct row routed = {"<@\xc3\xa9.a:b@c>", "b", "c", 0, 1};

	(void)state;
	assert_row(REVERSE, &null);
	assert_refused(FORWARD, span_str("<>"));
	for (size_t i = 0; i < COUNT(bare); i++) {
		assert_row(FORWARD, &bare[i]);
		assert_refused(REVERSE, span_str(bare[i].text));
	}
	assert_refused(FORWARD, span_str("<postmaste>"));
	assert_refused(FORWARD, span_str("<postmasters>"));
	assert_refused(MAILBOX, span_str("postmaster"));
	assert_refused(MAILBOX, span_str("@a:b@c"));
	assert_refused(MAILBOX, (struct span){NULL, 0});
	assert_refused(REVERSE, (struct span){NULL, 0});
	/* an eight-bit route makes it an eight-bit path */
	assert_row(FORWARD, &routed);
	for (size_t i = 0; i < COUNT(no_path); i++) {
		assert_refused(REVERSE, span_str(no_path[i]));
		assert_refused(FORWARD, span_str(no_path[i]));
	}
}

/* NUL ends nothing, is nothing, wherever it stands. */
static void
nul_is_refused_everywhere(void **state)
{
	static const char text[] = "<@a:\"b \\c\"@[IPv6:::1]>";

	(void)state;
	for (size_t at = 0; at < sizeof(text); at++) {
		char nul[sizeof(text)];
		struct span s = {nul, sizeof(nul)};

		memcpy(nul, text, at);
		nul[at] = '\0';
		memcpy(nul + at + 1, text + at, sizeof(text) - 1 - at);
		assert_refused(REVERSE, s);
		assert_refused(FORWARD, s);
	}
}

static bool
one_of(int c, const char *set)
{
	return c && strchr(set, c);
}

/* The octet takes the place of the '?'. */
static void
assert_octet(const char *where, int c, bool want)
{
	char text[32] = "";
	struct span s = {text, strlen(where)};
	struct arena a = {0};
	struct smtp_path p;

	memcpy(text, where, s.len);
	*strchr(text, '?') = (char)c;
	if ((parse_span(FORWARD, s, &a, &p) == 0) != want)
		fail_msg("octet %d in %s", c, where);
	arena_reset(&a);
}

/* Each octet in each place, against the sets that the RFC writes down. */
static void
every_octet_in_every_place(void **state)
{
	(void)state;
	for (int c = 0; c < 128; c++) {
		bool atext = one_of(c, ATEXT);
		bool print = c >= 32 && c <= 126;
		bool host = one_of(c, ATEXT) && !one_of(c, "!#$%&'*+/=?^`{|}~");

		assert_octet("<?@b>", c, atext);
		assert_octet("<a?b@b>", c, atext || c == '.');
		assert_octet("<\"?\"@b>", c, print && !one_of(c, "\"\\"));
		assert_octet("<\"a\\?\"@b>", c, print);
		assert_octet("<a@?>", c, host && c != '-');
		assert_octet("<a@b?c>", c, host || c == '.');
		assert_octet("<@a?b:a@b>", c, host || c == '.');
		assert_octet("<a@[1.2.3.?]>", c, one_of(c, "0123456789"));
	}
	for (int c = 128; c < 256; c++) { /* alone never UTF-8 */
		assert_octet("<?@b>", c, false);
		assert_octet("<\"?\"@b>", c, false);
		assert_octet("<a@?>", c, false);
		assert_octet("<@?:a@b>", c, false);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mailboxes_everywhere),
	    cmocka_unit_test(odd_senders),
	    cmocka_unit_test(prefixes_are_refused),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(nul_is_refused_everywhere),
	    cmocka_unit_test(every_octet_in_every_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
