/*
 * ipset: the longest prefix, against a look at every network there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ipset.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NONE     99u

static struct ipaddr
address(const char *text)
{
	struct ipaddr a = {0};

	if (*text)
		assert_int_equal(ipaddr_parse(span_str(text), &a), 0);
	return a;
}

static unsigned
find(const struct ipset *s, const struct ipaddr *a)
{
	const struct ipset_entry *e = ipset_find(s, a);

	return e ? e->value : NONE;
}

static void
longest_prefix(void **state)
{
	static const char *const nets[] = {"192.0.2.7", "0.0.0.0/0",
	    "192.0.2.0/25", "192.0.2.0/24", "128.0.0.0/1", "2001:db8::/32",
	    "2001:db8::1", "2001:db8:0:1::/64", "198.51.100.0/31"};
	static const struct {
		const char *client;
		unsigned value;
	} rows[] = {
	    {"192.0.2.7", 0},
	    {"::ffff:192.0.2.7", 0},
	    {"192.0.2.8", 2},
	    {"192.0.2.127", 2},
	    {"192.0.2.128", 3},
	    {"192.0.3.0", 4},
	    {"127.255.255.255", 1},
	    {"198.51.100.1", 8},
	    {"198.51.100.2", 4},
	    {"2001:db8::1", 6},
	    {"2001:db8::2", 5},
	    {"2001:db8:0:1::2", 7},
	    {"2001:db9::1", NONE},
	    {"::", NONE}, /* 0.0.0.0/0 is of another family */
	    {"", NONE},
	};
	struct ipset_entry e[COUNT(nets)];
	struct ipset s;

	(void)state;
	for (unsigned turned = 0; turned < COUNT(nets); turned++) {
		for (unsigned i = 0; i < COUNT(nets); i++) {
			unsigned n = (i + turned) % COUNT(nets);

			e[i].value = n;
			assert_int_equal(ipnet_parse(span_str(nets[n]),
					     &e[i].net),
			    0);
		}
		ipset_init(&s, e, COUNT(nets));
		for (unsigned i = 0; i < COUNT(rows); i++) {
			struct ipaddr a = address(rows[i].client);

			assert_int_equal(find(&s, &a), rows[i].value);
		}
	}
}

static void
empty(void **state)
{
	const struct ipset zeroed = {0};
	struct ipaddr a = address("192.0.2.1");
	struct ipset s;

	(void)state;
	assert_null(ipset_find(&zeroed, &a));
	ipset_init(&s, NULL, 0);
	assert_null(ipset_find(&s, &a));
}

/* Every prefix of one address, and then its neighbour at each bit. */
static void
every_prefix(void **state)
{
	static const struct {
		const char *address;
		unsigned bits;
	} families[] = {{"203.0.113.77", 32}, {"2001:db8:1:2:3:4:5:6", 128}};
	static struct ipset_entry e[IPSET_PREFIXES];
	struct ipset s;

	(void)state;
	for (unsigned f = 0; f < COUNT(families); f++) {
		struct ipaddr a = address(families[f].address);

		for (unsigned p = 0; p <= families[f].bits; p++)
			e[p] = (struct ipset_entry){ipnet_of(&a, p), p};
		ipset_init(&s, e, families[f].bits + 1);
		assert_int_equal(find(&s, &a), families[f].bits);
		for (unsigned p = 0; p < families[f].bits; p++) {
			struct ipaddr other = a;

			other.bytes[p / 8] ^= (uint8_t)(0x80 >> p % 8);
			assert_int_equal(find(&s, &other), p);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(longest_prefix),
	    cmocka_unit_test(empty),
	    cmocka_unit_test(every_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
