/*
 * dnsbl_codes: what a list was asked, and what its answer means. Pure.
 */
#ifndef POLICY_DNSBL_CODES_H
#define POLICY_DNSBL_CODES_H

#include "base/ipaddr.h"
#include "policy/dnsbl.h"
#include "proto/dns.h"

/* The name to be asked for. Returns out. */
const char *dnsbl_question(const struct ipaddr *a, const char *zone,
    char out[DNS_NAME_MAX + 1]);

enum dnsbl_said {
	DNSBL_SAID_NOT,
	DNSBL_SAID_LISTED,
	DNSBL_SAID_CODE,    /* one that nobody has configured */
	DNSBL_SAID_WRONG,   /* what no list says that is well: see fault */
	DNSBL_SAID_NOTHING, /* there was no answer, */
	DNSBL_SAID_UNASKED, /* and that is not the list's fault */
};

struct dnsbl_answer {
	enum dnsbl_said said;
	enum dnsbl_fault fault;
	int weight;      /* of the heaviest with LISTED */
	uint8_t code[4]; /* that it is about */
};

/* Of several codes the heaviest counts; but none if one of them is wrong. */
struct dnsbl_answer dnsbl_read(const struct dnsbl_zone *z,
    const struct dns_answer *a);

#endif
