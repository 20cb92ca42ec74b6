/*
 * greylist_who: whom a client's name makes it one of.
 *
 * mail-am1.outbound.protection.outlook.com is one of a pool, and who is sent
 * away there comes back as another of it. p4fd1a2b3.dip0.t-ipconnect.de is
 * anybody: an address that has a name.
 */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "policy/greylist.h"

/* Of an IPv6 address: what its owner chooses, in the notation with colons. */
#define GROUPS 4

static int
hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number that the name goes on with, or -1, and what is behind it; one
 * that is larger than any that is looked for is 65536. */
static long
next_number(const char **name, int base)
{
	long n = -1;

	for (int d; (d = hex_digit(**name)) >= 0 && d < base; ++*name) {
		n = (n > 0 ? n : 0) * base + d;
		if (n > UINT16_MAX)
			n = UINT16_MAX + 1L;
	}
	if (n < 0)
		++*name;
	return n;
}

/* Two of these, each where it stands by itself. */
static bool
holds_numbers(const char *name, int base, const unsigned *numbers, int n)
{
	unsigned seen = 0, found = 0;

	while (*name && found < 2) {
		long number = next_number(&name, base);

		for (int i = 0; i < n; i++) {
			if (seen & 1u << i || number != (long)numbers[i])
				continue;
			seen |= 1u << i;
			found++;
			break;
		}
	}
	return found == 2;
}

static bool
holds_octets(const char *name, const uint8_t *b)
{
	const unsigned octets[4] = {b[0], b[1], b[2], b[3]};

	return holds_numbers(name, 10, octets, 4);
}

/* A group that is zero is not written down. */
static bool
holds_groups(const char *name, const uint8_t *b)
{
	unsigned groups[GROUPS] = {0};
	int n = 0;

	for (int i = 16 - 2 * GROUPS; i < 16; i += 2)
		if (b[i] || b[i + 1])
			groups[n++] = (unsigned)b[i] << 8 | b[i + 1];
	return holds_numbers(name, 16, groups, n);
}

/* Eight digits in a row, wherever. */
static bool
holds_digits(const char *name, const uint8_t *b, unsigned octets)
{
	char digits[33], eight[9] = {0};

	for (unsigned i = 0; i < octets; i++)
		snprintf(digits + (size_t)2 * i, 3, "%02x", b[i]);
	for (unsigned i = 0; i + 8 <= 2 * octets; i++) {
		memcpy(eight, digits + i, 8);
		if (strstr(name, eight))
			return true;
	}
	return false;
}

static bool
holds_address(const char *name, const struct ipaddr *a)
{
	if (a->family == IP_V4)
		return holds_octets(name, a->bytes) ||
		       holds_digits(name, a->bytes, 4);
	return holds_groups(name, a->bytes) || holds_digits(name, a->bytes, 16);
}

/*
 * The domain above the name, if it is somebody's and not the public's: below
 * "net", "co.uk" and "or.jp" are strangers to each other. NULL: it is not.
 */
static const char *
pool_of(const char *name)
{
	const char *parent = strchr(name, '.');
	const char *last, *first;

	if (!parent)
		return NULL;
	first = ++parent;
	last = strchr(first, '.');
	if (!last)
		return NULL;
	if (!strchr(last + 1, '.') && strlen(last + 1) == 2 &&
	    last - first <= 3)
		return NULL;
	return parent;
}

const char *
greylist_who(const struct ipaddr *client, const char *name,
    char out[GREYLIST_WHO_MAX])
{
	const char *pool;
	struct ipnet net;

	if (name && strlen(name) < GREYLIST_WHO_MAX &&
	    !holds_address(name, client)) {
		pool = pool_of(name);
		snprintf(out, GREYLIST_WHO_MAX, "%s", pool ? pool : name);
	} else {
		net = ipnet_of(client, client->family == IP_V4 ? 24 : 64);
		ipnet_format(&net, out);
	}
	return out;
}
