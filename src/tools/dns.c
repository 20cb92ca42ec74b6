/*
 * dns: the records that belong into the DNS, as the configuration has it, in
 * the syntax of zone files. It asks nobody; what it cannot know is a comment.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "config/config.h"
#include "config/print.h"
#include "io/digest.h"
#include "io/idn.h"
#include "io/machine.h"
#include "io/resolve.h"
#include "rcpt/recipients.h"
#include "setup.h"
#include "tools/probe_sts.h"
#include "tools/tool.h"

#define CHAIN_MAX (1u << 20) /* octets */

struct options {
	const char *file, *chain;
	const char *sts; /* the policy alone, in this mode */
};

struct zone {
	const struct config *config;
	const struct options *options;
	struct arena arena;
	const struct ipaddr *own; /* the machine's */
	int nown;
	struct buf out;
};

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "smtpd dns: %s: %s\n", what, why);
	return EXIT_FAILED;
}

/* --- names --- */

/* a: of a listener, NULL if it is none for mail. */
static bool
is_same(const char *a, const char *b)
{
	return a && ascii_equal_str(span_str(a), b);
}

/* Does a listener before it have the same name, and port if asked for? */
static bool
is_met(const struct config *c, unsigned i, bool port)
{
	const struct config_listen *l = &c->listens[i];

	for (unsigned j = 0; j < i; j++)
		if (is_same(c->listens[j].smtp.hostname, l->smtp.hostname) &&
		    (!port || c->listens[j].port == l->port))
			return true;
	return false;
}

static void
put_tlsa(struct zone *z, const char *host, const char *what,
    const uint8_t spki[DIGEST_LEN])
{
	buf_printf(&z->out, "; %s; only in a zone that is signed (DNSSEC):\n",
	    what);
	buf_printf(&z->out, "_25._tcp.%s. IN TLSA 3 1 1 ", host);
	for (unsigned i = 0; i < DIGEST_LEN; i++)
		buf_printf(&z->out, "%02x", spki[i]);
	buf_append_str(&z->out, "\n");
}

/* 0 or an exit status. */
static int
put_chain(struct zone *z, const char *host)
{
	const char *path = z->options->chain;
	FILE *f = fopen(path, "re");
	struct buf pem = {0};
	uint8_t spki[DIGEST_LEN];
	int status = 0;

	if (!f)
		return fail(path, strerror(errno));
	pem.len = fread(buf_reserve(&pem, CHAIN_MAX), 1, CHAIN_MAX, f);
	fclose(f);
	if (tls_chain_spki(buf_span(&pem), spki))
		put_tlsa(z, host, "of that file", spki);
	else
		status = fail(path, "it holds no certificate in PEM");
	buf_free(&pem);
	return status;
}

static int
put_keys(struct zone *z, const char *host)
{
	const struct tls *t = z->config->tls;
	uint8_t spki[DIGEST_LEN];
	unsigned n = 0;

	for (; t && tls_spki(t, host, n, spki); n++)
		put_tlsa(z, host, "of the certificate in use", spki);
	if (!n)
		buf_printf(&z->out, "; no TLSA: no certificate covers %s\n",
		    host);
	return z->options->chain ? put_chain(z, host) : 0;
}

static void
put_address(struct zone *z, const char *host, const struct ipaddr *a)
{
	char text[IPADDR_STRLEN], reverse[RESOLVE_REVERSE_MAX];

	buf_printf(&z->out, "%s. IN %s %s\n", host,
	    a->family == IP_V6 ? "AAAA" : "A", ipaddr_format(a, text));
	buf_printf(&z->out,
	    "; %s. IN PTR %s.   (ask whoever gave you the address)\n",
	    resolve_reverse(a, reverse), host);
}

/* Does a listener with this name have this address? */
static bool
is_served(const struct config *c, const char *name, const struct ipaddr *a)
{
	const struct ipaddr any = {.family = a->family};

	for (unsigned i = 0; i < c->nlistens; i++)
		if (is_same(c->listens[i].smtp.hostname, name) &&
		    (ipaddr_equal(&c->listens[i].addr, a) ||
			ipaddr_equal(&c->listens[i].addr, &any)))
			return true;
	return false;
}

static void
put_addresses(struct zone *z, const char *host)
{
	unsigned n = 0;

	for (int i = 0; i < z->nown; i++) {
		const struct ipaddr *a = &z->own[i];

		if (ipaddr_is_private(a) || !is_served(z->config, host, a))
			continue;
		put_address(z, host, a);
		n++;
	}
	if (!n)
		buf_printf(&z->out,
		    "; %s. IN A ...   (a public address, which is none of this "
		    "machine's)\n",
		    host);
}

/* --- domains --- */

/* RFC 6186, and 8314 for TLS from the first octet. */
static void
put_submission(struct zone *z, const char *domain)
{
	const struct config *c = z->config;

	for (unsigned i = 0; i < c->nlistens; i++) {
		const struct config_listen *l = &c->listens[i];

		if (l->role == ROLE_SUBMISSION && !is_met(c, i, true))
			buf_printf(&z->out,
			    "_submission%s._tcp.%s. IN SRV 0 1 "
			    "%u %s.\n",
			    l->tls == TLS_IMPLICIT ? "s" : "", domain, l->port,
			    l->smtp.hostname);
	}
}

static void
put_comment(struct buf *out, struct span text)
{
	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t n = (size_t)(end - text.ptr) + 1;

		buf_append_str(out, ";   ");
		buf_append(out, text.ptr, n);
		span_skip(&text, n);
	}
}

static void
put_sts(struct zone *z, const char *domain)
{
	char id[PROBE_STS_ID_LEN + 1];
	struct buf policy = {0};
	const char *host;

	if (!z->config->tls || !probe_sts_host(z->config, 0, &host)) {
		buf_append_str(&z->out, "; no MTA-STS without a certificate\n");
		return;
	}
	probe_sts_policy(z->config, PROBE_STS_TESTING, &policy);
	buf_printf(&z->out,
	    "; only with https://mta-sts.%s/.well-known/mta-sts.txt, which "
	    "is:\n",
	    domain);
	put_comment(&z->out, buf_span(&policy));
	buf_free(&policy);
	probe_sts_id(z->config, PROBE_STS_TESTING, id);
	buf_printf(&z->out, "_mta-sts.%s. IN TXT \"v=STSv1; id=%s;\"\n", domain,
	    id);
	probe_sts_id(z->config, PROBE_STS_ENFORCE, id);
	buf_printf(&z->out, "; in mode enforce: id=%s\n", id);
	probe_sts_id(z->config, PROBE_STS_NONE, id);
	buf_printf(&z->out, "; in mode none: id=%s\n", id);
}

static void
put_domain(struct zone *z, const char *name)
{
	char domain[IDN_MAX + 1];
	const char *host;

	/* what no resolver could ask for gets no mail from elsewhere */
	if (idn_key(span_str(name), domain) < 0)
		return;
	buf_printf(&z->out, "\n; mail for %s\n", domain);
	for (unsigned i = 0; probe_sts_host(z->config, i, &host); i++)
		buf_printf(&z->out, "%s. IN MX 10 %s.\n", domain, host);
	put_sts(z, domain);
	buf_printf(&z->out,
	    "_smtp._tls.%s. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@%s\"\n",
	    domain, domain);
	put_submission(z, domain);
}

/* --- all --- */

static int
put_names(struct zone *z)
{
	const struct config *c = z->config;
	int status = 0;

	for (unsigned i = 0; i < c->nlistens && !status; i++) {
		const char *name = c->listens[i].smtp.hostname;
		const char *mx;

		if (!name || is_met(c, i, false))
			continue;
		buf_printf(&z->out, "%s; the server %s\n",
		    z->out.len ? "\n" : "", name);
		put_addresses(z, name);
		for (unsigned j = 0; probe_sts_host(c, j, &mx); j++)
			if (is_same(mx, name))
				status = put_keys(z, name);
	}
	return status;
}

static int
put_zone(struct zone *z)
{
	const struct recipients *r = z->config->deliver.recipients;
	const struct mail_domain *d = NULL;
	int status;

	z->nown = machine_addresses(&z->arena, &z->own);
	if (z->nown < 0)
		return fail("the addresses of this machine", strerror(errno));
	status = put_names(z);
	while ((d = recipients_next_domain(r, d)))
		put_domain(z, mail_domain_name(d));
	return status;
}

static int
print(const struct config *c, const struct options *o)
{
	struct zone z = {.config = c, .options = o};
	int status = 0;

	if (o->sts)
		probe_sts_policy(c, o->sts, &z.out);
	else
		status = put_zone(&z);
	if (!status && (fwrite(z.out.data, 1, z.out.len, stdout) != z.out.len ||
			   fflush(stdout) != 0))
		status = fail("standard output", strerror(errno));
	buf_free(&z.out);
	arena_reset(&z.arena);
	return status;
}

/* argv ends with NULL. 0 or -1. */
static int
parse_options(char **argv, struct options *o)
{
	for (; *argv; argv++) {
		const char *next = argv[1];

		if (!strcmp(*argv, "--sts")) {
			o->sts = next ? probe_sts_mode(next) : NULL;
			argv += o->sts != NULL;
			o->sts = o->sts ? o->sts : PROBE_STS_TESTING;
		} else if (!strcmp(*argv, "--chain") && next) {
			o->chain = *++argv;
		} else if (!strcmp(*argv, "-f") && next) {
			o->file = *++argv;
		} else {
			return -1;
		}
	}
	return 0;
}

int
dns_main(int argc, char **argv)
{
	struct options o = {.file = CONFIG_PATH};
	struct config *c = NULL;
	int status;

	(void)argc;
	if (parse_options(argv + 1, &o) < 0) {
		fputs("usage: smtpd dns [--sts [testing | enforce | none]] "
		      "[--chain file] [-f file]\n",
		    stderr);
		return EXIT_USAGE;
	}
	config_load(o.file, NULL, config_print_error, stderr, &c);
	if (!c)
		return EXIT_CONFIG;
	status = print(c, &o);
	config_free(&c);
	return status;
}
