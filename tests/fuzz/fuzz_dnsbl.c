/*
 * Codes of lists: what is parsed stays within bounds, is found by dnsbl_read
 * at both of its ends, and is never one of the answers that are no listing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dnsbl_codes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static struct dnsbl_answer
answer(const struct dnsbl_code *c, const uint8_t octets[4])
{
	const struct dnsbl_zone z = {.codes = c, .ncodes = 1};
	const struct dns_record r = {.addr = ipaddr_v4(octets)};
	const struct dns_answer a = {.status = DNS_FOUND,
	    .n = 1,
	    .records = &r};

	return dnsbl_read(&z, &a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t no[][4] = {{127, 0, 0, 1}, {127, 255, 255, 254},
	    {127, 255, 255, 0}, {203, 0, 113, 1}};
	struct dnsbl_code c;
	const char *why =
	    dnsbl_code_parse((struct span){(const char *)data, n}, &c);

	if (why) {
		check(*why && !strchr(why, '\n'));
		return 0;
	}
	check(abs(c.weight) <= DNSBL_WEIGHT_MAX);
	for (unsigned i = 0; i < 4; i++)
		check(c.from[i] <= c.to[i]);
	check(answer(&c, c.from).said == DNSBL_SAID_LISTED);
	check(answer(&c, c.to).said == DNSBL_SAID_LISTED);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		check(answer(&c, no[i]).said == DNSBL_SAID_WRONG);
	check(dnsbl_codes_meet(&c, &c));
	return 0;
}
