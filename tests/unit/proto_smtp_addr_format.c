/*
 * smtp_addr: that formatting is the inverse of parsing, for every local
 * part; the limits of lengths; domains and literals by themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/smtp_addr.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static uint64_t seed = 88172645463325252;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 20) % below;
}

/* The bytes of b alone on the heap, for AddressSanitizer to guard. */
static int
parse_buf(const struct buf *b, enum smtp_path_kind kind, struct arena *a,
    struct smtp_path *r)
{
	char *heap = malloc(b->len);
	int rc;

	assert_non_null(heap);
	memcpy(heap, b->data, b->len);
	rc = smtp_path_parse((struct span){heap, b->len}, kind, a, r);
	free(heap);
	return rc;
}

/* An own judge of what needs no quotes (RFC 5321 4.1.2, RFC 6531 3.3). */
static bool
is_dot_string(const char *s)
{
	for (const char *p = s; *p; p++) {
		if (strchr(" \"(),:;<>@[\\]", *p))
			return false;
		if (*p == '.' && (p == s || p[1] == '.' || !p[1]))
			return false;
	}
	return true;
}

/* "<" format(p) ">" parses to p; quotes are there only where they must. */
static void
assert_inverse(const char *local, const char *domain, enum smtp_path_kind kind)
{
	struct smtp_path p = {.local = local, .domain = domain}, back;
	struct arena a = {0};
	struct buf b = {0};

	p.literal = domain[0] == '[';
	for (const char *c = local; *c; c++)
		p.eightbit |= (unsigned char)*c > 127;
	buf_append_str(&b, "<");
	smtp_path_format(&p, &b);
	buf_append_str(&b, ">");
	if (parse_buf(&b, kind, &a, &back))
		fail_msg("refused: %.*s", (int)b.len, b.data);
	assert_string_equal(back.local, local);
	assert_string_equal(back.domain, domain);
	assert_int_equal(back.literal, p.literal);
	assert_int_equal(back.eightbit, p.eightbit);
	assert_int_equal(b.data[1] == '"', !is_dot_string(local));
	arena_reset(&a);
	buf_free(&b);
}

/* All local parts of up to five of the octets that matter. */
static void
inverse_for_all_short_ones(void **state)
{
	static const char octets[] = "a.\"\\@> <:";
	const unsigned n = sizeof(octets) - 1;

	(void)state;
	for (unsigned len = 1, all = n; len <= 5; len++, all *= n) {
		for (unsigned x = 0; x < all; x++) {
			char local[6] = "";

			for (unsigned i = 0, y = x; i < len; i++, y /= n)
				local[i] = octets[y % n];
			assert_inverse(local, "b", SMTP_PATH_FORWARD);
		}
	}
}

/* Up to SMTP_LOCAL_MAX octets of anything that a local part may hold. */
static void
random_local(char local[SMTP_LOCAL_MAX + 1])
{
	static const char *const pieces[] = {"\xc3\xa9", "\xe2\x82\xac",
	    "\xf0\x9f\x98\x80", ".", "..", "\"", "\\", "\\\"", "@", "<", ">",
	    " ", "a", "b1"};
	size_t want = 1 + draw(draw(8) ? 24 : SMTP_LOCAL_MAX);
	size_t len = 0;
	bool mild = draw(2); /* else hardly one would be a dot-string */

	while (len < want) {
		const char *piece = pieces[draw(mild ? 4 : COUNT(pieces))];
		char any[2] = {(char)(32 + draw(95)), '\0'};

		if (mild && (piece[0] == '.' || draw(2)))
			piece = (len && draw(2)) ? "." : "x";
		else if (draw(2))
			piece = any;
		if (len + strlen(piece) > SMTP_LOCAL_MAX)
			break;
		memcpy(local + len, piece, strlen(piece));
		len += strlen(piece);
	}
	local[len] = '\0';
}

static void
inverse_for_random_ones(void **state)
{
	static const char *const domains[] = {"b", "example.org", "[192.0.2.1]",
	    "[IPv6:2001:db8::1]", "x-y_.z"};
	unsigned quoted = 0;

	(void)state;
	for (unsigned i = 0; i < 50000; i++) {
		char local[SMTP_LOCAL_MAX + 1];

		random_local(local);
		if (!local[0])
			continue;
		quoted += !is_dot_string(local);
		assert_inverse(local, domains[i % COUNT(domains)],
		    i & 1 ? SMTP_PATH_REVERSE : SMTP_PATH_FORWARD);
	}
	/* both kinds were there */
	assert_in_range(quoted, 5000, 45000);
}

static void
formats(void **state)
{
	static const struct {
		const char *local, *domain, *want;
	} rows[] = {
	    {"", "", ""},
	    {"postmaster", "", "postmaster"},
	    {"Alice", "Example.org", "Alice@Example.org"},
	    {"a.b", "[IPv6:::1]", "a.b@[IPv6:::1]"},
	    {"\xc3\xa9", "b", "\xc3\xa9@b"},
	    {"a b", "c", "\"a b\"@c"},
	    {"a\"b\\", "c", "\"a\\\"b\\\\\"@c"},
	    {".", "c", "\".\"@c"},
	    {"a..b", "c", "\"a..b\"@c"},
	    {">", "c", "\">\"@c"},
	};
	struct buf b = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct smtp_path p = {.local = rows[i].local,
		    .domain = rows[i].domain};

		b.len = 0;
		buf_append_str(&b, "kept ");
		smtp_path_format(&p, &b);
		assert_int_equal(b.len, 5 + strlen(rows[i].want));
		assert_memory_equal(b.data, "kept ", 5);
		assert_memory_equal(b.data + 5, rows[i].want, b.len - 5);
	}
	buf_free(&b);
}

/* Whatever happens to a path: if it is taken, its text leads back to it. */
static void
mutants_come_back(void **state)
{
	static const char *const seeds[] = {"<@a,@b.c:\"x \\\"y\"@[1.2.3.4]>",
	    "<a.b@[IPv6:2001:db8::1]>", "<postmaster>", "<>",
	    "<\"<@a:>\\\\\"@\xc3\xbc.de>", "<\xc3\xa9.x@c.d.e>"};
	static const char octets[] =
	    "<>\"\"\\\\@@::,..[] aZ9-_\xc3\xa9\x7f\r\0";
	unsigned taken = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct arena a = {0};
		struct smtp_path p;
		struct buf b = {0};

		buf_append_str(&b, seeds[i % COUNT(seeds)]);
		for (unsigned n = draw(4); n && b.len > 1; n--) {
			size_t at = draw((unsigned)b.len);

			b.data[at] = octets[draw(sizeof(octets) - 1)];
			if (draw(8) == 0)
				b.len = at + 1;
		}
		if (parse_buf(&b, i & 1, &a, &p) == 0) {
			taken++;
			assert_true(strlen(p.local) <= SMTP_LOCAL_MAX);
			if (p.local[0] && p.domain[0] && !p.eightbit)
				assert_inverse(p.local, p.domain, i & 1);
		}
		arena_reset(&a);
		buf_free(&b);
	}
	assert_in_range(taken, 20000, 180000);
}

/* n octets of local part, each written as unit, between two of quote. */
static int
parse_local_of(size_t n, const char *quote, const char *unit)
{
	struct arena a = {0};
	struct smtp_path p;
	struct buf b = {0};
	int rc;

	buf_printf(&b, "<%s", quote);
	for (size_t i = 0; i < n; i++)
		buf_append_str(&b, unit);
	buf_printf(&b, "%s@b>", quote);
	rc = parse_buf(&b, SMTP_PATH_FORWARD, &a, &p);
	if (rc == 0)
		assert_int_equal(strlen(p.local), n);
	arena_reset(&a);
	buf_free(&b);
	return rc;
}

static void
local_part_limits(void **state)
{
	(void)state;
	assert_int_equal(parse_local_of(64, "", "a"), 0);
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX, "", "a"), 0);
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX + 1, "", "a"), -1);
	assert_int_equal(parse_local_of(70000, "", "a"), -1);
	/* quoted: what counts is what is left without quotes */
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX, "\"", " "), 0);
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX + 1, "\"", " "), -1);
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX, "\"", "\\\""), 0);
	assert_int_equal(parse_local_of(SMTP_LOCAL_MAX + 1, "\"", "\\\""), -1);
	assert_int_equal(parse_local_of(70000, "\"", "\\\""), -1);
}

/* Labels of these lengths, with dots between. */
static bool
domain_of(const size_t *labels, size_t n)
{
	struct buf b = {0}, path = {0};
	struct arena a = {0};
	struct smtp_path p;
	bool valid;

	for (size_t i = 0; i < n; i++) {
		buf_append_str(&b, i ? "." : "");
		memset(buf_reserve(&b, labels[i]), 'x', labels[i]);
		b.len += labels[i];
	}
	valid = smtp_domain_valid(buf_span(&b));
	/* behind an '@' it is the same */
	buf_printf(&path, "<a@%.*s>", (int)b.len, b.data);
	assert_int_equal(parse_buf(&path, SMTP_PATH_REVERSE, &a, &p),
	    valid ? 0 : -1);
	arena_reset(&a);
	buf_free(&path);
	buf_free(&b);
	return valid;
}

/* FAULT C4: a name that DNS has room for, in the longer spelling. */
static void
domain_limits_beyond_ascii(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 63; i++)
		buf_append_str(&b, "\xe3\x81\x8b");
	buf_append_str(&b, ".example");
	assert_true(smtp_domain_valid(buf_span(&b)));
	b.len = 63 * 3;
	buf_append_str(&b, "x.example");
	assert_false(smtp_domain_valid(buf_span(&b)));
	buf_free(&b);
}

static void
domain_limits(void **state)
{
	size_t max[] = {63, 63, 63, 63}; /* 255 octets with the dots */
	size_t over[] = {63, 63, 63, 62, 1};
	size_t one[] = {1, 63, 1};

	(void)state;
	assert_true(domain_of(max, 4));
	assert_false(domain_of(over, 5)); /* 256, each label good */
	over[3] = 61;
	assert_true(domain_of(over, 5));
	assert_true(domain_of(one, 3));
	one[1] = 64;
	assert_false(domain_of(one, 3));
	one[1] = 0;
	assert_false(domain_of(one, 3));
	assert_true(domain_of(one, 1));
}

static void
domains(void **state)
{
	static const char *const good[] = {"a", "1", "a.b", "A.B-c.d_e", "a--b",
	    "_", "_a.b", "xn--mgba.org", "123.456", "m\xc3\xbcnchen.de"};
	static const char *const hyphens[] = {"-", "-a", "a-", "a-.b", "a.-b"};
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b",
	    "a@b", "a/b", "a:b", "[1.2.3.4]", "a\x7f", "a\n", "a\xc3\xa9 "};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(smtp_domain_valid(span_str(good[i])));
		assert_true(smtp_domain_met(span_str(good[i])));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_false(smtp_domain_valid(span_str(bad[i])));
		assert_false(smtp_domain_met(span_str(bad[i])));
	}
	for (size_t i = 0; i < COUNT(hyphens); i++) {
		assert_false(smtp_domain_valid(span_str(hyphens[i])));
		assert_true(smtp_domain_met(span_str(hyphens[i])));
	}
	assert_false(smtp_domain_valid(SPAN_LIT("a\0b")));
	assert_false(smtp_domain_valid((struct span){NULL, 0}));
}

static void
literals(void **state)
{
	static const char *const good[][2] = {
	    {"[192.0.2.1]", "192.0.2.1"},
	    {"[IPv6:2001:DB8::1]", "2001:db8::1"},
	    {"[IPV6:::]", "::"},
	    {"[ipv6:::ffff:192.0.2.1]", "192.0.2.1"},
	};
	static const char *const bad[] = {"", "[", "]", "[]", "][", "192.0.2.1",
	    "[192.0.2.1", "192.0.2.1]", "[192.0.2.1] ", "[[192.0.2.1]]",
	    "[::1]", "[IPv6:]", "[IPv6:192.0.2.1]", "[IPv6]", "[IPv6:::1",
	    "[IPv5:::1]", "[IPv6:IPv6:::1]", "[:::1]", "[::ffff:192.0.2.1]"};
	char out[IPADDR_STRLEN];
	struct ipaddr ip = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(smtp_literal_parse(span_str(good[i][0]), &ip),
		    0);
		assert_string_equal(ipaddr_format(&ip, out), good[i][1]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (!smtp_literal_parse(span_str(bad[i]), &ip))
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(smtp_literal_parse((struct span){NULL, 0}, &ip), -1);
}

/* FAULT C5: what clients say of themselves, and how it should be written. */
static void
literals_met(void **state)
{
	static const char *const good[][2] = {
	    {"[192.0.2.1]", "[192.0.2.1]"},
	    {"[2001:DB8::19]", "[IPv6:2001:db8::19]"},
	    {"[IPv6:fe80::1%eth0]", "[IPv6:fe80::1]"},
	    {"[fe80::1%]", "[IPv6:fe80::1]"},
	    {"[::ffff:192.0.2.1]", "[192.0.2.1]"},
	};
	static const char *const bad[] = {"", "[", "[]", "[%]", "[:%eth0]",
	    "[192.0.2.1%eth0]", "[IPv6:192.0.2.1]", "[2001:db8::19",
	    "2001:db8::19]", "[%eth0:]", "[IPv6:%1]"};
	char out[SMTP_LITERAL_MAX];
	struct ipaddr ip = {0};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(smtp_literal_met(span_str(good[i][0]), &ip),
		    0);
		assert_string_equal(smtp_literal_format(&ip, out), good[i][1]);
		assert_int_equal(smtp_literal_parse(span_str(out), &ip), 0);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (!smtp_literal_met(span_str(bad[i]), &ip))
			fail_msg("taken: %s", bad[i]);
}

static void
null_and_postmaster(void **state)
{
	const struct smtp_path null = {.local = "", .domain = ""};
	const struct smtp_path bare = {.local = "PostMaster", .domain = ""};
	const struct smtp_path full = {.local = "postmaster", .domain = "b"};
	const struct smtp_path other = {.local = "postmasters", .domain = "b"};

	(void)state;
	assert_true(smtp_path_is_null(&null));
	assert_false(smtp_path_is_null(&bare));
	assert_false(smtp_path_is_null(&full));
	assert_true(smtp_path_is_postmaster(&bare));
	assert_true(smtp_path_is_postmaster(&full));
	assert_false(smtp_path_is_postmaster(&other));
	assert_false(smtp_path_is_postmaster(&null));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inverse_for_all_short_ones),
	    cmocka_unit_test(inverse_for_random_ones),
	    cmocka_unit_test(formats),
	    cmocka_unit_test(mutants_come_back),
	    cmocka_unit_test(local_part_limits),
	    cmocka_unit_test(domain_limits),
	    cmocka_unit_test(domain_limits_beyond_ascii),
	    cmocka_unit_test(domains),
	    cmocka_unit_test(literals),
	    cmocka_unit_test(literals_met),
	    cmocka_unit_test(null_and_postmaster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
