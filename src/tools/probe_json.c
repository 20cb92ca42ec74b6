/*
 * probe_json: the same for programs, as one object of ASCII. Its schema is in
 * smtpd(8).
 */
#include <string.h>

#include "config/config.h"
#include "io/clock.h"
#include "tools/probe.h"

/* --- members --- */

/* Behind a comma, unless something was just opened. name NULL: of a list. */
static void
put_key(struct buf *o, const char *name)
{
	if (o->len && !strchr("{[", o->data[o->len - 1]))
		buf_append(o, ",", 1);
	if (name)
		buf_printf(o, "\"%s\":", name);
}

static void
put_span(struct buf *o, const char *name, struct span s)
{
	put_key(o, name);
	quote_json(o, s);
}

/* NULL: left out. */
static void
put_str(struct buf *o, const char *name, const char *s)
{
	if (s)
		put_span(o, name, span_str(s));
}

static void
put_int(struct buf *o, const char *name, int64_t n)
{
	put_key(o, name);
	buf_printf(o, "%lld", (long long)n);
}

static void
begin(struct buf *o, const char *name, const char *bracket)
{
	put_key(o, name);
	buf_append_str(o, bracket);
}

static void
end(struct buf *o, const char *bracket)
{
	buf_append_str(o, bracket);
}

static void
put_spans(struct buf *o, const char *name, const struct span *s, unsigned n)
{
	begin(o, name, "[");
	for (unsigned i = 0; i < n; i++)
		put_span(o, NULL, s[i]);
	end(o, "]");
}

/* --- findings --- */

static void
put_findings(struct buf *o, const struct probe_findings *all)
{
	begin(o, "findings", "[");
	for (const struct probe_finding *f = all->first; f; f = f->next) {
		const struct probe_row *row = &probe_causes[f->cause];
		struct buf text = {0};

		buf_printf(&text, "%s%s%s", row->sentence,
		    f->detail ? ": " : "", f->detail ? f->detail : "");
		begin(o, NULL, "{");
		put_int(o, "code", row->code);
		put_str(o, "name", row->name);
		put_str(o, "where", f->where);
		put_span(o, "text", buf_span(&text));
		put_str(o, "remedy", row->remedy);
		end(o, "}");
		buf_free(&text);
	}
	end(o, "]");
}

/* --- an address --- */

static void
put_tls(struct buf *o, const struct probe_result *r)
{
	char date[CLOCK_TEXT_MAX];

	begin(o, "tls", "{");
	put_str(o, "version", r->version);
	put_str(o, "cipher", r->cipher);
	put_spans(o, "names", r->peer.names, r->peer.nnames);
	put_str(o, "not_after",
	    r->peered ? clock_text(r->peer.not_after, date) : "");
	put_span(o, "issuer", r->peer.issuer);
	put_str(o, "verify",
	    !r->peered     ? "no certificate"
	    : *r->peer.why ? r->peer.why
			   : "ok");
	end(o, "}");
}

static void
put_address(struct buf *o, const struct probe_address *a)
{
	const struct probe_result *r = &a->r;
	char text[IPADDR_STRLEN];

	begin(o, NULL, "{");
	put_str(o, "address", ipaddr_format(&r->target.addr, text));
	put_int(o, "port", r->target.port);
	begin(o, "steps", "[");
	for (unsigned i = 0; i < r->nsteps; i++) {
		begin(o, NULL, "{");
		put_str(o, "name", probe_step_names[r->steps[i].name]);
		put_int(o, "ms", r->steps[i].ms);
		put_str(o, "error", r->steps[i].error);
		end(o, "}");
	}
	end(o, "]");
	if (r->code)
		put_span(o, "greeting", r->greeting);
	if (r->ready)
		put_spans(o, "extensions", r->extensions, r->nextensions);
	if (r->secured)
		put_tls(o, r);
	put_findings(o, &r->findings);
	end(o, "}");
}

static void
put_host(struct buf *o, const struct probe_host *h)
{
	begin(o, NULL, "{");
	if (h->preference >= 0)
		put_int(o, "preference", h->preference);
	put_str(o, "host", h->name);
	put_str(o, "cname", h->cname);
	begin(o, "tlsa", "[");
	for (unsigned i = 0; i < h->ntlsa; i++) {
		struct buf text = {0};

		probe_put_tlsa(&h->tlsa[i], &text);
		begin(o, NULL, "{");
		put_span(o, "text", buf_span(&text));
		put_key(o, "authentic");
		buf_append_str(o, h->authentic ? "true" : "false");
		end(o, "}");
		buf_free(&text);
	}
	end(o, "]");
	begin(o, "addresses", "[");
	for (unsigned i = 0; i < h->naddrs; i++)
		put_address(o, &h->addrs[i]);
	end(o, "]}");
}

/* --- domains --- */

static void
put_sts(struct probe_domain *d, struct buf *o)
{
	if (d->sts) {
		begin(o, "sts", "{");
		put_str(o, "id", d->sts);
		put_str(o, "url",
		    probe_printf(&d->probe->arena, PROBE_STS_URL, d->name));
		end(o, "}");
	}
	put_str(o, "tlsrpt", d->tlsrpt);
}

static void
put_domain(struct probe_domain *d, struct buf *o)
{
	begin(o, NULL, "{");
	put_str(o, "name", d->name);
	begin(o, "mx", "[");
	for (unsigned i = 0; i < d->nmx; i++) {
		begin(o, NULL, "{");
		put_int(o, "preference", d->mx[i].preference);
		put_str(o, "host", d->mx[i].name);
		end(o, "}");
	}
	end(o, "]");
	put_sts(d, o);
	put_findings(o, &d->findings);
	end(o, "}");
}

/* --- the whole --- */

static void
put_compare(const struct probe *p, struct buf *o)
{
	static const char *const words[] = {
	    [PROBE_COMPARED_GREETS] = "greets",
	    [PROBE_COMPARED_SAME] = "same",
	    [PROBE_COMPARED_ELSE] = "failed",
	};

	if (p->compared == PROBE_NOT_COMPARED)
		return;
	begin(o, "compare", "{");
	put_str(o, "domain", p->compare);
	put_str(o, "result", words[p->compared]);
	end(o, "}");
}

void
probe_json(const struct probe *p, struct buf *o)
{
	const struct probe_finding *f = p->findings.first;
	unsigned worst = probe_worst(&p->findings);

	while (f && probe_causes[f->cause].code != worst)
		f = f->next;
	begin(o, NULL, "{");
	put_str(o, "target", p->target);
	if (!p->target)
		begin(o, "target", "null");
	put_int(o, "exit", worst);
	put_str(o, "cause", f ? probe_causes[f->cause].name : "good");
	put_str(o, "mail",
	    worst < probe_causes[PROBE_FIRST_FATAL].code ? "yes" : "no");
	put_str(o, "resolver", resolve_servers(p->resolve));
	begin(o, "mx", "[");
	for (unsigned i = 0; i < p->nhosts; i++)
		put_host(o, &p->hosts[i]);
	end(o, "]");
	if (p->domain)
		put_sts(p->domain, o);
	put_compare(p, o);
	if (!p->target) {
		begin(o, "domains", "[");
		for (unsigned i = 0; i < p->ndomains; i++)
			put_domain(&p->domains[i], o);
		end(o, "]");
	}
	put_findings(o, &p->findings);
	end(o, "}\n");
}
