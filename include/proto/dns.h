/*
 * dns: what a resolver answered, read with libresolv's functions (RFC 1035
 * 4.1; CNAMEs as in RFC 1034 3.6.2). What is not whole, does not answer the
 * question, or is more than anybody needs has failed; nothing is ever cut.
 */
#ifndef PROTO_DNS_H
#define PROTO_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ipaddr.h"

#define DNS_RECORDS_MAX 128
#define DNS_ALIASES_MAX 8
#define DNS_NAME_MAX    253 /* without a final dot */

/* The numbers of the wire. */
enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52,
};

enum dns_status {
	DNS_FOUND,    /* at least one record */
	DNS_NODATA,   /* the name is there, but nothing of this type */
	DNS_NXDOMAIN, /* no such name */
	DNS_FAILED,   /* nobody knows: see why */
};

/* Why it failed: an RCODE of the wire, or one of these. */
enum dns_why {
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_REFUSED = 5,
	DNS_NONSENSE = 256, /* no answer to this, malformed, or too much */
	DNS_TIMEOUT,
	DNS_UNREACHABLE, /* no server to be asked */
	DNS_OVERLOAD,    /* too many questions are under way */
	DNS_DOWN,        /* no server has answered anything for a while */
};

/*
 * Names are text without a final dot, "." for the root; odd octets of them are
 * escaped (\. \\ \032), and all else is printable ASCII.
 */
struct dns_record {
	struct ipaddr addr;                /* A, AAAA */
	uint16_t preference;               /* MX */
	uint8_t usage, selector, matching; /* TLSA */
	const char *name;                  /* MX, PTR, CNAME */
	struct span data; /* TXT: its strings joined; TLSA: the rest */
};

struct dns_answer {
	enum dns_status status;
	unsigned why;   /* of DNS_FAILED: enum dns_why */
	bool authentic; /* what the resolver says: AD */
	bool known;     /* it is none of DNS: see resolve_host() */
	unsigned n;
	const struct dns_record *records;
	unsigned naliases;
	const char *aliases[DNS_ALIASES_MAX]; /* where each CNAME led to */
};

/* Letters, digits, - and _ in labels of 1 to 63; no final dot. */
bool dns_name_valid(struct span name);

/*
 * message: whole. name and type: what was asked. CNAMEs are followed within
 * the message, but for DNS_CNAME. What *r holds lies in the arena.
 */
void dns_read(struct span message, const char *name, enum dns_type type,
    struct arena *a, struct dns_answer *r);

#endif
