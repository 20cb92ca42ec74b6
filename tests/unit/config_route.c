/*
 * Routes: what a block or a destination alone becomes, and each fault that is
 * said of it, in its line.
 */
#include <pwd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "certify.h"
#include "config/print.h"
#include "config_text.h"
#include "io/hosts.h"

#define TO(x)  "domain \"a.org\" { catch-all = \"" x "\" }\n"
#define OUT(x) TO("route:out") "route \"out\" {\n" x "\n}\n"

/* Of what is not built in nothing else is said. */
static bool
is_left_out(const char *text)
{
#ifdef SMTPD_NO_HTTP
	return strstr(text, "http") != NULL;
#else
	(void)text;
	return false;
#endif
}

/* The one route there is. */
static const struct route *
only(const struct loaded *l)
{
	assert_int_equal(l->config->deliver.nroutes, 1);
	assert_int_equal(l->config->deliver.routes[0]->number, 0);
	return l->config->deliver.routes[0];
}

/* --- faults: with a good domain behind, this one alone --- */

#define KINDS                                                                  \
	"write one of maildir: lmtp: smtp: smtps: http: https: pipe: "         \
	"discard: route:"

static const struct {
	const char *text;
	unsigned line;
	const char *fragment;
} errors[] = {
    {TO("imap:/x"), 1, "catch-all \"imap:/x\": " KINDS},
    {TO("lmtp:unix:/run/x"), 1,
	"catch-all \"lmtp:unix:/run/x\": write lmtp:/run/x"},
    {TO("lmtp:inet:h:24"), 1, ": write lmtp://h:24"},
    {TO("lmtp:host"), 1, ": write lmtp://host"},
    {TO("smtp:[relay]:587"), 1, ": write smtp://relay:587"},
    {TO("lmtp://h:25"), 1, ": LMTP must not use port 25"},
    {TO("https://h/%u"), 1,
	"only maildir: may hold %: the recipient is in the request's"},
    {TO("pipe:/x %u"), 1, "the recipient is in $RECIPIENT"},
    {TO("pipe:x"), 1, ": write an absolute path"},
    {TO("maildir:/m/%u"), 1, "for every name that a stranger invents"},
    {TO("smtp://mx1:geheim@relay"), 1,
	"catch-all \"smtp://...@relay\": write login and secret-file in a "
	"route block, not in the URL"},
    {TO("https://h/a@b/%u"), 1, "catch-all \"https://h/a@b/%u\": only"},
    {TO("https://h/x y?token=geheim"), 1,
	"catch-all \"https://h/x y\": has an octet"},

    {"domain \"a.org\" {\ndeliver = \"lmtp:/x\" }\n", 1,
	"domain \"a.org\": has no users, so everybody is refused: write "
	"catch-all = \"lmtp:/run/dovecot/lmtp\" if the server behind knows "
	"who exists"},
    {"domain \"a.org\" {\ndeliver = \"maildir:/m\"\n"
     "aliases = { \"postmaster: x@example.org\" } }\n",
	1, "refused: write users = { \"alice\" }"},
    {"domain \"a.org\" {\nusers = { \"*\" } }\n", 2,
	"user \"*\": is no wildcard here: write catch-all"},

    {TO("route:stroe") "route \"store\" { to = \"lmtp:/x\" }\n", 1,
	"catch-all \"route:stroe\": there is no route of that name: did you "
	"mean \"store\"?"},
    {TO("route:x"), 1,
	"there is no route of that name: write a block route \"x\" {"},
    {"domain \"a.org\" {\nusers = { \"postmaster\" }\n"
     "deliver = \"route:x\" }\n",
	3, "deliver \"route:x\": there is no route"},
    {"domain \"a.org\" { catch-all = \"discard:\"\n"
     "aliases = { \"x: y\",\n\"z: y, route:x\" } }\n",
	3, "alias \"z: y, route:x\": there is no route"},

    {OUT("to = \"h.a.org:587\""), 3, "write smtp://h.a.org:587"},
    {OUT("to = \"[h.a.org]:587\""), 3, "write smtp://h.a.org:587"},
    {OUT("to = \"mbox:/h\""), 3, "write one of maildir: lmtp:"},
    {"smarthost = \"h.a.org\"\n", 1, "write smtp://h.a.org"},
    {"smarthost = \"out\"\n", 1, "write smtp://, smtps:// or route:"},
    {OUT("when-down = hold"), 2,
	"route \"out\": write to = \"smtp://relay.example.net\""},
    {OUT("to = { \"smtp://h\",\n\"lmtp:/x\" }"), 4,
	"to \"lmtp:/x\": all must be of one kind"},
    {OUT("to = \"maildir:/m\""), 3, "to \"maildir:/m\": write one of lmtp:"},
    {OUT("to = \"discard:\""), 3, "to \"discard:\": write one of lmtp:"},
    {OUT("to = \"route:out\""), 3, "to \"route:out\": write one of lmtp:"},
    {OUT("to = { \"https://a\", \"https://b\" }"), 3,
	"only lmtp:, smtp: and smtps: have others"},
    {OUT("to = { \"smtp://a\", \"smtp://b\", \"smtp://c\", \"smtp://d\",\n"
	 "\"smtp://e\", \"smtp://f\", \"smtp://g\", \"smtp://h\",\n"
	 "\"smtp://i\" }"),
	5, "to \"smtp://i\": 8 are the most"},
    {"route \"a b\" { to = \"lmtp:/x\" }\n", 1, "write a name of at most 64"},
    {OUT("to = \"lmtp:/x\" }\nroute \"out\" { to = \"lmtp:/y\""), 4,
	"route \"out\" is there already, in line 2"},

    {OUT("to = \"smtp://h\" tls = maybe"), 3, "opportunistic, required, off"},
    {OUT("to = \"smtp://h\" connections = 0"), 3, "from 1 to 1000"},
    {OUT("to = \"smtp://h\" timeout = 111s"), 3, "from 1s to 110s"},
    {OUT("to = \"smtp://h\" when-down = drop"), 3, "defer, hold"},
    {OUT("to = \"smtp://h\"\nlogin = x"), 4,
	"login needs secret-file, a file with the password"},
    {OUT("to = \"lmtp://h\"\nlogin = x"), 4,
	"login is for smtp: and smtps: only"},
    {OUT("to = \"pipe:/x\"\ntls = required"), 4, "tls is for lmtp: and smtp:"},
    {OUT("to = \"smtps://h\"\ntls = off"), 4, "smtps: speaks TLS always"},
    {OUT("to = \"pipe:/x\"\nca = \"/x\""), 4, "ca is for lmtp:, smtp:"},
    {OUT("to = \"https://h\"\nverify-recipients = yes"), 4,
	"verify-recipients asks an LMTP or SMTP server: take it out"},
    {OUT("to = \"pipe:/x\"\nverify-recipients = yes"), 4,
	"verify-recipients asks an LMTP or SMTP server: take it out"},
    {OUT("to = \"smtp://h\"\nlogin = x\nsecret-file = \"/nowhere\""), 5,
	"/nowhere: No such file"},
    {OUT("to = \"smtp://h\" tls = required\nca = \"/nowhere\""), 4,
	"/nowhere: No such file"},
    {OUT("to = \"https://h\"\nca = \"/nowhere\""), 4, "/nowhere: No such file"},

    {TO("smtp://127.0.0.1:25"), 1,
	"smtp://127.0.0.1:25 is where this server itself listens (\"*:25\"): "
	"mail would go round in circles"},
    {TO("smtp://[::1]:587"), 1, "itself listens (\"*:587\")"},
    {TO("smtp://localhost") "listen \"127.0.0.1:25\" { }\n", 1,
	"smtp://localhost is where this server itself listens "
	"(\"127.0.0.1:25\", line 2)"},
    {TO("smtp://192.0.2.1:26") "\nlisten \"192.0.2.1:26\" { }\n", 1,
	"itself listens (\"192.0.2.1:26\", line 3)"},
    {OUT("to = { \"smtp://h\",\n\"smtp://127.0.0.9\" }"), 4,
	"smtp://127.0.0.9 is where"},
    {TO("lmtp:/x") "journal {\nenabled = no }\n", 3,
	"journal { enabled = no } delivers to Maildirs only: a part that must "
	"wait needs the journal"},
    {TO("route:y") "route \"y\" { to = \"lmtp:/x\" }\n"
		   "domain \"b.org\" { catch-all = \"lmtp:/x\" }\n"
		   "journal { enabled = no }\n",
	4, "delivers to Maildirs only"},

    {"smarthost = \"lmtp:/x\"\n", 1,
	"smarthost \"lmtp:/x\": write smtp://, smtps:// or route: with one of "
	"these"},
    {"smarthost = relay\n", 1, "write smtp://, smtps:// or route:"},
    {"smarthost = \"smtp:relay\"\n", 1,
	"smarthost \"smtp:relay\": write "
	"smtp://relay"},
    {"smarthost = \"route:out\"\n", 1, "there is no route of that name"},
    {"smarthost = \"route:out\"\nroute \"out\" { to = \"lmtp:/x\" }\n", 1,
	"write smtp://, smtps:// or route: with one of these"},
};

static void
each_error(void **state)
{
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (is_left_out(errors[i].text))
			continue;
		load_format(&l, "%s%s%s", errors[i].text, HOST, DOMAIN);
		for (unsigned n = 0; n < l.n; n++) {
			assert_null(strstr(l.faults[n].text, "geheim"));
			if (!l.faults[n].warn)
				break;
		}
		if (l.errors != 1)
			print_error("%u errors: %s\n", l.errors,
			    errors[i].text);
		assert_int_equal(l.errors, 1);
		for (unsigned n = 0; n < l.n; n++)
			if (!l.faults[n].warn)
				assert_fault(&l, n, "smtpd.conf",
				    errors[i].line, errors[i].fragment);
		assert_null(l.config);
	}
}

static const struct {
	const char *text;
	unsigned line;
	const char *fragment;
} warned[] = {
    {"\nroute \"out\" { to = \"lmtp:/x\" }\n", 2,
	"route \"out\" is used by nothing"},
    {TO("smtp://h:465"), 1,
	"port 465 speaks TLS from the first octet: write smtps://h"},
    {TO("smtps://h:587"), 1, "port 587 begins without TLS: write smtp://h:587"},
    {TO("smtps://h:25"), 1, "port 25 begins without TLS: write smtp://h:25"},
    {OUT("to = { \"smtp://h\",\n\"smtp://i:465\" }"), 4, "smtps://i"},
    {OUT("to = \"lmtp:/x\"\nconnections = 1000"), 4,
	"connections = 1000: up to 188 MiB and 2000 descriptors"},
    {TO("http://app.example.org/x?y"), 1,
	"http://app.example.org: mail and addresses cross the network in "
	"clear: write https"},
    {TO("http://192.0.2.1"), 1, "cross the network in clear"},
    {"smarthost = \"smtp://h\"\n", 1,
	"nobody can use the smarthost: no listen block has role = submission "
	"with auth"},
};

static void
each_warning(void **state)
{
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(warned) / sizeof(warned[0]); i++) {
		if (is_left_out(warned[i].text))
			continue;
		load_format(&l, "%s%s%s", warned[i].text, HOST, DOMAIN);
		if (l.n != 1)
			print_error("%u faults: %s\n", l.n, warned[i].text);
		assert_int_equal(l.status, CONFIG_WARNINGS);
		assert_only(&l, warned[i].line, warned[i].fragment);
	}
}

static void
nothing_to_say(void **state)
{
	static const char *const good[] = {TO("http://10.1.2.3/x"),
	    TO("http://app/x"), TO("http://localhost:8080/x"),
	    TO("http://[fd00::1]"), TO("smtp://h:587"), TO("smtps://h"),
	    TO("smtp://127.0.0.1:26"), TO("smtp://192.0.2.1:25"),
	    TO("lmtp://127.0.0.1:9025") "listen \"127.0.0.1:9025\" { "
					"role = metrics }\n",
	    OUT("to = { \"lmtp:/x\", \"lmtp://h\" } connections = 100"),
	    "journal { enabled = no }\n",
	    OUT("to = \"smtps://h\" tls = Required"),
	    OUT("to = \"pipe:/x\" verify-recipients = no")};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (is_left_out(good[i]))
			continue;
		load_format(&l, "%s%s%s", good[i], HOST, DOMAIN);
		if (l.n)
			print_error("%s: %s\n", good[i], l.faults[0].text);
		assert_int_equal(l.n, 0);
		config_free(&l.config);
	}
}

/* --- what becomes of it --- */

/* In the place of the real one: what /etc/hosts says is not ours to know. */
int
hosts_read(const char *path, const char *const *names, unsigned n,
    struct arena *a, const struct known_host **r)
{
	struct known_host *h = arena_alloc(a, sizeof(*h));

	assert_string_equal(path, "/etc/hosts");
	*r = h;
	if (n != 1 || strncmp(names[0], "known", 5) != 0)
		return 0;
	h->name = names[0];
	h->n = 5;
	for (unsigned i = 0; i < h->n; i++) {
		bool local = strcmp(h->name, "known") == 0 ||
			     (strcmp(h->name, "known.mixed") == 0 && !i);

		h->addrs[i] = ipaddr_v4(
		    (uint8_t[4]){local ? 127 : 10, 0, 0, (uint8_t)(i + 1)});
	}
	return 1;
}

const struct known_host *
hosts_find(const struct known_host *hosts, unsigned n, const char *name)
{
	return n && strcmp(hosts->name, name) == 0 ? hosts : NULL;
}

/* As many addresses as there is room for; one of ourselves is local. */
static void
in_hosts(void **state)
{
	const struct route_place *p;
	struct loaded l;

	(void)state;
	load_text(&l, HOST DOMAIN TO("lmtp://known"));
	p = &only(&l)->to[0];
	assert_int_equal(p->naddrs, ROUTE_ADDRS_MAX);
	assert_int_equal(p->addrs[3].bytes[3], 4);
	assert_true(p->local);
	assert_int_equal(only(&l)->tls, ROUTE_TLS_OFF);
	config_free(&l.config);
	load_text(&l, HOST DOMAIN TO("lmtp://known.example.org"));
	p = &only(&l)->to[0];
	assert_int_equal(p->naddrs, ROUTE_ADDRS_MAX);
	assert_false(p->local);
	assert_int_equal(only(&l)->tls, ROUTE_TLS_OPPORTUNISTIC);
	config_free(&l.config);
	/* a password in clear would go to the others as well */
	load_text(&l, HOST DOMAIN TO("lmtp://known.mixed"));
	assert_false(only(&l)->to[0].local);
	config_free(&l.config);
	load_text(&l, HOST DOMAIN TO("smtp://known"));
	assert_only(&l, 3, "smtp://known is where this server itself listens");
}

static void
defaults(void **state)
{
	static const struct {
		const char *text, *shown;
		unsigned connections, timeout;
		enum route_tls tls;
		bool verify, strict, lax;
	} all[] = {
	    {"lmtp:/run/x", "lmtp:/run/x", 20, 100, ROUTE_TLS_OFF, true, false,
		false},
	    {"lmtp://localhost", "lmtp://localhost", 20, 100, ROUTE_TLS_OFF,
		true, false, false},
	    {"lmtp://h", "lmtp://h", 20, 100, ROUTE_TLS_OPPORTUNISTIC, true,
		false, true},
	    {"smtp://h:587", "smtp://h:587", 20, 100, ROUTE_TLS_OPPORTUNISTIC,
		false, false, true},
	    {"smtps://h", "smtps://h", 20, 100, ROUTE_TLS_REQUIRED, false, true,
		false},
	    {"http://h/x", "http://h", 20, 60, ROUTE_TLS_OFF, false, false,
		false},
	    {"pipe:/x -a b", "pipe:/x", 8, 60, ROUTE_TLS_OFF, false, false,
		false},
	};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct route *r;

		if (is_left_out(all[i].text))
			continue;
		load_format(&l,
		    HOST "domain \"a.org\" { catch-all = { \"%s\", "
			 "\"%s\" } }\n" DOMAIN,
		    all[i].text, all[i].text);
		r = only(&l);
		assert_string_equal(r->text, all[i].text);
		assert_string_equal(r->shown, all[i].shown);
		assert_false(r->block);
		assert_int_equal(r->line, 2);
		assert_int_equal(r->nto, 1);
		assert_string_equal(r->to[0].text, all[i].text);
		assert_int_equal(r->connections, all[i].connections);
		assert_int_equal(r->timeout, all[i].timeout * 1000);
		assert_int_equal(r->tls, all[i].tls);
		assert_int_equal(r->verify, all[i].verify);
		assert_int_equal(r->strict != NULL, all[i].strict);
		assert_int_equal(r->lax != NULL, all[i].lax);
		assert_false(r->hold);
		assert_null(r->login);
		assert_int_equal(r->argv != NULL,
		    strstr(r->text, "pipe:") != 0);
		if (r->argv)
			assert_string_equal(r->argv[2], "b");
		config_free(&l.config);
	}
}

static const struct target *
resolve(const struct loaded *l, const char *local, struct arena *a)
{
	static const struct ipaddr none;
	const struct smtp_path p = {.local = local, .domain = "a.org"};
	struct targets found = {0};

	assert_int_equal(recipients_resolve(l->config->deliver.recipients, &p,
			     &none, RCPT_LOOK, a, &found),
	    RCPT_OK);
	return found.first;
}

/* Wherever its name stands, it is the same one. */
static void
a_block(void **state)
{
	const struct destination *d;
	const struct target *t;
	const struct route *r;
	struct arena a = {0};
	struct loaded l;

	(void)state;
	write_text("secret", "geheim\r\nmore\n");
	load_format(&l,
	    HOST DOMAIN "smarthost = \"route:out\"\n"
			"auth { dovecot = \"/x\" }\n"
			"domain \"a.org\" { catch-all = \"route:out\"\n"
			"aliases = { \"x: route:out, smtp://b:26\" } }\n"
			"listen \"127.0.0.1:587\" { role = submission }\n"
			"route \"out\" { to = { \"smtp://b:26\", "
			"\"smtp://localhost:27\" }\n"
			"login = me secret-file = \"%s\" tls = required\n"
			"connections = 7 timeout = 30s when-down = hold\n"
			"verify-recipients = yes }\n",
	    path_of("secret"));
	assert_non_null(l.config);
	assert_int_equal(l.config->deliver.nroutes, 2);
	r = l.config->deliver.routes[0];
	assert_string_equal(r->text, "route:out");
	assert_string_equal(r->shown, "out");
	assert_true(r->block);
	assert_int_equal(r->nto, 2);
	assert_string_equal(r->to[1].host, "localhost");
	assert_int_equal(r->to[1].port, 27);
	assert_true(r->to[1].local && r->to[1].naddrs);
	assert_false(r->to[0].local);
	assert_string_equal(r->login, "me");
	assert_true(span_equal(r->secret, SPAN_LIT("geheim")));
	assert_int_equal(r->tls, ROUTE_TLS_REQUIRED);
	assert_non_null(r->strict);
	assert_int_equal(r->connections, 7);
	assert_int_equal(r->timeout, 30000);
	assert_true(r->hold && r->verify);
	d = l.config->deliver.smarthost;
	assert_string_equal(d->text, "route:out");
	assert_ptr_equal(d->route, r);
	assert_string_equal(d->kind->scheme, "smtp");
	t = resolve(&l, "any", &a);
	assert_ptr_equal(t->dest, d);
	assert_string_equal(t->to, "any@a.org");
	t = resolve(&l, "x", &a);
	assert_ptr_equal(t->dest, d);
	assert_ptr_equal(t->next->dest->route, l.config->deliver.routes[1]);
	arena_reset(&a);
	config_free(&l.config);
}

/* Ports of servers, and that of DNS only if it is asked where they are. */
static void
where_workers_connect(void **state)
{
	static const struct {
		const char *to;
		unsigned n, ports[3];
	} all[] = {{"smtp://192.0.2.1:2500", 1, {2500}},
	    {"lmtp://[2001:db8::1]", 1, {24}}, {"lmtp://known", 1, {24}},
	    {"smtp://h", 2, {25, 53}}, {"lmtp:/run/x", 0, {0}},
	    {"pipe:/x", 0, {0}}};
	struct loaded l;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_format(&l, HOST DOMAIN TO("%s"), all[i].to);
		assert_non_null(l.config);
		assert_int_equal(l.config->nports, all[i].n);
		assert_int_equal(l.config->dns, all[i].n == 2);
		for (unsigned k = 0; k < all[i].n; k++)
			assert_int_equal(l.config->ports[k], all[i].ports[k]);
		config_free(&l.config);
	}
}

static void
secrets(void **state)
{
	char text[1300];
	struct loaded l;

	(void)state;
	memset(text, 'a', 1025);
	text[1025] = '\0';
	for (int i = 0; i < 4; i++) {
		static const char *const why[] = {"is empty", "is empty",
		    "more than 1024 octets", "a control character"};
		const char *const is[] = {"", "\nx", text, "a\tb"};

		write_text("secret", is[i]);
		load_format(&l,
		    HOST DOMAIN TO("route:x") "route \"x\" { to = "
					      "\"smtps://h\" login = a\n"
					      "secret-file = \"%s\" }\n",
		    path_of("secret"));
		assert_int_equal(l.n, 1);
		assert_fault(&l, 0, "smtpd.conf", 5, why[i]);
		assert_null(l.config);
	}
	write_text("secret", text + 1);
	load_format(&l,
	    HOST DOMAIN TO("route:x") "route \"x\" { to = "
				      "\"smtps://h\" login = a\n"
				      "secret-file = \"%s\" }\n",
	    path_of("secret"));
	assert_int_equal(only(&l)->secret.len, 1024);
	config_free(&l.config);
	write_text("secret", "x");
	chmod(path_of("secret"), 0644);
	load_format(&l,
	    HOST DOMAIN TO("route:x") "route \"x\" { to = "
				      "\"smtps://h\" login = a\n"
				      "secret-file = \"%s\" }\n",
	    path_of("secret"));
	assert_int_equal(l.status, CONFIG_WARNINGS);
	assert_int_equal(config_files_look(l.config, true), 0);
	write_text("secret", "changed");
	assert_int_not_equal(config_files_look(l.config, true), 0);
	assert_int_equal(config_files_look(l.config, false), 0);
	assert_only(&l, 5, "is a secret, and others can read it");
}

static void
clear_passwords(void **state)
{
	static const struct {
		const char *to, *tls;
		bool good;
	} all[] = {{"smtp://h", "off", false}, {"smtp://h", "opportunistic", 0},
	    {"smtp://h", "required", true}, {"smtp://127.0.0.1:2", "off", true},
	    {"smtp://localhost:2\", \"smtp://h", "off", false},
	    {"smtp://h\", \"smtp://localhost:2", "off", false}};
	struct loaded l;

	(void)state;
	write_text("password", "geheim");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		load_format(&l,
		    HOST DOMAIN TO("route:x") "route \"x\" { to = { \"%s\" }\n"
					      "login = a\nsecret-file = "
					      "\"%s\" tls = %s }\n",
		    all[i].to, path_of("password"), all[i].tls);
		assert_int_equal(l.n, !all[i].good);
		if (l.n)
			assert_fault(&l, 0, "smtpd.conf", 5,
			    "login: the password would cross the network in "
			    "clear: write tls = required");
		config_free(&l.config);
	}
	load_format(&l,
	    HOST DOMAIN TO("route:x") "route \"x\" { to = \"smtp://h\" login "
				      "= a secret-file = \"%s\" }\n",
	    path_of("password"));
	assert_int_equal(only(&l)->tls, ROUTE_TLS_REQUIRED);
	assert_non_null(only(&l)->strict);
	config_free(&l.config);
	load_format(&l,
	    HOST DOMAIN TO("route:x") "route \"x\" { to = \"smtp://h\"\n"
				      "secret-file = \"%s\" }\n",
	    path_of("password"));
	assert_only(&l, 5, "write login as well");
}

static void
authorities(void **state)
{
	static const char conf[] =
	    HOST DOMAIN TO("route:x") "route \"x\" { "
				      "to = \"%s\"\nca = \"%s\" tls = %s }\n";
	struct certify c;
	struct loaded l;

	(void)state;
	certify(&c, "EC", "mx.example.org", NULL);
	write_file("ca.pem", c.chain.data, c.chain.len);
	write_text("bad.pem", "nothing");
	load_format(&l, conf, "smtp://h", path_of("ca.pem"), "required");
	assert_int_equal(l.n, 0);
	assert_non_null(only(&l)->strict);
	config_free(&l.config);
	load_format(&l, conf, "smtp://h", path_of("ca.pem"), "opportunistic");
	assert_only(&l, 5, "nobody is verified here: write tls = required");
	load_format(&l, conf, "smtp://h", path_of("bad.pem"), "required");
	assert_only(&l, 5, "bad.pem: ");
	if (!is_left_out("http")) {
		load_format(&l,
		    HOST DOMAIN TO(
			"route:x") "route \"x\" { to = \"https://h\"\n"
				   "ca = \"%s\" }\n",
		    path_of("ca.pem"));
		assert_int_equal(l.n, 0);
		assert_non_null(only(&l)->strict);
		config_free(&l.config);
	}
	certify_free(&c);
}

/* Whom a ca stands for, the system's do not. */
static void
system_authorities(void **state)
{
	static const char conf[] =
	    HOST DOMAIN TO("route:x") "route \"x\" { "
				      "to = \"smtps://h\"%s%s%s }\n";
	int fd = inotify_init1(IN_NONBLOCK);
	char events[4096], ca[256];
	struct certify c;
	struct loaded l;

	(void)state;
	certify(&c, "EC", "mx.example.org", NULL);
	write_file("ca.pem", c.chain.data, c.chain.len);
	write_text("system.pem", "");
	snprintf(ca, sizeof(ca), "%s", path_of("ca.pem"));
	setenv("SSL_CERT_FILE", path_of("system.pem"), 1);
	assert_true(inotify_add_watch(fd, path_of("system.pem"), IN_OPEN) >= 0);
	load_format(&l, conf, "\nca = \"", ca, "\"");
	assert_int_equal(l.n, 0);
	config_free(&l.config);
	assert_int_equal(read(fd, events, sizeof(events)), -1);
	load_format(&l, conf, "", "", "");
	assert_int_equal(l.n, 0);
	config_free(&l.config);
	assert_true(read(fd, events, sizeof(events)) > 0);
	unsetenv("SSL_CERT_FILE");
	close(fd);
	certify_free(&c);
}

/* The system's authorities are read once for all. */
static void
the_system_s_authorities(void **state)
{
	const struct route *const *r;
	struct certify c;
	struct loaded l;

	(void)state;
	if (is_left_out("http"))
		skip();
	certify(&c, "EC", "mx.example.org", NULL);
	write_file("ca.pem", c.chain.data, c.chain.len);
	load_format(&l,
	    HOST DOMAIN "domain \"a.org\" { catch-all = { \"https://a\", "
			"\"https://b\", \"smtps://c\", \"route:x\" } }\n"
			"route \"x\" { to = \"https://d\"\nca = \"%s\" }\n",
	    path_of("ca.pem"));
	assert_int_equal(l.n, 0);
	r = l.config->deliver.routes;
	for (unsigned i = 0; i < 4; i++)
		assert_non_null(r[i]->strict);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned k = 0; k < i; k++)
			assert_int_equal(r[i]->strict == r[k]->strict,
			    r[i]->block == r[k]->block);
	config_free(&l.config);
	certify_free(&c);
}

static void
a_token(void **state)
{
	struct loaded l;

	(void)state;
	if (is_left_out("http"))
		skip();
	write_text("smtpd.conf", HOST DOMAIN TO("https://h/x?token=geheim"));
	load(&l, path_of("smtpd.conf"));
	assert_int_equal(l.n, 0);
	config_free(&l.config);
	chmod(path_of("smtpd.conf"), 0644);
	load(&l, path_of("smtpd.conf"));
	chmod(path_of("smtpd.conf"), 0600);
	assert_null(strstr(l.faults[0].text, "geheim"));
	assert_only(&l, 3,
	    "https://h: a token in a URL can be read by "
	    "everybody here: chmod 640");
	chmod(path_of("smtpd.conf"), 0640);
	load(&l, path_of("smtpd.conf"));
	chmod(path_of("smtpd.conf"), 0600);
	assert_int_equal(l.n, 0);
	config_free(&l.config);
}

/* A Maildir that nobody has is not made. */
static void
no_default_root(void **state)
{
	struct loaded l;

	(void)state;
	load_text(&l, HOST TO("lmtp:/x"));
	assert_int_equal(l.n, 0);
	assert_null(recipients_place(l.config->deliver.recipients, 0));
	config_free(&l.config);
}

static void
printed(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct loaded l;

	(void)state;
	if (is_left_out("http"))
		skip();
	write_text("secret", "geheim");
	load_format(&l,
	    HOST DOMAIN "domain \"a.org\" { catch-all = "
			"\"https://h/x?token=geheim\"\n"
			"aliases = { \"x: https://h/y?geheim, lmtp:/z\" } }\n"
			"domain \"b.org\" { catch-all = \"route:x\" }\n"
			"route \"x\" { to = \"smtp://h\" login = me "
			"secret-file = \"%s\" }\n",
	    path_of("secret"));
	config_print(l.config, f);
	fclose(f);
	assert_null(strstr(text, "geheim"));
	assert_non_null(strstr(text, "catch-all = { \"https://h/x\" }"));
	assert_non_null(strstr(text, "{ \"x: https://h/y, lmtp:/z\" }"));
	assert_non_null(strstr(text, path_of("secret")));
	assert_non_null(strstr(text, "\ttls = required\n"));
	assert_non_null(strstr(text, "\tconnections = 20\n"));
	assert_non_null(strstr(text, "\ttimeout = 100s\n"));
	assert_non_null(strstr(text, "\tverify-recipients = no\n"));
	free(text);
	config_free(&l.config);
}

/* --- the machine --- */

static void
check_machine(const char *catch_all, const char *user, const char *fragment)
{
	struct loaded l, found = {0};
	unsigned i = 0;

	load_format(&l,
	    HOST "user = \"%s\"\ndomain \"a.org\" {\ncatch-all = \"%s\" }\n",
	    user, catch_all);
	assert_non_null(l.config);
	assert_int_equal(l.n, 0);
	config_check(l.config, collect, &found);
	while (i < found.n && found.faults[i].line != 4)
		i++; /* what is said of the user */
	if (fragment)
		assert_fault(&found, i, "smtpd.conf", 4, fragment);
	else
		assert_int_equal(i, found.n);
	config_free(&l.config);
}

static void
machine(void **state)
{
	const char *me = getpwuid(geteuid())->pw_name;
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char url[300];

	(void)state;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path_of("lmtp"));
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	snprintf(url, sizeof(url), "lmtp:%s", to.sun_path);
	check_machine(url, me, NULL);
	check_machine(url, "nobody",
	    "/lmtp: may not be opened by user nobody: "
	    "in Dovecot, unix_listener lmtp { user = "
	    "nobody }");
	chmod(test_dir, 0711);
	check_machine(url, "nobody", "/lmtp: may not be opened by user nobody");
	chmod(to.sun_path, 0645);
	check_machine(url, "nobody", "/lmtp: may not be opened by user nobody");
	chmod(to.sun_path, 0666);
	check_machine(url, "nobody", NULL);
	chmod(test_dir, 0700);
	check_machine(url, "nobody", "/lmtp: may not be opened by user nobody");
	close(fd);
	check_machine("lmtp:/nowhere/x", me, "/nowhere/x: is not there");
	check_machine("lmtp:/bin/sh/x", me, "/bin/sh/x: is not there");
	check_machine("lmtp:/bin/sh", me, "/bin/sh: is no socket");
	check_machine("pipe:/bin/sh -c x", "nobody", NULL);
	check_machine("pipe:/nowhere", me,
	    "/nowhere: is not there, or cannot be executed by user");
	check_machine("pipe:/etc/passwd", me, "/etc/passwd: is not there, or");
	check_machine("pipe:/bin", me, "/bin: is not there, or");
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {T(each_error), T(each_warning),
	    T(nothing_to_say), T(in_hosts), T(defaults), T(a_block),
	    T(where_workers_connect), T(secrets), T(clear_passwords),
	    T(authorities), T(system_authorities), T(the_system_s_authorities),
	    T(a_token), T(no_default_root), T(printed), T(machine)};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
