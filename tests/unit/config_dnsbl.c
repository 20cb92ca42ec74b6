/*
 * Lists: what is made of their blocks, and what is refused or warned of, with
 * the line to mend.
 */
#include "config_text.h"

#include "policy/dnsbl.h"

#define ON   "checks { dnsbl = reject }\n" /* line 3 */
#define ZEN  "dnsbl \"zen.spamhaus.org\" { codes = { \"127.0.0.2-11: 5\" } }\n"
#define KIND "dnsbl \"list.dnswl.org\" { codes = { \"127.0.2-15.1: -2\" } }\n"

static void
blocks(void **state)
{
	struct loaded l;
	const struct door_config *d;
	const struct dnsbl_zone *z;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "checks { dnsbl = defer  refuse-at = 7  vouch-at = 4 }\n"
	    "dnsbl \"Zen.Spamhaus.ORG\" {\n"
	    "	codes = { \"127.0.0.2-3: 3\", \"127.0.0.4: 7\" }\n"
	    "	family = ipv4\n"
	    "}\n"
	    "dnsbl \"list.dnswl.org\" {\n"
	    "	codes = \"127.0.2-15.1-3: -2\"\n"
	    "	test = no\n"
	    "}\n");
	d = &l.config->door;
	assert_int_equal(d->dnsbl.act, ACTION_DEFER);
	assert_int_equal(d->dnsbl.at.line, 3);
	assert_int_equal(d->refuse_at, 7);
	assert_int_equal(d->vouch_at, 4);
	assert_true(door_config_is_on(d));
	assert_true(l.config->dns);
	assert_int_equal(d->lists->n, 2);
	z = &d->lists->zones[0];
	assert_string_equal(z->name, "zen.spamhaus.org");
	assert_int_equal(z->family, DNSBL_IPV4);
	assert_false(z->untested);
	assert_int_equal(z->at.line, 4);
	assert_string_equal(z->at.file, path_of("smtpd.conf"));
	assert_int_equal(z->ncodes, 2);
	assert_int_equal(z->codes[1].weight, 7);
	assert_int_equal(dnsbl_most(z), 7);
	z++;
	assert_int_equal(z->family, DNSBL_BOTH);
	assert_true(z->untested);
	assert_int_equal(z->codes[0].to[2], 15);
	assert_int_equal(dnsbl_least(z), -2);
	config_free(&l.config);
}

static void
off_without_a_line(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN);
	assert_int_equal(l.config->door.dnsbl.act, ACTION_OFF);
	assert_null(l.config->door.lists);
	assert_false(l.config->dns);
	assert_int_equal(l.config->door.refuse_at, 5);
	assert_int_equal(l.config->door.vouch_at, 3);
	config_free(&l.config);
}

/* One of the two is of no use, and asks nobody. */
static void
halves(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST DOMAIN KIND ZEN);
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_null(l.config->door.lists);
	assert_false(door_config_is_on(&l.config->door));
	assert_only(&l, 3, "no list is asked without checks { dnsbl = reject");
	load_text(&l, HOST DOMAIN "checks {\n}\n" ZEN "checks {\n}\n");
	assert_int_equal(l.errors, 1); /* of the second block */
	load_text(&l, HOST DOMAIN ZEN "checks {\ndnsbl = off\n}\n");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 5, "no list is asked");
	load_text(&l, HOST DOMAIN "checks {\ndnsbl = observe\n}\n");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 4, "dnsbl = observe: there is no list to ask");
}

static void
scores(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST DOMAIN
	    "checks {\ndnsbl = reject\nrefuse-at = 6\n}\n" ZEN KIND);
	assert_only(&l, 5, "all dnsbl together come to 5: write refuse-at = 5");
	/* the default has no line: of the first list then */
	load_text(&l, HOST DOMAIN ON KIND
	    "dnsbl \"a.test\" { codes = { \"127.0.0.2: 4\" } }\n");
	assert_only(&l, 4, "refuse-at = 5 is never reached");
	/* each counts once, with its largest; several do it together */
	load_text(&l, HOST DOMAIN ON
	    "dnsbl \"a.test\" { codes = { \"127.0.0.2: 2\", \"127.0.0.3: 1\" "
	    "} }\n"
	    "dnsbl \"b.test\" { codes = { \"127.0.0.2: 2\" } }\n");
	assert_only(&l, 4, "together come to 4");
	load_good(&l, HOST DOMAIN ON
	    "dnsbl \"a.test\" { codes = { \"127.0.0.2: 2\" } }\n"
	    "dnsbl \"b.test\" { codes = { \"127.0.0.2: 3\" } }\n");
	config_free(&l.config);
	/* who only vouches means it */
	load_good(&l, HOST DOMAIN ON KIND);
	config_free(&l.config);
}

static void
codes(void **state)
{
	static const struct {
		const char *codes;
		const char *said;
	} rows[] = {
	    {"\"127.0.0.2\"", "codes \"127.0.0.2\": write a code and its"},
	    {"\"127.0.0.1-3: 5\"", "127.0.0.1 is what filters answer"},
	    {"\"127.255.255.254: 5\"", "are errors of lists"},
	    {"\"10.0.0.2: 5\"", "begin it with 127"},
	    {"\"127.0.0.2-4: 5\", \"127.0.0.4-9: 5\"",
		"codes \"127.0.0.4-9: 5\": some of these are in "
		"\"127.0.0.2-4: 5\", too"},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		load_format(&l,
		    HOST DOMAIN ON ZEN
		    "dnsbl \"a.test\" {\n\ncodes = { %s }\n}\n",
		    rows[i].codes);
		assert_only(&l, 7, rows[i].said);
	}
	load_text(&l, HOST DOMAIN ON ZEN "dnsbl \"a.test\" {\n}\n");
	assert_only(&l, 5, "dnsbl \"a.test\": codes is missing");
}

static void
names(void **state)
{
	static const char *const bad[] = {"", "bl", "a..test", ".bl.test",
	    "bl.test.", "bl test", "192.0.2.1: 5", "-a.test"};
	char name[DNSBL_ZONE_MAX + 3] = "";
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		load_format(&l,
		    HOST DOMAIN ON ZEN
		    "dnsbl \"%s\" { codes = { \"127.0.0.2: 5\" } }\n",
		    bad[i]);
		assert_only(&l, 5, "write the name of its zone");
	}
	for (unsigned i = 0; i <= DNSBL_ZONE_MAX; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	load_format(&l,
	    HOST DOMAIN ON "dnsbl \"%s\" { codes = { "
			   "\"127.0.0.2: 5\" } }\n",
	    name);
	assert_only(&l, 4, "of at most 120 characters");
	name[DNSBL_ZONE_MAX] = '\0';
	load_format(&l,
	    HOST DOMAIN ON "dnsbl \"%s\" { codes = { "
			   "\"127.0.0.2: 5\" } }\n",
	    name);
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);
	load_text(&l, HOST DOMAIN ON ZEN
	    "dnsbl \"ZEN.spamhaus.org\" { codes = { \"127.0.0.2: 5\" } }\n");
	assert_only(&l, 5,
	    "dnsbl \"ZEN.spamhaus.org\" is there already, in line 4 of");
}

static void
at_most_16(void **state)
{
	struct buf text = {0};
	struct loaded l;

	(void)state;
	buf_append_str(&text, HOST DOMAIN ON);
	for (unsigned i = 0; i < DNSBL_MAX; i++)
		buf_printf(&text,
		    "dnsbl \"l%u.test\" { codes = { \"127.0.0.2: 5\" } }\n", i);
	buf_append(&text, "", 1);
	load_good(&l, text.data);
	assert_int_equal(l.config->door.lists->n, DNSBL_MAX);
	assert_string_equal(l.config->door.lists->zones[15].name, "l15.test");
	config_free(&l.config);
	text.len--;
	buf_append_str(&text, ZEN);
	buf_append(&text, "", 1);
	load_text(&l, text.data);
	assert_only(&l, 4 + DNSBL_MAX, "one more than the 16");
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks),
	    cmocka_unit_test(off_without_a_line),
	    cmocka_unit_test(halves),
	    cmocka_unit_test(scores),
	    cmocka_unit_test(codes),
	    cmocka_unit_test(names),
	    cmocka_unit_test(at_most_16),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
