/*
 * resolve: questions to the DNS, by way of the resolvers that this machine
 * uses or those that are named. It has no cache and judges no signature:
 * `authentic` is what that resolver says.
 *
 * The way to the resolver must be trusted. A name belongs to a stranger if
 * one chose it (the domain of a sender, what a PTR leads to): of all that is
 * under way strangers hold a part, and each of them a small one.
 */
#ifndef IO_RESOLVE_H
#define IO_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/ask.h"
#include "proto/dns.h"

struct known_host;
struct loop;
struct resolve;

#define RESOLVE_MAX          4096 /* under way at a time */
#define RESOLVE_STRANGERS    1024 /* of these, for strangers */
#define RESOLVE_STRANGER     32   /* and for one of them */
#define RESOLVE_DOWN_AFTER   5000 /* ms without an answer to anything */
#define RESOLVE_DOWN_QUERIES 20   /* and so many were asked by then */

/* Zeroed: resolv.conf, and no other file. All of it is read here or copied. */
struct resolve_options {
	/*
	 * "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353",
	 * or several with commas between them. NULL: resolv.conf's.
	 */
	const char *servers;
	/* What /etc/hosts says of configured names: must outlive it. */
	const struct known_host *hosts;
	unsigned nhosts;
	bool files;       /* resolve_host() reads /etc/hosts: no worker may */
	unsigned timeout; /* ms for the first try; then twice that. 0: 1000 */
};

/* *a is good during the call. */
typedef void resolve_fn(void *ctx, const struct dns_answer *a);

/* NULL with errno; EINVAL: servers is not a list of addresses. */
struct resolve *resolve_new(struct loop *l, const struct resolve_options *o);

/*
 * After the loop, or from it, but not in a resolve_fn. What was asked is gone:
 * no fn is called, and there is nothing to cancel.
 */
void resolve_free(struct resolve **r);

#define RESOLVE_AD 1u /* tell whether it is authentic: no answer does else */
#define RESOLVE_CD 2u /* even if its signatures are wrong */

/*
 * fn is called once, from the loop and never before this returns; the ask is
 * gone by then. Cancelled, either way, there is silence. Never NULL. At the
 * deadline (as clock_now()) it has failed with DNS_TIMEOUT. name: any case,
 * with a final dot or without; one that cannot be a name, or is longer than
 * 253, is DNS_NXDOMAIN without a question. stranger: whose name it is, 0:
 * ours.
 */
struct ask *resolve_ask(struct resolve *r, enum dns_type type, const char *name,
    unsigned flags, uint32_t stranger, int64_t deadline, resolve_fn *fn,
    void *ctx);

/*
 * Likewise the addresses, all IPv4 before all IPv6, of a host that the
 * configuration or an operator names: what its options say of it, and then it
 * is known, else those of the DNS. It has failed if one of the two questions
 * has and the other found nothing.
 */
struct ask *resolve_host(struct resolve *r, const char *name, int64_t deadline,
    resolve_fn *fn, void *ctx);

/* "4.3.2.1.in-addr.arpa", or of nibbles and ip6.arpa. Returns out. */
#define RESOLVE_REVERSE_MAX 74 /* with its NUL */
const char *resolve_reverse(const struct ipaddr *a,
    char out[RESOLVE_REVERSE_MAX]);

/* Whom it asks, as the options have it. */
const char *resolve_servers(const struct resolve *r);

/* How many were turned away since it began: too many were under way. */
uint64_t resolve_overloads(const struct resolve *r);

#endif
