/*
 * hosts: what /etc/hosts says of names of the configuration, read where
 * nothing is shut yet: a worker asks DNS alone.
 */
#ifndef IO_HOSTS_H
#define IO_HOSTS_H

#include "base/arena.h"
#include "base/ipaddr.h"

#define HOSTS_ADDRS_MAX 8 /* those beyond are ignored */

struct known_host {
	const char *name;
	unsigned n;
	struct ipaddr addrs[HOSTS_ADDRS_MAX]; /* in the order of the file */
};

/*
 * Those of names that the file has, whatever their case, in *r, which lies in
 * the arena, as do its names. How many; -1 with errno: it cannot be read.
 */
int hosts_read(const char *path, const char *const *names, unsigned n,
    struct arena *a, const struct known_host **r);

/* NULL: not there. */
const struct known_host *hosts_find(const struct known_host *hosts, unsigned n,
    const char *name);

#endif
