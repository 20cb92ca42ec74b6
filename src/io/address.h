/*
 * address: an ipaddr and a port as the kernel wants them. Inside io only.
 */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/ipaddr.h"

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* Its length. a is IP_V4 or IP_V6. */
socklen_t address_make(const struct ipaddr *a, uint16_t port, union address *r);

/* 0, or -1: no address of the Internet. */
int address_read(const union address *a, struct ipaddr *addr, uint16_t *port);

#endif
