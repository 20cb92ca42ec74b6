/*
 * listen: listening sockets and what comes out of them.
 *
 * The master opens, the workers accept. A descriptor table that is full
 * pauses accepting for a moment, answers the client that waits with 421
 * from a reserve descriptor, and never spins.
 */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/loop.h"

/*
 * One SO_REUSEPORT socket on the address, non-blocking, close-on-exec,
 * IPV6_V6ONLY, backlog 4096. -1 with errno.
 */
int listen_open(const struct ipaddr *addr, uint16_t port);

/*
 * Somebody listens there, be it with SO_REUSEPORT as we would; sessions that
 * are still open do not count.
 */
bool listen_taken(const struct ipaddr *addr, uint16_t port);

/* Where a socket is bound. 0, or -1 if it is no listening TCP socket. */
int listen_address(int fd, struct ipaddr *addr, uint16_t *port);

/* Which address of ours a connected socket has. 0, or -1 if it has none. */
int listen_local(int fd, struct ipaddr *addr);

struct listener;

/* tag: which listen block this is. The callee owns fd. */
typedef void listen_fn(void *ctx, unsigned tag, int fd,
    const struct ipaddr *client, uint16_t port);

/* fd stays the caller's. NULL with errno. */
struct listener *listener_new(struct loop *l, int fd, unsigned tag,
    listen_fn *fn, void *ctx);
/* Stops accepting; safe to call twice. */
void listener_free(struct listener **l);

#endif
