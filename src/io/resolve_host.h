/*
 * resolve_host: both kinds of addresses of a host, as one question. See
 * resolve_host() in io/resolve.h.
 */
#ifndef IO_RESOLVE_HOST_H
#define IO_RESOLVE_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "io/resolve.h"

struct host_ask;

struct resolve_hosts {
	struct resolve *resolve;
	struct loop *loop;
	const struct known_host *known;
	unsigned nknown;
	bool files;
	LIST_HEAD(host_asks, host_ask) open;
};

struct ask *resolve_hosts_ask(struct resolve_hosts *all, const char *name,
    int64_t deadline, resolve_fn *fn, void *ctx);

/* Silence for all that are open. */
void resolve_hosts_drop(struct resolve_hosts *all);

#endif
