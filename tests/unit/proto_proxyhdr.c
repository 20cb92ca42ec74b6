/*
 * Headers of both versions, whole, octet by octet and cut at random: what they
 * say, at which octet they are known to be none, and that nothing behind them
 * is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/proxyhdr.h"

#define BEHIND "EHLO x\r\n" /* the client's */

struct said {
	enum proxyhdr_step step;
	struct ipaddr client;
	uint16_t port;
	size_t taken;
};

enum cutting { WHOLE, SINGLY, ANYHOW };

/* From memory of exactly its size. */
static struct said
read_cut(struct span all, enum cutting how)
{
	struct proxyhdr h = {.have = 0};
	struct said r = {.step = PROXYHDR_MORE};

	while (r.step == PROXYHDR_MORE && r.taken < all.len) {
		size_t left = all.len - r.taken;
		size_t n = how == WHOLE    ? left
			   : how == SINGLY ? 1
					   : 1 + (size_t)rand() % left;
		char *exact = malloc(n);
		struct span in = {exact, n};

		assert_non_null(exact);
		memcpy(exact, all.ptr + r.taken, n);
		r.step = proxyhdr_read(&h, &in);
		assert_true(in.len < n);
		r.taken += n - in.len;
		free(exact);
	}
	r.client = h.client;
	r.port = h.port;
	return r;
}

/* Whatever stands behind it and however it is cut. */
static struct said
read_all(struct span header)
{
	struct said whole = read_cut(header, WHOLE);
	struct buf longer = {0};

	buf_append_span(&longer, header);
	buf_append_str(&longer, BEHIND);
	for (unsigned i = 0; i < 40; i++) {
		struct said r = read_cut(i < 20 || whole.step == PROXYHDR_MORE
					     ? header
					     : buf_span(&longer),
		    i % 20 == 0 ? SINGLY : ANYHOW);

		assert_int_equal(r.step, whole.step);
		assert_int_equal(r.taken, whole.taken);
		if (r.step == PROXYHDR_CLIENT) {
			assert_true(ipaddr_equal(&r.client, &whole.client));
			assert_int_equal(r.port, whole.port);
		}
	}
	buf_free(&longer);
	return whole;
}

static void
names(struct span header, const char *client, uint16_t port)
{
	char text[IPADDR_STRLEN];
	struct said r = read_all(header);

	assert_int_equal(r.step, PROXYHDR_CLIENT);
	assert_int_equal(r.taken, header.len);
	assert_string_equal(ipaddr_format(&r.client, text), client);
	assert_int_equal(r.port, port);
}

/* It ends there, and names nobody. */
static void
is(struct span header, enum proxyhdr_step step)
{
	struct said r = read_all(header);

	if (r.step != step || r.taken != header.len)
		print_error("%.*s: %d at %zu\n", (int)header.len, header.ptr,
		    r.step, r.taken);
	assert_int_equal(r.step, step);
	assert_int_equal(r.taken, header.len);
}

/* --- version 1 --- */

#define LINE(text) SPAN_LIT("PROXY " text "\r\n")

static void
lines(void **state)
{
	(void)state;
	names(LINE("TCP4 192.0.2.1 198.51.100.1 56324 25"), "192.0.2.1", 56324);
	names(LINE("TCP4 255.255.255.255 255.255.255.255 65535 65535"),
	    "255.255.255.255", 65535);
	names(LINE("TCP4 0.0.0.0 0.0.0.0 0 0"), "0.0.0.0", 0);
	names(LINE("TCP6 2001:db8::1 2001:db8::2 1 2"), "2001:db8::1", 1);
	names(LINE("TCP6 2001:DB8:0:0:0:0:0:1 ::1 1 2"), "2001:db8::1", 1);
	names(LINE("TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"),
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
	/* one client has one name */
	names(LINE("TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2"), "192.0.2.1", 1);
}

/* Whatever stands behind UNKNOWN; the longest line has 107 octets. */
static void
unknown(void **state)
{
	(void)state;
	is(LINE("UNKNOWN"), PROXYHDR_LOCAL);
	is(LINE("UNKNOWN "), PROXYHDR_LOCAL);
	is(LINE("UNKNOWN \1 anything  \377"), PROXYHDR_LOCAL);
	is(LINE("UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535"),
	    PROXYHDR_LOCAL);
	_Static_assert(sizeof("PROXY UNKNOWN "
			      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
			      "65535\r\n") -
			       1 ==
			   PROXYHDR_BYTES,
	    "the longest");
}

static void
no_lines(void **state)
{
	static const struct span bad[] = {
	    LINE("TCP4"),
	    LINE(""),
	    LINE(" TCP4 192.0.2.1 198.51.100.1 1 2"),
	    LINE("TCP5 192.0.2.1 198.51.100.1 1 2"),
	    LINE("tcp4 192.0.2.1 198.51.100.1 1 2"),
	    LINE("unknown"),
	    LINE("UNKNOWNS"),
	    LINE("UDP4 192.0.2.1 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 "),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 2 "),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 2 3"),
	    LINE("TCP4  192.0.2.1 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.1  198.51.100.1 1 2"),
	    LINE("TCP4\t192.0.2.1 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 01 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 00 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 02"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 65536 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 65536"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 +1 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 -1 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 0x1 2"),
	    LINE("TCP4 192.0.2.1 198.51.100.1 1 18446744073709551617"),
	    LINE("TCP4 192.0.2.256 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.01 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.1 x 1 2"),
	    LINE("TCP4 mx.example.org 198.51.100.1 1 2"),
	    LINE("TCP4 2001:db8::1 198.51.100.1 1 2"),
	    LINE("TCP4 192.0.2.1 2001:db8::1 1 2"),
	    LINE("TCP4 ::ffff:192.0.2.1 198.51.100.1 1 2"),
	    LINE("TCP6 192.0.2.1 2001:db8::1 1 2"),
	    LINE("TCP6 2001:db8::1 192.0.2.1 1 2"),
	    LINE("TCP6 2001:db8::1%eth0 2001:db8::1 1 2"),
	    LINE("TCP6 [2001:db8::1] 2001:db8::1 1 2"),
	    /* at the octet that makes it wrong */
	    SPAN_LIT("PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n"),
	    SPAN_LIT("PROXY TCP4\r "),
	    SPAN_LIT("PROXY UNKNOWN\r\r"),
	    SPAN_LIT("PROXY UNKNOWN \n"),
	    SPAN_LIT("PX"),
	    SPAN_LIT("Pr"),
	    SPAN_LIT("PROXYT"),
	    SPAN_LIT("PROXY\r"),
	    SPAN_LIT("E"),
	    SPAN_LIT("\n"),
	    SPAN_LIT(" "),
	};
	char longest[PROXYHDR_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(bad[i], PROXYHDR_BAD);
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "PROXY UNKNOWN ", 14);
	is((struct span){longest, PROXYHDR_BYTES}, PROXYHDR_BAD);
	longest[PROXYHDR_BYTES - 1] = '\r';
	is((struct span){longest, PROXYHDR_BYTES}, PROXYHDR_BAD);
}

/* --- version 2 --- */

#define V2        "\r\n\r\n\0\r\nQUIT\n"
#define V4_OF(a)  "\xc0\0\2\1" a "\xdc\4\0\x19" /* 192.0.2.1, 56324, 25 */
#define V4        V4_OF("\xc6\x33\x64\1")
#define V6_PREFIX "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0"
#define V6        V6_PREFIX "\1" V6_PREFIX "\2\xdc\4\0\x19"
#define MAPPED    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" V6_PREFIX "\2\0\1\0\2"
#define TLVS      "\3\0\4\1\2\3\4\x20\0\0\xee\0\1x" /* CRC32C, SSL, its own */

static void
binary(void **state)
{
	(void)state;
	names(SPAN_LIT(V2 "\x21\x11\0\x0c" V4), "192.0.2.1", 56324);
	names(SPAN_LIT(V2 "\x21\x21\0\x24" V6), "2001:db8::1", 56324);
	names(SPAN_LIT(V2 "\x21\x21\0\x24" MAPPED), "192.0.2.1", 1);
	/* what stands behind the addresses is nobody's */
	names(SPAN_LIT(V2 "\x21\x11\0\x1a" V4 TLVS), "192.0.2.1", 56324);
	names(SPAN_LIT(V2 "\x21\x21\0\x32" V6 TLVS), "2001:db8::1", 56324);
	names(SPAN_LIT(V2 "\x21\x11\0\x0d" V4 "\r"), "192.0.2.1", 56324);
}

static void
binary_of_nobody(void **state)
{
	static const struct span local[] = {
	    SPAN_LIT(V2 "\x20\0\0\0"),
	    SPAN_LIT(V2 "\x20\0\0\3abc"),
	    SPAN_LIT(V2 "\x20\x11\0\x0c" V4), /* whatever it names */
	    SPAN_LIT(V2 "\x20\x11\0\0"),
	    SPAN_LIT(V2 "\x20\xff\0\1x"),
	    SPAN_LIT(V2 "\x21\0\0\0"),
	    SPAN_LIT(V2 "\x21\0\0\x0c" V4),
	    SPAN_LIT(V2 "\x21\x01\0\x0c" V4),
	    SPAN_LIT(V2 "\x21\x10\0\x0c" V4),
	    SPAN_LIT(V2 "\x21\x12\0\x0c" V4),
	    SPAN_LIT(V2 "\x21\x22\0\x24" V6),
	    SPAN_LIT(V2 "\x21\x31\0\2ab"),
	    SPAN_LIT(V2 "\x21\x32\0\0"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		is(local[i], PROXYHDR_LOCAL);
}

static void
no_binary(void **state)
{
	static const struct span bad[] = {
	    SPAN_LIT("\r\r"),
	    SPAN_LIT("\r\n\r\n\n"),
	    SPAN_LIT("\r\n\r\n\0\r\nQUIT\r"),
	    SPAN_LIT(V2 "\x11"),
	    SPAN_LIT(V2 "\x01"),
	    SPAN_LIT(V2 "\x31"),
	    SPAN_LIT(V2 "\x22"),
	    SPAN_LIT(V2 "\x2f"),
	    SPAN_LIT(V2 "\x21\x41"),
	    SPAN_LIT(V2 "\x21\x13"),
	    SPAN_LIT(V2 "\x21\xff"),
	    SPAN_LIT(V2 "\x21\x11\0\x0b"),
	    SPAN_LIT(V2 "\x21\x21\0\x23"),
	    SPAN_LIT(V2 "\x21\x21\0\x0c"),
	    SPAN_LIT(V2 "\x21\x11\x10\1"),
	    SPAN_LIT(V2 "\x20\0\xff\xff"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		is(bad[i], PROXYHDR_BAD);
}

/* The most that is dropped, and all that is less than a header is none yet. */
static void
long_and_short(void **state)
{
	struct buf b = {0};

	(void)state;
	buf_append_span(&b, SPAN_LIT(V2 "\x21\x11\x10\0" V4));
	memset(buf_reserve(&b, PROXYHDR_REST_MAX), 'P', PROXYHDR_REST_MAX);
	b.len += PROXYHDR_REST_MAX - 12;
	names(buf_span(&b), "192.0.2.1", 56324);
	for (size_t n = 0; n < b.len; n += n < 100 ? 1 : 97)
		is((struct span){b.data, n}, PROXYHDR_MORE);
	buf_free(&b);
	for (size_t n = 0; n < sizeof("PROXY UNKNOWN\r") - 1; n++)
		is((struct span){"PROXY UNKNOWN\r", n}, PROXYHDR_MORE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines),
	    cmocka_unit_test(unknown),
	    cmocka_unit_test(no_lines),
	    cmocka_unit_test(binary),
	    cmocka_unit_test(binary_of_nobody),
	    cmocka_unit_test(no_binary),
	    cmocka_unit_test(long_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
