/*
 * probe_text: what was found, for people. What servers say is quoted; names of
 * DNS are printable already.
 */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "io/clock.h"
#include "tools/probe.h"

#define SAID_MAX 600 /* octets of what a server said, as shown */

static void
put_ms(struct buf *out, int64_t ms)
{
	if (ms < 10000)
		buf_printf(out, "%d ms", (int)ms);
	else
		buf_printf(out, "%.1f s", (double)ms / 1000);
}

/* Without quotes around it. */
static void
put_said(struct buf *out, struct span said)
{
	struct buf text = {0};

	quote_put(&text, QUOTE_TEXT, SAID_MAX, said);
	buf_append(out, text.data + 1, text.len - 2);
	buf_free(&text);
}

static const struct probe_step *
step_of(const struct probe_result *r, enum probe_step_name name)
{
	for (unsigned i = 0; i < r->nsteps; i++)
		if (r->steps[i].name == name)
			return &r->steps[i];
	return NULL;
}

static int64_t
ms_of(const struct probe_result *r, enum probe_step_name name)
{
	const struct probe_step *s = step_of(r, name);

	return s ? s->ms : 0;
}

/* --- an address --- */

static void
put_greeting(const struct probe_result *r, struct buf *out)
{
	const struct probe_step *last = NULL;

	buf_printf(out, "%-39s ", r->target.where);
	for (unsigned i = 0; i < r->nsteps && !last; i++)
		if (r->steps[i].error)
			last = &r->steps[i];
	if (r->code) {
		buf_printf(out, "%u in ", r->code);
		put_ms(out, ms_of(r, PROBE_STEP_CONNECT) +
				ms_of(r, PROBE_STEP_GREETING));
		buf_append_str(out, " ");
		quote_put(out, QUOTE_TEXT, SAID_MAX, r->greeting);
		if (r->lines > 1)
			buf_printf(out, " in %u lines", r->lines);
		if (r->bare_lf)
			buf_append_str(out, ", a bare LF");
		if (r->longest > 512)
			buf_printf(out, ", a line of %u octets", r->longest);
	} else if (last) {
		buf_printf(out, "%s: %s in ", probe_step_names[last->name],
		    last->error);
		put_ms(out, last->ms);
	}
	buf_append_str(out, "\n");
}

/* "SIZE 100" is shown as SIZE=100, "AUTH PLAIN LOGIN" as AUTH=PLAIN,LOGIN. */
static void
put_ehlo(const struct probe_result *r, struct buf *out)
{
	const struct probe_step *s = step_of(r, PROBE_STEP_EHLO_TLS);
	struct buf all = {0};

	if (!s)
		s = step_of(r, PROBE_STEP_EHLO);
	if (!s)
		return;
	for (unsigned i = 0; i < r->nextensions; i++) {
		char *text;
		char join = '=';

		buf_append(&all, " ", i ? 1 : 0);
		text = buf_reserve(&all, r->extensions[i].len);
		buf_append_span(&all, r->extensions[i]);
		for (size_t n = r->extensions[i].len; n; n--, text++)
			if (*text == ' ') {
				*text = join;
				join = ',';
			}
	}
	buf_append_str(out, "    EHLO ");
	put_ms(out, s->ms);
	if (s->error)
		buf_printf(out, ": %s", s->error);
	if (s->error && s->code)
		buf_printf(out, " (%u)", s->code);
	if (all.len) {
		buf_append_str(out, ": ");
		put_said(out, buf_span(&all));
	}
	buf_append_str(out, "\n");
	buf_free(&all);
}

static void
put_tls(const struct probe_result *r, struct buf *out)
{
	const struct probe_step *s = step_of(r, PROBE_STEP_HANDSHAKE);
	char date[CLOCK_TEXT_MAX];

	if (!s)
		s = step_of(r, PROBE_STEP_STARTTLS);
	if (!s || (s->error && !r->code)) /* that was said already */
		return;
	buf_append_str(out, r->target.tls ? "    TLS " : "    STARTTLS ");
	put_ms(out, s->ms + ms_of(r, PROBE_STEP_STARTTLS));
	if (s->error)
		buf_printf(out, ": %s", s->error);
	else if (r->secured)
		buf_printf(out, ": %s", r->version);
	if (r->peered) {
		clock_text(r->peer.not_after, date);
		buf_append_str(out, ", certificate ");
		if (r->peer.nnames)
			put_said(out, r->peer.names[0]);
		buf_printf(out, " until %.*s, %s", CLOCK_DAY, date,
		    *r->peer.why ? r->peer.why : "trusted");
	}
	buf_append_str(out, "\n");
}

static void
put_address(const struct probe *p, const struct probe_address *a,
    struct buf *out)
{
	const struct probe_result *r = &a->r;

	put_greeting(r, out);
	put_ehlo(r, out);
	put_tls(r, out);
	for (unsigned i = 0; i < a->nnames && p->verbose; i++)
		buf_printf(out, "    PTR %s\n", a->names[i]);
	for (unsigned i = 0; i < r->nsteps && p->verbose; i++) {
		const struct probe_step *s = &r->steps[i];

		buf_printf(out, "    step %s ", probe_step_names[s->name]);
		put_ms(out, s->ms);
		if (s->error)
			buf_printf(out, ": %s", s->error);
		buf_append_str(out, "\n");
	}
}

static void
put_tlsa(const struct probe *p, const struct probe_host *h, struct buf *out)
{
	for (unsigned i = 0; h && i < h->ntlsa; i++) {
		buf_printf(out, "_%u._tcp.%s: TLSA ", h->port, h->name);
		probe_put_tlsa(&h->tlsa[i], out);
		if (h->authentic)
			buf_printf(out, " (validated, says the resolver %s)",
			    resolve_servers(p->resolve));
		buf_append_str(out, "\n");
	}
}

void
probe_put_tlsa(const struct probe_tlsa *t, struct buf *out)
{
	buf_printf(out, "%u %u %u ", t->usage, t->selector, t->matching);
	for (size_t i = 0; i < t->data.len; i++)
		buf_printf(out, "%02x", (unsigned char)t->data.ptr[i]);
}

/* --- a domain --- */

static void
put_domain(const struct probe_domain *d, unsigned skipped, struct buf *out)
{
	static const char *const words[] = {
	    [DNS_FOUND] = "MX",
	    [DNS_NODATA] = "no MX record",
	    [DNS_NXDOMAIN] = "no such domain",
	    [DNS_FAILED] = "cannot be looked up",
	};
	size_t begin = out->len;

	buf_printf(out, "%s: %s", d->name, words[d->status]);
	for (unsigned i = 0; i < d->nmx; i++)
		buf_printf(out, "%s %u %s", i ? "," : "", d->mx[i].preference,
		    d->mx[i].name);
	if (skipped)
		buf_printf(out, " (the last %u are not tried)", skipped);
	for (size_t n = out->len - begin; n < 78; n++)
		buf_append_str(out, " ");
	buf_append_str(out, "  ");
	put_ms(out, d->ms);
	buf_append_str(out, "\n");
	if (d->sts) {
		buf_append_str(out, "    MTA-STS id ");
		put_said(out, span_str(d->sts));
		buf_printf(out, ", policy at " PROBE_STS_URL "\n", d->name);
	}
	if (d->tlsrpt) {
		buf_append_str(out, "    TLSRPT ");
		put_said(out, span_str(d->tlsrpt));
		buf_append_str(out, "\n");
	}
}

/* --- own mode --- */

static void
put_self(const struct probe *p, struct buf *out)
{
	const struct probe_host *own = p->own;
	char text[IPADDR_STRLEN];

	if (p->lock == LOCK_HELD)
		buf_printf(out, "smtpd runs as process %d\n", (int)p->pid);
	else if (p->lock == LOCK_FREE)
		buf_printf(out,
		    "smtpd does not run: nobody holds %s/lock. systemctl "
		    "status smtpd\n",
		    p->config->spool);
	else
		buf_printf(out,
		    "whether smtpd runs cannot be seen: %s/lock: %s. "
		    "systemctl status smtpd\n",
		    p->config->spool,
		    p->lock == LOCK_UNSEEN ? "who holds it is not seen here"
					   : strerror(p->lock_errno));
	for (unsigned i = 0; i < own->naddrs; i++) {
		const struct probe_address *a = &own->addrs[i];

		buf_printf(out, "%s: %s, %s", own->name,
		    ipaddr_format(&a->r.target.addr, text),
		    a->ours ? "an address of this machine"
			    : "not an address of this machine: fine behind "
			      "NAT");
		for (unsigned n = 0; n < a->nnames; n++)
			buf_printf(out, ", PTR %s", a->names[n]);
		buf_append_str(out, "\n");
	}
	put_tlsa(p, own, out);
}

/* --- the whole --- */

static void
put_finding(const struct probe_finding *f, struct buf *out)
{
	const struct probe_row *row = &probe_causes[f->cause];

	buf_printf(out, "%s %u %s: %s %s%s%s. %s\n",
	    f->cause < PROBE_FIRST_FATAL ? "warning" : "error", row->code,
	    row->name, f->where, row->sentence, f->detail ? ": " : "",
	    f->detail ? f->detail : "", row->remedy);
}

static void
put_end(const struct probe *p, struct buf *out)
{
	unsigned worst = probe_worst(&p->findings);
	const char *cannot =
	    worst < probe_causes[PROBE_FIRST_FATAL].code ? "can" : "cannot";

	if (!p->target)
		buf_printf(out,
		    "Whether strangers reach port 25 is not seen from here. "
		    "On another machine:\n    smtpd probe %s\n",
		    p->ndomains ? p->domains[0].name : p->config->hostname);
	buf_printf(out, "Mail for %s %s come. (exit %u)\n",
	    p->target ? probe_subject(p) : "this server", cannot, worst);
}

void
probe_text(const struct probe *p, struct buf *out)
{
	const struct probe_finding *f;

	if (!p->target)
		put_self(p, out);
	if (p->domain)
		put_domain(p->domain, p->skipped, out);
	for (unsigned i = 0; i < p->nhosts; i++) {
		if (p->target)
			put_tlsa(p, &p->hosts[i], out);
		for (unsigned j = 0; j < p->hosts[i].naddrs; j++)
			put_address(p, &p->hosts[i].addrs[j], out);
	}
	for (unsigned i = 0; i < p->ndomains; i++)
		put_domain(&p->domains[i], 0, out);
	/* what weighs most comes first */
	for (unsigned c = PROBE_NCAUSES; c-- > 0;)
		for (f = p->findings.first; f; f = f->next)
			if (f->cause == c)
				put_finding(f, out);
	put_end(p, out);
}
