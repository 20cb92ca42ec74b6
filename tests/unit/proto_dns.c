/*
 * dns: every type, chains of CNAMEs, answers to something else, and each
 * message cut short at every octet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dns_message.h"
#include "proto/dns.h"

#define QR DNS_MESSAGE_QR

static struct buf message;
static struct arena arena;
static struct dns_answer answer;

/* From memory of exactly its size; whatever is missing, it has failed. */
static void
read_as(const char *name, enum dns_type type)
{
	for (size_t n = 0; n <= message.len; n++) {
		char *exact = malloc(n + !n);

		assert_non_null(exact);
		memcpy(exact, message.data, n);
		arena_reset(&arena);
		dns_read((struct span){exact, n}, name, type, &arena, &answer);
		free(exact);
		if (n < message.len) {
			assert_int_equal(answer.status, DNS_FAILED);
			assert_int_equal(answer.why, DNS_NONSENSE);
			assert_int_equal(answer.n, 0);
		}
	}
}

static void
add(const char *owner, enum dns_type type, const char *data, size_t n)
{
	dns_message_add(&message, owner, type, (struct span){data, n});
}

static void
add_name(const char *owner, enum dns_type type, const char *name)
{
	struct buf b = {0};

	if (type == DNS_MX)
		dns_message_16(&b, 258);
	dns_message_name(&b, name);
	dns_message_add(&message, owner, type, buf_span(&b));
	buf_free(&b);
}

static void
addresses(void **state)
{
	char text[IPADDR_STRLEN];

	(void)state;
	dns_message(&message, 1, QR, "a.test", DNS_A);
	add("a.test", DNS_A, "\xc0\0\2\1", 4);
	add("A.Test", DNS_A, "\xc0\0\2\2", 4);
	add("b.test", DNS_A, "\xc0\0\2\3", 4);
	add("a.test", DNS_TXT, "\1x", 2);
	read_as("a.test", DNS_A);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.n, 2);
	assert_false(answer.authentic);
	assert_string_equal(ipaddr_format(&answer.records[1].addr, text),
	    "192.0.2.2");
	dns_message(&message, 1, QR | DNS_MESSAGE_AD, "A.TEST", DNS_AAAA);
	add("a.test", DNS_AAAA, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	read_as("a.test", DNS_AAAA);
	assert_int_equal(answer.n, 1);
	assert_true(answer.authentic);
	assert_string_equal(ipaddr_format(&answer.records[0].addr, text),
	    "2001:db8::1");
}

static void
names(void **state)
{
	(void)state;
	dns_message(&message, 1, QR, "a.test", DNS_MX);
	add_name("a.test", DNS_MX, "mx.a.test");
	add_name("a.test", DNS_MX, ".");
	add("a.test", DNS_MX, "\0\1\2m\n\xc0\x0c", 7);
	read_as("a.test", DNS_MX);
	assert_int_equal(answer.n, 3);
	assert_int_equal(answer.records[0].preference, 258);
	assert_string_equal(answer.records[0].name, "mx.a.test");
	assert_string_equal(answer.records[1].name, ".");
	assert_int_equal(answer.records[2].preference, 1);
	assert_string_equal(answer.records[2].name, "m\\010.a.test");
	dns_message(&message, 1, QR, "1.2.0.192.in-addr.arpa", DNS_PTR);
	add_name("1.2.0.192.in-addr.arpa", DNS_PTR, "mx.a.test");
	read_as("1.2.0.192.in-addr.arpa", DNS_PTR);
	assert_int_equal(answer.n, 1);
	assert_string_equal(answer.records[0].name, "mx.a.test");
}

static void
text_and_keys(void **state)
{
	(void)state;
	dns_message(&message, 1, QR, "_mta-sts.a.test", DNS_TXT);
	add("_mta-sts.a.test", DNS_TXT, "\3v=S\0\3Tv1", 9);
	add("_mta-sts.a.test", DNS_TXT, "", 0);
	read_as("_mta-sts.a.test", DNS_TXT);
	assert_int_equal(answer.n, 2);
	assert_true(span_equal(answer.records[0].data, SPAN_LIT("v=STv1")));
	assert_int_equal(answer.records[1].data.len, 0);
	dns_message(&message, 1, QR, "_25._tcp.a.test", DNS_TLSA);
	add("_25._tcp.a.test", DNS_TLSA, "\3\1\2\xaa\0\xbb", 6);
	read_as("_25._tcp.a.test", DNS_TLSA);
	assert_int_equal(answer.records[0].usage, 3);
	assert_int_equal(answer.records[0].selector, 1);
	assert_int_equal(answer.records[0].matching, 2);
	assert_true(span_equal(answer.records[0].data, SPAN_LIT("\xaa\0\xbb")));
}

static void
chain(unsigned length)
{
	char from[8], to[8];

	dns_message(&message, 1, QR, "n0", DNS_A);
	/* the last first: their order means nothing */
	for (unsigned i = length; i-- > 0;) {
		snprintf(from, sizeof(from), "n%u", i);
		snprintf(to, sizeof(to), "n%u", i + 1);
		add_name(from, DNS_CNAME, to);
	}
	snprintf(to, sizeof(to), "n%u", length);
	add(to, DNS_A, "\xc0\0\2\1", 4);
	read_as("n0", DNS_A);
}

static void
aliases(void **state)
{
	(void)state;
	chain(8);
	assert_int_equal(answer.status, DNS_FOUND);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.naliases, 8);
	assert_string_equal(answer.aliases[7], "n8");
	chain(9);
	assert_int_equal(answer.status, DNS_FAILED);
	dns_message(&message, 1, QR, "a", DNS_A);
	add_name("a", DNS_CNAME, "b");
	add_name("b", DNS_CNAME, "a");
	read_as("a", DNS_A);
	assert_int_equal(answer.status, DNS_FAILED);
	dns_message(&message, 1, QR, "a", DNS_A);
	add_name("a", DNS_CNAME, "b");
	add_name("a", DNS_CNAME, "c");
	read_as("a", DNS_A);
	assert_int_equal(answer.status, DNS_FAILED);
	/* one that was asked for is a record */
	dns_message(&message, 1, QR, "a", DNS_CNAME);
	add_name("a", DNS_CNAME, "b");
	read_as("a", DNS_CNAME);
	assert_int_equal(answer.n, 1);
	assert_int_equal(answer.naliases, 0);
	assert_string_equal(answer.records[0].name, "b");
}

static void
nothing_there(void **state)
{
	(void)state;
	dns_message(&message, 1, QR, "a.test", DNS_MX);
	read_as("a.test", DNS_MX);
	assert_int_equal(answer.status, DNS_NODATA);
	dns_message(&message, 1, QR | 3, "a.test", DNS_MX);
	add_name("a.test", DNS_CNAME, "b.test");
	add_name("b.test", DNS_MX, "c.test");
	read_as("a.test", DNS_MX);
	assert_int_equal(answer.status, DNS_NXDOMAIN);
	assert_int_equal(answer.n, 0);
	assert_int_equal(answer.naliases, 1);
	for (unsigned rcode = 1; rcode < 16; rcode++) {
		dns_message(&message, 1, QR | rcode, "a.test", DNS_MX);
		if (rcode == 3)
			continue;
		read_as("a.test", DNS_MX);
		assert_int_equal(answer.status, DNS_FAILED);
		assert_int_equal(answer.why, rcode);
	}
}

static void
assert_nonsense(void)
{
	read_as("a.test", DNS_A);
	assert_int_equal(answer.status, DNS_FAILED);
	assert_int_equal(answer.why, DNS_NONSENSE);
	assert_int_equal(answer.n, 0);
}

static void
answers_to_something_else(void **state)
{
	(void)state;
	dns_message(&message, 1, 0, "a.test", DNS_A);
	assert_nonsense();
	dns_message(&message, 1, QR | DNS_MESSAGE_TC, "a.test", DNS_A);
	assert_nonsense();
	dns_message(&message, 1, QR | 0x2800, "a.test", DNS_A);
	assert_nonsense();
	dns_message(&message, 1, QR, "b.test", DNS_A);
	assert_nonsense();
	dns_message(&message, 1, QR, "a.test", DNS_MX);
	assert_nonsense();
	dns_message(&message, 1, QR, "a.test", DNS_A);
	message.data[message.len - 1] = 3; /* class CHAOS */
	assert_nonsense();
	dns_message(&message, 1, QR, "a.test", DNS_A);
	buf_append(&message, "x", 1);
	dns_read(buf_span(&message), "a.test", DNS_A, &arena, &answer);
	assert_int_equal(answer.status, DNS_FAILED);
}

static void
malformed(void **state)
{
	static const struct {
		enum dns_type type;
		const char *data;
		size_t n;
	} bad[] = {{DNS_A, "\1\2\3", 3}, {DNS_A, "\1\2\3\4\5", 5},
	    {DNS_AAAA, "\1\2\3\4", 4}, {DNS_MX, "\0", 1}, {DNS_MX, "\0\1", 2},
	    {DNS_MX, "\0\1\1a\0x", 6}, {DNS_PTR, "\xc0\x1d", 2},
	    {DNS_PTR, "\xff\xff", 2}, {DNS_TXT, "\5abc", 4},
	    {DNS_TXT, "\4abc", 4}, {DNS_TLSA, "\3\1\1", 3}};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		dns_message(&message, 1, QR, "a.test", bad[i].type);
		add("a.test", bad[i].type, bad[i].data, bad[i].n);
		read_as("a.test", bad[i].type);
		assert_int_equal(answer.status, DNS_FAILED);
		assert_int_equal(answer.why, DNS_NONSENSE);
		assert_int_equal(answer.n, 0);
	}
}

/* Never cut: who takes the first 128 is told something else. */
static void
too_many(void **state)
{
	(void)state;
	for (unsigned max = 128; max <= 129; max++) {
		dns_message(&message, 1, QR, "a", DNS_A);
		for (unsigned i = 0; i < max; i++)
			add("a", DNS_A, "\xc0\0\2\1", 4);
		read_as("a", DNS_A);
		assert_int_equal(answer.n, max == 128 ? 128 : 0);
		assert_int_equal(answer.status,
		    max == 128 ? DNS_FOUND : DNS_FAILED);
	}
	dns_message(&message, 1, QR, "a", DNS_A);
	for (unsigned i = 0; i < 513; i++)
		add("b", DNS_A, "\xc0\0\2\1", 4);
	dns_read(buf_span(&message), "a", DNS_A, &arena, &answer);
	assert_int_equal(answer.status, DNS_FAILED);
}

static void
which_names_are_asked(void **state)
{
	char name[256];

	(void)state;
	assert_true(dns_name_valid(SPAN_LIT("_25._tcp.mx-1.example.org")));
	assert_true(dns_name_valid(SPAN_LIT("org")));
	assert_false(dns_name_valid(SPAN_LIT("")));
	assert_false(dns_name_valid(SPAN_LIT("example.org.")));
	assert_false(dns_name_valid(SPAN_LIT("example..org")));
	assert_false(dns_name_valid(SPAN_LIT("a b")));
	assert_false(dns_name_valid(SPAN_LIT("a\\.b")));
	assert_false(dns_name_valid(SPAN_LIT("a\0b")));
	assert_false(dns_name_valid(SPAN_LIT("m\xc3\xbcller.example")));
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_true(dns_name_valid((struct span){name, 253}));
	assert_false(dns_name_valid((struct span){name, 255}));
	memset(name, 'a', 64);
	assert_true(dns_name_valid((struct span){name, 63}));
	assert_false(dns_name_valid((struct span){name, 64}));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(names),
	    cmocka_unit_test(text_and_keys),
	    cmocka_unit_test(aliases),
	    cmocka_unit_test(nothing_there),
	    cmocka_unit_test(answers_to_something_else),
	    cmocka_unit_test(malformed),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test(which_names_are_asked),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_reset(&arena);
	buf_free(&message);
	return failed;
}
