/*
 * Configurations in several files, printed ones, the example, and any bytes
 * at all: the parser must survive what it refuses, and go on as if new.
 */
#include "config/print.h"
#include "config_text.h"
#include "policy/auth_users.h"

#define EXAMPLE "smtpd.conf.example"
#define ROUNDS  3000

static void
include_beside(void **state)
{
	static const char sub[] = "# a\n\nworkers = 3\nlimits { idle = 7m }\n";
	struct loaded l;

	(void)state;
	write_text("sub.conf", sub);
	load_good(&l, HOST "include(\"sub.conf\")\n" DOMAIN "threads = 2\n");
	assert_int_equal(l.config->workers, 3);
	assert_int_equal(l.config->threads, 2);
	assert_int_equal(l.config->deadlines.idle, 7 * 60000);
	config_free(&l.config);
}

static void
include_faults(void **state)
{
	static const char sub[] = "\nworkers = 0\ninclude(\"sub/b.conf\")\n"
				  "thread = 1\nthreads = 2\n";
	static const char subsub[] = "log {\n\n levle = info\n to = x }\n";
	struct loaded l;

	(void)state;
	mkdir(path_of("sub"), 0700);
	write_text("a.conf", sub);
	write_text("sub/b.conf", subsub);
	load_text(&l, HOST "threads = 4\ninclude(\"a.conf\")\n"
			   "include(\"missing.conf\")\n"
			   "drain = x\n" DOMAIN);
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.n, 7);
	assert_fault(&l, 0, "smtpd.conf", 4, "missing.conf");
	assert_fault(&l, 1, "smtpd.conf", 5, "drain");
	assert_fault(&l, 2, "a.conf", 2, "workers");
	assert_fault(&l, 3, "a.conf", 4, "threads");
	assert_fault(&l, 4, "a.conf", 5, "smtpd.conf");
	assert_fault(&l, 5, "b.conf", 3, "level");
	assert_fault(&l, 6, "b.conf", 4, "stderr, syslog");
}

/* A syntax error in one file hides nothing in another. */
static void
include_broken(void **state)
{
	static const char sub[] = "threads = \"4\n";
	static const char other[] = "\nworkers 4\n";
	struct loaded l;

	(void)state;
	write_text("a.conf", sub);
	write_text("b.conf", other);
	load_text(&l, "include(\"a.conf\")\ninclude(\"b.conf\")\n"
		      "drain = x\n" HOST DOMAIN);
	assert_int_equal(l.n, 3);
	assert_fault(&l, 0, "smtpd.conf", 3, "drain");
	assert_fault(&l, 1, "a.conf", 1, "never closed");
	assert_fault(&l, 2, "b.conf", 2, "equal sign");
}

/* Once too deep is enough: nine times itself, ten deep, would never end. */
static void
include_itself(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, "include(\"smtpd.conf\")\n" HOST);
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_true(l.n > 1);
	load_text(&l, "include(\"smtpd.conf\")\ninclude(\"smtpd.conf\")\n");
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.n, 1);
	assert_non_null(strstr(l.faults[0].text, "include itself"));
}

/* What a fault quotes neither steers a terminal nor ends in half a letter. */
static void
faults_are_text(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, "a\xff\xc3\xbc\xc2\x9b = 1\n");
	assert_int_equal(l.n, 1);
	assert_non_null(strstr(l.faults[0].text, "a?\xc3\xbc??"));
}

/*
 * FAULT D7: a byte order mark at the start of any file hides no key and no
 * name; elsewhere it is what it looks like.
 */
static void
byte_order_marks(void **state)
{
	static const char bom[] = "\xef\xbb\xbf", mark[] = "\xef\xbb\xbf"
							   "drain = 7m\n";
	static const char pass[] =
	    "\xef\xbb\xbf"
	    "al:$y$j9T$kxjeqRUa8v.iRoZ8gJh2k.$"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
	static const char *const lists[][2] = {{"users", "alice\n"},
	    {"aliases", "abuse: alice\n"}, {"senders", "al: @a.test\n"}};
	struct smtp_path from = {.local = "x", .domain = "a.test"};
	struct buf text = {0};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		buf_printf(&text, "%s%s", bom, lists[i][1]);
		write_file(lists[i][0], text.data, text.len);
		text.len = 0;
	}
	write_file("drain.conf", mark, sizeof(mark) - 1);
	write_file("passwords", pass, sizeof(pass) - 1);
	buf_printf(&text,
	    "%s" HOST "include(\"drain.conf\")\n"
	    "auth { password-file = \"%s/passwords\"\n"
	    "senders-file = \"%s/senders\" }\n"
	    "domain \"example.org\" { users-file = \"%s/users\"\n"
	    "aliases-file = \"%s/aliases\"\n"
	    "aliases = { \"postmaster: alice\" } }\n%c",
	    bom, test_dir, test_dir, test_dir, test_dir, '\0');
	load_good(&l, text.data);
	buf_free(&text);
	assert_int_equal(l.config->drain, 7 * 60000);
	assert_non_null(auth_users_find(l.config->auth.users, SPAN_LIT("al")));
	assert_int_equal(senders_look(l.config->senders, "al", &from),
	    SENDERS_YES);
	config_free(&l.config);
	load_text(&l, HOST "\xef\xbb\xbf" DOMAIN);
	assert_int_equal(l.errors, 1);
	write_file("empty", bom, sizeof(bom) - 1);
	load_good(&l, HOST DOMAIN "include(\"empty\")\n");
	config_free(&l.config);
}

/*
 * FAULT C4: one domain in two spellings, and what is none, are errors with
 * their lines; a fault in a domain is shown where that is written.
 */
static void
spellings(void **state)
{
	static const char text[] =
	    HOST "domain \"b\xc3\xbc"
		 "cher.test\" { users = { \"postmaster\", \"abuse\" } }\n"
		 "domain \"xn--bcher-kva.test\" { }\n"
		 "domain \"\xe2\x98\x83.test\" { }\n";
	static const char alias[] = HOST
	    "domain \"B\xc3\x9c"
	    "cher.test\" { users = { \"postmaster\", \"abuse\" }\n"
	    "aliases = {\n\"a: nobody\",\n\"b: a@\xe2\x98\x83.test\" } }\n";
	struct loaded l;

	(void)state;
	load_text(&l, text);
	assert_int_equal(l.errors, 2);
	assert_fault(&l, 0, "smtpd.conf", 3, "there already, in line 2 of");
	assert_fault(&l, 1, "smtpd.conf", 4, "IDNA2008 has no such name");
	load_text(&l, alias);
	assert_only(&l, 5, "target that is no address");
	load_text(&l, HOST "domain \"B\xc3\x9c"
			   "cher.test\" { users = { \"postmaster\" }\n"
			   "aliases = {\n\"abuse: nobody\" } }\n");
	assert_only(&l, 4, "leads to nobody");
}

/* Everything but the first line, which names the file. */
static char *
print(const struct config *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	char *line;

	assert_non_null(f);
	config_print(c, f);
	assert_int_equal(fclose(f), 0);
	line = strchr(text, '\n');
	assert_non_null(line);
	memmove(text, line + 1, strlen(line));
	return text;
}

static void
reads_back(const struct config *c)
{
	char *once = print(c), *twice;
	struct loaded l;

	load_text(&l, once);
	assert_int_equal(l.errors, 0);
	assert_int_equal(l.config->nlistens, c->nlistens);
	assert_int_equal(l.config->nclients, c->nclients);
	for (unsigned i = 0; i < c->nlistens; i++) {
		assert_string_equal(l.config->listens[i].smtp.greeting,
		    c->listens[i].smtp.greeting);
		assert_int_equal(l.config->listens[i].smtp.errors,
		    c->listens[i].smtp.errors);
	}
	twice = print(l.config);
	assert_string_equal(once, twice);
	config_free(&l.config);
	free(once);
	free(twice);
}

static void
print_reads_back(void **state)
{
	struct loaded l;
	char *text;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "greeting = \"a \\\"quoted\\\" \\\\ \\${X} 'one' # //\"\n"
	    "recipient-delimiter = \"\" local-part-case = keep\n"
	    "message-size = 1537K drain = 90s group = mail\n"
	    "limits { idle = 1500ms line = 1000 recipients = 101 }\n"
	    "journal { reserve = 0% } log { to = syslog format = json }\n"
	    "postmaster = \"\\\"a b\\\"@example.net\"\n"
	    "listen \"*:2525\" { tls = off } listen \"[::1]:26\" { }\n"
	    "client \"192.0.2.0/24\" { bare-newline = normalize }\n"
	    "client \"::/0\" { }\n"
	    "domain \"example.net\" { users = { \"a\", b, 'c', d, '$x' }\n"
	    "aliases = { \"\\\"a b\\\": a\", \"abuse: b, c\" }\n"
	    "catch-all = a message-size = 64K\n"
	    "deliver = \"maildir:/m/%u+%d/%t\" }\n"
	    "domain \"two.net\" { users = { \"abuse\" }\n"
	    "catch-all = { abuse, \"discard:\", \"maildir:/m/a, b\" }\n"
	    "deliver = { \"discard:\", \"maildir:/m/%u\" } }\n");
	text = print(l.config);
	assert_non_null(strstr(text, "\nmessage-size = 1537K\n"));
	assert_non_null(strstr(text, "\nrecipient-delimiter = \"\"\n"));
	assert_non_null(strstr(text, "\n# users-file =\n") ||
			strstr(text, "\t# users-file =\n"));
	assert_non_null(strstr(text, "client \"::/0\" {"));
	free(text);
	reads_back(l.config);
	config_free(&l.config);

	load_good(&l, HOST DOMAIN);
	reads_back(l.config);
	config_free(&l.config);
	load(&l, CONFIG_BUILTIN);
	reads_back(l.config);
	config_free(&l.config);
}

static void
print_names_every_key(void **state)
{
	char *keys = NULL, *text, *line, *rest;
	char want[128];
	size_t len = 0;
	FILE *f = open_memstream(&keys, &len);
	unsigned n = 0;
	struct loaded l;

	(void)state;
	assert_non_null(f);
	config_print_keys(f);
	fclose(f);
	load_good(&l, HOST DOMAIN "client \"::/0\" { }\n"
				  "domain \"a.org\" { catch-all = "
				  "\"route:x\" }\n"
				  "route \"x\" { to = \"lmtp:/x\" }\n"
				  "checks { dnsbl = reject }\n"
				  "dnsbl \"x.test\" { codes = "
				  "\"127.0.0.2: 5\" }\n"
				  "milter \"x\" { socket = \"/x\" }\n");
	text = print(l.config);
	rest = keys;
	while ((line = strsep(&rest, "\n")) && *line) {
		char section[32], key[32], type[32];

		assert_int_equal(sscanf(line, "%31[^\t]\t%31[^\t]\t%31[^\t]",
				     section, key, type),
		    3);
		if (!strcmp(section, "certificate")) /* _tls.c has one */
			continue;
		snprintf(want, sizeof(want), "%s = ", key);
		if (!strstr(text, want))
			snprintf(want, sizeof(want), "# %s =\n", key);
		assert_non_null(strstr(text, want));
		n++;
	}
	assert_true(n > 30);
	config_free(&l.config);
	free(text);
	free(keys);
}

static char *
read_example(void)
{
	FILE *f = fopen(EXAMPLE, "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, 65535, f) > 1000);
	fclose(f);
	return text;
}

/* But for what it says of this machine's name, which is not its fault. */
static void
example_loads(void **state)
{
	struct loaded l;

	(void)state;
	load(&l, EXAMPLE);
	assert_int_equal(l.errors, 0);
	for (unsigned i = 0; i < l.n; i++)
		assert_non_null(
		    strstr(l.faults[i].text, "no hostname is written"));
	config_free(&l.config);
}

/* "#key" and "#<tab>key" are keys; "# text" is not. */
static void
example_uncommented_loads(void **state)
{
	char *text = read_example();
	struct loaded l;

	(void)state;
	for (char *p = text; (p = strchr(p, '#')); p++) {
		size_t blank = strspn(p + 1, " #-");

		if (!blank && (p == text || strchr("\n\t", p[-1])))
			*p = ' ';
	}
	load_text(&l, text);
	for (unsigned i = 0; i < l.n; i++) {
		const char *fault = l.faults[i].text;

		/* files that this machine has not */
		if (strncmp(fault, "cannot ", 7) != 0 &&
		    !strstr(fault, ": No such file or directory") &&
		    !strstr(fault, "choose one of them") &&
		    !strstr(fault, "no list is asked without") &&
		    !strstr(fault, "nobody asks it while greylist") &&
		    strncmp(fault, "role = submission", 17) != 0)
			fail_msg("%u: %s", l.faults[i].line, fault);
	}
	config_free(&l.config);
	free(text);
}

/* Repeatable, as what fails once must fail again. */
static unsigned
next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 8;
}

static void
mutate(char *text, size_t len, unsigned *seed)
{
	static const char bytes[] = "{}()=,+*\"'\\$#/\n x0-";
	unsigned n = next_random(seed) % 6;

	for (unsigned i = 0; i <= n; i++) {
		unsigned r = next_random(seed);

		text[next_random(seed) % len] =
		    r % 8 ? bytes[r / 8 % (sizeof(bytes) - 1)] : (char)(r / 8);
	}
}

static void
any_bytes(void **state)
{
	char *example = read_example();
	size_t len = strlen(example);
	char *text = malloc(len);
	unsigned seed = 1;
	struct loaded l;

	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t from = next_random(&seed) % len;
		size_t n = 1 + next_random(&seed) % (len - from);

		memcpy(text, example, len);
		mutate(text, len, &seed);
		write_file("smtpd.conf", text + from, n);
		load(&l, path_of("smtpd.conf"));
		config_free(&l.config);
	}
	load_good(&l, HOST DOMAIN);
	config_free(&l.config);
	free(example);
	free(text);
}

/* FAULT B4: secrets that others can read, and the command against it. */
static void
secrets_of_others(void **state)
{
	char text[1024];
	struct loaded l;

	(void)state;
	write_file("passwords", "# none\n", 7);
	snprintf(text, sizeof(text),
	    HOST "group = mail\n" DOMAIN "auth {\npassword-file = \"%s\" }\n",
	    path_of("passwords"));
	load_text(&l, text);
	config_free(&l.config);
	assert_int_equal(l.n, 1); /* that nobody is in it */
	assert_int_equal(chmod(path_of("passwords"), 0644), 0);
	load_text(&l, text);
	config_free(&l.config);
	assert_int_equal(l.n, 2);
	assert_fault(&l, 0, "smtpd.conf", 5,
	    "passwords is a secret, and others can read it: chgrp mail, "
	    "chmod 640");
	assert_int_equal(chmod(path_of("passwords"), 0660), 0);
	load_text(&l, text);
	config_free(&l.config);
	assert_int_equal(l.n, 2);
	assert_fault(&l, 0, "smtpd.conf", 5, "others can write it");
}

/* FAULT B4: bare-newline = normalize for more than one sender's network. */
static void
normalize_for_all(void **state)
{
	static const struct {
		const char *net;
		bool warns;
	} nets[] = {{"0.0.0.0/0", true}, {"192.0.0.0/15", true},
	    {"192.0.0.0/16", false}, {"::/0", true}, {"2001:da8::/31", true},
	    {"2001:db8::/32", false}};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
		load_format(&l,
		    HOST DOMAIN "client \"%s\" { bare-newline = normalize }\n",
		    nets[i].net);
		config_free(&l.config);
		assert_int_equal(l.n, nets[i].warns);
		if (nets[i].warns)
			assert_fault(&l, 0, "smtpd.conf", 3, "at most a /16");
		load_format(&l,
		    HOST DOMAIN "client \"%s\" { bare-newline = reject }\n",
		    nets[i].net);
		config_free(&l.config);
		assert_int_equal(l.n, 0);
	}
}

/* For more than one's own machines, or with keys that say nothing then. */
static void
proxies(void **state)
{
	static const struct {
		const char *block, *fault; /* NULL: none */
	} rows[] = {
	    {"10.0.0.0/8\" { proxy = yes }", "for so many"},
	    {"10.0.0.0/15\" { proxy = yes }", "for so many"},
	    {"10.0.0.0/16\" { proxy = yes }", NULL},
	    {"fd00::/16\" { proxy = yes }", "for so many"},
	    {"fd00::/31\" { proxy = yes }", "for so many"},
	    {"fd00::/32\" { proxy = yes }", NULL},
	    {"10.0.0.7\" { proxy = yes  limits = no }", "limits says nothing"},
	    {"10.0.0.7\" { bare-newline = reject  proxy = yes }",
		"bare-newline says nothing"},
	    {"0.0.0.0/0\" { proxy = no  limits = no }", NULL},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		load_format(&l, HOST DOMAIN "client \"%s\n", rows[i].block);
		assert_non_null(l.config);
		assert_int_equal(l.config->clients[0].proxy, i < 8);
		config_free(&l.config);
		assert_int_equal(l.n, rows[i].fault != NULL);
		if (rows[i].fault)
			assert_fault(&l, 0, "smtpd.conf", 3, rows[i].fault);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(include_beside),
	    cmocka_unit_test(include_faults),
	    cmocka_unit_test(include_broken),
	    cmocka_unit_test(include_itself),
	    cmocka_unit_test(faults_are_text),
	    cmocka_unit_test(byte_order_marks),
	    cmocka_unit_test(spellings),
	    cmocka_unit_test(print_reads_back),
	    cmocka_unit_test(print_names_every_key),
	    cmocka_unit_test(example_loads),
	    cmocka_unit_test(example_uncommented_loads),
	    cmocka_unit_test(any_bytes),
	    cmocka_unit_test(secrets_of_others),
	    cmocka_unit_test(normalize_for_all),
	    cmocka_unit_test(proxies),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
