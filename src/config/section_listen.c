/*
 * section_listen: the addresses that listen blocks name.
 */
#include <string.h>

#include "config/section.h"

struct listen_block {
	char *hostname, *greeting;
	enum config_role role;
	enum config_tls tls;
};

#define AT(member) offsetof(struct listen_block, member)

static const struct config_key keys[] = {
    {"role", KEY_WORD, AT(role), .def = "mx",
	.words = {"mx", "submission", "metrics"},
	.help = "mail for our domains, mail of our users, or Prometheus"},
    {"tls", KEY_WORD, AT(tls), .def = "starttls",
	.words = {"starttls", "implicit", "off"},
	.help = "STARTTLS, TLS from the first octet, or neither"},
    {"hostname", KEY_HOST, AT(hostname), .doc = "the top-level hostname",
	.help = "name in the greeting of this address"},
    {"greeting", KEY_TEXT, AT(greeting), .doc = "the top-level greeting",
	.min = 1, .max = 200,
	.help = "text behind the name in the greeting of this address"},
};

static void
add_listen(struct config_all *all, const char *title, const char *role)
{
	struct config_block *b =
	    config_block_add(all, &section_listen, title, NULL, 0);

	config_list_add(&all->arena, config_values(b, "role"),
	    (struct config_item){role, all->pub.file, 0});
}

/* One that is written for mail, or so that nobody knows for what. */
static bool
any_for_mail(const struct config_all *all)
{
	const struct config_block *b = config_block_first(all, &section_listen);
	const char *role = NULL;

	for (; b; b = config_block_next(b)) {
		role = config_where(b, "role").text;
		if (!role || strcmp(role, "metrics") != 0)
			return true;
	}
	return false;
}

static void
imply(struct config_all *all)
{
	if (any_for_mail(all))
		return;
	add_listen(all, "*:25", "mx");
	add_listen(all, "*:587", "submission");
}

static void
fault_address(struct config_faults *f, const struct config_block *b)
{
	config_error(f, b->file, b->line,
	    "listen \"%.80s\": write an address and a port, such as "
	    "\"*:25\", \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
	    b->title);
}

/* "ADDR:PORT": IPv6 wants its brackets, and nothing else has any. */
static int
split(struct span text, struct span *addr, uint16_t *port)
{
	bool brackets = text.len && text.ptr[0] == '[';

	*addr = text;
	if (ipaddr_cut_port(addr, port) < 0 || !*port)
		return -1;
	return brackets == (memchr(addr->ptr, ':', addr->len) != NULL) ? 0 : -1;
}

static bool
is_duplicate(const struct config_all *all, struct config_faults *f,
    const struct config_listen *new, const char *file)
{
	for (unsigned i = 0; i < all->pub.nlistens; i++) {
		const struct config_listen *l = &all->pub.listens[i];

		if (l->port != new->port || !ipaddr_equal(&l->addr, &new->addr))
			continue;
		config_error(f, file, new->line,
		    "listen \"%.80s\": line %u listens there already, as "
		    "\"%.80s\"",
		    new->text, l->line, l->text);
		return true;
	}
	return false;
}

static int
add(struct config_all *all, struct config_faults *f,
    const struct config_block *b, struct ipaddr addr, uint16_t port)
{
	const struct listen_block *data = b->data;
	struct config_listen l = {
	    .text = arena_dup(&all->arena, span_str(b->title)),
	    .line = b->line,
	    .addr = addr,
	    .port = port,
	    .role = data->role,
	    .tls = data->tls,
	    .smtp = all->smtp,
	};

	if (is_duplicate(all, f, &l, b->file))
		return -1;
	l.smtp.hostname = data->hostname;
	l.smtp.greeting = data->greeting;
	l.smtp.submission = data->role == ROLE_SUBMISSION;
	all->pub.listens = config_array_add(&all->arena, all->pub.listens,
	    &all->pub.nlistens, &l, sizeof(l));
	return 0;
}

static void
build(struct config_all *all, struct config_faults *f, struct config_block *b)
{
	const uint8_t zero[16] = {0};
	struct listen_block *data = b->data;
	struct ipaddr addr;
	struct span host;
	uint16_t port;

	if (data->role == ROLE_METRICS) {
		data->tls = TLS_NONE;
	} else {
		if (!data->hostname)
			data->hostname = all->pub.hostname;
		if (!data->greeting)
			data->greeting = all->greeting;
	}
	if (split(span_str(b->title), &host, &port) < 0) {
		fault_address(f, b);
	} else if (span_equal(host, SPAN_LIT("*"))) {
		if (add(all, f, b, ipaddr_v4(zero), port) == 0)
			add(all, f, b, ipaddr_v6(zero), port);
	} else if (ipaddr_parse(host, &addr) == 0) {
		add(all, f, b, addr, port);
	} else {
		fault_address(f, b);
	}
}

/* With a block that is wrong there is nothing more to say: it stops the start
 * by itself. */
static bool
has_certificate(const struct config_all *all)
{
	return all->pub.tls != NULL;
}

/* What somebody still needs who is to log in; NULL: nothing. */
static const char *
missing_for_login(const struct config_all *all)
{
	bool auth = all->pub.auth.users || all->pub.auth.dovecot;

	if (has_certificate(all))
		return auth ? NULL : "an auth block with a password-file";
	return auth ? "a certificate block"
		    : "a certificate block, and an auth block with a "
		      "password-file";
}

static void
check_metrics(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	static const char *const mail[] = {"tls", "hostname", "greeting"};

	for (size_t i = 0; i < sizeof(mail) / sizeof(mail[0]); i++) {
		struct config_item at = config_where(b, mail[i]);

		if (at.text)
			config_error(f, at.file, at.line,
			    "%s is for mail, and role = metrics speaks HTTP: "
			    "remove it",
			    mail[i]);
	}
	for (unsigned i = 0; i < all->pub.nlistens; i++) {
		const struct config_listen *l = &all->pub.listens[i];

		if (l->line != b->line || strcmp(l->text, b->title) != 0 ||
		    ipaddr_is_loopback(&l->addr))
			continue;
		config_warn(f, b->file, b->line,
		    "listen \"%.80s\": whoever reaches this address reads the "
		    "metrics: write \"127.0.0.1:%u\", or keep others away",
		    b->title, l->port);
		return;
	}
}

/* What cannot be done as it is written is said where it is written. */
static void
check_role(const struct config_all *all, struct config_faults *f,
    const struct config_block *b)
{
	const struct listen_block *data = b->data;
	struct config_item tls = config_where(b, "tls");
	struct config_item role = config_where(b, "role");

	if (data->role == ROLE_METRICS) {
		check_metrics(all, f, b);
		return;
	}
	if (data->tls == TLS_IMPLICIT && !has_certificate(all))
		config_error(f, tls.file, tls.line,
		    "tls = implicit needs a certificate: write a block "
		    "certificate \"%.80s\" { chain = ... key = ... }",
		    data->hostname ? data->hostname : "mx.example.org");
	if (data->role != ROLE_SUBMISSION || !b->file || all->builtin)
		return;
	if (data->tls == TLS_OFF)
		config_warn(f, tls.file, tls.line,
		    "tls = off: nobody logs in without TLS, so role = "
		    "submission answers every MAIL with 530");
	else if (missing_for_login(all))
		config_warn(f, role.file, role.line,
		    "role = submission needs %s: until then it greets, and "
		    "answers MAIL with 530",
		    missing_for_login(all));
}

static void
check(struct config_all *all, struct config_faults *f)
{
	const struct config_block *b = config_block_first(all, &section_listen);

	for (; b; b = config_block_next(b))
		check_role(all, f, b);
	for (unsigned i = 0; i < all->pub.nlistens; i++) {
		struct config_listen *l = &all->pub.listens[i];

		l->smtp.starttls =
		    has_certificate(all) && l->tls == TLS_STARTTLS;
	}
}

const struct config_section section_listen = {
    .name = "listen",
    .title = "ADDR:PORT",
    .help = "an address to serve; * is all of IPv4 and IPv6",
    KEYS(keys),
    .size = sizeof(struct listen_block),
    .imply = imply,
    .build = build,
    .check = check,
};
