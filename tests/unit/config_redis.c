/*
 * The redis block: where it is, with which password, and what workers need
 * for it.
 */
#include "config_text.h"

#define GREY "checks { greylist = defer }\n"

static bool
has_port(const struct config *c, uint16_t port)
{
	for (unsigned i = 0; i < c->nports; i++)
		if (c->ports[i] == port)
			return true;
	return false;
}

/* No warning, but for that of the greylist. */
static const struct config *
good(struct loaded *l, const char *block)
{
	load_format(l, HOST DOMAIN GREY "%s", block);
	assert_int_equal(l->errors, 0);
	for (unsigned i = 0; i < l->n; i++)
		assert_null(strstr(l->faults[i].text, "redis"));
	return l->config;
}

static void
none(void **state)
{
	struct loaded l;
	const struct config *c = good(&l, "");

	(void)state;
	assert_null(c->redis.server);
	config_free(&l.config);
	c = good(&l, "redis { }\n");
	assert_null(c->redis.server);
	config_free(&l.config);
}

static void
an_address(void **state)
{
	struct loaded l;
	const struct config *c =
	    good(&l, "redis { server = \"127.0.0.1:6380\" }\n");

	(void)state;
	assert_string_equal(c->redis.server, "127.0.0.1:6380");
	assert_int_equal(c->redis.port, 6380);
	assert_int_equal(c->redis.naddrs, 1);
	assert_true(ipaddr_is_loopback(&c->redis.addrs[0]));
	assert_null(c->redis.path);
	assert_int_equal(c->redis.password.len, 0);
	assert_string_equal(c->redis.prefix, "smtpd");
	assert_int_equal(c->redis.timeout, 50);
	assert_true(has_port(c, 6380));
	config_free(&l.config);
	c = good(&l, "redis { server = \"[fd00::1]:6380\"\n"
		     "prefix = a timeout = 5ms }\n");
	assert_int_equal(c->redis.naddrs, 1);
	assert_string_equal(c->redis.prefix, "a");
	assert_int_equal(c->redis.timeout, 5);
	config_free(&l.config);
}

static void
a_socket(void **state)
{
	struct loaded l;
	const struct config *c =
	    good(&l, "redis { server = \"/run/redis.sock\" }\n");

	(void)state;
	assert_string_equal(c->redis.path, "/run/redis.sock");
	assert_null(c->redis.host);
	config_free(&l.config);
}

static void
a_password(void **state)
{
	struct loaded l;
	const struct config *c;

	(void)state;
	write_text("password", "sec ret\r\nmore\n");
	load_format(&l,
	    HOST DOMAIN GREY "redis { server = \"127.0.0.1:6379\"\n"
			     "password-file = \"%s\" }\n",
	    path_of("password"));
	c = l.config;
	assert_non_null(c);
	assert_int_equal(c->redis.password.len, 7);
	assert_memory_equal(c->redis.password.ptr, "sec ret", 7);
	config_free(&l.config);
	write_text("password", "\n");
	load_format(&l,
	    HOST DOMAIN GREY "redis { server = \"127.0.0.1:6379\"\n"
			     "password-file = \"%s\" }\n",
	    path_of("password"));
	assert_int_equal(l.errors, 1);
	assert_null(l.config);
	load_text(&l, HOST DOMAIN GREY "redis { server = \"127.0.0.1:6379\"\n"
				       "password-file = \"/nowhere\" }\n");
	assert_int_equal(l.errors, 1);
}

static void
warns(const char *text, unsigned line, const char *part)
{
	struct loaded l;
	unsigned found = 0;

	load_text(&l, text);
	for (unsigned i = 0; i < l.n; i++)
		found += strstr(l.faults[i].text, part) != NULL &&
			 l.faults[i].warn && l.faults[i].line == line;
	if (found != 1)
		fail_msg("%s\n%u times: %s", text, found, part);
	config_free(&l.config);
}

static void
warnings(void **state)
{
	(void)state;
	warns(HOST DOMAIN GREY "redis {\nserver = \"198.51.100.1:6379\" }\n", 5,
	    "cross the network in clear");
	warns(HOST DOMAIN GREY "redis {\nserver = \"redis.example:6379\" }\n",
	    5, "cross the network in clear");
	warns(HOST DOMAIN "redis {\nserver = \"127.0.0.1:6379\" }\n", 4,
	    "greylist is off");
}

static void
a_name_takes_dns(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l,
	    HOST DOMAIN GREY "redis { server = \"redis.example:6380\" }\n");
	assert_non_null(l.config);
	assert_true(l.config->dns);
	assert_true(has_port(l.config, 6380));
	assert_true(has_port(l.config, 53));
	assert_string_equal(l.config->redis.host, "redis.example");
	assert_int_equal(l.config->redis.naddrs, 0);
	config_free(&l.config);
}

static void
faults(void **state)
{
	static const char *const servers[] = {"127.0.0.1", "redis", ":6379",
	    "127.0.0.1:0", "127.0.0.1:65536", "redis://127.0.0.1:6379",
	    "a b:6379", "::1:6379", "127.0.0.1:6379/0"};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		load_format(&l, HOST DOMAIN GREY "redis {\nserver = \"%s\" }\n",
		    servers[i]);
		if (l.errors != 1)
			fail_msg("%s", servers[i]);
		assert_int_equal(l.faults[0].line + l.faults[l.n - 1].line >= 5,
		    1);
	}
	load_text(&l, HOST DOMAIN GREY "redis { timeout = 201ms }\n");
	assert_int_equal(l.errors, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(none),
	    cmocka_unit_test(an_address),
	    cmocka_unit_test(a_socket),
	    cmocka_unit_test(a_password),
	    cmocka_unit_test(warnings),
	    cmocka_unit_test(a_name_takes_dns),
	    cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
