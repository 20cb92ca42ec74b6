/*
 * probe_self: our own configuration, asked from this machine: each listen
 * block for mail as a client would, and of DNS what strangers will ask it.
 * Whether they get through is not seen from here.
 */
#include <errno.h>
#include <stdio.h>

#include "base/ascii.h"
#include "config/config.h"
#include "config/print.h"
#include "io/idn.h"
#include "io/machine.h"
#include "rcpt/recipients.h"
#include "setup.h"
#include "tools/probe.h"
#include "tools/probe_sts.h"

#define AT_ONCE 32 /* domains that are asked about at a time */

int
probe_self_load(struct probe *p, struct config **c)
{
	config_load(p->file ? p->file : CONFIG_PATH, NULL, config_print_error,
	    stderr, c);
	if (!*c)
		return EXIT_CONFIG;
	p->config = *c;
	p->lock = lock_holder((*c)->spool, &p->pid);
	p->lock_errno = errno;
	return 0;
}

/* --- what is asked --- */

static void
add_listen(struct probe *p, const struct config_listen *l)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
	static const struct ipaddr none4 = {.family = IP_V4};
	static const struct ipaddr none6 = {.family = IP_V6};
	struct probe_host *h = &p->hosts[p->nhosts++];
	struct ipaddr addr = l->addr;
	char text[IPADDR_STRLEN];

	if (ipaddr_equal(&addr, &none4))
		addr = ipaddr_v4(v4);
	if (ipaddr_equal(&addr, &none6))
		addr = ipaddr_v6(v6);
	*h = (struct probe_host){.probe = p,
	    .name = l->text,
	    .preference = -1,
	    .port = l->port,
	    .naddrs = 1};
	h->addrs = arena_alloc(&p->arena, sizeof(*h->addrs));
	*h->addrs = (struct probe_address){.probe = p, .host = h};
	h->addrs->r.target = (struct probe_target){.addr = addr,
	    .port = l->port,
	    .tls = l->tls == TLS_IMPLICIT,
	    .host = l->smtp.hostname,
	    .where = probe_printf(&p->arena, "%s [%s]:%u", l->text,
		ipaddr_format(&addr, text), l->port)};
	probe_try_all(h);
}

static void
ask_ptrs(struct probe_host *own)
{
	for (unsigned i = 0; i < own->naddrs; i++)
		probe_ask_ptr(&own->addrs[i]);
}

/* One ends, the next one begins. */
static void
ask_next(struct probe_domain *d)
{
	struct probe *p = d->probe;

	if (p->asked < p->ndomains)
		probe_ask_domain(&p->domains[p->asked++]);
}

static void
add_domains(struct probe *p)
{
	const struct recipients *r = p->config->deliver.recipients;
	const struct mail_domain *m = NULL;
	char key[IDN_MAX + 1];

	while ((m = recipients_next_domain(r, m)))
		p->ndomains++;
	p->domains = arena_alloc(&p->arena, p->ndomains * sizeof(*p->domains));
	for (unsigned i = 0; i < p->ndomains; i++) {
		m = recipients_next_domain(r, m);
		p->domains[i] = (struct probe_domain){.probe = p,
		    .name = idn_key(span_str(mail_domain_name(m)), key) == 0
				? probe_printf(&p->arena, "%s", key)
				: mail_domain_name(m),
		    .ready = ask_next};
	}
}

void
probe_self_begin(struct probe *p)
{
	const struct config *c = p->config;

	p->hosts = arena_alloc(&p->arena, c->nlistens * sizeof(*p->hosts));
	for (unsigned i = 0; i < c->nlistens; i++)
		if (c->listens[i].role != ROLE_METRICS)
			add_listen(p, &c->listens[i]);
	p->own = arena_alloc(&p->arena, sizeof(*p->own));
	*p->own = (struct probe_host){.probe = p,
	    .name = c->hostname,
	    .preference = -1,
	    .port = 25,
	    .ready = ask_ptrs};
	probe_ask_host(p->own);
	add_domains(p);
	while (p->asked < p->ndomains && p->asked < AT_ONCE)
		probe_ask_domain(&p->domains[p->asked++]);
}

/* --- what follows --- */

static void
judge_own(struct probe *p)
{
	struct probe_host *own = p->own;
	const struct ipaddr *ours;
	int n = machine_addresses(&p->arena, &ours);

	for (unsigned i = 0; i < own->naddrs; i++) {
		struct probe_address *a = &own->addrs[i];

		for (int j = 0; j < n; j++)
			if (ipaddr_equal(&ours[j], &a->r.target.addr))
				a->ours = true;
		probe_judge_ptr(&p->findings, a);
	}
	if (own->status == DNS_FAILED)
		probe_dns_find(&p->findings, p, PROBE_DNS_FAILED, own->name,
		    own->why);
	else if (!own->naddrs)
		probe_find(&p->findings, &p->arena, PROBE_MX_LACKS_ADDRESS,
		    own->name, NULL);
}

static void
judge_listen(struct probe_address *a, bool others)
{
	static const struct probe_host none;
	const struct probe_finding *f;
	struct probe *p = a->probe;

	probe_judge_server(a, a->r.target.port == 25 ? p->own : &none);
	for (f = a->r.findings.first; f; f = f->next)
		if (f->cause != PROBE_NO_ROUTE || !others)
			probe_find(&p->findings, &p->arena, f->cause, f->where,
			    f->detail);
}

static bool
is_us(const struct config *c, const char *name)
{
	const char *host;

	for (unsigned i = 0; probe_sts_host(c, i, &host); i++)
		if (ascii_equal_str(span_str(name), host))
			return true;
	return ascii_equal_str(span_str(name), c->hostname);
}

static void
judge_domain(struct probe_domain *d)
{
	struct probe *p = d->probe;
	bool here = d->status == DNS_FAILED;
	const char *detail = "it has none";

	for (unsigned i = 0; i < d->nmx; i++)
		here = here || is_us(p->config, d->mx[i].name);
	if (d->status == DNS_NODATA && is_us(p->config, d->name)) {
		probe_find(&d->findings, &p->arena, PROBE_IMPLICIT_MX, d->name,
		    NULL);
		here = true;
	}
	if (d->status == DNS_NXDOMAIN)
		detail = "there is no such domain";
	if (d->nmx)
		detail = probe_printf(&p->arena, "it names %s", d->mx[0].name);
	if (!here)
		probe_find(&d->findings, &p->arena, PROBE_MX_ELSEWHERE, d->name,
		    detail);
	if (d->sts && !probe_sts_is_ours(p->config, d->sts))
		probe_find(&d->findings, &p->arena, PROBE_STS_MISMATCH, d->name,
		    NULL);
	for (const struct probe_finding *f = d->findings.first; f; f = f->next)
		probe_find(&p->findings, &p->arena, f->cause, f->where,
		    f->detail);
}

void
probe_self_judge(struct probe *p)
{
	struct probe_address *a;
	bool connected = false;

	for (a = p->all; a; a = a->next)
		connected = connected || !a->r.err;
	for (a = p->all; a; a = a->next)
		judge_listen(a, connected);
	judge_own(p);
	for (unsigned i = 0; i < p->ndomains; i++)
		judge_domain(&p->domains[i]);
}
