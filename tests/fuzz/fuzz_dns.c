/*
 * What a resolver answers: all of it lies in the arena, within the bounds, and
 * a name is text that can be shown. The first octet says what was asked.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static void
check_name(const char *name)
{
	size_t n = strlen(name);

	check(n && (n == 1 || name[n - 1] != '.' || name[n - 2] == '\\'));
	for (; *name; name++)
		check(*name > ' ' && *name < 127);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_PTR, DNS_MX,
	    DNS_TXT, DNS_AAAA, DNS_TLSA};
	struct arena arena = {0};
	struct dns_answer r;
	unsigned sum = 0;

	if (!n)
		return 0;
	dns_read((struct span){(const char *)data + 1, n - 1}, "a.test",
	    types[data[0] % 7], &arena, &r);
	check((r.status == DNS_FOUND) == (r.n > 0) && r.n <= DNS_RECORDS_MAX);
	check(r.naliases <= DNS_ALIASES_MAX);
	for (unsigned i = 0; i < r.naliases; i++)
		check_name(r.aliases[i]);
	for (unsigned i = 0; i < r.n; i++) {
		const struct dns_record *d = &r.records[i];

		if (d->name)
			check_name(d->name);
		check(d->data.len <= n);
		for (size_t k = 0; k < d->data.len; k++)
			sum += (uint8_t)d->data.ptr[k];
	}
	arena_reset(&arena);
	return sum == UINT32_MAX;
}
