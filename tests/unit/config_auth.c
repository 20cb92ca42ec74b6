/*
 * The auth block, the files that it names, and what is missing for a login;
 * and what a reload may not change.
 */
#include "config_text.h"

#define SUBMISSION "listen \"127.0.0.1:587\" {\nrole = submission }\n"
#define GOOD                                                                   \
	"alice:$y$j9T$kxjeqRUa8v.iRoZ8gJh2k.$"                                 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"

/* A good domain, and from line 3 on these; "@" is the path of that file. */
static void
load_auth(struct loaded *l, const char *lines, const char *name)
{
	size_t at = strcspn(lines, "@");

	load_format(l, HOST DOMAIN "%.*s%s%s", (int)at, lines,
	    name ? path_of(name) : "", lines + at + (lines[at] == '@'));
}

static void
mechanisms(void **state)
{
	static const struct {
		const char *text;
		unsigned bits;
	} all[] = {
	    {"", AUTH_PLAIN | AUTH_LOGIN | AUTH_SCRAM | AUTH_SCRAM_PLUS},
	    {"mechanisms = { \"plain\" }", AUTH_PLAIN},
	    {"mechanisms = { \"LOGIN\", \"SCRAM-SHA-256\" }",
		AUTH_LOGIN | AUTH_SCRAM},
	    {"mechanisms = { \"SCRAM-SHA-256-PLUS\" }", AUTH_SCRAM_PLUS},
	};
	struct loaded l;
	char text[256];

	(void)state;
	write_text("users", "# one\n\n" GOOD);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(text, sizeof(text),
		    "auth { password-file = \"@\"\n%s }\n", all[i].text);
		load_auth(&l, text, "users");
		assert_int_equal(l.status, CONFIG_OK);
		assert_int_equal(l.config->auth.mechanisms, all[i].bits);
		assert_int_equal(auth_users_count(l.config->auth.users), 1);
		assert_null(l.config->auth.dovecot);
		assert_null(l.config->senders);
		config_free(&l.config);
	}
	load_auth(&l, "", NULL);
	assert_null(l.config->auth.users);
	config_free(&l.config);
}

/* Of three threads or more, the disk has all but two. */
static void
a_thread_is_left(void **state)
{
	static const struct {
		const char *threads;
		unsigned hashes;
	} all[] = {{"1", 1}, {"2", 1}, {"3", 2}, {"4", 2}, {"64", 2}};
	struct loaded l;

	(void)state;
	write_text("users", GOOD);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_format(&l,
		    HOST DOMAIN "threads = %s\n"
				"auth { password-file = \"%s\" }\n",
		    all[i].threads, path_of("users"));
		assert_int_equal(l.status, CONFIG_OK);
		assert_int_equal(l.config->auth.hashes, all[i].hashes);
		config_free(&l.config);
	}
}

/* In their own file and line, each of them, and never with what is there. */
static void
faults_in_files(void **state)
{
	struct loaded l;

	(void)state;
	write_text("users",
	    "# two good ones, four bad ones\n" GOOD "secret\n\n"
	    "bob:secret\nalice:$y$j9T$kxjeqRUa8v.iRoZ8gJh2k.$x\n"
	    ":$y$j9T$kxjeqRUa8v.iRoZ8gJh2k.$secret\n");
	load_auth(&l, "auth {\npassword-file = \"@\" }\n", "users");
	assert_int_equal(l.status, CONFIG_ERRORS);
	assert_int_equal(l.n, 4);
	assert_fault(&l, 0, "users", 3, "");
	assert_fault(&l, 1, "users", 5, "");
	assert_fault(&l, 2, "users", 6, "");
	assert_fault(&l, 3, "users", 7, "");
	for (unsigned i = 0; i < l.n; i++)
		assert_null(strstr(l.faults[i].text, "secret"));

	write_text("senders",
	    "\n# x\nalice: a@b.example\nsecret\nbob: secret\n: secret\n");
	load_auth(&l, "auth { senders-file = \"@\" }\n", "senders");
	assert_int_equal(l.errors, 3);
	assert_fault(&l, 0, "senders", 4, "write \"login: address");
	assert_fault(&l, 1, "senders", 5, "\"bob\": write addresses as");
	assert_fault(&l, 2, "senders", 6, "stands no login");
	for (unsigned i = 0; i < l.n; i++)
		assert_null(strstr(l.faults[i].text, "secret"));

	write_text("users", "# nobody yet\n");
	load_auth(&l, "auth {\npassword-file = \"@\" }\n", "users");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_fault(&l, 0, "smtpd.conf", 4, "has no user");
	assert_non_null(l.config->auth.users);
	config_free(&l.config);
}

static void
one_of_two(void **state)
{
	struct loaded l;

	(void)state;
	write_text("users", GOOD);
	load_auth(&l, "auth {\ndovecot = \"/run/x\"\npassword-file = \"@\" }\n",
	    "users");
	assert_only(&l, 4, "choose one of them");

	/* the second block is said to be one too many, and is not built */
	load_auth(&l,
	    "auth { password-file = \"@\" }\n"
	    "auth { password-file = \"/nowhere\" }\n",
	    "users");
	assert_only(&l, 4, "in line 3 of");
}

/* The path, its slash and a NUL have 108 octets in a socket's address. */
static void
dovecot(void **state)
{
	char path[108], text[256];
	struct loaded l;

	(void)state;
	for (int n = 106; n <= 107; n++) {
		memset(path, 'x', sizeof(path));
		snprintf(text, sizeof(text), "auth {\ndovecot = \"/%.*s\" }\n",
		    n, path);
		load_auth(&l, text, NULL);
		if (n == 107) {
			assert_only(&l, 4, "at most 107 octets");
			continue;
		}
		assert_int_equal(l.status, CONFIG_OK);
		assert_int_equal(strlen(l.config->auth.dovecot), 107);
		assert_null(l.config->auth.users);
		config_free(&l.config);
	}
}

/* The warning names what is missing, and nothing that is there. */
static void
what_is_missing(void **state)
{
	struct loaded l;

	(void)state;
	write_text("users", GOOD);
	load_auth(&l, SUBMISSION, NULL);
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 4, "needs a certificate block, and an auth block with");

	load_auth(&l, SUBMISSION "auth { password-file = \"@\" }\n", "users");
	assert_only(&l, 4, "needs a certificate block: ");

	load_auth(&l, SUBMISSION "auth { dovecot = \"/run/x\" }\n", NULL);
	assert_only(&l, 4, "needs a certificate block: ");

	/* an auth block without users is none */
	load_auth(&l, SUBMISSION "auth { mechanisms = { PLAIN } }\n", NULL);
	assert_only(&l, 4, "with a password-file");

	load_auth(&l,
	    "listen \"127.0.0.1:587\" {\nrole = submission\ntls = off }\n"
	    "auth { password-file = \"@\" }\n",
	    "users");
	assert_only(&l, 5, "tls = off");
}

static void
keep_into(struct loaded *l, struct config *c, const struct config *old)
{
	l->n = l->errors = 0;
	config_keep(c, old, collect, l);
	assert_int_equal(l->errors, 0);
}

/* What is kept must not point into what is freed. */
static void
kept_at_a_reload(void **state)
{
	static const char changed[] = HOST DOMAIN
	    "spool = /new\nuser = other\ngroup = some\nspool-volatile = yes\n"
	    "threads = 7\n";
	struct loaded old, new;

	(void)state;
	load_good(&old, HOST DOMAIN "spool = /old\nuser = one\n");
	load_good(&new, changed);
	keep_into(&new, new.config, old.config);
	assert_int_equal(new.n, 3);
	assert_fault(&new, 0, "smtpd.conf", 4, "user cannot change");
	assert_fault(&new, 1, "smtpd.conf", 5, "group cannot change");
	assert_fault(&new, 2, "smtpd.conf", 3, "/old stays until a restart");
	config_free(&old.config);
	assert_string_equal(new.config->spool, "/old");
	assert_string_equal(new.config->deliver.spool, "/old");
	assert_false(new.config->spool_volatile);
	assert_string_equal(new.config->user, "one");
	assert_null(new.config->group);
	assert_int_equal(new.config->threads, 7);

	/* the same file again: it still differs from what runs */
	old = new;
	load_good(&new, changed);
	keep_into(&new, new.config, old.config);
	assert_int_equal(new.n, 3);
	config_free(&old.config);
	assert_string_equal(new.config->spool, "/old");
	old = new;

	/* of the spool that stays, spool-volatile may change */
	load_good(&new, HOST DOMAIN "spool = /old\nuser = one\n"
				    "spool-volatile = yes\n");
	keep_into(&new, new.config, old.config);
	assert_int_equal(new.n, 0);
	assert_true(new.config->spool_volatile);
	config_free(&new.config);

	/* a key that was taken out is named where the block begins */
	load_good(&new, HOST DOMAIN "user = one\n");
	keep_into(&new, new.config, old.config);
	assert_int_equal(new.n, 1);
	assert_string_equal(new.config->spool, "/old");
	config_free(&new.config);
	config_free(&old.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mechanisms),
	    cmocka_unit_test(a_thread_is_left),
	    cmocka_unit_test(faults_in_files),
	    cmocka_unit_test(one_of_two),
	    cmocka_unit_test(dovecot),
	    cmocka_unit_test(what_is_missing),
	    cmocka_unit_test(kept_at_a_reload),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
