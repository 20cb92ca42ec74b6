/*
 * machine: getifaddrs(3).
 */
#include "io/machine.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

/* IP_NONE: it is of another kind. */
static struct ipaddr
from_sockaddr(const struct sockaddr *sa)
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;

	if (sa && sa->sa_family == AF_INET) {
		memcpy(&u.in, sa, sizeof(u.in));
		return ipaddr_v4((const uint8_t *)&u.in.sin_addr);
	}
	if (sa && sa->sa_family == AF_INET6) {
		memcpy(&u.in6, sa, sizeof(u.in6));
		return ipaddr_v6(u.in6.sin6_addr.s6_addr);
	}
	return (struct ipaddr){0};
}

int
machine_addresses(struct arena *a, const struct ipaddr **r)
{
	struct ifaddrs *all;
	struct ipaddr *list;
	size_t max = 0;
	int n = 0;

	if (getifaddrs(&all) < 0)
		return -1;
	for (const struct ifaddrs *f = all; f; f = f->ifa_next)
		max++;
	list = arena_alloc(a, max * sizeof(*list));
	for (const struct ifaddrs *f = all; f; f = f->ifa_next) {
		struct ipaddr ip = from_sockaddr(f->ifa_addr);

		if (ip.family != IP_NONE)
			list[n++] = ip;
	}
	freeifaddrs(all);
	*r = list;
	return n;
}
