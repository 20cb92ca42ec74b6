/*
 * hosts: the file as people write it, and names that it does not have.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "io/hosts.h"
#include "scratch.h"

static struct arena arena;

static const struct known_host *
read_text(const char *text, const char *const *names, unsigned n, int found)
{
	const struct known_host *hosts;
	FILE *f = fopen("hosts", "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(hosts_read("hosts", names, n, &arena, &hosts), found);
	return hosts;
}

static void
assert_addrs(const struct known_host *h, const char *list)
{
	char text[IPADDR_STRLEN], all[512] = "";

	assert_non_null(h);
	for (unsigned i = 0; i < h->n; i++) {
		strcat(all, ipaddr_format(&h->addrs[i], text));
		strcat(all, " ");
	}
	assert_string_equal(all, list);
}

static void
names_in_any_place_and_case(void **state)
{
	static const char *const names[] = {"rspamd", "not.there",
	    "MX.example.org", "last"};
	const struct known_host *h =
	    read_text("# first\n"
		      "127.0.0.1\tlocalhost rspamd\n"
		      "\n"
		      " 192.0.2.1  mx.Example.org a#b\n"
		      "192.0.2.9 # rspamd\n"
		      "#192.0.2.9 rspamd\n"
		      "2001:db8::1 b rspamd rspamd\r\n"
		      "nonsense rspamd\n"
		      "fe80::1%lo rspamd\n"
		      "192.0.2.2 last",
		names, 4, 3);

	(void)state;
	assert_addrs(hosts_find(h, 3, "RSPAMD"), "127.0.0.1 2001:db8::1 ");
	assert_addrs(hosts_find(h, 3, "mx.example.org"), "192.0.2.1 ");
	assert_addrs(hosts_find(h, 3, "last"), "192.0.2.2 ");
	assert_null(hosts_find(h, 3, "not.there"));
	assert_null(hosts_find(h, 3, "localhost"));
	assert_null(hosts_find(h, 0, "last"));
}

static void
more_addresses_than_anybody_needs(void **state)
{
	static const char *const names[] = {"a"};
	const struct known_host *h =
	    read_text("10.0.0.1 a\n10.0.0.2 a\n10.0.0.3 a\n10.0.0.4 a\n"
		      "10.0.0.5 a\n10.0.0.6 a\n10.0.0.7 a\n10.0.0.8 a\n"
		      "10.0.0.9 a\n",
		names, 1, 1);

	(void)state;
	assert_int_equal(h->n, HOSTS_ADDRS_MAX);
	assert_addrs(h, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 "
			"10.0.0.6 10.0.0.7 10.0.0.8 ");
}

static void
what_cannot_be_read(void **state)
{
	static const char *const names[] = {"a"};
	const struct known_host *h;

	(void)state;
	assert_int_equal(hosts_read("none", names, 1, &arena, &h), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(hosts_read(".", names, 1, &arena, &h), -1);
	assert_int_equal(errno, EISDIR);
	read_text("", names, 1, 0);
	read_text("10.0.0.1 a\n", NULL, 0, 0);
}

int
main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(names_in_any_place_and_case),
	    TEST(more_addresses_than_anybody_needs),
	    TEST(what_cannot_be_read),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_reset(&arena);
	return failed;
}
