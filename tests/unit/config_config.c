/*
 * The faults of a configuration: each is found, in its file and line, and
 * says what to write; none hides another.
 */
#include "config_text.h"

/* So that a greylist block is of use. */
#define GREY "checks { greylist = observe } "

/* Each has this one fault when a good domain and host name stand behind. */
static const struct {
	const char *text;
	unsigned line;
	const char *fragment;
} bad[] = {
    /* what libconfuse would misread or not mention */
    {"greeting = \"hi\n\n", 1, "never closed"},
    {"# 1\n# 2\ngreeting = 'hi\n\n", 3, "never closed"},
    {"\n" HOST "domain \"a.org\" {\n users = { \"a\" }\n", 5,
	"} of the block of line 3"},
    {"\n" HOST "domain \"a.org\" { users = { \"a\",\n"
     "catch-all = \"a\" }\n",
	3, "list is never closed"},
    {"/* a\n * b\n", 1, "comment is never closed"},
    {"limits { idle = 5m } }\n", 1, "closes nothing"},
    {"listen *:25 { }\n", 1, "* into quotes"},
    /* FAULT D19: habits of other files, and what to write instead */
    {"\nhostname: \"mx.a.org\"\n", 2, "write hostname = ..."},
    {"listen \"*:25\" {\nrole: mx }\n", 2, "write role = ..."},
    {HOST "greeting = \"a\";\n", 2, "a ; at its end: take it out"},
    {HOST "limits { idle = 5m };\n", 2, "a ; at its end: take it out"},
    {"recipient-delimiter = +\n", 1, "+ into quotes"},
    {"greeting = \"a\\tb\"\n", 1, "\\\\ for one"},
    {"greeting = \"a\\101b\"\n", 1, "\\\\ for one"},
    {"greeting = \"${NOT_SET_HERE}\"\n", 1, "${NOT_SET_HERE} is not set"},
    {"greeting = ${NOT_SET_HERE}\n", 1, "${NOT_SET_HERE:-default}"},
    {"greeting = \"a ${HOME b\"\n", 1, "write ${NAME}"},
    {"greeting = a${HOME}\n", 1, "into quotes"},
    {"greeting = \"${CONTROL}\"\n", 1, "octet 0x1b"},
    {"domain \"a.org\" { users = { } }\n", 1, "list is empty"},
    {"domain \"a.org\" { users = {\n\"\xe9\" } }\n", 2, "not UTF-8"},
    {"greeting = \"a\tb\"\n", 1, "octet 0x09"},

    /* syntax */
    {"\nhostname \"x.org\"\n", 2, "hostname needs an equal sign"},
    {"greeting\n", 2, "needs an equal sign"},
    {"listen { role = mx }\n", 1, "needs a name in quotes"},
    {"listen { role = mx }\n", 1, "write listen \"ADDR:PORT\" { }"},
    {"\ndns \"x\" { }\n", 2, "no name: write dns { }"},
    {"listen \"*:25\"\n", 2, "opening brace"},
    {"\ngreeting = Hello world\n", 2, "several words lack its quotes?"},
    {"limits { idle = 5m, line = 2K }\n", 1, "the values of a list alone"},
    {HOST "smarthost = { \"smtp://a\", \"smtp://b\" }\n", 2,
	"smarthost takes one value"},
    {"domain \"a.org\" { users = { \"a\"\n \"b\" } }\n", 2, "a comma"},
    {"greeting = , \"b\"\n", 1, "of a list alone"},
    {"greeting += \"b\"\n", 1, "write = instead of +="},
    {"include \"x\"\n", 1, "parentheses"},
    {"include(\"x\", \"y\")\n", 1, "with one name"},
    {"frobnicate(\"x\")\n", 1, "but include"},
    {"include(\"x\"\n", 1, "with one name"},
    {"include()\n", 1, "with one name"},

    /* unknown keys */
    {"hostnme = \"a.org\"\n", 1, "did you mean \"hostname\"?"},
    {"Greeting = \"a\"\n", 1, "did you mean \"greeting\"?"},
    {"spool_volatile = yes\n", 1, "\"spool-volatile\""},
    {"xyzzy = 1\n", 1, "known here: hostname, greeting"},
    {"idle = 5m\n", 1, "belongs into a limits block"},
    {"limits = 5m\n", 1, "it is a block"},
    {"limits|idle = 5m\n", 1, "unknown key"},
    {"\" \" = 5m\n", 1, "unknown key"},
    {"limits { hostname = a }\n", 1, "outside of any block"},
    {"limits { user = a }\n", 1, "it stands outside of any block; known here"},
    {"limits { message-size = 5M }\n", 1,
	"outside of any block, or belongs into a domain block"},
    {"timeout = 5m\n", 1,
	"it belongs into a route or milter or redis or dns block"},
    {"dns { server = \"::1\" }\n", 1,
	"did you mean \"servers\"? Otherwise it belongs into a redis block"},
    {"greylist = defer\n", 1,
	"write it with { }. Otherwise it belongs into a checks block"},
    {"users = { \"a\" }\n", 1, "Otherwise it belongs into a domain block"},
    {"domain \"a.org\" { user = a }\n", 1, "did you mean \"users\"?"},
    {GREY "greylist { enabled = yes }\n", 1, "known here: delay, window"},
    {"milters = { \"::1\" }\n", 1, "did you mean a block \"milter\"?"},
    {"client \"::1\" { access = x }\n", 1, "outside of this one, with { }"},
    {"sandbox { }\n", 1, "it is a key"},
    {"table aliases file:x\n", 1, "here it is users-file or aliases-file"},
    {"rbl \"a.org\" { }\n", 1, "here it is a dnsbl block for each"},
    {"checks { spf = reject }\n", 1, "here it is a milter's work"},
    {"relayhost = x\n", 1, "unknown key \"relayhost\": here it is smarthost"},
    {"limits {\nsmtpd_recipient_limit = 9 }\n", 2, "here it is recipients"},
    {"SMTPD_milters = x\n", 1, "here it is a milter block for each"},
    {"auth { mechanisms = { \"X\" } }\n", 1, "is none of PLAIN"},
    {"auth {\npassword-file = \"/nowhere\" }\n", 2, "No such file"},
    {"auth {\npassword-file = \"/dev/null\" }\n", 2,
	"/dev/null: it is no regular file"},
    {"include(\"/dev/null\")\n", 1, "\"/dev/null\": it is no regular file"},
    {"journal { segment = 1023K }\n", 1, "from 1M to 1G"},
    {"workers = 4\njournal {\nsize = 1023M }\n", 3, "4 segments for each"},
    {"journal {\nsegment = 1M\ninline = 257K }\n", 3,
	"a quarter of segment: write segment = 2M"},
    {"limit { idle = 5m }\n", 1, "did you mean \"limits\"?"},
    {"hostname { }\n", 1, "it is a key"},
    {"xyzzy { a { b = c } }\n", 1, ""},
    {"domains = { \"a\", \"b\" }\n", 1, "did you mean a block \"domain\"?"},

    /* values */
    {"workers = 0\n", 1, "a number from 1 to 31"},
    {"\ngreeting = \"ready\"\"\"\nworkers = 0\n", 2, "an empty pair"},
    {"workers = 32\n", 1, "a number from 1 to 31"},
    {"workers = -1\n", 1, "a number from 1 to 31"},
    {"workers = 4x\n", 1, "a number from 1 to 31"},
    {"workers = \"\"\n", 1, "a number from 1 to 31"},
    {"workers = 18446744073709551617\n", 1, "a number from 1 to 31"},
    {"threads = 65\n", 1, "a number from 1 to 64"},
    {"message-size = 65535\n", 1, "from 64K to 1T"},
    {"message-size = 2T\n", 1, "from 64K to 1T"},
    {"message-size = 25MB\n", 1, "such as 50M"},
    {"message-size = 99999999999999999999T\n", 1, "such as 50M"},
    {"limits { recipients = 99 }\n", 1, "from 100 to 100000"},
    {"limits { errors = 0 }\n", 1, "from 1 to"},
    {"limits { sessions = 1000001 }\n", 1, "from 1 to 1000000"},
    {"limits { rate-messages = 0/m }\n", 1, "such as 120/m"},
    {"limits { rate-messages = 5 }\n", 1, "or 0 for any"},
    {"limits { rate-messages = 5/d }\n", 1, "such as 120/m"},
    {"limits { rate-messages = /m }\n", 1, "such as 120/m"},
    {"limits { rate-messages = 6001/s }\n", 1, "at most 6000/s"},
    {"limits { rate-messages = 60001/m }\n", 1, "60000/m"},
    {"limits { rate-messages = 60001/h }\n", 1, "60000/h"},
    {"limits { rate-connections = \"5 /m\" }\n", 1, "such as 120/m"},
    {"limits { observe = rates }\n", 1, "yes or no"},
    {"client \"::/0\" { limits = 5 }\n", 1, "yes or no"},
    {GREY "greylist { delay = 999ms }\n", 1, "from 1s to 1h"},
    {GREY "greylist { window = 9m }\n", 1, "from 10m to 7d"},
    {GREY "greylist { keep = 401d }\n", 1, "from 1d to 400d"},
    {GREY "greylist { after = 101 }\n", 1, "from 0 to 100"},
    {GREY "greylist {\nwindow = 10m\ndelay = 10m }\n", 3, "a window of some"},
    {GREY "greylist {\nwindow = 10m\n}\n"
	  "greylist { delay = 1h }\n",
	4, "a greylist block already"},
    {"limits { line = 999 }\n", 1, "from 1000 to 1M"},
    {"limits { line = 2M }\n", 1, "from 1000 to 1M"},
    {"limits {\n\n idle = 5 \n}\n", 3, "a time such as 5m"},
    {"limits { idle = 99ms }\n", 1, "from 100ms to 1d"},
    {"journal { reserve = 51% }\n", 1, "0% to 50%"},
    {"spool-volatile = maybe\n", 1, "yes or no"},
    {"local-part-case = lower\n", 1, "fold, keep"},
    {"sandbox = maybe\n", 1, "yes, require, no"},
    {"log { level = debug }\n", 1, "error, warn, info, trace"},
    {"recipient-delimiter = \"++\"\n", 1, "or \"\" for none"},
    {"recipient-delimiter = \"@\"\n", 1, "or \"\" for none"},
    {"recipient-delimiter = \"/\"\n", 1, "or \"\" for none"},
    {"recipient-delimiter = a\n", 1, "or \"\" for none"},
    {"spool = \"var/spool\"\n", 1, "absolute path"},
    {"spool = \"\"\n", 1, "absolute path"},
    {"greeting = \"\"\n", 1, "1 to 200 characters"},
    {"greeting = \"caf\xc3\xa9\"\n", 1, "ASCII"},
    {"listen \"*:25\" { hostname = \"a/b.org\" }\n", 1, "write a name"},
    {"listen \"*:25\" { hostname = \"[192.0.2.1]\" }\n", 1, "write a name"},
    {"limits { data-rate = 100/s }\n", 1, "such as 100, from 0 to 1M"},
    {"listen \"*:25\" { hostname = \"192.0.2.1\" }\n", 1, "write a name"},
    {"listen \"*:25\" { hostname = \"a.org.\" }\n", 1, "a dot at its end"},
    {"checks { pregreet-wait = 31s }\n", 1, "such as 30s, from 0 to 30s"},
    {"postmaster = \"\"\n", 1, "leave the key out"},
    {"postmaster = \"x\"\ndomain \"a.org\" { users = { \"abuse\" } }\n", 1,
	"postmaster \"x\""}, /* and not that a.org has none */

    /* listen and client */
    {"listen \"25\" { }\n", 1, "write an address and a port"},
    {"listen \"*\" { }\n", 1, "write an address and a port"},
    {"listen \"*:0\" { }\n", 1, "write an address and a port"},
    {"listen \"*:65536\" { }\n", 1, "write an address and a port"},
    {"listen \"*:smtp\" { }\n", 1, "write an address and a port"},
    {"listen \"localhost:25\" { }\n", 1, "write an address and a port"},
    {"listen \"::1:25\" { }\n", 1, "write an address and a port"},
    {"listen \"[127.0.0.1]:25\" { }\n", 1, "write an address and a port"},
    {"listen \"[::1]\" { }\n", 1, "write an address and a port"},
    {"listen \"\" { }\n", 1, "write an address and a port"},
    {"listen \"*:25\" {}\nlisten \"*:25\" {\n}\n", 2, "line 1 listens"},
    {"listen \"0.0.0.0:25\" {}\nlisten \"*:25\" {}\n", 2, "line 1 listens"},
    {"listen \"*:465\" {\n tls = implicit }\n", 2, "needs a certificate"},
    {"listen \"127.0.0.1:1\" { role = metrics\ntls = off }\n", 2, "remove it"},
    {"listen \"127.0.0.1:1\" { role = metrics\ngreeting = \"a\" }\n", 2,
	"greeting is for mail"},
    {"client \"192.0.2.1/24\" { }\n", 1, "no bits set behind its prefix"},
    {"client \"example.org\" { }\n", 1, "write a network"},
    {"client \"::/0\" { }\nclient \"::/0\" { }\n", 2, "there already"},
    {"client \"::/0\" { bare-newline = drop }\n", 1, "reject, normalize"},
    /* FAULT C13: what it was called, and meant something else */
    {"client \"::/0\" { bare-newline = keep }\n", 1, ": write normalize"},

    {"client \"0.0.0.0/0\" { proxy = yes }\n", 1, "your balancers"},
    {"client \"10.0.0.0/7\" { proxy = yes }\n", 1, "your balancers"},
    {"client \"::/0\" { proxy = yes }\n", 1, "your balancers"},
    {"client \"2000::/15\" { proxy = yes }\n", 1, "your balancers"},
    {"client \"::ffff:0:0/96\" { proxy = yes }\n", 1, "your balancers"},

    /* twice */
    {"threads = 4\nworkers = 2\nthreads = 4\n", 3, "in line 1 of"},
    {"log { level = info }\nlog { to = stderr }\n", 2, "in line 1 of"},

    /* domains */
    {"domain \"a.org\" { users = { \"postmaster\" }\n"
     "aliases = { \"abuse: postmaster\",\n\"*: postmaster\" } }\n",
	3, "is no wildcard here: write catch-all"},
    {"domain \"example.org\" { users = { \"a\" } }\n", 3, "in line 1 of"},
    {"domain \"EXAMPLE.org\" { users = { \"a\" } }\n", 3, "in line 1 of"},
    {"domain \"a..org\" { users = { \"a\" } }\n", 1, "a domain name"},
    {"domain \"\" { users = { \"a\" } }\n", 1, "a domain name"},
    {"domain \"a.org\" {\n users = { \"a\",\n \".b\" } }\n", 3, "user \".b\""},
    {"domain \"a.org\" { deliver = \"/var/mail\" }\n", 1, "\"maildir:\""},
    {"domain \"a.org\" { deliver = \"imap:/x\" }\n", 1, "one of maildir:"},
    {"domain \"a.org\" { deliver = { \"discard:\",\n\"discard:x\" } }\n", 2,
	"deliver \"discard:x\": nothing"},
    {"domain \"a.org\" { users = { \"a\", \"postmaster\", \"abuse\" }\n"
     "catch-all = { \"a\",\n\"maildir:/m/%u\" } }\n",
	3, "catch-all \"maildir:/m/%u\": would make"},
    {"domain \"a.org\" { users = { \"a\", \"postmaster\" }\n"
     "aliases = { \"abuse: imap:x\" } }\n",
	2, "alias \"abuse: imap:x\": write one of"},
    {"domain \"a.org\" { deliver = \"maildir:x\" }\n", 1, "absolute"},
    {"domain \"a.org\" { deliver = \"maildir:\" }\n", 1, "absolute"},
    {"domain \"a.org\" {\ndeliver = \"maildir:/m/%x\" }\n", 2, "%"},
    {"domain \"a.org\" {\nusers-file = \"/does/not/exist\" }\n", 2,
	"No such file"},
    {"domain \"a.org\" { aliases = {\n\"x\" } }\n", 2, "colon"},
};

static void
bad_inputs(void **state)
{
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool host = strstr(bad[i].text, "\nhostname") != NULL;

		load_format(&l, "%s%s%s", bad[i].text, host ? "" : HOST,
		    DOMAIN);
		if (l.errors != 1 || !l.n ||
		    !strstr(l.faults[0].text, bad[i].fragment))
			print_error("%u faults: %s\n", l.n, bad[i].text);
		assert_int_equal(l.status, CONFIG_ERRORS);
		assert_only(&l, bad[i].line, bad[i].fragment);
	}
}

static void
all_faults_in_order(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, "hostname = \"a b\" # one\n"
		      "/* two\n three */ spool = var\n"
		      "workers = 100\n"
		      "nothing = { a, b }\n"
		      "nowhere \"x\" { users = { y } z = 4 }\n"
		      "listen \"x\" { roel = mx  tls = starttls }\n"
		      "domain \"a.org\" { users = { \"/\", \".\" } }\n"
		      "limits { idle = 1 }\n");
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.errors, 10);
	assert_fault(&l, 0, "smtpd.conf", 1, "hostname");
	assert_fault(&l, 1, "smtpd.conf", 3, "spool");
	assert_fault(&l, 2, "smtpd.conf", 4, "workers");
	assert_fault(&l, 3, "smtpd.conf", 5, "nothing");
	assert_fault(&l, 4, "smtpd.conf", 6, "nowhere");
	assert_fault(&l, 5, "smtpd.conf", 7, "roel");
	assert_fault(&l, 6, "smtpd.conf", 7, "listen");
	assert_fault(&l, 7, "smtpd.conf", 8, "user \"/\"");
	assert_fault(&l, 8, "smtpd.conf", 8, "user \".\"");
	assert_fault(&l, 9, "smtpd.conf", 9, "idle");
}

static void
recipients_faults(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST "domain \"a.org\" {\n"
			   "users = { \"alice\" }\n"
			   "aliases = { \"abuse: alice\",\n"
			   "\"info: bob\",\n"
			   "\"ext: x@elsewhere.org\",\n"
			   "\"one: two\",\n"
			   "\"two: one\" }\n"
			   "}\n");
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.errors, 5);
	assert_fault(&l, 0, "smtpd.conf", 2, "postmaster");
	assert_fault(&l, 1, "smtpd.conf", 5, "info");
	assert_fault(&l, 2, "smtpd.conf", 6, "elsewhere.org");
	assert_fault(&l, 3, "smtpd.conf", 7, "one");
	assert_fault(&l, 4, "smtpd.conf", 8, "two");

	load_text(&l, HOST "\npostmaster = \"bob@a.org\"\n"
			   "domain \"a.org\" { users = { \"alice\" }\n"
			   "aliases = { \"abuse: alice\" } }\n");
	assert_only(&l, 3, "bob@a.org");

	load_text(&l, HOST "domain \"a.org\" { users = { \"alice\" }\n"
			   "catch-all = \"bob\" }\n");
	assert_only(&l, 3, "bob@a.org");
}

static void
no_domain(void **state)
{
	static const char *const texts[] = {"", HOST, "\n", "# nothing\n#\n#"};
	struct loaded l;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		load_text(&l, texts[i]);
		assert_int_equal(l.status, CONFIG_ERRORS);
		assert_int_equal(l.errors, 1);
		assert_fault(&l, l.n - 1, "smtpd.conf", 1,
		    "domain \"example.org\" { users");
	}
}

static void
warnings(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *fragment;
	} all[] = {
	    {"\nhostname = mail\n" DOMAIN, 2, "has no dot"},
	    {HOST DOMAIN "listen \"*:587\" {\nrole = submission }\n", 4,
		"MAIL with 530"},
	    {HOST DOMAIN "listen \"*:9025\" { role = metrics }\n", 3,
		"\"127.0.0.1:9025\""},
	    {HOST DOMAIN "listen \"[2001:db8::1]:9025\" { role = metrics }\n",
		3, "reads the metrics"},
	    {HOST "domain \"a.org\" { users = { \"postmaster\" } }\n", 2,
		"abuse"},
	    {HOST "message-size = 1M\ndomain \"a.org\" {\n"
		  "users = { \"postmaster\", \"abuse\" }\n"
		  "message-size = 2M }\n",
		5, "counts first"},
	    {HOST DOMAIN "checks {\npregreet = reject }\n", 4,
		"write pregreet-wait = 6s"},
	    {HOST DOMAIN "\ngreylist { delay = 2m }\n", 4,
		"without checks { greylist = defer }"},
	    {HOST DOMAIN "limits {\nper-address = 1001 }\n", 4,
		"never reached, since per-network is less"},
	    {HOST DOMAIN "limits {\nsessions = 10\nper-network = 11 }\n", 5,
		"never reached, since sessions is less"},
	    {HOST DOMAIN "limits { session = 2h\nidle = 3h }\n", 4,
		"never reached, since session is less"},
	};
	struct loaded l;

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_text(&l, all[i].text);
		assert_int_equal(l.status, CONFIG_WARNINGS);
		assert_only(&l, all[i].line, all[i].fragment);
	}
	load_text(&l, HOST DOMAIN "postmaster = \"alice@example.org\"\n"
				  "domain \"a.org\" { }\n");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_int_equal(l.n, 2);
	assert_fault(&l, 0, "smtpd.conf", 4, "nobody but postmaster");
	assert_fault(&l, 1, "smtpd.conf", 4, "abuse");
	config_free(&l.config);
	load_good(&l, "hostname = localhost\n" DOMAIN);
	config_free(&l.config);
}

/* Nobody writes to the FIFO: who waits for its end waits for ever. */
static void
unreadable(void **state)
{
	const char *const odd[] = {"/dev/null", path_of("fifo")};
	struct loaded l;

	(void)state;
	load(&l, path_of("missing.conf"));
	assert_int_equal(l.status, CONFIG_MISSING);
	assert_int_equal(l.n, 1);
	assert_fault(&l, 0, "missing.conf", 0, "No such file");
	load(&l, test_dir);
	assert_int_equal(l.status, CONFIG_MISSING);
	assert_int_equal(l.n, 1);
	assert_int_equal(mkfifo(odd[1], 0600), 0);
	for (unsigned i = 0; i < 2; i++) {
		load(&l, odd[i]);
		assert_int_equal(l.status, CONFIG_MISSING);
		assert_int_equal(l.n, 1);
		assert_non_null(
		    strstr(l.faults[0].text, "it is no regular file; name"));
	}
}

static void
binary_and_huge(void **state)
{
	size_t n = (16u << 20) + 1;
	char *text = malloc(n);
	struct loaded l;

	(void)state;
	assert_non_null(text);
	write_file("smtpd.conf", "greeting = \"a\0b\"\n", 17);
	load(&l, path_of("smtpd.conf"));
	assert_only(&l, 1, "octet 0x00");
	write_file("smtpd.conf",
	    "\n\n\x7f"
	    "ELF\x02\x01\x01",
	    9);
	load(&l, path_of("smtpd.conf"));
	assert_only(&l, 3, "octet 0x7f");

	memset(text, '\n', n);
	write_file("smtpd.conf", text, n);
	load(&l, path_of("smtpd.conf"));
	assert_int_equal(l.status, CONFIG_MISSING);
	assert_fault(&l, 0, "smtpd.conf", 0, "too large");
	memcpy(text + n - 1 - strlen(HOST DOMAIN), HOST DOMAIN,
	    strlen(HOST DOMAIN));
	write_file("smtpd.conf", text, n - 1);
	load(&l, path_of("smtpd.conf"));
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_inputs),
	    cmocka_unit_test(all_faults_in_order),
	    cmocka_unit_test(recipients_faults),
	    cmocka_unit_test(no_domain),
	    cmocka_unit_test(warnings),
	    cmocka_unit_test(unreadable),
	    cmocka_unit_test(binary_and_huge),
	};

	unsetenv("NOT_SET_HERE");
	setenv("CONTROL", "a\033b", 1);
	setenv("HOME", "/", 1);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
