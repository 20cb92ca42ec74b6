/*
 * The access block: rules keep their lines, those of files too, and what is
 * wrong with one is told there.
 */
#include "config_text.h"

#include "policy/check.h"

static struct where
ask_client(const struct config *c, const char *client)
{
	struct envelope env = {.port = 1};
	const struct door_config conf = {.access = c->access};
	const struct door_subject subject = {.env = &env};
	struct verdict v = {.kind = VERDICT_PASS};

	assert_int_equal(ipaddr_parse(span_str(client), &env.client), 0);
	access_client(&(struct check_case){.conf = &conf, .subject = &subject},
	    &v);
	return v.at;
}

static void
rules_have_lines(void **state)
{
	struct loaded l;
	struct where at;

	(void)state;
	write_text("rules", "# those who\n\nreject client 192.0.2.1: 550 5.7.1 "
			    "Not you\r\n  \tallow client 192.0.2.2 \n");
	load_format(&l,
	    HOST DOMAIN "access {\n rules = { \"reject client 192.0.2.3\",\n"
			"  \"reject sender @spam.test\",\n"
			"  \"reject client 192.0.2.4\" }\n"
			" rules-file = \"%s\"\n}\n",
	    path_of("rules"));
	assert_int_equal(l.status, CONFIG_OK);
	at = ask_client(l.config, "192.0.2.3");
	assert_string_equal(at.file, path_of("smtpd.conf"));
	assert_int_equal(at.line, 4);
	assert_int_equal(ask_client(l.config, "192.0.2.4").line, 6);
	at = ask_client(l.config, "192.0.2.1");
	assert_string_equal(at.file, path_of("rules"));
	assert_int_equal(at.line, 3);
	assert_int_equal(ask_client(l.config, "192.0.2.2").line, 4);
	assert_int_equal(ask_client(l.config, "192.0.2.5").line, 0);
	config_free(&l.config);
}

static void
no_rules(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN "access { }\n");
	assert_null(l.config->access);
	config_free(&l.config);
}

static void
faults(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l,
	    HOST DOMAIN "access { rules = { \"reject client 192.0.2.1\",\n"
			"\"deny client 192.0.2.2\",\n"
			"\"allow sender @partner.example\",\n"
			"\"allow client 192.0.2.1/32\" } }\n");
	assert_int_equal(l.n, 3);
	assert_fault(&l, 0, "smtpd.conf", 4,
	    "\"deny client 192.0.2.2\": a rule begins with allow");
	assert_fault(&l, 1, "smtpd.conf", 5,
	    "allow sender \"@partner.example\": anybody can write that "
	    "address: write allow client with its network");
	assert_fault(&l, 2, "smtpd.conf", 6,
	    "\"client 192.0.2.1/32\": there is a rule for it already, in line "
	    "3 of ");
	assert_null(l.config);
}

static void
faults_in_files(void **state)
{
	struct loaded l;

	(void)state;
	write_text("rules", "reject helo a.test\n\nreject helo A.test\n"
			    "reject helo \xff.test\nreject login\n");
	load_format(&l,
	    HOST DOMAIN "access { rules = { \"reject helo .a.test\" }\n"
			" rules-file = \"%s\" }\n",
	    path_of("rules"));
	assert_int_equal(l.n, 3);
	assert_fault(&l, 0, "rules", 3, "in line 1 of ");
	assert_fault(&l, 1, "rules", 4, "write it in UTF-8");
	assert_fault(&l, 2, "rules", 5, "it lacks a login, or *");
	load_text(&l, HOST DOMAIN "access {\nrules-file = \"/nowhere\" }\n");
	assert_only(&l, 4, "/nowhere");
}

/* As local-part-case says. */
static void
local_parts(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST DOMAIN "access { rules = { "
				  "\"reject sender A@b.test\",\n"
				  "\"reject sender a@b.test\" } }\n");
	assert_only(&l, 4, "in line 3 of ");
	load_good(&l, "local-part-case = keep\n" HOST DOMAIN
		      "access { rules = { \"reject sender A@b.test\", "
		      "\"reject sender a@b.test\" } }\n");
	config_free(&l.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_have_lines),
	    cmocka_unit_test(no_rules),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(faults_in_files),
	    cmocka_unit_test(local_parts),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
