/*
 * dns: libresolv walks the message; here is decided what of it counts. Names
 * are compared as text, which it writes in one way only.
 */
#include "proto/dns.h"

#include <arpa/nameser.h>
#include <string.h>

#include "base/ascii.h"
#include "proto/smtp_addr.h"

/* Each CNAME is a walk: what has more records than this is an attack. */
#define ANSWERS_MAX 512

static bool
is_of(const ns_rr *rr, const char *name, ns_type type)
{
	return ns_rr_class(*rr) == ns_c_in && ns_rr_type(*rr) == type &&
	       ascii_equal_str(span_str(ns_rr_name(*rr)), name);
}

/* It is an answer, whole, and to this question. */
static bool
is_answer(ns_msg *m, const char *name, enum dns_type type)
{
	ns_rr question;

	return ns_msg_getflag(*m, ns_f_qr) && !ns_msg_getflag(*m, ns_f_tc) &&
	       ns_msg_getflag(*m, ns_f_opcode) == ns_o_query &&
	       ns_msg_count(*m, ns_s_qd) == 1 &&
	       ns_msg_count(*m, ns_s_an) <= ANSWERS_MAX &&
	       ns_parserr(m, ns_s_qd, 0, &question) == 0 &&
	       is_of(&question, name, (ns_type)type);
}

/* The name at data, which must end with the record; NULL: it does not. */
static const char *
take_name(const ns_msg *m, struct span data, struct arena *a)
{
	const unsigned char *p = (const unsigned char *)data.ptr;
	char text[NS_MAXDNAME];
	int n = ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), p, text,
	    sizeof(text));

	return n >= 0 && (size_t)n == data.len ? arena_dup(a, span_str(text))
					       : NULL;
}

/* Character strings (RFC 1035 3.3.14), joined. */
static bool
take_strings(struct span data, struct arena *a, struct span *r)
{
	char *out = arena_alloc(a, data.len);

	*r = (struct span){out, 0};
	while (data.len) {
		size_t n = (unsigned char)data.ptr[0];

		if (n >= data.len)
			return false;
		memcpy(out + r->len, data.ptr + 1, n);
		r->len += n;
		span_skip(&data, n + 1);
	}
	return true;
}

static bool
take_record(const ns_msg *m, const ns_rr *rr, struct arena *a,
    struct dns_record *r)
{
	const uint8_t *p = ns_rr_rdata(*rr);
	struct span data = {(const char *)p, ns_rr_rdlen(*rr)};

	switch ((enum dns_type)ns_rr_type(*rr)) {
	case DNS_A:
		if (data.len == 4)
			r->addr = ipaddr_v4(p);
		return data.len == 4;
	case DNS_AAAA:
		if (data.len == 16)
			r->addr = ipaddr_v6(p);
		return data.len == 16;
	case DNS_MX:
		if (data.len < 2)
			return false;
		r->preference = (uint16_t)(p[0] << 8 | p[1]);
		span_skip(&data, 2);
		r->name = take_name(m, data, a);
		return r->name != NULL;
	case DNS_TXT:
		return take_strings(data, a, &r->data);
	case DNS_TLSA:
		if (data.len < 4)
			return false;
		r->usage = p[0];
		r->selector = p[1];
		r->matching = p[2];
		span_skip(&data, 3);
		r->data = (struct span){arena_dup(a, data), data.len};
		return true;
	default:
		r->name = take_name(m, data, a);
		return r->name != NULL;
	}
}

/* All of a name and type, or at most max; -1: one of them is malformed. */
static int
take_records(ns_msg *m, const char *name, enum dns_type type, struct arena *a,
    struct dns_record *r, unsigned max)
{
	unsigned n = 0;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		if (ns_parserr(m, ns_s_an, i, &rr) < 0)
			return -1;
		if (!is_of(&rr, name, (ns_type)type))
			continue;
		if (n == max || !take_record(m, &rr, a, &r[n++]))
			return -1;
	}
	return (int)n;
}

/* Puts where a CNAME of name leads into *next, NULL if there is none. */
static bool
find_alias(ns_msg *m, const char *name, struct arena *a, const char **next)
{
	struct dns_record r = {0};
	int n = take_records(m, name, DNS_CNAME, a, &r, 1);

	*next = r.name;
	return n >= 0;
}

/* Where name leads to, or NULL: too far, in a circle, or nowhere. */
static const char *
follow(ns_msg *m, const char *name, struct arena *a, struct dns_answer *r)
{
	const char *next;

	while (find_alias(m, name, a, &next)) {
		if (!next)
			return name;
		if (r->naliases == DNS_ALIASES_MAX)
			break;
		r->aliases[r->naliases++] = next;
		name = next;
	}
	return NULL;
}

/* Of an answer without an error, or NXDOMAIN, which a CNAME may lead to. */
static void
read_answer(ns_msg *m, const char *name, enum dns_type type, struct arena *a,
    struct dns_answer *r)
{
	unsigned max = ns_msg_count(*m, ns_s_an);
	struct dns_record *records;
	int n;

	if (type != DNS_CNAME)
		name = follow(m, name, a, r);
	if (!name)
		return;
	if (max > DNS_RECORDS_MAX)
		max = DNS_RECORDS_MAX;
	records = arena_alloc(a, max * sizeof(*records));
	n = take_records(m, name, type, a, records, max);
	if (n < 0)
		return;
	r->status = DNS_NXDOMAIN;
	if (ns_msg_getflag(*m, ns_f_rcode) == ns_r_noerror) {
		r->status = n ? DNS_FOUND : DNS_NODATA;
		r->n = (unsigned)n;
		r->records = records;
	}
	r->authentic = ns_msg_getflag(*m, ns_f_ad);
}

void
dns_read(struct span message, const char *name, enum dns_type type,
    struct arena *a, struct dns_answer *r)
{
	ns_msg m;
	int rcode;

	*r = (struct dns_answer){.status = DNS_FAILED, .why = DNS_NONSENSE};
	if (message.len > NS_MAXMSG ||
	    ns_initparse((const unsigned char *)message.ptr, (int)message.len,
		&m) < 0 ||
	    !is_answer(&m, name, type))
		return;
	rcode = ns_msg_getflag(m, ns_f_rcode);
	if (rcode == ns_r_noerror || rcode == ns_r_nxdomain)
		read_answer(&m, name, type, a, r);
	else
		r->why = (unsigned)rcode;
}

bool
dns_name_valid(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] > 127)
			return false;
	return name.len <= DNS_NAME_MAX && smtp_domain_met(name);
}
