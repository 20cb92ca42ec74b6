/*
 * ipaddr: IPv4 and IPv6 addresses and networks as values.
 *
 * A mapped address (::ffff:192.0.2.1) is normalised to IPv4 wherever one is
 * made, so that no check ever sees the same client under two names.
 */
#ifndef BASE_IPADDR_H
#define BASE_IPADDR_H

#include <stdint.h>

#include "base/buf.h"

enum ip_family {
	IP_NONE = 0, /* a zeroed address: a client without one */
	IP_V4 = 4,
	IP_V6 = 6,
};

struct ipaddr {
	uint8_t family;    /* enum ip_family */
	uint8_t bytes[16]; /* network order; 4 are used for IPv4, rest 0 */
};

struct ipnet {
	struct ipaddr addr; /* bits behind the prefix are 0 */
	uint8_t prefix;     /* 0 to 32 or 128 */
};

/* "IPv6" text of the longest address, with its NUL. */
#define IPADDR_STRLEN 46

/* From 4 or 16 bytes in network order, normalised. */
struct ipaddr ipaddr_v4(const uint8_t bytes[4]);
struct ipaddr ipaddr_v6(const uint8_t bytes[16]);

/*
 * Dotted quads of four decimal numbers without leading zeros; IPv6 as RFC
 * 4291 2.2, also with an IPv4 tail, no zone. 0, or -1 if s is neither.
 */
int ipaddr_parse(struct span s, struct ipaddr *r);

/*
 * Takes the port, 0 if there is none, off "HOST:PORT" and "[IPv6]:PORT", and
 * brackets off: what stands in them is not looked at. IPv6 without brackets has
 * none. -1: no port that could be one, or brackets that do not match.
 */
int ipaddr_cut_port(struct span *s, uint16_t *port);

/* RFC 5952 for IPv6; "" for IP_NONE. Returns out. */
const char *ipaddr_format(const struct ipaddr *a, char out[IPADDR_STRLEN]);

int ipaddr_equal(const struct ipaddr *a, const struct ipaddr *b);

/*
 * Does it lead nowhere but in a network of one's own, or to oneself (RFC 1918,
 * 3927, 4193, 4291, 6598)?
 */
int ipaddr_is_private(const struct ipaddr *a);
int ipaddr_is_loopback(const struct ipaddr *a);

/* What is counted as one client: an IPv6 one owns its whole /64. */
struct ipaddr ipaddr_client_net(const struct ipaddr *a);

/*
 * "192.0.2.0/24", "2001:db8::/32", or an address alone (a host). Bits set
 * behind the prefix are refused: they are a typing error. 0 or -1.
 */
int ipnet_parse(struct span s, struct ipnet *r);
/* The network of so many bits that a is in; no more than a has. */
struct ipnet ipnet_of(const struct ipaddr *a, unsigned prefix);
int ipnet_contains(const struct ipnet *n, const struct ipaddr *a);
/* "192.0.2.0/24"; IPADDR_STRLEN + 4 bytes are enough. Returns out. */
const char *ipnet_format(const struct ipnet *n, char out[IPADDR_STRLEN + 4]);

#endif
