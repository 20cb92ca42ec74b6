/*
 * Certificate blocks: which of their faults stop the start, and what they
 * make of the listeners. The certificates are good for a hundred years: one
 * for mx.example.org and *.example.net, one for other.example.com.
 */
#include "certify.h"
#include "config_text.h"

static const char mx_chain[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBsjCCAVmgAwIBAgIUHSb9+vvoVvbnn7TGzxdhxap9qMcwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwObXguZXhhbXBsZS5vcmcwIBcNMjYxMTI0MDk1NDMxWhgPMjEy\n"
    "NjEwMzEwOTU0MzFaMBkxFzAVBgNVBAMMDm14LmV4YW1wbGUub3JnMFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAEnLFOcwKOv0pz9Y7F64pq+URBeSmIXVROECqgO3jF\n"
    "jyHi+PuRS53CijNh8sbWS90EL2mOiFCnsx6Qz1J53AkrMqN9MHswHQYDVR0OBBYE\n"
    "FJEOsKELchVyw/CjEJVJhkmfw5n9MB8GA1UdIwQYMBaAFJEOsKELchVyw/CjEJVJ\n"
    "hkmfw5n9MA8GA1UdEwEB/wQFMAMBAf8wKAYDVR0RBCEwH4IObXguZXhhbXBsZS5v\n"
    "cmeCDSouZXhhbXBsZS5uZXQwCgYIKoZIzj0EAwIDRwAwRAIgQOPBets3n18Qv+NC\n"
    "VkbGqH67ZnwlTG0r7TlnE5mr4hYCIDu9WvtHzKVMx3h8qtIxVN4jEfkHQ99Pi4nM\n"
    "yiyAzDZJ\n"
    "-----END CERTIFICATE-----\n";
static const char mx_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgue7KLBH9nPcQVR27\n"
    "3rz4POTJ4HBAJD6eJokOmecAkLuhRANCAAScsU5zAo6/SnP1jsXrimr5REF5KYhd\n"
    "VE4QKqA7eMWPIeL4+5FLncKKM2HyxtZL3QQvaY6IUKezHpDPUnncCSsy\n"
    "-----END PRIVATE KEY-----\n";
static const char other_chain[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBrTCCAVOgAwIBAgIUFRB5cSA8ym8/EWuW8zZPhXsAJHswCgYIKoZIzj0EAwIw\n"
    "HDEaMBgGA1UEAwwRb3RoZXIuZXhhbXBsZS5jb20wIBcNMjYxMTI0MDk1NDMxWhgP\n"
    "MjEyNjEwMzEwOTU0MzFaMBwxGjAYBgNVBAMMEW90aGVyLmV4YW1wbGUuY29tMFkw\n"
    "EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElsX02Ay3B7OjzOyY9lztO4jcGTuEYFjn\n"
    "pT3mAwwkNDqBO7Ina4QNo4S8lOGhhiTeYu03JbN1YZdYEr0XPQH6jqNxMG8wHQYD\n"
    "VR0OBBYEFMc2TyQsk6tBIQny+QRvFGwWMUWAMB8GA1UdIwQYMBaAFMc2TyQsk6tB\n"
    "IQny+QRvFGwWMUWAMA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRb3RoZXIu\n"
    "ZXhhbXBsZS5jb20wCgYIKoZIzj0EAwIDSAAwRQIhAOhLY4qwL80/sGD/Y6kgOY+C\n"
    "c6cGMnCLZmUzbEy/sVYvAiA1v/WeX0xMA55dZQLSt3AyLSwv2N5aj/HJNFeCMrk1\n"
    "+A==\n"
    "-----END CERTIFICATE-----\n";
static const char other_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHvUL23piUQMWIKhp\n"
    "P4QEdutj474fFmgVkBnPiH2oQSqhRANCAASWxfTYDLcHs6PM7Jj2XO07iNwZO4Rg\n"
    "WOelPeYDDCQ0OoE7sidrhA2jhLyU4aGGJN5i7Tcls3Vhl1gSvRc9AfqO\n"
    "-----END PRIVATE KEY-----\n";

/* A certificate block whose files lie in the test's directory. */
static const char *
block(const char *name, const char *chain, const char *key)
{
	static char texts[4][512];
	static unsigned next;
	char *t = texts[next++ % 4];
	int n = snprintf(t, 256, "certificate \"%s\" {\nchain = \"%s\"\n", name,
	    path_of(chain));

	snprintf(t + n, 256, "key = \"%s\" }\n", path_of(key));
	return t;
}

static int
write_files(void **state)
{
	if (make_dir(state) < 0)
		return -1;
	write_file("mx.pem", mx_chain, sizeof(mx_chain) - 1);
	write_file("mx.key", mx_key, sizeof(mx_key) - 1);
	write_file("other.pem", other_chain, sizeof(other_chain) - 1);
	write_file("other.key", other_key, sizeof(other_key) - 1);
	write_file("empty", "", 0);
	return 0;
}

static void
load_with(struct loaded *l, const char *blocks, const char *more)
{
	load_format(l, "%s" HOST DOMAIN "%s", blocks, more);
}

static void
good(void **state)
{
	struct loaded l;

	(void)state;
	load_with(&l, block("mx.example.org", "mx.pem", "mx.key"),
	    "listen \"*:25\" { }\n"
	    "listen \"127.0.0.1:26\" { tls = off }\n"
	    "listen \"127.0.0.1:465\" { tls = implicit }\n");
	assert_int_equal(l.status, CONFIG_OK);
	assert_non_null(l.config->tls);
	assert_int_equal(l.config->nlistens, 4);
	assert_true(l.config->listens[0].smtp.starttls);
	assert_true(l.config->listens[1].smtp.starttls);
	assert_false(l.config->listens[2].smtp.starttls);
	assert_false(l.config->listens[3].smtp.starttls);
	assert_int_equal(l.config->listens[3].tls, TLS_IMPLICIT);
	config_free(&l.config);
}

static void
none(void **state)
{
	struct loaded l;

	(void)state;
	load_with(&l, "", "listen \"*:25\" { }\n");
	assert_int_equal(l.status, CONFIG_OK);
	assert_null(l.config->tls);
	assert_false(l.config->listens[0].smtp.starttls);
	config_free(&l.config);
}

static void
errors(void **state)
{
	static const struct {
		const char *name, *chain, *key;
		unsigned line;
		const char *fragment;
	} bad[] = {
	    {"mx.example.org", "mx.pem", "other.key", 3, "another certificate"},
	    {"mx.example.org", "empty", "mx.key", 2, "chain cannot be read"},
	    {"mx.example.org", "mx.key", "mx.key", 2, "chain cannot be read"},
	    {"mx.example.org", "mx.pem", "empty", 3, "key cannot be read"},
	    {"www.example.org", "mx.pem", "mx.key", 1, "does not cover"},
	    {"a.b.example.net", "mx.pem", "mx.key", 1, "does not cover"},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		load_with(&l, block(bad[i].name, bad[i].chain, bad[i].key), "");
		assert_int_equal(l.status, CONFIG_ERRORS);
		assert_only(&l, bad[i].line, bad[i].fragment);
	}
}

/* What only time makes wrong is said, and loses no mail. */
static void
dates(void **state)
{
	static const struct {
		long from, to; /* days */
		const char *fragment;
	} all[] = {{-90, -1, "has expired"}, {1, 90, "is not valid yet"},
	    {-90, 13, "expires within 14 days"}, {-90, 15, NULL}};
	struct certify c;
	struct loaded l;

	(void)state;
	certify(&c, "EC", "mx.example.org", NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		certify_days(&c, all[i].from, all[i].to);
		write_file("days.pem", c.chain.data, c.chain.len);
		write_file("days.key", c.key.data, c.key.len);
		load_with(&l, block("mx.example.org", "days.pem", "days.key"),
		    "");
		assert_int_equal(l.n, all[i].fragment ? 1 : 0);
		if (all[i].fragment)
			assert_fault(&l, 0, "smtpd.conf", 2, all[i].fragment);
		assert_int_equal(l.status,
		    all[i].fragment ? CONFIG_WARNINGS : CONFIG_OK);
		assert_non_null(l.config->tls);
		config_free(&l.config);
	}
	certify_free(&c);
}

#define NEEDS_ONE                                                              \
	"listen \"*:465\" { tls = implicit }\n"                                \
	"listen \"*:587\" { role = submission }\n"                             \
	"auth { dovecot = \"/run/x\" }\n"

/*
 * FAULT D14: a file that is not there is named with its path and the reason,
 * on its key's line, and what only follows from it is not said again.
 */
static void
missing_files(void **state)
{
	char text[256];
	struct loaded l;

	(void)state;
	load_with(&l, block("mx.example.org", "nowhere", "mx.key"), NEEDS_ONE);
	assert_int_equal(l.n, 1);
	snprintf(text, sizeof(text), "%s: No such file or directory",
	    path_of("nowhere"));
	assert_fault(&l, 0, "smtpd.conf", 2, text);
	assert_string_equal(l.faults[0].text, text);

	load_with(&l, block("mx.example.org", "no", "neither"), NEEDS_ONE);
	assert_int_equal(l.n, 2);
	assert_fault(&l, 0, "smtpd.conf", 2, "/no: No such file");
	assert_fault(&l, 1, "smtpd.conf", 3, "/neither: No such file");

	load_with(&l, "certificate \"a\" { chain = \"\" key = \"/k\" }\n",
	    NEEDS_ONE);
	assert_int_equal(l.n, 1);
	load_with(&l, "certificate \"a\" { key = \"/k\" }\n", NEEDS_ONE);
	assert_only(&l, 1, "needs both");
}

/* FAULT B4: a key that others can read. */
static void
key_of_others(void **state)
{
	struct loaded l;

	(void)state;
	assert_int_equal(chmod(path_of("mx.key"), 0644), 0);
	load_with(&l, block("mx.example.org", "mx.pem", "mx.key"), "");
	assert_int_equal(l.errors, 0);
	assert_fault(&l, 0, "smtpd.conf", 3, "mx.key is a secret");
	config_free(&l.config);
	assert_int_equal(chmod(path_of("mx.key"), 0640), 0);
	load_with(&l, block("mx.example.org", "mx.pem", "mx.key"), "");
	assert_int_equal(l.n, 0);
	config_free(&l.config);
}

/* FAULT D14: who may not read it, and the commands that change that. */
static void
forbidden_files(void **state)
{
	char text[2048];
	struct loaded l;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(path_of("mx.key"), 0600), 0);
	assert_int_equal(chmod(test_dir, 0755), 0);
	snprintf(text, sizeof(text),
	    "user = daemon\ngroup = mail\n%s" HOST DOMAIN
	    "auth { password-file = \"%s\" }\n",
	    block("mx.example.org", "mx.pem", "mx.key"), path_of("mx.key"));
	write_text("smtpd.conf", text);
	assert_int_equal(chmod(path_of("smtpd.conf"), 0644), 0);
	assert_int_equal(chmod(path_of("mx.pem"), 0644), 0);
	assert_int_equal(seteuid(65534), 0);
	load(&l, path_of("smtpd.conf"));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(l.errors, 2);
	snprintf(text, sizeof(text),
	    "%s: Permission denied for user nobody: chgrp mail, chmod 640",
	    path_of("mx.key"));
	assert_string_equal(l.faults[0].text, text);
	assert_int_equal(l.faults[0].line, 5);
	assert_string_equal(l.faults[1].text, text);

	assert_int_equal(mkdir(path_of("live"), 0700), 0);
	write_file("live/mx.pem", "x", 1);
	snprintf(text, sizeof(text), "%s" HOST DOMAIN,
	    block("mx.example.org", "live/mx.pem", "mx.pem"));
	write_text("smtpd.conf", text);
	assert_int_equal(seteuid(65534), 0);
	load(&l, path_of("smtpd.conf"));
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(l.errors, 1);
	assert_fault(&l, 0, "smtpd.conf", 2,
	    "on the way is closed to user nobody");
}

/* The second of one name would never be used; one of two names is no such. */
static void
the_same_name_twice(void **state)
{
	struct loaded l;

	(void)state;
	load_format(&l, "%s%s" HOST DOMAIN,
	    block("mx.example.org", "mx.pem", "mx.key"),
	    block("MX.example.org", "mx.pem", "mx.key"));
	assert_only(&l, 4, "there already, in line 1");

	load_format(&l, "%s%s" HOST DOMAIN,
	    block("mx.example.org", "mx.pem", "mx.key"),
	    block("a.example.net", "mx.pem", "mx.key"));
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);
}

/* FAULT C11: a name once for each type of key, and no more. */
static void
one_name_two_types(void **state)
{
	struct certify rsa;
	struct loaded l;

	(void)state;
	certify(&rsa, "RSA", "mx.example.org", NULL);
	write_file("rsa.pem", rsa.chain.data, rsa.chain.len);
	write_file("rsa.key", rsa.key.data, rsa.key.len);
	certify_free(&rsa);
	load_format(&l, "%s%s" HOST DOMAIN,
	    block("mx.example.org", "mx.pem", "mx.key"),
	    block("MX.example.org", "rsa.pem", "rsa.key"));
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);

	load_format(&l, "%s%s%s" HOST DOMAIN,
	    block("mx.example.org", "mx.pem", "mx.key"),
	    block("mx.example.org", "rsa.pem", "rsa.key"),
	    block("mx.example.org", "rsa.pem", "rsa.key"));
	assert_only(&l, 7, "in line 4 of");
	assert_fault(&l, 0, "smtpd.conf", 7, "with an RSA key too");
}

/* FAULT D6: a chain that ends before the issuer of our own certificate. */
static void
incomplete_chain(void **state)
{
	struct certify root, middle, leaf;
	struct buf chain = {0};
	struct loaded l;

	(void)state;
	certify(&root, "EC", "Root", NULL);
	certify(&middle, "EC", "R3", &root);
	certify(&leaf, "EC", "mx.example.org", &middle);
	write_file("leaf.key", leaf.key.data, leaf.key.len);
	write_file("leaf.pem", leaf.chain.data, leaf.chain.len);
	load_with(&l, block("mx.example.org", "leaf.pem", "leaf.key"), "");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_only(&l, 2, "chain has no certificate of 'CN=R3'");

	buf_append_span(&chain, buf_span(&leaf.chain));
	buf_append_span(&chain, buf_span(&root.chain)); /* not the one */
	write_file("leaf.pem", chain.data, chain.len);
	load_with(&l, block("mx.example.org", "leaf.pem", "leaf.key"), "");
	assert_int_equal(l.n, 1);
	config_free(&l.config);

	buf_append_span(&chain, buf_span(&middle.chain));
	write_file("leaf.pem", chain.data, chain.len);
	load_with(&l, block("mx.example.org", "leaf.pem", "leaf.key"), "");
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);
	buf_free(&chain);
	certify_free(&root);
	certify_free(&middle);
	certify_free(&leaf);
}

/* Nothing is missing, but where no TLS is nobody logs in. */
static void
submission(void **state)
{
	static const struct {
		const char *tls;
		enum config_status status;
	} all[] = {
	    {"starttls", CONFIG_OK},
	    {"implicit", CONFIG_OK},
	    {"off", CONFIG_WARNINGS},
	};
	struct loaded l;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(text, sizeof(text),
		    "auth { dovecot = \"/run/x\" }\n"
		    "listen \"*:587\" {\nrole = submission\ntls = %s }\n",
		    all[i].tls);
		load_with(&l, block("mx.example.org", "mx.pem", "mx.key"),
		    text);
		assert_int_equal(l.status, all[i].status);
		if (all[i].status == CONFIG_WARNINGS)
			assert_fault(&l, 0, "smtpd.conf", 9, "nobody logs in");
		config_free(&l.config);
	}
	load_with(&l, block("mx.example.org", "mx.pem", "mx.key"),
	    "listen \"*:587\" {\nrole = submission }\n");
	assert_only(&l, 7, "needs an auth block with");
}

static void
half_a_block(void **state)
{
	struct loaded l;

	(void)state;
	load_with(&l, "certificate \"mx.example.org\" { }\n", "");
	assert_only(&l, 1, "needs both chain and key");
}

/* It is not ours, but it is good: a warning, and STARTTLS is offered. */
static void
none_for_the_hostname(void **state)
{
	struct loaded l;

	(void)state;
	load_with(&l, block("other.example.com", "other.pem", "other.key"),
	    "listen \"*:25\" { }\n");
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_fault(&l, 0, "smtpd.conf", 1, "no certificate covers");
	assert_true(l.config->listens[0].smtp.starttls);
	config_free(&l.config);
	load_with(&l, "", block("a.example.net", "mx.pem", "mx.key"));
	assert_int_equal(l.status, CONFIG_OK);
	config_free(&l.config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good),
	    cmocka_unit_test(none),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(dates),
	    cmocka_unit_test(missing_files),
	    cmocka_unit_test(key_of_others),
	    cmocka_unit_test(forbidden_files),
	    cmocka_unit_test(the_same_name_twice),
	    cmocka_unit_test(one_name_two_types),
	    cmocka_unit_test(incomplete_chain),
	    cmocka_unit_test(submission),
	    cmocka_unit_test(half_a_block),
	    cmocka_unit_test(none_for_the_hostname),
	};

	return cmocka_run_group_tests(tests, write_files, remove_dir);
}
