/*
 * probe_judge: what follows from all that was found. What keeps one address
 * from taking mail is a warning where another one takes it; what only the
 * whole shows is added.
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "io/clock.h"
#include "tools/probe.h"

static void
find(struct probe *p, enum probe_cause cause, const char *where,
    const char *detail)
{
	probe_find(&p->findings, &p->arena, cause, where, detail);
}

/* What keeps mail from this address: the last such finding; NULL. */
static const struct probe_finding *
fatal(const struct probe_address *a)
{
	const struct probe_finding *f, *worst = NULL;

	for (f = a->r.findings.first; f; f = f->next)
		if (f->cause >= PROBE_FIRST_FATAL &&
		    (!worst || f->cause > worst->cause))
			worst = f;
	return worst;
}

/* --- one server --- */

static bool
is_name(struct span said, const char *name)
{
	if (said.len && said.ptr[said.len - 1] == '.')
		said.len--;
	return ascii_equal_str(said, name);
}

/* RFC 5321 4.3.1: the first word behind 220 is the server's name. */
static void
judge_name(struct probe_address *a)
{
	struct probe *p = a->probe;
	const struct probe_result *r = &a->r;

	/* of an address nobody knows the name, unless its PTR says it */
	if (!r->greets || (!r->target.host && !a->nnames))
		return;
	if (r->target.host && is_name(r->name, r->target.host))
		return;
	for (unsigned i = 0; p->domain && i < p->domain->nmx; i++)
		if (is_name(r->name, p->domain->mx[i].name))
			return;
	for (unsigned i = 0; i < a->nnames; i++)
		if (is_name(r->name, a->names[i]))
			return;
	probe_find(&a->r.findings, &p->arena, PROBE_OTHER_NAME, r->target.where,
	    probe_quote(&p->arena, "", r->name));
}

/* RFC 7672 2.2: with TLSA records a sender insists on TLS, and on the key. */
static void
judge_tlsa(struct probe_address *a, const struct probe_host *h)
{
	struct probe *p = a->probe;
	char hex[65];

	if (!a->r.ready || !h->authentic || !h->ntlsa)
		return;
	for (unsigned i = 0; a->r.peered && i < h->ntlsa; i++)
		if (tls_peer_matches(&a->r.peer, clock_wall() / 1000,
			h->tlsa[i].usage, h->tlsa[i].selector,
			h->tlsa[i].matching, h->tlsa[i].data))
			return;
	for (unsigned i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", a->r.peer.spki[i]);
	probe_find(&a->r.findings, &p->arena, PROBE_TLSA_MISMATCH,
	    a->r.target.where,
	    a->r.peered ? probe_printf(&p->arena, "its key's is 3 1 1 %s", hex)
			: "there is no TLS");
}

void
probe_judge_ptr(struct probe_findings *f, const struct probe_address *a)
{
	char text[IPADDR_STRLEN];

	if (a->named && !a->leads_back)
		probe_find(f, &a->probe->arena, PROBE_PTR,
		    ipaddr_format(&a->r.target.addr, text),
		    a->nnames ? a->names[0] : NULL);
}

void
probe_judge_server(struct probe_address *a, const struct probe_host *tlsa)
{
	judge_name(a);
	judge_tlsa(a, tlsa);
	if (a->probe->verbose && !a->probe->config)
		probe_judge_ptr(&a->r.findings, a);
}

/* --- all addresses of a host --- */

static bool
is_alive(const struct probe_address *a)
{
	return a->r.ready && !fatal(a);
}

/* Any of its addresses, or of this family (else 0). */
static bool
alive(const struct probe_host *h, unsigned family)
{
	for (unsigned i = 0; i < h->naddrs; i++)
		if (is_alive(&h->addrs[i]) &&
		    (!family || h->addrs[i].r.target.addr.family == family))
			return true;
	return false;
}

/* None of this family gets as far as a connection. */
static bool
dead(const struct probe_host *h, unsigned family)
{
	for (unsigned i = 0; i < h->naddrs; i++)
		if (h->addrs[i].r.target.addr.family == family &&
		    !h->addrs[i].r.err)
			return false;
	return true;
}

/* "HOST", where it is the same with all of them. */
static const char *
whose(const struct probe_address *a, enum probe_cause cause)
{
	const struct probe_host *h = a->host;

	for (unsigned i = 0; i < h->naddrs; i++)
		if (!probe_found(&h->addrs[i].r.findings, cause))
			return a->r.target.where;
	return h->naddrs > 1 ? h->name : a->r.target.where;
}

static void
judge_dead(struct probe_address *a, const struct probe_finding *f)
{
	struct probe *p = a->probe;
	const struct probe_host *h = a->host;
	unsigned family = a->r.target.addr.family;
	unsigned other = family == IP_V4 ? IP_V6 : IP_V4;
	const char *why = probe_causes[f->cause].sentence;

	if (!p->mail)
		find(p, f->cause, whose(a, f->cause), f->detail);
	else if (a->r.err && alive(h, other) && dead(h, family))
		find(p, family == IP_V4 ? PROBE_IPV4_DEAD : PROBE_IPV6_DEAD,
		    h->name, why);
	else
		find(p, PROBE_MX_DEAD,
		    alive(h, 0) ? a->r.target.where : h->name, why);
}

static void
judge_address(struct probe_address *a, bool routes)
{
	struct probe *p = a->probe;
	const struct probe_finding *f, *stop = fatal(a);

	for (f = a->r.findings.first; f; f = f->next)
		if (f->cause < PROBE_FIRST_FATAL)
			find(p, f->cause, whose(a, f->cause), f->detail);
	/* a family without a route was not tried, and is no fault */
	if (stop && (stop->cause != PROBE_NO_ROUTE || !routes))
		judge_dead(a, stop);
}

/* --- hosts without addresses, or with the wrong ones --- */

static void
judge_private(struct probe *p)
{
	const struct probe_address *a;
	unsigned outside = 0;

	for (a = p->all; a; a = a->next)
		outside += !a->private;
	for (a = p->all; a; a = a->next)
		if (a->private)
			find(p,
			    outside ? PROBE_PRIVATE_ADDRESS
				    : PROBE_PRIVATE_ONLY,
			    outside ? a->r.target.where : p->name, NULL);
}

/* "mx.example.org.example.org": somebody forgot the dot at the end. */
static bool
lacks_dot(struct probe *p, const char *name)
{
	const char *twice = probe_printf(&p->arena, ".%s.%s", p->name, p->name);
	struct span s = span_str(probe_printf(&p->arena, ".%s", name));
	size_t n = strlen(twice);

	return s.len >= n &&
	       ascii_equal_str((struct span){s.ptr + s.len - n, n}, twice);
}

/* A domain with MX records of which one has no address: why. */
static void
judge_unfound(const struct probe_host *h, bool others)
{
	struct probe *p = h->probe;
	const char *dot =
	    lacks_dot(p, h->name) ? "the record lacks its final dot" : NULL;

	if (h->literal)
		find(p, others ? PROBE_MX_LACKS_ADDRESS : PROBE_MX_IS_ADDRESS,
		    others ? h->name : p->name,
		    others ? "it is an address, not a name" : h->name);
	else if (h->status != DNS_FAILED)
		find(p, others ? PROBE_MX_LACKS_ADDRESS : PROBE_NO_MX_ADDRESS,
		    others ? h->name : p->name, dot || others ? dot : h->name);
	else if (p->mail)
		probe_dns_find(&p->findings, p, PROBE_MX_DEAD, h->name, h->why);
	else
		probe_dns_find(&p->findings, p, PROBE_DNS_FAILED, h->name,
		    h->why);
}

/* The name itself is the host: implicit MX, or HOST:PORT. */
static void
judge_single(const struct probe_host *h)
{
	struct probe *p = h->probe;

	if (h->naddrs && p->domain)
		find(p, PROBE_IMPLICIT_MX, p->name, NULL);
	else if (!h->naddrs && h->status == DNS_FAILED)
		probe_dns_find(&p->findings, p, PROBE_DNS_FAILED, p->name,
		    h->why);
	else if (!h->naddrs)
		find(p,
		    h->status == DNS_NXDOMAIN ? PROBE_NO_DOMAIN
					      : PROBE_NO_ADDRESS,
		    p->name, NULL);
}

static void
judge_hosts(struct probe *p)
{
	for (unsigned i = 0; i < p->nhosts; i++) {
		const struct probe_host *h = &p->hosts[i];

		if (h->preference >= 0 && h->cname)
			find(p, PROBE_MX_IS_CNAME, h->name, h->cname);
		if (h->preference < 0)
			judge_single(h);
		else if (!h->naddrs)
			judge_unfound(h, p->all);
	}
}

static void
judge_domain(struct probe *p)
{
	const struct probe_domain *d = p->domain;
	const struct probe_finding *f;

	for (f = d->findings.first; f; f = f->next)
		find(p, f->cause, f->where, f->detail);
	if (d->status == DNS_NXDOMAIN)
		find(p, PROBE_NO_DOMAIN, p->name, NULL);
	if (d->nmx == 1 && strcmp(d->mx[0].name, ".") == 0)
		find(p, PROBE_NULL_MX, p->name, NULL);
}

/* --- the whole --- */

void
probe_judge(struct probe *p)
{
	struct probe_address *a;
	bool routes = false;

	for (a = p->all; a; a = a->next) {
		probe_judge_server(a, a->host);
		p->mail = p->mail || is_alive(a);
		routes = routes || !probe_found(&a->r.findings, PROBE_NO_ROUTE);
	}
	if (p->domain)
		judge_domain(p);
	judge_hosts(p);
	judge_private(p);
	for (a = p->all; a; a = a->next)
		judge_address(a, routes);
	probe_judge_blocked(p);
}
