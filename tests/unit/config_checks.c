/*
 * The checks block: which are on, the line behind each, and what they look
 * things up in.
 */
#include "config_text.h"

static const struct door_config *
door(struct loaded *l, const char *checks)
{
	load_format(l, HOST DOMAIN "%s", checks);
	assert_int_equal(l->status, CONFIG_OK);
	return &l->config->door;
}

static void
off_unless_a_line_says_so(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "");

	(void)state;
	assert_int_equal(d->helo.act, ACTION_OFF);
	assert_null(d->helo.at.file);
	assert_int_equal(d->helo.at.line, 0);
	assert_false(door_config_is_on(d));
	config_free(&l.config);
}

static void
a_check_has_its_line(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "checks {\nhelo = defer\n}\n");

	(void)state;
	assert_int_equal(d->helo.act, ACTION_DEFER);
	assert_string_equal(d->helo.at.file, path_of("smtpd.conf"));
	assert_int_equal(d->helo.at.line, 4);
	assert_true(door_config_is_on(d));
	config_free(&l.config);
}

/* A block that does not name it leaves a default without a line. */
static void
a_default_has_no_line(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "checks {\n}\n");

	(void)state;
	assert_null(d->helo.at.file);
	assert_false(door_config_is_on(d));
	config_free(&l.config);
}

static void
domains_and_names_are_known(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "");
	char longest[300];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_string_equal(d->hostname, "mx.example.org");
	assert_true(d->serves(d->serves_ctx, SPAN_LIT("example.org")));
	assert_true(d->serves(d->serves_ctx, SPAN_LIT("EXAMPLE.org")));
	assert_false(d->serves(d->serves_ctx, SPAN_LIT("example.net")));
	assert_false(d->serves(d->serves_ctx, SPAN_LIT("")));
	assert_false(
	    d->serves(d->serves_ctx, (struct span){longest, sizeof(longest)}));
	assert_int_equal(d->dns_timeout, 3000);
	config_free(&l.config);
}

static void
a_greylist_is_on_or_off(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "");

	(void)state;
	assert_int_equal(d->greylist.act, ACTION_OFF);
	assert_null(d->grey);
	config_free(&l.config);
	d = door(&l,
	    "checks {\n greylist = observe }\ngreylist { delay = 2m }\n");
	assert_int_equal(d->greylist.act, ACTION_OBSERVE);
	assert_int_equal(d->greylist.at.line, 4);
	assert_int_equal(d->grey->delay, 120000);
	assert_true(door_config_is_on(d));
	config_free(&l.config);
	load_text(&l, HOST DOMAIN "checks {\ngreylist = defer\n}\n");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 4, "no list vouches for anybody");
	config_free(&l.config);
	load_text(&l, HOST DOMAIN
	    "checks {\ngreylist = defer dnsbl = reject\n}\n"
	    "dnsbl \"a.example\" { codes = { \"127.0.0.2: 5\" } }\n"
	    "dnsbl \"b.example\" { codes = { \"127.0.0.2: -3\" } }\n");
	assert_int_equal(l.errors, 0);
	for (unsigned i = 0; i < l.n; i++)
		assert_null(strstr(l.faults[i].text, "vouches"));
	config_free(&l.config);
	load_text(&l, HOST DOMAIN "checks {\ngreylist = reject\n}\n");
	assert_only(&l, 4, "off, observe, defer");
}

static void
a_pause_may_be_short(void **state)
{
	struct loaded l;
	const struct door_config *d = door(&l, "");

	(void)state;
	assert_int_equal(d->pregreet_wait, 0);
	assert_int_equal(d->pregreet.act, ACTION_REJECT);
	config_free(&l.config);
	d = door(&l, "checks { pregreet-wait = 10s }");
	assert_int_equal(d->pregreet_wait, 10000);
	assert_true(door_config_is_on(d));
	config_free(&l.config);
	d = door(&l, "checks { pregreet-wait = 10s pregreet = off }");
	assert_false(door_config_is_on(d));
	config_free(&l.config);
	load_text(&l, HOST DOMAIN "checks {\npregreet-wait = 11s\n}");
	assert_only(&l, 4, "write at most 10s");
	load_text(&l, HOST DOMAIN "checks {\npregreet-wait = 31s\n}");
	assert_only(&l, 4, "pregreet-wait = \"31s\"");
}

static void
any_other_word_is_a_fault(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST DOMAIN "checks {\nhelo = refuse\n}\n");
	assert_only(&l, 4, "helo = \"refuse\"");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(off_unless_a_line_says_so),
	    cmocka_unit_test(a_check_has_its_line),
	    cmocka_unit_test(a_default_has_no_line),
	    cmocka_unit_test(domains_and_names_are_known),
	    cmocka_unit_test(a_greylist_is_on_or_off),
	    cmocka_unit_test(a_pause_may_be_short),
	    cmocka_unit_test(any_other_word_is_a_fault),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
