/*
 * section_route_check: what a route cannot do, or should not, of what is
 * written; and what of it this machine lacks.
 */
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "config/file.h"
#include "config/section_route.h"

#define CONNECTION_KIB 192 /* in memory for each, at most */
#define MANY           100

static struct config_item
where(const struct config_route *x, const char *key)
{
	return config_where(x->block, key);
}

/* Which kinds a key is for. */
static void
check_kinds(struct config_faults *f, const struct config_route *x)
{
	static const struct {
		const char *key, *why;
		unsigned syntaxes; /* a bit for each */
	} all[] = {
	    {"tls", "tls is for lmtp: and smtp: only",
		1 << ROUTE_HOST | 1 << ROUTE_SOCKET},
	    {"ca", "ca is for lmtp:, smtp:, smtps: and https: only",
		1 << ROUTE_HOST | 1 << ROUTE_SOCKET | 1 << ROUTE_WEB},
	    {"login", "login is for smtp: and smtps: only", 1 << ROUTE_HOST},
	    {"secret-file",
		"secret-file is for smtp:, smtps:, http: and https: only",
		1 << ROUTE_HOST | 1 << ROUTE_WEB},
	};
	unsigned bit = 1u << x->pub.kind->syntax;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct config_item at = where(x, all[i].key);

		if (at.text && !(all[i].syntaxes & bit))
			config_error(f, at.file, at.line, "%s", all[i].why);
	}
	if (x->pub.kind->tls && x->pub.kind->syntax == ROUTE_HOST &&
	    where(x, "tls").text &&
	    !ascii_equal_str(span_str(where(x, "tls").text), "required"))
		config_error(f, where(x, "tls").file, where(x, "tls").line,
		    "smtps: speaks TLS always, and verifies: take tls out");
	if (where(x, "verify-recipients").text && x->pub.verify &&
	    !(bit & (1 << ROUTE_HOST | 1 << ROUTE_SOCKET)))
		config_error(f, where(x, "verify-recipients").file,
		    where(x, "verify-recipients").line,
		    "verify-recipients asks an LMTP or SMTP server: take it "
		    "out");
}

static void
check_login(struct config_faults *f, const struct config_route *x)
{
	struct config_item login = where(x, "login");
	struct config_item secret = where(x, "secret-file");
	bool away = false;

	if (x->pub.kind->syntax != ROUTE_HOST)
		return;
	for (unsigned i = 0; i < x->pub.nto; i++)
		away = away || !x->pub.to[i].local;
	if (login.text && !secret.text)
		config_error(f, login.file, login.line,
		    "login needs secret-file, a file with the password");
	if (secret.text && !login.text)
		config_error(f, secret.file, secret.line,
		    "secret-file is a password: write login as well");
	if (login.text && away && x->pub.tls != ROUTE_TLS_REQUIRED)
		config_error(f, login.file, login.line,
		    "login: the password would cross the network in clear: "
		    "write tls = required");
}

static void
check_block(struct config_faults *f, const struct config_route *x)
{
	struct config_item at = where(x, "ca");
	unsigned n = x->pub.connections;

	check_kinds(f, x);
	check_login(f, x);
	if (at.text && x->pub.tls != ROUTE_TLS_REQUIRED)
		config_warn(f, at.file, at.line,
		    "ca: nobody is verified here: write tls = required");
	at = where(x, "connections");
	if (n > MANY)
		config_warn(f, at.file, at.line,
		    "connections = %u: up to %u MiB and %u descriptors", n,
		    (n * CONNECTION_KIB + 1023) / 1024, 2 * n);
}

/* --- each place --- */

static bool
listens_at(const struct config_listen *l, const struct route_place *p)
{
	static const struct ipaddr any[] = {{.family = IP_V4},
	    {.family = IP_V6}};

	if (l->role == ROLE_METRICS || l->port != p->port)
		return false;
	for (unsigned i = 0; i < p->naddrs; i++) {
		const struct ipaddr *a = &p->addrs[i];

		if (ipaddr_equal(a, &l->addr) ||
		    (ipaddr_is_loopback(a) &&
			ipaddr_equal(&l->addr, &any[a->family == IP_V6])))
			return true;
	}
	return false;
}

static void
check_own(const struct config_all *all, struct config_faults *f,
    const struct config_item *at, const char *shown,
    const struct route_place *p)
{
	const struct config_listen *l = all->pub.listens;
	unsigned n = all->pub.nlistens;

	while (n && !listens_at(l, p))
		n--, l++;
	if (n && l->line)
		config_error(f, at->file, at->line,
		    "%s is where this server itself listens (\"%s\", line "
		    "%u): mail would go round in circles",
		    shown, l->text, l->line);
	else if (n)
		config_error(f, at->file, at->line,
		    "%s is where this server itself listens (\"%s\"): mail "
		    "would go round in circles",
		    shown, l->text);
}

static void
check_port(struct config_faults *f, const struct config_item *at,
    const struct route *r, const struct route_place *p)
{
	if (r->kind->syntax != ROUTE_HOST)
		return;
	if (!p->tls && p->port == 465)
		config_warn(f, at->file, at->line,
		    "port 465 speaks TLS from the first octet: write "
		    "smtps://%s",
		    p->host);
	if (p->tls && (p->port == 587 || p->port == 25))
		config_warn(f, at->file, at->line,
		    "port %u begins without TLS: write smtp://%s:%u in a "
		    "route block with tls = required",
		    (unsigned)p->port, p->host, (unsigned)p->port);
}

static bool
is_private(const struct route_place *p)
{
	return p->naddrs ? ipaddr_is_private(&p->addrs[0])
			 : !strchr(p->host, '.');
}

static void
check_web(struct config_faults *f, const struct config_item *at,
    const char *shown, const struct route *r, const struct route_place *p)
{
	struct stat st;

	if (r->kind->syntax != ROUTE_WEB)
		return;
	if (!p->tls && !is_private(p))
		config_warn(f, at->file, at->line,
		    "%s: mail and addresses cross the network in clear: write "
		    "https",
		    shown);
	if (strchr(p->path, '?') && at->file && stat(at->file, &st) == 0 &&
	    st.st_mode & S_IROTH)
		config_warn(f, at->file, at->line,
		    "%s: a token in a URL can be read by everybody here: "
		    "chmod 640",
		    shown);
}

static void
check_journal(const struct config_all *all, struct config_faults *f,
    const struct config_route *x)
{
	struct config_item at =
	    config_where(config_block_first(all, &section_journal), "enabled");

	if (all->pub.deliver.journal || !x->used)
		return;
	for (const struct config_route *o = all->routes; o != x; o = o->next)
		if (o->good && o->used)
			return; /* once is enough */
	config_error(f, at.file, at.line,
	    "journal { enabled = no } delivers to Maildirs only: a part that "
	    "must wait needs the journal");
}

static bool
can_log_in(const struct config_all *all)
{
	unsigned i = 0;

	while (i < all->pub.nlistens &&
	       all->pub.listens[i].role != ROLE_SUBMISSION)
		i++;
	return i < all->pub.nlistens &&
	       (all->pub.auth.users || all->pub.auth.dovecot);
}

static void
check_smarthost(const struct config_all *all, struct config_faults *f,
    const struct config_route *x)
{
	const struct destination *d = all->pub.deliver.smarthost;
	struct config_item at = config_where(all->top, "smarthost");

	if (d && d->route == &x->pub && !can_log_in(all))
		config_warn(f, at.file, at.line,
		    "nobody can use the smarthost: no listen block has role = "
		    "submission with auth");
}

void
route_check(const struct config_all *all, struct config_faults *f,
    const struct config_route *x)
{
	if (x->block)
		check_block(f, x);
	for (unsigned i = 0; i < x->pub.nto; i++) {
		const struct route_place *p = &x->pub.to[i];
		struct config_item at = config_route_at(x, i);
		const char *shown =
		    x->pub.kind->syntax == ROUTE_WEB ? x->pub.shown : p->text;

		check_own(all, f, &at, shown, p);
		check_port(f, &at, &x->pub, p);
		check_web(f, &at, shown, &x->pub, p);
	}
	check_journal(all, f, x);
	check_smarthost(all, f, x);
}

void
route_machine(const struct config_all *all, struct config_faults *f)
{
	for (const struct config_route *x = all->routes; x; x = x->next) {
		for (unsigned i = 0; i < x->pub.nto; i++) {
			const struct route_place *p = &x->pub.to[i];
			struct config_item at = config_route_at(x, i);

			if (x->pub.kind->syntax == ROUTE_PROGRAM)
				config_check_program(all, f, &at, p->path);
			else if (p->path && !p->host)
				config_check_socket(all, f, &at, p->path,
				    "unix_listener lmtp");
		}
	}
}
