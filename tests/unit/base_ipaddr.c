/*
 * ipaddr: tables for what the RFCs say, and inet_pton(3) as the judge of
 * thousands of texts that are nearly addresses.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ipaddr.h"

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

/* From a copy of exactly that size, so that AddressSanitizer watches. */
static int
parse(const char *text, struct ipaddr *r)
{
	size_t n = strlen(text);
	char *heap = malloc(n);
	int rc;

	assert_true(heap || !n);
	if (n)
		memcpy(heap, text, n);
	rc = ipaddr_parse((struct span){heap, n}, r);
	free(heap);
	return rc;
}

/* What is parsed, and how it is written. */
static const char *const good[][2] = {
    {"0.0.0.0", "0.0.0.0"},
    {"192.0.2.1", "192.0.2.1"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:DB8::00a0", "2001:db8::a0"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"0000:0000:0000:0000:0000:0000:0000:0001", "::1"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:2:3:4::6:7:8", "1:2:3:4:0:6:7:8"},
    {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
    {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
    {"1:0:0:4:5:0:0:8", "1::4:5:0:0:8"},
    {"1:0:0:4:0:0:0:8", "1:0:0:4::8"},
    {"0:0:3:0:0:6:0:0", "::3:0:0:6:0:0"},
    {"0:0:3:0:5:0:0:0", "0:0:3:0:5::"},
    {"1:0:3:0:5:0:7:0", "1:0:3:0:5:0:7:0"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"::1.2.3.4", "::102:304"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:0201", "192.0.2.1"},
    {"0:0:0:0:0:ffff:0:0", "0.0.0.0"},
    {"::ffff:0:192.0.2.1", "::ffff:0:c000:201"},
    {"::fffe:192.0.2.1", "::fffe:c000:201"},
    {"1::ffff:192.0.2.1", "1::ffff:c000:201"},
};

static const char *const bad[] = {"", " ", "1", "1.2.3", "1.2.3.4.5",
    "1.2.3.4.", ".1.2.3.4", "1..2.3", "1.2.3.256", "1.2.3.1000",
    "1.2.3.4294967296", "01.2.3.4", "1.2.3.04", "1.2.3.00", "0x1.2.3.4",
    "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1.2.3.+4", "1.2.3.4\n", "1.2.3.a",
    "1,2,3,4", "1.2.3.4/32", "[1.2.3.4]", ":", ":::", "::::", "1:", ":1",
    "1::2::3", ":::1", "1:::", "1:::2", "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8", "::1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:8::", "12345::", "::00001", "::g", "::-1", ":: 1", "::1 ",
    "fe80::1%eth0", "fe80::1%1", "::1/128", "[::1]", "1.2.3.4::", "::1.2.3.4:5",
    "1.2.3.4:1::", "::1.2.3", "::1.2.3.256", "::01.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4", "1:2:3:4:5:6::1.2.3.4:1",
    "1:2:3:4:5:6:7::1.2.3.4", "::1.2.3.4.5", "::1.2.3.4::", "IPv6:::1",
    "\xef\xbc\x91.2.3.4"};

static void
texts(void **state)
{
	char out[IPADDR_STRLEN];
	struct ipaddr a, again;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		if (parse(good[i][0], &a))
			fail_msg("refused: %s", good[i][0]);
		assert_ptr_equal(ipaddr_format(&a, out), out);
		assert_string_equal(out, good[i][1]);
		assert_int_equal(parse(out, &again), 0);
		assert_true(ipaddr_equal(&a, &again));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		memset(&a, 0x5a, sizeof(a));
		again = a;
		if (!parse(bad[i], &a))
			fail_msg("taken: '%s'", bad[i]);
		assert_memory_equal(&a, &again, sizeof(a));
	}
}

static void
embedded_nul_is_refused(void **state)
{
	struct ipaddr a;

	(void)state;
	assert_int_equal(ipaddr_parse(SPAN_LIT("1.2.3.4\0"), &a), -1);
	assert_int_equal(ipaddr_parse(SPAN_LIT("1.2.\0003.4"), &a), -1);
	assert_int_equal(ipaddr_parse(SPAN_LIT("::1\0"), &a), -1);
	assert_int_equal(ipaddr_parse((struct span){NULL, 0}, &a), -1);
}

/* Ours and the system's, also where a mapped address is normalised. */
static void
assert_agrees(const char *text)
{
	struct ipaddr a, want;
	uint8_t b[16];
	int taken = 1;

	if (inet_pton(AF_INET, text, b) == 1)
		want = ipaddr_v4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		want = ipaddr_v6(b);
	else
		taken = 0;
	if (parse(text, &a) != (taken ? 0 : -1))
		fail_msg("'%s': %s", text, taken ? "refused" : "taken");
	if (taken && !ipaddr_equal(&a, &want))
		fail_msg("'%s': another address", text);
}

static void
mutate(char *text)
{
	static const char octets[] = "0123456789abcdefABCDEFg.:::..  %/";
	size_t n = strlen(text);
	size_t at = draw((unsigned)n + 1);

	switch (draw(3)) {
	case 0: /* another octet, perhaps one more */
		text[at] = octets[draw(sizeof(octets) - 1)];
		if (at == n)
			text[n + 1] = '\0';
		break;
	case 1: /* without this one */
		memmove(text + at, text + at + (at < n), n - at + 1);
		break;
	default: /* this one twice */
		memmove(text + at + 1, text + at, n - at + 1);
		if (at == n)
			text[at] = ':';
		text[n + 1] = '\0';
	}
}

static void
agrees_with_inet_pton(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		char text[80] = "";
		unsigned changes = draw(5);

		strncat(text, good[draw(COUNT(good))][0], 60);
		while (changes--)
			mutate(text);
		assert_agrees(text);
	}
}

/*
 * Random addresses with many zero groups: what we write means the same to
 * the system, and is what it writes itself but for dotted tails.
 */
static void
formats_round_trip(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		char out[IPADDR_STRLEN], theirs[IPADDR_STRLEN];
		uint8_t b[16], again[16];
		struct ipaddr a;

		for (unsigned k = 0; k < 16; k++)
			b[k] = (uint8_t)(draw(2) ? 0 : draw(256));
		for (unsigned k = 0; k < 16; k += 2)
			if (draw(2))
				b[k] = b[k + 1] = 0;
		a = ipaddr_v6(b);
		ipaddr_format(&a, out);
		if (a.family == IP_V4)
			continue;
		assert_int_equal(inet_pton(AF_INET6, out, again), 1);
		assert_memory_equal(b, again, 16);
		inet_ntop(AF_INET6, b, theirs, sizeof(theirs));
		if (!strchr(theirs, '.'))
			assert_string_equal(out, theirs);
	}
}

static void
values(void **state)
{
	const uint8_t v4[4] = {192, 0, 2, 1};
	const uint8_t mapped[16] = {[10] = 255, 255, 192, 0, 2, 1};
	struct ipaddr none = {0};
	struct ipaddr a = ipaddr_v4(v4), b = ipaddr_v6(mapped);
	char out[IPADDR_STRLEN] = "x";

	(void)state;
	assert_true(ipaddr_equal(&a, &b));
	assert_int_equal(b.family, IP_V4);
	for (unsigned i = 4; i < 16; i++)
		assert_int_equal(b.bytes[i], 0);
	assert_string_equal(ipaddr_format(&none, out), "");
	assert_true(ipaddr_equal(&none, &none));
	assert_false(ipaddr_equal(&none, &a));
	/* the same bytes in another family are another address */
	b = a;
	b.family = IP_V6;
	assert_false(ipaddr_equal(&a, &b));
}

static const char *const good_nets[][2] = {
    {"192.0.2.0/24", "192.0.2.0/24"},
    {"192.0.2.1", "192.0.2.1/32"},
    {"0.0.0.0/0", "0.0.0.0/0"},
    {"128.0.0.0/1", "128.0.0.0/1"},
    {"192.0.2.254/31", "192.0.2.254/31"},
    {"2001:DB8::/32", "2001:db8::/32"},
    {"::/0", "::/0"},
    {"::1", "::1/128"},
    {"fe80::/10", "fe80::/10"},
    {"2001:db8:0:8000::/49", "2001:db8:0:8000::/49"},
    {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
    {"::ffff:192.0.2.1", "192.0.2.1/32"},
    {"::ffff:0:0/96", "0.0.0.0/0"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
};

static const char *const bad_nets[] = {"", "/", "/24", "192.0.2.0/",
    "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/024", "192.0.2.0/00",
    "192.0.2.0/24 ", "192.0.2.0 /24", "192.0.2.0/ 24", "192.0.2.0/24/24",
    "192.0.2.0/255.255.255.0", "192.0.2.0/280", "192.0.2.0/4294967320",
    "192.0.2.1/24", "192.0.2.128/24", "192.0.2.1/31", "192.0.2.1/0", "192.0/16",
    "2001:db8::/129", "2001:db8::1/32", "2001:db8::/28", "::1/0", "::1/127",
    "8000::/0", "::ffff:192.0.2.0/24", "::ffff:192.0.2.1/120", "::ffff:0:0/95",
    "::/", "::/x", "*"};

static int
net_parse(const char *text, struct ipnet *r)
{
	size_t n = strlen(text);
	char *heap = malloc(n);
	int rc;

	assert_true(heap || !n);
	if (n)
		memcpy(heap, text, n);
	rc = ipnet_parse((struct span){heap, n}, r);
	free(heap);
	return rc;
}

static void
networks(void **state)
{
	char out[IPADDR_STRLEN + 4];
	struct ipnet n;

	(void)state;
	for (size_t i = 0; i < COUNT(good_nets); i++) {
		if (net_parse(good_nets[i][0], &n))
			fail_msg("refused: %s", good_nets[i][0]);
		assert_ptr_equal(ipnet_format(&n, out), out);
		assert_string_equal(out, good_nets[i][1]);
	}
	for (size_t i = 0; i < COUNT(bad_nets); i++) {
		n.prefix = 77;
		if (!net_parse(bad_nets[i], &n))
			fail_msg("taken: '%s'", bad_nets[i]);
		assert_int_equal(n.prefix, 77);
	}
}

/* Every prefix: one bit changed before it is outside, behind it inside. */
static void
contains_by_every_bit(const char *text, unsigned bits)
{
	struct ipaddr a;

	assert_int_equal(parse(text, &a), 0);
	for (unsigned prefix = 0; prefix <= bits; prefix++) {
		struct ipnet n = {a, (uint8_t)prefix};

		for (unsigned i = prefix; i < bits; i++)
			n.addr.bytes[i / 8] &= (uint8_t)(0xff7f >> i % 8);
		assert_true(ipnet_contains(&n, &a));
		for (unsigned i = 0; i < bits; i++) {
			struct ipaddr b = a;

			b.bytes[i / 8] ^= (uint8_t)(0x80u >> i % 8);
			assert_int_equal(!!ipnet_contains(&n, &b), i >= prefix);
		}
	}
}

static void
networks_contain(void **state)
{
	struct ipaddr v4, v6, none = {0};
	struct ipnet n, empty = {0};

	(void)state;
	contains_by_every_bit("192.168.85.170", 32);
	contains_by_every_bit("2001:db8:5555:aaaa:ff00:ff:1234:8765", 128);
	assert_int_equal(parse("::ffff:1.2.3.4", &v4), 0);
	assert_int_equal(parse("102:304::", &v6), 0);
	assert_int_equal(net_parse("0.0.0.0/0", &n), 0);
	assert_true(ipnet_contains(&n, &v4));
	assert_false(ipnet_contains(&n, &v6));
	assert_false(ipnet_contains(&n, &none));
	assert_int_equal(net_parse("::/0", &n), 0);
	assert_true(ipnet_contains(&n, &v6));
	assert_false(ipnet_contains(&n, &v4));
	assert_false(ipnet_contains(&n, &none));
	/* a zeroed network holds nobody, not even a client without address */
	assert_false(ipnet_contains(&empty, &none));
	assert_false(ipnet_contains(&empty, &v4));
}

static void private(void **state)
{
	static const char *const inside[] = {"0.0.0.0", "10.0.0.0",
	    "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.1.2.3",
	    "169.254.0.1", "172.16.0.0", "172.31.255.255", "192.168.255.255",
	    "::", "::1", "fc00::", "fdff::1", "fe80::1", "febf::1",
	    "::ffff:10.0.0.1"};
	static const char *const outside[] = {"0.0.0.1", "9.255.255.255",
	    "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
	    "128.0.0.1", "169.253.0.1", "172.15.255.255", "172.32.0.0",
	    "192.167.0.1", "192.169.0.1", "192.0.2.1", "::2", "fbff::1",
	    "fe00::1", "fec0::1", "2001:db8::1", "::ffff:192.0.2.1"};
	struct ipaddr a = {0};

	(void)state;
	assert_false(ipaddr_is_private(&a));
	for (size_t i = 0; i < COUNT(inside); i++) {
		assert_int_equal(parse(inside[i], &a), 0);
		assert_true(ipaddr_is_private(&a));
	}
	for (size_t i = 0; i < COUNT(outside); i++) {
		assert_int_equal(parse(outside[i], &a), 0);
		assert_false(ipaddr_is_private(&a));
	}
}

static void
loopback(void **state)
{
	static const char *const all[] = {"127.0.0.1", "127.255.0.9", "::1",
	    "::ffff:127.0.0.1"};
	static const char *const others[] = {"128.0.0.1", "::", "::2", "1::1"};
	struct ipaddr a = {0};

	(void)state;
	assert_false(ipaddr_is_loopback(&a));
	for (size_t i = 0; i < COUNT(all); i++) {
		assert_int_equal(parse(all[i], &a), 0);
		assert_true(ipaddr_is_loopback(&a));
		assert_int_equal(parse(others[i], &a), 0);
		assert_false(ipaddr_is_loopback(&a));
	}
}

static void
ports(void **state)
{
	static const struct {
		const char *text, *rest;
		uint16_t port; /* 1: it is refused */
	} all[] = {
	    {"192.0.2.1", "192.0.2.1", 0},
	    {"192.0.2.1:25", "192.0.2.1", 25},
	    {"mx.test:65535", "mx.test", 65535},
	    {"::1", "::1", 0},
	    {"[::1]", "::1", 0},
	    {"[::1]:25", "::1", 25},
	    {"[192.0.2.1]:25", "192.0.2.1", 25},
	    {":25", "", 25},
	    {"", "", 0},
	    {"[]", "", 0},
	    {"a:", "", 1},
	    {"a:0", "", 1},
	    {"a:+25", "", 1},
	    {"a:65536", "", 1},
	    {"[::1", "", 1},
	    {"[::1]25", "", 1},
	    {"[::1]:", "", 1},
	    {"[::1]x:25", "", 1},
	};
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct span s = span_str(all[i].text);
		int refused = all[i].port == 1;

		assert_int_equal(ipaddr_cut_port(&s, &port), -refused);
		if (refused)
			continue;
		assert_int_equal(port, all[i].port);
		assert_true(span_equal(s, span_str(all[i].rest)));
	}
}

/* Each octet, as printf writes it. */
static void
each_octet(void **state)
{
	char text[IPADDR_STRLEN], want[IPADDR_STRLEN];

	(void)state;
	for (unsigned n = 0; n < 256; n++) {
		const uint8_t b[] = {(uint8_t)n, 0, 10, (uint8_t)(255 - n)};
		const struct ipaddr a = ipaddr_v4(b);

		snprintf(want, sizeof(want), "%u.0.10.%u", n, 255 - n);
		assert_string_equal(ipaddr_format(&a, text), want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_octet),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(embedded_nul_is_refused),
	    cmocka_unit_test(agrees_with_inet_pton),
	    cmocka_unit_test(formats_round_trip),
	    cmocka_unit_test(values),
	    cmocka_unit_test(networks),
	    cmocka_unit_test(networks_contain),
	    cmocka_unit_test(private),
	    cmocka_unit_test(loopback),
	    cmocka_unit_test(ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
