/*
 * probe_blocked: port 25 was silent, or refused, at every address. Is that
 * them, or the network that we are in? Asked at once: 587 and 465 there, and
 * 25 of somebody who always answers, who is named.
 */
#include <errno.h>

#include "io/clock.h"
#include "tools/probe.h"

#define BLOCKED_MS 5000

/*
 * The cause that all have in common which were tried. PROBE_NCAUSES: there is
 * none, or nothing can follow from it.
 */
static enum probe_cause
common(const struct probe *p)
{
	enum probe_cause all = PROBE_NCAUSES;
	bool outside = false;

	for (const struct probe_address *a = p->all; a; a = a->next) {
		const struct probe_findings *f = &a->r.findings;
		enum probe_cause c = PROBE_NCAUSES;

		if (probe_found(f, PROBE_NO_ROUTE))
			continue;
		if (probe_found(f, PROBE_FILTERED))
			c = PROBE_FILTERED;
		if (probe_found(f, PROBE_REFUSED))
			c = PROBE_REFUSED;
		if (c == PROBE_NCAUSES || (all != PROBE_NCAUSES && c != all))
			return PROBE_NCAUSES;
		all = c;
		outside = outside || !ipaddr_is_private(&a->r.target.addr);
	}
	return outside && (!p->port || p->port == 25) ? all : PROBE_NCAUSES;
}

bool
probe_is_blocked(const struct probe *p)
{
	return !p->config && common(p) != PROBE_NCAUSES;
}

/* --- what is asked --- */

static void
on_submission(void *ctx, struct probe_result *r)
{
	struct probe *p = ctx;

	/* who refuses is there as well, but does not serve */
	if (!r->err)
		p->submission = true;
	probe_arrived(p);
}

static void
ask_submission(struct probe *p, const struct probe_address *a, uint16_t port)
{
	struct probe_target t = a->r.target;

	t.port = port;
	t.depth = PROBE_CONNECT;
	p->pending++;
	probe_try(&p->brief, &t, &p->arena,
	    arena_alloc(&p->arena, sizeof(struct probe_result)), on_submission,
	    p);
}

static void
on_compared(void *ctx, struct probe_result *r)
{
	struct probe *p = ctx;

	if (r->greets)
		p->compared = PROBE_COMPARED_GREETS;
	else if (p->compared != PROBE_COMPARED_GREETS &&
		 probe_found(&r->findings, common(p)))
		p->compared = PROBE_COMPARED_SAME;
	probe_arrived(p);
}

static void
compare_host(struct probe_host *h)
{
	struct probe *p = h->probe;

	for (unsigned i = 0; i < h->naddrs; i++) {
		struct probe_target t = h->addrs[i].r.target;

		t.tls = false;
		t.depth = PROBE_GREETING;
		p->pending++;
		probe_try(&p->brief, &t, &p->arena, &h->addrs[i].r, on_compared,
		    p);
	}
}

static void
compare_domain(struct probe_domain *d)
{
	struct probe *p = d->probe;
	struct probe_host *h = arena_alloc(&p->arena, sizeof(*h));

	*h = (struct probe_host){.probe = p,
	    .name = d->nmx ? d->mx[0].name : d->name,
	    .preference = -1,
	    .port = 25,
	    .ready = compare_host};
	if (d->status == DNS_FOUND || d->status == DNS_NODATA)
		probe_ask_host(h);
}

void
probe_blocked(struct probe *p)
{
	struct probe_domain *d = arena_alloc(&p->arena, sizeof(*d));

	p->brief = p->limits;
	p->brief.connect = p->brief.greeting = BLOCKED_MS;
	for (const struct probe_address *a = p->all; a; a = a->next) {
		ask_submission(p, a, 587);
		ask_submission(p, a, 465);
	}
	if (!p->compare)
		return;
	p->compared = PROBE_COMPARED_ELSE;
	p->asking = p->compare;
	*d = (struct probe_domain){.probe = p,
	    .name = p->compare,
	    .ready = compare_domain};
	probe_ask_domain(d);
}

/* --- what follows --- */

void
probe_judge_blocked(struct probe *p)
{
	static const char *const words[] = {
	    [PROBE_NOT_COMPARED] = "whose firewall it is cannot be told, "
				   "--compare would",
	    [PROBE_COMPARED_GREETS] = "another server greets from here: it is "
				      "their side",
	    [PROBE_COMPARED_ELSE] = "whose firewall it is cannot be told, as "
				    "the comparison failed",
	};
	enum probe_cause c = common(p);

	if (c == PROBE_NCAUSES)
		return;
	if (p->compared == PROBE_COMPARED_SAME) {
		probe_find(&p->findings, &p->arena, PROBE_BLOCKED_HERE,
		    probe_subject(p),
		    probe_printf(&p->arena, "that of %s is just as dead",
			p->compare));
		return;
	}
	for (struct probe_finding *f = p->findings.first; f; f = f->next)
		if (f->cause == c)
			f->detail =
			    probe_printf(&p->arena, "%s%s", words[p->compared],
				p->submission ? "; 587 or 465 answers, so the "
						"host lives"
					      : "");
}
