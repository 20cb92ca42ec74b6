/*
 * Who is asked where names lead, by which port, and whether anybody is.
 */
#include "config_text.h"

#define NAMED   "smarthost = \"smtp://h\"\n"
#define SERVERS "dns { servers = { %s } timeout = 100ms }\n"

static void
defaults(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN);
	assert_false(l.config->dns);
	assert_int_equal(l.config->nports, 0);
	assert_null(l.config->dns_servers);
	assert_int_equal(l.config->door.dns_timeout, 3000);
	config_free(&l.config);
	load_good(&l, HOST DOMAIN "dns { servers = \"192.0.2.1:54\" }");
	assert_false(l.config->dns);
	assert_int_equal(l.config->nports, 0);
	config_free(&l.config);
}

/* Those of the route first. */
static void
servers(void **state)
{
	static const struct {
		const char *written, *servers;
		unsigned n, ports[4];
	} all[] = {
	    {"127.0.0.1", "127.0.0.1", 2, {25, 53}},
	    {"\"192.0.2.1:5353\", \"::1\"", "192.0.2.1:5353,::1", 3,
		{25, 5353, 53}},
	    {"\"[2001:db8::1]:1\", \"[::1]\", \"127.0.0.1:65535\"",
		"[2001:db8::1]:1,[::1],127.0.0.1:65535", 4, {25, 1, 53, 65535}},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_format(&l, NAMED HOST DOMAIN SERVERS, all[i].written);
		assert_int_equal(l.errors, 0);
		assert_true(l.config->dns);
		assert_int_equal(l.config->door.dns_timeout, 100);
		assert_int_equal(l.config->nports, all[i].n);
		for (unsigned k = 0; k < all[i].n; k++)
			assert_int_equal(l.config->ports[k], all[i].ports[k]);
		assert_string_equal(l.config->dns_servers, all[i].servers);
		config_free(&l.config);
	}
}

/* A check that is on asks; by then it is known which are. */
static void
checks(void **state)
{
	static const char *const all[] = {"fcrdns = observe",
	    "sender-domain = reject"};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_format(&l,
		    HOST DOMAIN
		    "checks { %s }\ndns { servers = \"192.0.2.1:54\" }\n",
		    all[i]);
		assert_int_equal(l.n, 0);
		assert_true(l.config->dns);
		assert_int_equal(l.config->nports, 1);
		assert_int_equal(l.config->ports[0], 54);
		config_free(&l.config);
	}
	load_good(&l, HOST DOMAIN "checks { helo = reject }\n");
	assert_false(l.config->dns);
	config_free(&l.config);
}

static void
faults(void **state)
{
	static const char *const bad[] = {"resolver", "\"127.0.0.1:0\"",
	    "\"127.0.0.1:65536\"", "\"[::1\"", "\"\"", "\"fe80::1%lo\"",
	    "\"127.0.0.1,127.0.0.2\""};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		load_format(&l, HOST DOMAIN "\n" SERVERS, bad[i]);
		assert_only(&l, 4, "write an address, such as \"127.0.0.1\"");
	}
	load_text(&l, HOST DOMAIN "dns { timeout = 11s }");
	assert_only(&l, 3, "write a time such as 3s, from 100ms");
	load_text(&l, HOST DOMAIN "dns { timeout = 99ms }");
	assert_only(&l, 3, "write a time");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(servers),
	    cmocka_unit_test(checks),
	    cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
