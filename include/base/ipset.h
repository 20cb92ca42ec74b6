/*
 * ipset: networks and a value for each; of those that hold an address the
 * longest prefix wins, in whatever order they came.
 */
#ifndef BASE_IPSET_H
#define BASE_IPSET_H

#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"

struct ipset_entry {
	struct ipnet net;
	unsigned value;
};

#define IPSET_PREFIXES 129

/* Zeroed: empty. */
struct ipset {
	const struct ipset_entry *entries; /* by family, prefix and address */
	size_t n;
	/* Those that are there, the longest first. */
	uint8_t v4[33], v6[IPSET_PREFIXES];
	uint8_t nv4, nv6;
};

/*
 * Sorts the entries in place and keeps them; they are the caller's, and no
 * network is there twice.
 */
void ipset_init(struct ipset *s, struct ipset_entry *entries, size_t n);

/* NULL: no network holds it. */
const struct ipset_entry *ipset_find(const struct ipset *s,
    const struct ipaddr *a);

#endif
