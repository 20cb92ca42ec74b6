/*
 * dial: a connection to the first of several places that takes one.
 *
 * One place after the other, each with a time of its own. Whether to ask
 * somebody else, later or never again is the caller's to decide.
 */
#ifndef IO_DIAL_H
#define IO_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/ask.h"
#include "io/loop.h"

#define DIAL_PLACES_MAX 64
#define DIAL_PATH_MAX   107 /* octets, without a NUL */

struct dial_place {
	struct ipaddr addr; /* IP_NONE: a Unix socket */
	uint16_t port;
	const char *path; /* of that */
};

/*
 * fd: connected, non-blocking, close-on-exec, with TCP_NODELAY; it is the
 * callee's. which: the place that took it. Or -1, with an errno and the place
 * that it is from: the last one that failed, but one without a route
 * (dial_is_no_route()) only if there was none with. ETIMEDOUT: no answer in
 * time. EAGAIN: too many wait for a Unix socket. ENAMETOOLONG: its path does.
 */
typedef void dial_fn(void *ctx, int fd, int err, unsigned which);

/*
 * places: 1 to DIAL_PLACES_MAX, copied, but paths must last. each: ms for a
 * place, last: for the last of them. Never NULL: fn is called once, from the
 * loop, never before this returns, and the ask is gone then. Cancelled
 * (either way): silence, and what was opened is closed.
 */
struct ask *dial(struct loop *l, const struct dial_place *places, unsigned n,
    uint32_t each, uint32_t last, dial_fn *fn, void *ctx);

/* This machine has no way to addresses of this kind, or none of its own. */
bool dial_is_no_route(int err);

#endif
