/*
 * ipset: an array sorted by family, prefix and address, and which prefixes
 * there are: a binary search for each of them, the longest first.
 */
#include "base/ipset.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int
compare(const void *a, const void *b)
{
	const struct ipnet *x = &((const struct ipset_entry *)a)->net;
	const struct ipnet *y = &((const struct ipset_entry *)b)->net;

	if (x->addr.family != y->addr.family)
		return x->addr.family - y->addr.family;
	if (x->prefix != y->prefix)
		return x->prefix - y->prefix;
	return memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
}

void
ipset_init(struct ipset *s, struct ipset_entry *entries, size_t n)
{
	*s = (struct ipset){.entries = entries, .n = n};
	if (n)
		qsort(entries, n, sizeof(*entries), compare);
	while (n--) {
		const struct ipnet *net = &entries[n].net;
		bool v4 = net->addr.family == IP_V4;
		uint8_t *prefixes = v4 ? s->v4 : s->v6;
		uint8_t *count = v4 ? &s->nv4 : &s->nv6;

		if (!*count || prefixes[*count - 1] != net->prefix)
			prefixes[(*count)++] = net->prefix;
	}
}

const struct ipset_entry *
ipset_find(const struct ipset *s, const struct ipaddr *a)
{
	bool v4 = a->family == IP_V4;
	const uint8_t *prefixes = v4 ? s->v4 : s->v6;
	unsigned n = v4 ? s->nv4 : s->nv6;

	for (unsigned i = 0; i < n; i++) {
		struct ipset_entry key = {.net = ipnet_of(a, prefixes[i])};
		const struct ipset_entry *found =
		    bsearch(&key, s->entries, s->n, sizeof(key), compare);

		if (found)
			return found;
	}
	return NULL;
}
