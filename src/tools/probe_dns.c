/*
 * probe_dns: what is asked of DNS: a domain's MX records with what else
 * senders look for, its hosts' addresses, aliases and TLSA records, the names
 * of addresses. All of it at once, as far as one answer does not need another;
 * a host's addresses are tried as soon as they are known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "io/clock.h"
#include "tools/probe.h"

static void
ask(struct probe *p, enum dns_type type, const char *name, unsigned flags,
    resolve_fn *fn, void *ctx)
{
	p->pending++;
	resolve_ask(p->resolve, type, name, flags, 0,
	    clock_now() + PROBE_DNS_MS, fn, ctx);
}

static const char *
keep(struct probe *p, const char *text)
{
	return arena_dup(&p->arena, span_str(text));
}

/* --- what went wrong --- */

void
probe_dns_find(struct probe_findings *f, struct probe *p,
    enum probe_cause cause, const char *where, unsigned why)
{
	static const struct {
		unsigned why;
		const char *text;
	} words[] = {
	    {DNS_FORMERR, "says FORMERR"},
	    {DNS_SERVFAIL, "says SERVFAIL"},
	    {DNS_REFUSED, "says REFUSED"},
	    {DNS_TIMEOUT, "does not answer"},
	    {DNS_UNREACHABLE, "cannot be reached"},
	    {DNS_OVERLOAD, "has too many questions"},
	    {DNS_DOWN, "does not answer"},
	};
	const char *text = "answers what makes no sense";

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].why == why)
			text = words[i].text;
	probe_find(f, &p->arena, cause, where,
	    probe_printf(&p->arena, "the resolver %s %s",
		resolve_servers(p->resolve), text));
}

/* --- the names of an address --- */

static void
on_back(void *ctx, const struct dns_answer *a)
{
	struct probe_address *addr = ctx;

	for (unsigned i = 0; i < a->n; i++)
		if (ipaddr_equal(&a->records[i].addr, &addr->r.target.addr))
			addr->leads_back = true;
	probe_arrived(addr->probe);
}

static void
on_ptr(void *ctx, const struct dns_answer *a)
{
	struct probe_address *addr = ctx;
	struct probe *p = addr->probe;
	enum dns_type back =
	    addr->r.target.addr.family == IP_V4 ? DNS_A : DNS_AAAA;

	addr->named = a->status != DNS_FAILED;
	for (unsigned i = 0; i < a->n && i < PROBE_NAMES_MAX; i++) {
		addr->names[addr->nnames++] = keep(p, a->records[i].name);
		ask(p, back, a->records[i].name, 0, on_back, addr);
	}
	probe_arrived(p);
}

void
probe_ask_ptr(struct probe_address *a)
{
	char name[RESOLVE_REVERSE_MAX];

	ask(a->probe, DNS_PTR, resolve_reverse(&a->r.target.addr, name), 0,
	    on_ptr, a);
}

/* --- a host --- */

static void
on_tried(void *ctx, struct probe_result *r)
{
	struct probe_address *a = ctx;

	(void)r;
	probe_arrived(a->probe);
}

void
probe_try_all(struct probe_host *h)
{
	struct probe *p = h->probe;

	for (unsigned i = 0; i < h->naddrs; i++) {
		struct probe_address *a = &h->addrs[i];
		const struct probe_target t = a->r.target;

		if (p->target)
			probe_ask_ptr(a);
		p->pending++;
		probe_try(&p->limits, &t, &p->arena, &a->r, on_tried, a);
	}
}

static void
add_address(struct probe_host *h, const struct ipaddr *addr)
{
	struct probe *p = h->probe;
	struct probe_address *a = &h->addrs[h->naddrs++];
	char text[IPADDR_STRLEN];
	bool plain = h->literal;

	*a = (struct probe_address){.probe = p,
	    .host = h,
	    .private = !plain && !h->known && ipaddr_is_private(addr)};
	a->r.target = (struct probe_target){.addr = *addr,
	    .port = h->port,
	    .tls = p->tls,
	    .host = plain ? NULL : h->name,
	    .where =
		probe_printf(&p->arena, "%s%s[%s]:%u", plain ? "" : h->name,
		    plain ? "" : " ", ipaddr_format(addr, text), h->port)};
}

/* At most PROBE_ADDRS_MAX, and of both families if there are both. */
static void
use_addresses(struct probe_host *h)
{
	unsigned n[2] = {h->n[0], h->n[1]};

	while (n[0] + n[1] > PROBE_ADDRS_MAX)
		n[n[0] < n[1]]--;
	h->addrs =
	    arena_alloc(&h->probe->arena, (n[0] + n[1]) * sizeof(*h->addrs));
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < n[v6]; i++)
			add_address(h, &h->found[v6][i]);
	if (n[0] + n[1])
		h->status = DNS_FOUND;
}

static void
host_arrived(struct probe_host *h)
{
	struct probe *p = h->probe;

	if (--h->asking == 0) {
		use_addresses(h);
		h->ready(h);
	}
	probe_arrived(p);
}

static void
on_addresses(void *ctx, const struct dns_answer *a)
{
	struct probe_host *h = ctx;

	h->known = a->known;
	for (unsigned i = 0; i < a->n; i++) {
		const struct ipaddr *addr = &a->records[i].addr;
		unsigned v6 = addr->family == IP_V6;

		if (h->n[v6] < PROBE_ADDRS_MAX)
			h->found[v6][h->n[v6]++] = *addr;
	}
	if (a->naliases)
		h->cname = keep(h->probe, a->aliases[a->naliases - 1]);
	/* a name that one of two answers knows is there */
	if (a->status == DNS_FAILED || h->status == DNS_NXDOMAIN) {
		h->status = a->status;
		h->why = a->why;
	}
	host_arrived(h);
}

static void
on_tlsa(void *ctx, const struct dns_answer *a)
{
	struct probe_host *h = ctx;
	struct arena *arena = &h->probe->arena;

	h->authentic = a->authentic;
	h->tlsa = arena_alloc(arena, a->n * sizeof(*h->tlsa));
	for (unsigned i = 0; i < a->n; i++) {
		const struct dns_record *r = &a->records[i];

		h->tlsa[h->ntlsa++] = (struct probe_tlsa){r->usage, r->selector,
		    r->matching, {arena_dup(arena, r->data), r->data.len}};
	}
	host_arrived(h);
}

void
probe_ask_host(struct probe_host *h)
{
	struct probe *p = h->probe;
	char name[DNS_NAME_MAX + 16];

	h->status = DNS_NXDOMAIN;
	h->asking = 3;
	snprintf(name, sizeof(name), "_%u._tcp.%s", h->port, h->name);
	ask(p, DNS_TLSA, name, RESOLVE_AD, on_tlsa, h);
	/* who names one server means what this machine makes of it */
	if (p->port && p->target) {
		h->asking = 2;
		p->pending++;
		resolve_host(p->resolve, h->name, clock_now() + PROBE_DNS_MS,
		    on_addresses, h);
		return;
	}
	ask(p, DNS_A, h->name, 0, on_addresses, h);
	ask(p, DNS_AAAA, h->name, 0, on_addresses, h);
}

/* --- a domain --- */

/* The value of a tag of "v=STSv1; id=20260101;" (RFC 8461 3.1). */
static const char *
tag_of(struct probe *p, struct span text, const char *tag)
{
	while (text.len) {
		const char *end = memchr(text.ptr, ';', text.len);
		size_t n = end ? (size_t)(end - text.ptr) : text.len;
		struct span part = ascii_trim((struct span){text.ptr, n});
		size_t len = strlen(tag);

		if (part.len >= len && memcmp(part.ptr, tag, len) == 0) {
			span_skip(&part, len);
			return arena_dup(&p->arena, part);
		}
		span_skip(&text, end ? n + 1 : n);
	}
	return NULL;
}

static bool
begins(struct span s, const char *with)
{
	size_t n = strlen(with);

	return s.len >= n && memcmp(s.ptr, with, n) == 0;
}

static void
on_sts(void *ctx, const struct dns_answer *a)
{
	struct probe_domain *d = ctx;

	for (unsigned i = 0; i < a->n; i++)
		if (begins(a->records[i].data, "v=STSv1;"))
			d->sts = tag_of(d->probe, a->records[i].data, "id=");
	probe_arrived(d->probe);
}

static void
on_tlsrpt(void *ctx, const struct dns_answer *a)
{
	struct probe_domain *d = ctx;

	for (unsigned i = 0; i < a->n; i++)
		if (begins(a->records[i].data, "v=TLSRPTv1;"))
			d->tlsrpt =
			    arena_dup(&d->probe->arena, a->records[i].data);
	probe_arrived(d->probe);
}

/* Asked without a check of signatures: is it there then? */
static void
on_unchecked(void *ctx, const struct dns_answer *a)
{
	struct probe_domain *d = ctx;

	probe_dns_find(&d->findings, d->probe,
	    a->status == DNS_FAILED ? PROBE_DNS_FAILED : PROBE_DNSSEC_BOGUS,
	    d->name, d->why);
	probe_arrived(d->probe);
}

static int
by_preference(const void *a, const void *b)
{
	const struct dns_record *x = a, *y = b;

	return x->preference != y->preference
		   ? (x->preference > y->preference) -
			 (x->preference < y->preference)
		   : strcmp(x->name, y->name);
}

static void
on_mx(void *ctx, const struct dns_answer *a)
{
	struct probe_domain *d = ctx;
	struct probe *p = d->probe;

	d->ms = clock_now() - d->ms;
	d->status = a->status;
	d->why = a->why;
	d->mx = arena_alloc(&p->arena, a->n * sizeof(*d->mx));
	for (unsigned i = 0; i < a->n; i++)
		d->mx[d->nmx++] =
		    (struct dns_record){.preference = a->records[i].preference,
			.name = keep(p, a->records[i].name)};
	qsort(d->mx, d->nmx, sizeof(*d->mx), by_preference);
	if (a->status == DNS_FAILED && a->why == DNS_SERVFAIL)
		ask(p, DNS_MX, d->name, RESOLVE_CD, on_unchecked, d);
	else if (a->status == DNS_FAILED)
		probe_dns_find(&d->findings, p, PROBE_DNS_FAILED, d->name,
		    d->why);
	d->ready(d);
	probe_arrived(p);
}

void
probe_ask_domain(struct probe_domain *d)
{
	struct probe *p = d->probe;

	d->ms = clock_now();
	ask(p, DNS_MX, d->name, 0, on_mx, d);
	ask(p, DNS_TXT, probe_printf(&p->arena, "_mta-sts.%s", d->name), 0,
	    on_sts, d);
	ask(p, DNS_TXT, probe_printf(&p->arena, "_smtp._tls.%s", d->name), 0,
	    on_tlsrpt, d);
}

/* --- what was asked for --- */

static struct probe_host *
add_host(struct probe *p, const char *name, int preference)
{
	struct probe_host *h = &p->hosts[p->nhosts++];
	struct ipaddr addr;

	*h = (struct probe_host){.probe = p,
	    .name = name,
	    .preference = preference,
	    .port = p->port ? p->port : 25,
	    .literal = ipaddr_parse(span_str(name), &addr) == 0,
	    .ready = probe_try_all};
	return h;
}

static void
on_domain(struct probe_domain *d)
{
	struct probe *p = d->probe;

	if (d->status == DNS_NODATA)
		probe_ask_host(add_host(p, d->name, -1));
	if (d->nmx == 1 && strcmp(d->mx[0].name, ".") == 0)
		return;
	for (unsigned i = 0; i < d->nmx; i++) {
		struct probe_host *h;

		if (p->nhosts == PROBE_HOSTS_MAX) {
			p->skipped++;
			continue;
		}
		h = add_host(p, d->mx[i].name, d->mx[i].preference);
		if (!h->literal)
			probe_ask_host(h);
	}
}

void
probe_begin(struct probe *p)
{
	char text[IPADDR_STRLEN];
	struct probe_host *h;

	p->hosts = arena_alloc(&p->arena, PROBE_HOSTS_MAX * sizeof(*p->hosts));
	if (!p->port) {
		p->domain = arena_alloc(&p->arena, sizeof(*p->domain));
		*p->domain = (struct probe_domain){.probe = p,
		    .name = p->name,
		    .ready = on_domain};
		probe_ask_domain(p->domain);
		return;
	}
	if (p->name) {
		probe_ask_host(add_host(p, p->name, -1));
		return;
	}
	h = add_host(p, keep(p, ipaddr_format(&p->addr, text)), -1);
	h->n[p->addr.family == IP_V6] = 1;
	h->found[p->addr.family == IP_V6][0] = p->addr;
	use_addresses(h);
	probe_try_all(h);
}
