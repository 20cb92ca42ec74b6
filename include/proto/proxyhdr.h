/*
 * proxyhdr: the header by which a proxy names the client that it speaks for,
 * versions 1 and 2 of HAProxy's PROXY protocol. Pure: octets in, an address
 * out.
 */
#ifndef PROTO_PROXYHDR_H
#define PROTO_PROXYHDR_H

#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"

/* A line of version 1 with its CRLF; of version 2 all that is looked at fits
 * twice. */
#define PROXYHDR_BYTES 107
/* What may follow the first 16 octets of version 2. */
#define PROXYHDR_REST_MAX 4096

enum proxyhdr_step {
	PROXYHDR_MORE,
	PROXYHDR_CLIENT, /* h->client and h->port */
	PROXYHDR_LOCAL,  /* nobody is named: the proxy speaks for itself, or for
			    something that has no TCP over IP */
	PROXYHDR_BAD,    /* it is no header, or not whole */
};

/* Zeroed: nothing has come. */
struct proxyhdr {
	uint8_t bytes[PROXYHDR_BYTES];
	uint16_t have; /* octets that were taken, also those not kept */
	struct ipaddr client;
	uint16_t port;
};

/*
 * Takes its octets from the front of *in, never one behind the header, and at
 * least one if there is any. What it says depends on nothing but these, not on
 * how they were cut; after anything but PROXYHDR_MORE it is over.
 */
enum proxyhdr_step proxyhdr_read(struct proxyhdr *h, struct span *in);

#endif
