/*
 * address: between ipaddr, which knows no mapped addresses, and sockaddr.
 */
#include "io/address.h"

#include <string.h>

socklen_t
address_make(const struct ipaddr *a, uint16_t port, union address *r)
{
	memset(r, 0, sizeof(*r));
	if (a->family == IP_V6) {
		r->in6.sin6_family = AF_INET6;
		r->in6.sin6_port = htons(port);
		memcpy(&r->in6.sin6_addr, a->bytes, 16);
		return sizeof(r->in6);
	}
	r->in.sin_family = AF_INET;
	r->in.sin_port = htons(port);
	memcpy(&r->in.sin_addr, a->bytes, 4);
	return sizeof(r->in);
}

int
address_read(const union address *a, struct ipaddr *addr, uint16_t *port)
{
	uint8_t bytes[16];

	if (a->sa.sa_family == AF_INET6) {
		memcpy(bytes, &a->in6.sin6_addr, 16);
		*addr = ipaddr_v6(bytes);
		*port = ntohs(a->in6.sin6_port);
		return 0;
	}
	if (a->sa.sa_family != AF_INET)
		return -1;
	memcpy(bytes, &a->in.sin_addr, 4);
	*addr = ipaddr_v4(bytes);
	*port = ntohs(a->in.sin_port);
	return 0;
}
