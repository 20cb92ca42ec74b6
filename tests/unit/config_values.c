/*
 * What a good configuration becomes: every value in its place, its files
 * read, and printed so that it reads back the same.
 */
#include "config_text.h"

#include "config/print.h"
#include "rcpt/recipients.h"

#define MINUTE 60000u

static void
assert_rate(const struct config *c, enum limits_rate r, unsigned count,
    unsigned unit)
{
	assert_int_equal(c->limits.rates[r].count, count);
	assert_int_equal(c->limits.rates[r].unit, unit);
}

static void
defaults(void **state)
{
	struct loaded l;
	const struct config *c;

	(void)state;
	load_good(&l, HOST DOMAIN);
	c = l.config;
	assert_string_equal(c->hostname, "mx.example.org");
	assert_string_equal(c->user, "smtpd");
	assert_null(c->group);
	assert_string_equal(c->spool, "/var/spool/smtpd");
	assert_false(c->spool_volatile);
	assert_in_range(c->workers, 1, 4);
	assert_int_equal(c->threads, 4);
	assert_int_equal(c->drain, 5 * MINUTE);
	assert_int_equal(c->sandbox, SANDBOX_YES);
	assert_true(c->deliver.journal);
	assert_int_equal(c->deliver.segment, 64 << 20);
	assert_int_equal(c->deliver.size, 1 << 30);
	assert_int_equal(c->deliver.inline_size, 64 << 10);
	assert_int_equal(c->deliver.checkpoint, 2000);
	assert_int_equal(c->deliver.held, 1 << 30);
	assert_int_equal(c->deliver.expire, 5 * 24 * 60 * MINUTE);
	assert_string_equal(c->failed, "/var/spool/smtpd/failed");
	assert_int_equal(c->nclients, 0);
	assert_int_equal(c->deadlines.idle, 5 * MINUTE);
	assert_int_equal(c->deadlines.session, 60 * MINUTE);
	assert_int_equal(c->deadlines.data_rate, 100);
	assert_int_equal(c->limits.sessions, 10000);
	assert_int_equal(c->limits.per_address, 50);
	assert_int_equal(c->limits.per_network, 1000);
	assert_rate(c, LIMITS_CONNECTIONS, 120, 60000);
	assert_rate(c, LIMITS_MESSAGES, 0, 0);
	assert_rate(c, LIMITS_RECIPIENTS, 0, 0);
	assert_rate(c, LIMITS_FAILED_LOGINS, 20, 60000);
	assert_false(c->limits.observe);
	assert_int_equal(c->greylist.delay, MINUTE);
	assert_int_equal(c->greylist.window, 2 * 24 * 60 * MINUTE);
	assert_int_equal(c->greylist.keep, UINT64_C(36) * 24 * 60 * MINUTE);
	assert_int_equal(c->greylist.after, 5);
	for (unsigned i = 0; i < LIMITS_KEYS; i++)
		assert_null(c->limits.at[i].file);
	assert_int_equal(c->deliver.reserve, 5);
	assert_string_equal(c->deliver.hostname, "mx.example.org");
	assert_string_equal(c->deliver.spool, "/var/spool/smtpd");
	assert_int_equal(c->log_to, LOG_TO_STDERR);
	assert_int_equal(c->log_format, LOG_TEXT);
	assert_int_equal(c->log_level, LOG_INFO);
	config_free(&l.config);
	assert_null(l.config);
	config_free(&l.config);
}

/* It takes nobody's mail, and its block is printed as it may be written. */
static void
metrics_listen(void **state)
{
	struct loaded l;
	char *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	load_good(&l,
	    HOST DOMAIN "listen \"127.0.0.1:9025\" { role = metrics }\n"
			"listen \"[::1]:9025\" { role = metrics }\n");
	assert_int_equal(l.config->nlistens, 6);
	assert_int_equal(l.config->listens[0].role, ROLE_METRICS);
	assert_int_equal(l.config->listens[1].role, ROLE_METRICS);
	assert_int_equal(l.config->listens[2].port, 25);
	assert_int_equal(l.config->listens[5].role, ROLE_SUBMISSION);
	f = open_memstream(&text, &len);
	config_print(l.config, f);
	fclose(f);
	config_free(&l.config);
	assert_non_null(strstr(text, "\t# tls =\n"));
	load_text(&l, text);
	assert_int_equal(l.errors, 0);
	assert_int_equal(l.config->nlistens, 6);
	config_free(&l.config);
	free(text);
	load_good(&l,
	    HOST DOMAIN "listen \"127.0.0.1:9025\" { role = metrics }\n"
			"listen \"127.0.0.1:25\" { }\n");
	assert_int_equal(l.config->nlistens, 2);
	config_free(&l.config);
}

static void
default_listens(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN);
	assert_int_equal(l.config->nlistens, 4);
	for (unsigned i = 0; i < 4; i++) {
		const struct config_listen *x = &l.config->listens[i];
		const struct ipaddr any = {.family = i % 2 ? IP_V6 : IP_V4};

		assert_true(ipaddr_equal(&x->addr, &any));
		assert_int_equal(x->port, i < 2 ? 25 : 587);
		assert_int_equal(x->role, i < 2 ? ROLE_MX : ROLE_SUBMISSION);
		assert_int_equal(x->smtp.submission, i >= 2);
		assert_int_equal(x->tls, TLS_STARTTLS);
		assert_string_equal(x->smtp.hostname, "mx.example.org");
		assert_string_equal(x->smtp.greeting, "ESMTP ready");
		assert_int_equal(x->smtp.message_size, 50u << 20);
		assert_int_equal(x->smtp.line, 65536);
		assert_int_equal(x->smtp.recipients, 1000);
		assert_int_equal(x->smtp.errors, 20);
	}
	config_free(&l.config);
}

static void
every_value(void **state)
{
	struct loaded l;
	const struct config *c;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "user = mail group = \"mail\" spool = /srv/spool\r\n"
	    "spool-volatile = yes workers = 31 threads = 1 // or more\n"
	    "message-size = 1T local-part-case = keep drain = 0 sandbox = no\n"
	    "limits { sessions = 2 per-address = 1 per-network = 0\n"
	    "recipients = 100\n"
	    "errors = 1 line = 1000 idle = 100ms session = 7d handshake = 1s\n"
	    "data-rate = 0 }\n"
	    "journal { enabled = no reserve = 50 }\n"
	    "log { to = SYSLOG format = json level = trace }\n"
	    "listen \"[2001:db8::1]:2525\" { tls = off\n"
	    "greeting = \"${X} \\\"\\\\ \\${X} # //\" hostname = 'b.example' "
	    "}\n"
	    "listen \"192.0.2.1:65535\" { }\n");
	c = l.config;
	assert_string_equal(c->user, "mail");
	assert_string_equal(c->group, "mail");
	assert_string_equal(c->spool, "/srv/spool");
	assert_true(c->spool_volatile);
	assert_int_equal(c->workers, 31);
	assert_int_equal(c->threads, 1);
	assert_int_equal(c->drain, 0);
	assert_int_equal(c->sandbox, SANDBOX_NO);
	assert_int_equal(c->limits.sessions, 2);
	assert_int_equal(c->limits.per_address, 1);
	assert_int_equal(c->limits.per_network, 0);
	assert_int_equal(c->deadlines.idle, 100);
	assert_int_equal(c->deadlines.session, 7u * 24 * 60 * MINUTE);
	assert_int_equal(c->deadlines.handshake, 1000);
	assert_int_equal(c->deadlines.data_rate, 0);
	assert_int_equal(c->deliver.reserve, 50);
	assert_int_equal(c->log_to, LOG_TO_SYSLOG);
	assert_int_equal(c->log_format, LOG_JSON);
	assert_int_equal(c->log_level, LOG_TRACE);
	assert_int_equal(c->nlistens, 2);
	assert_string_equal(c->listens[0].text, "[2001:db8::1]:2525");
	assert_int_equal(c->listens[0].addr.family, IP_V6);
	assert_int_equal(c->listens[0].port, 2525);
	assert_int_equal(c->listens[0].tls, TLS_OFF);
	assert_string_equal(c->listens[0].smtp.greeting,
	    "a \"b\" \"\\ ${X} # //");
	assert_string_equal(c->listens[0].smtp.hostname, "b.example");
	assert_int_equal(c->listens[0].smtp.message_size, 1ull << 40);
	assert_int_equal(c->listens[0].smtp.line, 1000);
	assert_int_equal(c->listens[0].smtp.recipients, 100);
	assert_int_equal(c->listens[0].smtp.errors, 1);
	assert_int_equal(c->listens[1].port, 65535);
	assert_string_equal(c->listens[1].smtp.hostname, "mx.example.org");
	config_free(&l.config);
}

static bool
normalizes(const struct config *c, const char *client)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(span_str(client), &a), 0);
	return config_client(c, &a)->normalize;
}

static void
rates(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "limits { rate-connections = 6000/s rate-messages = \"60000/m\"\n"
	    "rate-recipients = 1/h rate-failed-logins = 0 observe = yes }\n");
	assert_rate(l.config, LIMITS_CONNECTIONS, 6000, 1000);
	assert_rate(l.config, LIMITS_MESSAGES, 60000, 60000);
	assert_rate(l.config, LIMITS_RECIPIENTS, 1, 3600000);
	assert_rate(l.config, LIMITS_FAILED_LOGINS, 0, 0);
	assert_true(l.config->limits.observe);
	assert_string_equal(l.config->limits.beyond[LIMITS_RECIPIENTS].text,
	    "Too many recipients from your address, at most 1 an hour");
	config_free(&l.config);
}

/* What a narrower block leaves out has its default. */
static void
clients_without_limits(void **state)
{
	static const struct {
		const char *client;
		bool unlimited, normalize;
	} rows[] = {
	    {"192.0.2.7", true, false},
	    {"192.0.2.8", false, true},
	    {"192.0.3.1", true, false},
	    {"2001:db8::1", false, false},
	};
	struct loaded l;

	(void)state;
	load_good(&l,
	    HOST DOMAIN "client \"192.0.2.0/24\" { bare-newline = normalize }\n"
			"client \"192.0.0.0/16\" { limits = no }\n"
			"client \"192.0.2.7\" { limits = no }\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct config_client *c;
		struct ipaddr a;

		assert_int_equal(ipaddr_parse(span_str(rows[i].client), &a), 0);
		c = config_client(l.config, &a);
		assert_int_equal(c->unlimited, rows[i].unlimited);
		assert_int_equal(c->normalize, rows[i].normalize);
	}
	config_free(&l.config);
}

static void
clients_by_longest_prefix(void **state)
{
	const struct ipaddr none = {0};
	struct loaded l;

	(void)state;
	load_good(&l, HOST DOMAIN
	    "client \"192.0.0.0/16\" { bare-newline = reject }\n"
	    "client \"192.0.2.0/24\" { bare-newline = normalize }\n"
	    "client \"192.0.2.7\" { }\n"
	    "client \"2001:db8::/32\" { bare-newline = normalize }\n");
	assert_int_equal(l.config->nclients, 4);
	assert_false(normalizes(l.config, "192.0.2.7"));
	assert_true(normalizes(l.config, "192.0.2.8"));
	assert_true(normalizes(l.config, "::ffff:192.0.2.8"));
	assert_false(normalizes(l.config, "192.0.3.8"));
	assert_false(normalizes(l.config, "198.51.100.1"));
	assert_true(normalizes(l.config, "2001:db8:1::1"));
	assert_false(normalizes(l.config, "2001:db9::1"));
	assert_false(config_client(l.config, &none)->normalize);
	config_free(&l.config);
}

/* The number of mailboxes an address leads to; the first one's path. */
static unsigned
resolve(const struct config *c, const char *local, const char *domain,
    char path[256])
{
	struct smtp_path p = {.local = local, .domain = domain};
	struct arena a = {0};
	struct targets found = {0};

	path[0] = '\0';
	if (recipients_resolve(c->deliver.recipients, &p, &(struct ipaddr){0},
		RCPT_ASK, &a, &found) == RCPT_OK)
		snprintf(path, 256, "%s/%s", found.first->dest->text,
		    found.first->path);
	arena_reset(&a);
	return found.n;
}

static void
builtin(void **state)
{
	char cwd[200], want[256], path[256];
	struct loaded l;

	(void)state;
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	load(&l, CONFIG_BUILTIN);
	assert_int_equal(l.status, CONFIG_OK);
	assert_string_equal(l.config->file, CONFIG_BUILTIN);
	assert_string_equal(l.config->hostname, "localhost");
	assert_string_equal(l.config->user, "nobody");
	assert_true(l.config->spool_volatile);
	assert_int_equal(l.config->workers, 1);
	snprintf(want, sizeof(want), "%s/run/spool", cwd);
	assert_string_equal(l.config->spool, want);
	assert_int_equal(l.config->nlistens, 2);
	assert_true(l.config->listens[0].addr.bytes[0] == 127);
	assert_true(l.config->listens[1].addr.bytes[0] == 127);
	assert_int_equal(l.config->listens[0].port, 2525);
	assert_int_equal(l.config->listens[0].role, ROLE_MX);
	assert_int_equal(l.config->listens[1].port, 2587);
	assert_int_equal(l.config->listens[1].role, ROLE_SUBMISSION);
	snprintf(want, sizeof(want), "%s/run/mail/.", cwd);
	assert_int_equal(resolve(l.config, "anyone", "localhost", path), 1);
	assert_string_equal(path, want);
	assert_int_equal(resolve(l.config, "postmaster", "", path), 1);
	assert_int_equal(resolve(l.config, "a", "elsewhere.org", path), 0);
	config_free(&l.config);
}

static void
users_and_aliases_files(void **state)
{
	static const char users[] = "# users\n\n  alice \r\n#bob\ncarol\n"
				    "d\xc3\xb6rte";
	static const char aliases[] = "postmaster: alice\n"
				      "# none: nobody\n"
				      "all: alice, carol, bob@a.org\r\n"
				      "abuse: all";
	char path[256];
	struct loaded l;

	(void)state;
	write_text("users", users);
	write_text("aliases", aliases);
	load_format(&l,
	    HOST "domain \"a.org\" { users = { \"bob\" } "
		 "users += { \"eve\", \"frank\" } "
		 "users-file = \"%s/users\" aliases-file = \"%s/aliases\" "
		 "deliver = \"maildir:/m/%%d/%%u\" "
		 "deliver += { \"discard:\", \"maildir:/m/%%d/all\" } }\n",
	    test_dir, test_dir);
	assert_int_equal(l.status, CONFIG_OK);
	assert_int_equal(resolve(l.config, "alice", "a.org", path), 3);
	assert_string_equal(path, "/m/a.org/alice");
	assert_int_equal(resolve(l.config, "Carol+x", "A.ORG", path), 3);
	assert_string_equal(path, "/m/a.org/carol");
	assert_int_equal(resolve(l.config, "bob", "a.org", path), 3);
	assert_int_equal(resolve(l.config, "frank", "a.org", path), 3);
	assert_int_equal(resolve(l.config, "d\xc3\xb6rte", "a.org", path), 3);
	assert_int_equal(resolve(l.config, "abuse", "a.org", path), 5);
	assert_int_equal(resolve(l.config, "none", "a.org", path), 0);
	assert_int_equal(resolve(l.config, "#bob", "a.org", path), 0);
	config_free(&l.config);
}

static void
faults_in_named_files(void **state)
{
	static const char users[] =
	    "alice\n# x\nal/ice\nx\001y\n\nz\0z\n\xff\n";
	static const char aliases[] = "postmaster: alice\n\nabuse alice\n";
	static const char lost[] = "\npostmaster: alice\nabuse: bob\n";
	char text[1024];
	struct loaded l;

	(void)state;
	write_file("u", users, sizeof(users) - 1);
	write_text("a", aliases);
	snprintf(text, sizeof(text),
	    HOST "domain \"a.org\" { users-file = \"%s/u\"\n"
		 "aliases-file = \"%s/a\" }\n",
	    test_dir, test_dir);
	load_text(&l, text);
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.n, 5);
	assert_fault(&l, 0, "a", 3, "colon");
	assert_fault(&l, 1, "u", 3, "al/ice");
	assert_fault(&l, 2, "u", 4, "not text");
	assert_fault(&l, 3, "u", 6, "not text");
	assert_fault(&l, 4, "u", 7, "not text");

	write_file("u", "alice", 5);
	write_text("a", lost);
	load_text(&l, text);
	assert_int_equal(l.n, 1);
	assert_fault(&l, 0, "a", 3, "bob");
}

static void
ten_thousand_users(void **state)
{
	struct buf text = {0};
	char path[256], user[32];
	struct loaded l;

	(void)state;
	buf_append_str(&text, HOST "domain \"a.org\" { users = { postmaster");
	for (unsigned i = 0; i < 10000; i++)
		buf_printf(&text, ",\n\"user%u\"", i);
	buf_append_str(&text, "}\naliases = { \"abuse: user1\" } }\n");
	buf_append(&text, "", 1);
	load_good(&l, text.data);
	for (unsigned i = 0; i <= 10000; i += 100) {
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(resolve(l.config, user, "a.org", path),
		    i < 10000);
	}
	config_free(&l.config);

	/* the last of them is a fault, in its line */
	memcpy(strstr(text.data, "user9999"), "us/r", 4);
	load_text(&l, text.data);
	assert_only(&l, 10002, "us/r9999");
	buf_free(&text);
}

/* A default must not be what keeps a good configuration from starting. */
static void
the_journal_fits_its_workers(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST "workers = 8\n" DOMAIN);
	assert_int_equal(l.config->deliver.size, 2ull << 30);
	config_free(&l.config);
	load_good(&l, HOST "workers = 8\njournal { segment = 1M }\n" DOMAIN);
	assert_int_equal(l.config->deliver.size, 1ull << 30);
	config_free(&l.config);
}

/* Half a segment for a record, and 512 octets of it for each recipient. */
static void
a_record_fits_its_segment(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, HOST "journal { segment = 1M inline = 256K }\n"
			   "limits { recipients = 1024 }\n" DOMAIN);
	config_free(&l.config);
	load_text(&l, HOST "journal { segment = 1M }\n"
			   "limits {\nrecipients = 1025 }\n" DOMAIN);
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_fault(&l, 0, "smtpd.conf", 4, "write segment = 2M");
	config_free(&l.config);
	load_good(&l,
	    HOST "journal { enabled = no segment = 1M inline = 512K }\n"
		 "limits { recipients = 1025 }\n" DOMAIN);
	config_free(&l.config);
}

static void
environment(void **state)
{
	struct loaded l;

	(void)state;
	load_good(&l, "hostname = ${MX_NAME}\nuser = \"${NONE:-x}${MX_ID}\"\n"
		      "group = ${NONE:-mail}\n" DOMAIN);
	assert_string_equal(l.config->hostname, "env.example.org");
	assert_string_equal(l.config->user, "x7");
	assert_string_equal(l.config->group, "mail");
	config_free(&l.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(default_listens),
	    cmocka_unit_test(metrics_listen),
	    cmocka_unit_test(every_value),
	    cmocka_unit_test(rates),
	    cmocka_unit_test(clients_by_longest_prefix),
	    cmocka_unit_test(clients_without_limits),
	    cmocka_unit_test(builtin),
	    cmocka_unit_test(users_and_aliases_files),
	    cmocka_unit_test(faults_in_named_files),
	    cmocka_unit_test(ten_thousand_users),
	    cmocka_unit_test(the_journal_fits_its_workers),
	    cmocka_unit_test(a_record_fits_its_segment),
	    cmocka_unit_test(environment),
	};

	unsetenv("NONE");
	setenv("MX_NAME", "env.example.org", 1);
	setenv("MX_ID", "7", 1);
	setenv("X", "a \"b\"", 1);
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
