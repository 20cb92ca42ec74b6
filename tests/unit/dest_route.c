/*
 * What stands behind the colon of a kind that asks, and what is written there
 * by those who come from other programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dest/destination.h"

static struct arena arena;

static int
finish(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

static const char *
parse(const char *text, struct route_place *r)
{
	const struct destination_kind *kind;
	const char *rest;

	destination_parse(text, &kind, &rest); /* it may not be built in */
	assert_non_null(kind);
	return route_parse_place(kind, rest, &arena, r);
}

static void
good(void **state)
{
	static const struct {
		const char *text, *host, *path, *shown;
		unsigned port, naddrs;
		bool tls, local;
	} all[] = {
	    {"lmtp:/run/dovecot/lmtp", NULL, "/run/dovecot/lmtp",
		"lmtp:/run/dovecot/lmtp", 24, 0, false, true},
	    {"lmtp://host", "host", NULL, "lmtp://host", 24, 0, false, false},
	    {"lmtp://my_store.example.org:2400", "my_store.example.org", NULL,
		"lmtp://my_store.example.org:2400", 2400, 0, false, false},
	    {"lmtp://[2001:db8::1]:24", "2001:db8::1", NULL,
		"lmtp://[2001:db8::1]:24", 24, 1, false, false},
	    {"lmtp://[::1]", "::1", NULL, "lmtp://[::1]", 24, 1, false, true},
	    {"smtp://relay.example.net:587", "relay.example.net", NULL,
		"smtp://relay.example.net:587", 587, 0, false, false},
	    {"smtp://127.8.0.1", "127.8.0.1", NULL, "smtp://127.8.0.1", 25, 1,
		false, true},
	    {"smtp://Localhost:25", "Localhost", NULL, "smtp://Localhost:25",
		25, 2, false, true},
	    {"smtps://192.0.2.1", "192.0.2.1", NULL, "smtps://192.0.2.1", 465,
		1, true, false},
	    {"https://app.example.org", "app.example.org", "/",
		"https://app.example.org", 443, 0, true, false},
	    {"https://h:8443/a/%2c%20b?token=%41&x", "h",
		"/a/%2c%20b?token=%41&x", "https://h:8443", 8443, 0, true,
		false},
	    {"http://[::1]:80?a@b", "::1", "/?a@b", "http://[::1]:80", 80, 1,
		false, true},
	    {"http://h/@", "h", "/@", "http://h", 80, 0, false, false},
	    {"pipe:/usr/bin/mlmmj-receive -L  /srv/list", NULL,
		"/usr/bin/mlmmj-receive", "pipe:/usr/bin/mlmmj-receive", 0, 0,
		false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct destination_kind *kind;
		const char *rest;
		struct route_place r;

		assert_null(parse(all[i].text, &r));
		assert_string_equal(r.text, all[i].text);
		assert_int_equal(!r.host, !all[i].host);
		if (r.host)
			assert_string_equal(r.host, all[i].host);
		assert_int_equal(!r.path, !all[i].path);
		if (r.path)
			assert_string_equal(r.path, all[i].path);
		assert_int_equal(r.port, all[i].port);
		assert_int_equal(r.naddrs, all[i].naddrs);
		assert_int_equal(r.tls, all[i].tls);
		assert_int_equal(r.local, all[i].local);
		destination_parse(all[i].text, &kind, &rest);
		assert_string_equal(route_shown(kind, rest, &arena),
		    all[i].shown);
	}
}

#define A_HOST "write the name or the address of a host behind //, "
#define V6     A_HOST "an IPv6 address in brackets"
#define NAME   A_HOST "a name as DNS has it"
#define LMTP   "write lmtp:/run/dovecot/lmtp or lmtp://host:24"
#define SMTP   "write smtp://host:25 or smtps://host:465"
#define PORT                                                                   \
	"write a port from 1 to 65535 behind the host, or none and no colon"
#define LOGIN "write login and secret-file in a route block, not in the URL"
#define OCTET                                                                  \
	"has an octet that no URL may hold: write % and its two hexadecimal "  \
	"digits"
#define SHELL                                                                  \
	"no shell reads this: blanks separate, and quotes and $ mean "         \
	"nothing; write a script, which has $RECIPIENT"
#define BEHIND "nothing may stand behind the host and its port: "

static void
wrong(void **state)
{
	static const struct {
		const char *text, *why;
	} all[] = {
	    /* as others write it */
	    {"lmtp:unix:/run/x", "write lmtp:/run/x"},
	    {"lmtp://unix:/run/x", "write lmtp:/run/x"},
	    {"lmtp:///run/x", "write lmtp:/run/x"},
	    {"lmtp:inet:h:24", "write lmtp://h:24"},
	    {"lmtp:inet6:[2001:db8::1]:24", "write lmtp://[2001:db8::1]:24"},
	    {"lmtp:host", "write lmtp://host"},
	    {"lmtp:host:24", "write lmtp://host:24"},
	    {"lmtp://2001:db8::1", "write lmtp://[2001:db8::1]"},
	    {"lmtp:2001:db8::1", "write lmtp://[2001:db8::1]"},
	    {"smtp:[relay]:587", "write smtp://relay:587"},
	    {"smtp:[192.0.2.1]", "write smtp://192.0.2.1"},
	    {"smtp://[relay.example.net]:587",
		"write smtp://relay.example.net:587"},
	    {"smtp:unix:/run/x", SMTP},
	    {"smtp:/run/x", SMTP},
	    {"https:/x", "write https://host/path"},
	    {"https:host", "write https://host"},
	    {"https:host/x", "write https://host/path"},
	    {"https:///x", "write https://host/path"},

	    {"lmtp:", LMTP},
	    {"lmtp:/", NULL},
	    {"lmtp:x y", LMTP},
	    {"lmtp://", LMTP},
	    {"lmtp://h/", BEHIND "write lmtp://h"},
	    {"lmtp://run/dovecot/lmtp", BEHIND
		"write lmtp:/run/dovecot/lmtp for a socket, or lmtp://run"},
	    {"smtp://h:25/x", BEHIND "write smtp://h:25"},
	    {"smtp://h?x", BEHIND "write smtp://h"},
	    {"smtp:", SMTP},
	    {"smtp://:25", NAME},
	    {"smtp://h:", PORT},
	    {"smtp://h:0", PORT},
	    {"smtp://h:65536", PORT},
	    {"smtp://[::1", PORT},
	    {"smtp://[::1]x", PORT},
	    {"smtp://[1.2.3.4]", V6},
	    {"smtp://[]", V6},
	    {"smtp://a:b:c", NAME},
	    {"smtp://a..b", NAME},
	    {"smtp://-a", NAME},
	    {"smtp://a b", NAME},
	    {"smtp://1.2.3", NAME},
	    {"smtp://1.2.3.256", NAME},
	    {"smtp://b\xc3\xbc.example.org", NAME},
	    {"smtp://mx1:secret@relay", LOGIN},
	    {"https://u:p@h/x",
		"take what stands before the @ out of the URL: a token may "
		"stand in its query, and secret-file in a route block signs "
		"each request"},
	    {"lmtp://u:p@h",
		"take what stands before the @ out of the URL: LMTP has no "
		"login"},
	    {"lmtp://h:25", "LMTP must not use port 25 (RFC 2033): write "
			    "smtp://, or the server's LMTP port"},
	    {"https://h/x#y", "a # and what is behind it are for browsers: "
			      "take them out"},
	    {"https://h/x y", OCTET},
	    {"https://h/\xc3\xbc", OCTET},
	    {"https://h/<", OCTET},
	    {"https://h/%u", "only maildir: may hold %: the recipient is in "
			     "the request's Smtp-Envelope"},
	    {"https://h/%4", "only maildir: may hold %: the recipient is in "
			     "the request's Smtp-Envelope"},
	    {"lmtp:/run/%d", "only maildir: may hold %: the recipient goes "
			     "with the mail"},
	    {"smtp://%d", "only maildir: may hold %: the recipient goes with "
			  "the mail"},
	    {"pipe:/bin/x %u", "only maildir: may hold %: the recipient is in "
			       "$RECIPIENT"},
	    {"pipe:", "write an absolute path"},
	    {"pipe:cat", "write an absolute path"},
	    {"pipe: /bin/cat", "write an absolute path"},
	    {"pipe:/bin/x \"a b\"", SHELL},
	    {"pipe:/bin/x $SENDER", SHELL},
	    {"lmtp:/run/x\n", "must not have control characters"},
	    {"lmtp:/run/x y", "the path of a socket has no blanks here"},
	    {"route:x", "write one of lmtp: smtp: smtps: http: https: pipe:"},
	    {"discard:", "write one of lmtp: smtp: smtps: http: https: pipe:"},
	};
	struct route_place r;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *why = parse(all[i].text, &r);

		if (!why != !all[i].why || (why && strcmp(why, all[i].why)))
			fail_msg("%s: %s", all[i].text, why ? why : "good");
	}
}

/* Bounded, each of them. */
static void
long_ones(void **state)
{
	static const struct {
		const char *head;
		unsigned n;
		bool good;
	} all[] = {{"lmtp:/", 106, true}, {"lmtp:/", 107, false},
	    {"smtp://a.", 63, true}, {"smtp://a.", 64, false},
	    {"https://h/", 1010, true}, {"https://h/", 1020, false},
	    {"pipe:/", 1000, true}, {"pipe:/", 5000, false},
	    {"lmtp:unix:/", 900, false}, {"smtp:", 60, false},
	    {"smtp://", 900, false}};
	struct route_place r;
	char text[6000];

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t n = strlen(all[i].head);

		memcpy(text, all[i].head, n);
		memset(text + n, 'a', all[i].n);
		text[n + all[i].n] = '\0';
		assert_int_equal(parse(text, &r) == NULL, all[i].good);
	}
}

static void
programs(void **state)
{
	char text[256] = "/bin/x";
	char *const *argv;

	(void)state;
	assert_null(route_parse_program("/bin/x  -a\tb ", &arena, &argv));
	assert_string_equal(argv[0], "/bin/x");
	assert_string_equal(argv[1], "-a");
	assert_string_equal(argv[2], "b");
	assert_null(argv[3]);
	for (int i = 1; i < 64; i++)
		strcat(text, " a");
	assert_null(route_parse_program(text, &arena, &argv));
	assert_non_null(argv[63]);
	assert_null(argv[64]);
	strcat(text, " a");
	assert_string_equal(route_parse_program(text, &arena, &argv),
	    "has more than 64 words: write a script");
}

#define T(f) cmocka_unit_test_teardown(f, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(good), T(wrong), T(long_ones),
	    T(programs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
