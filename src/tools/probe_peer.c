/*
 * probe_peer: a finding for each fault of a certificate, and what is to be
 * known of it. Names are strangers' text: quoted.
 */
#include "tools/probe_peer.h"

#include <stdio.h>

#include "base/quote.h"
#include "io/clock.h"

#define NAMES_SHOWN 5
#define NAME_MAX    100

static void
put_names(const struct tls_peer *p, struct buf *out)
{
	buf_append_str(out, p->nnames ? "it covers " : "it covers nothing");
	for (unsigned i = 0; i < p->nnames && i < NAMES_SHOWN; i++) {
		buf_append_str(out, i ? ", " : "");
		quote_put(out, QUOTE_TEXT, NAME_MAX, p->names[i]);
	}
	if (p->nnames > NAMES_SHOWN)
		buf_append_str(out, ", ...");
}

/* other: the date is another one's of the chain. */
static void
put_date(int64_t when, bool other, struct buf *out)
{
	char text[CLOCK_TEXT_MAX];

	if (other || !*clock_text(when, text))
		buf_append_str(out, "one further up in its chain");
	else
		buf_append(out, text, CLOCK_DAY);
}

static void
put_weakness(const struct tls_peer *p, struct buf *out)
{
	buf_printf(out, "%s with %u bits", p->key, p->bits);
	if (p->digest[0])
		buf_printf(out, ", signed with %s", p->digest);
}

static void
put_detail(const struct tls_peer *p, enum probe_cause cause, int64_t now,
    struct buf *out)
{
	switch (cause) {
	case PROBE_CERT_UNTRUSTED:
		buf_append_str(out, p->faults & TLS_PEER_INCOMPLETE
					? "an intermediate one is missing"
					: p->why);
		break;
	case PROBE_CERT_EXPIRED:
		put_date(p->not_after, p->not_after >= now, out);
		break;
	case PROBE_CERT_NOT_YET:
		put_date(p->not_before, p->not_before <= now, out);
		break;
	case PROBE_CERT_WRONG_NAME:
		put_names(p, out);
		break;
	case PROBE_WEAK_TLS:
		put_weakness(p, out);
		break;
	default:
		break;
	}
}

void
probe_peer_judge(struct probe_result *r, int64_t now, struct arena *a)
{
	static const struct {
		unsigned faults;
		enum probe_cause cause;
	} all[] = {
	    {TLS_PEER_UNTRUSTED | TLS_PEER_INCOMPLETE, PROBE_CERT_UNTRUSTED},
	    {TLS_PEER_SELF_SIGNED, PROBE_CERT_SELF_SIGNED},
	    {TLS_PEER_EXPIRED, PROBE_CERT_EXPIRED},
	    {TLS_PEER_NOT_YET, PROBE_CERT_NOT_YET},
	    {TLS_PEER_WRONG_NAME, PROBE_CERT_WRONG_NAME},
	    {TLS_PEER_WEAK, PROBE_WEAK_TLS},
	};
	struct buf detail = {0};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!(r->peer.faults & all[i].faults))
			continue;
		detail.len = 0;
		put_detail(&r->peer, all[i].cause, now, &detail);
		buf_append(&detail, "", 1);
		probe_find(&r->findings, a, all[i].cause, r->target.where,
		    detail.data[0] ? detail.data : NULL);
	}
	buf_free(&detail);
}
