/*
 * Milters: what a block becomes, and each fault that is said of it, in its
 * line.
 */
#include "config_text.h"

#define MILTER(x) HOST DOMAIN "milter \"a\" {\n" x "\n}\n"
#define SOCKET(x) MILTER("socket = \"" x "\"")

static void
defaults(void **state)
{
	struct loaded l;
	const struct filter_config *m;

	(void)state;
	load_good(&l, HOST DOMAIN);
	assert_int_equal(l.config->filters.n, 0);
	config_free(&l.config);
	load_good(&l, SOCKET("127.0.0.1:11332"));
	assert_int_equal(l.config->filters.n, 1);
	assert_string_equal(l.config->filters.hostname, "mx.example.org");
	m = l.config->filters.all;
	assert_string_equal(m->name, "a");
	assert_string_equal(m->check, "milter \"a\"");
	assert_string_equal(m->socket, "127.0.0.1:11332");
	assert_string_equal(m->at.file, path_of("smtpd.conf"));
	assert_int_equal(m->at.line, 3);
	assert_null(m->path);
	assert_int_equal(m->port, 11332);
	assert_int_equal(m->naddrs, 1);
	assert_int_equal(m->when_down, FILTER_DEFER);
	assert_int_equal(m->role, FILTER_ANY);
	assert_int_equal(m->timeout, 30000);
	assert_int_equal(m->connections, 50);
	assert_false(m->observe);
	assert_int_equal(l.config->nports, 1);
	assert_int_equal(l.config->ports[0], 11332);
	assert_false(l.config->dns);
	config_free(&l.config);
}

static void
values(void **state)
{
	struct loaded l;
	const struct filter_config *m;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "listen \"127.0.0.1:25\" { hostname = \"in.example.org\" }\n"
	    "milter \"b\" { socket = \"/run/b.sock\" when-down = reject\n"
	    "timeout = 60s connections = 1 role = submission observe = yes }\n"
	    "milter \"a\" { socket = \"nowhere.invalid:11332\" }\n"
	    "milter \"c\" { socket = \"[::1]:8891\" when-down = accept\n"
	    "role = mx }\n"
	    "client \"192.0.2.1\" { milter = no }\n");
	m = l.config->filters.all;
	assert_int_equal(l.config->filters.n, 3);
	assert_string_equal(m[0].path, "/run/b.sock");
	assert_null(m[0].host);
	assert_int_equal(m[0].when_down, FILTER_REJECT);
	assert_int_equal(m[0].timeout, 60000);
	assert_int_equal(m[0].role, FILTER_SUBMISSION);
	assert_true(m[0].observe);
	assert_string_equal(m[1].host, "nowhere.invalid");
	assert_int_equal(m[1].naddrs, 0);
	assert_int_equal(m[2].addrs[0].family, IP_V6);
	assert_int_equal(m[2].when_down, FILTER_ACCEPT);
	assert_int_equal(m[2].role, FILTER_MX);
	assert_true(l.config->dns);
	assert_int_equal(l.config->nports, 3);
	assert_int_equal(l.config->ports[0], 11332);
	assert_int_equal(l.config->ports[1], 8891);
	assert_int_equal(l.config->ports[2], 53);
	assert_int_equal(l.config->filters.nnames, 2);
	assert_string_equal(l.config->filters.names[1], "in.example.org");
	assert_true(l.config->clients[0].unfiltered);
	config_free(&l.config);
}

static void
faults(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *fragment;
	} all[] = {
	    {MILTER(""), 3, "milter \"a\": write socket = \"127.0.0.1:11332\""},
	    {SOCKET("inet:127.0.0.1:11332"), 4,
		"inet:127.0.0.1:11332\": write \"127.0.0.1:11332\""},
	    {SOCKET("inet:8891@localhost"), 4, ": write \"localhost:8891\""},
	    {SOCKET("inet6:8891@::1"), 4, ": write \"[::1]:8891\""},
	    {SOCKET("unix:/run/x"), 4, ": write \"/run/x\""},
	    {SOCKET("local:/run/x"), 4, ": write \"/run/x\""},
	    {SOCKET("unix:"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("127.0.0.1"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("rspamd:"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("rspamd:65536"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("user@h:11332"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("run/x"), 4, ": write \"127.0.0.1:11332\", "},
	    {SOCKET("::1:11332"), 4, ": write \"127.0.0.1:11332\", "},
	    {MILTER("socket = \"/a\"\ntimeout = 61s"), 5, "timeout = \"61s\""},
	    {MILTER("socket = \"/a\"\nconnections = 0"), 5, "connections"},
	    {SOCKET("/a") "milter \"a\" { socket = \"/b\" }\n", 6,
		"milter \"a\" is there already, in line 3 of "},
	    {SOCKET("/a") "milter \"b\" { socket = \"/a\" }\n", 6,
		"milter \"b\" has the socket of milter \"a\", line 3 of "},
	    {HOST DOMAIN "milter \"a b\" { socket = \"/a\" }\n", 3,
		"milter \"a b\": write a name"},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_text(&l, all[i].text);
		assert_int_equal(l.status, CONFIG_ERRORS);
		assert_only(&l, all[i].line, all[i].fragment);
	}
}

static void
too_many(void **state)
{
	struct buf text = {0};
	struct loaded l;

	(void)state;
	buf_append_str(&text, HOST DOMAIN);
	for (int i = 0; i < 9; i++)
		buf_printf(&text, "milter \"m%d\" { socket = \"/m%d\" }\n", i,
		    i);
	load_format(&l, "%.*s", (int)text.len, text.data);
	assert_only(&l, 11, "milter \"m8\": 8 are the most");
	buf_free(&text);
}

#define TWO(x, y)                                                              \
	"milter \"a\" { socket = \"/a\" timeout = " x " }\n"                   \
	"milter \"b\" { socket = \"/b\"\ntimeout = " y " }\n"
#define ROUTE "domain \"b.org\" { catch-all = \"lmtp:/x\" }\n"

/* Behind them a server still has to be asked. */
static void
warnings(void **state)
{
	struct loaded l;
	unsigned found = 0;

	(void)state;
	load_text(&l, HOST DOMAIN TWO("30s", "16s") ROUTE);
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 5, "milters may take 46s together, but where a copy");
	load_good(&l, HOST DOMAIN TWO("30s", "15s") ROUTE);
	config_free(&l.config);
	load_good(&l, HOST DOMAIN TWO("30s", "16s"));
	config_free(&l.config);
	load_good(&l, "user = nobody\n" MILTER("socket = \"/nowhere/at/all\""));
	l.n = 0;
	config_check(l.config, collect, &l);
	for (unsigned i = 0; i < l.n; i++)
		found += strstr(l.faults[i].text,
			     "/nowhere/at/all: is not there") != NULL;
	assert_int_equal(found, 1);
	config_free(&l.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(values),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(too_many),
	    cmocka_unit_test(warnings),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
