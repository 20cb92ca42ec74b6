/*
 * resolve_channel: c-ares on a loop: its sockets, its timer, and nothing of
 * what is asked. No call back may call any of this.
 */
#ifndef IO_RESOLVE_CHANNEL_H
#define IO_RESOLVE_CHANNEL_H

#include <stdint.h>

#include "base/buf.h"
#include "io/resolve.h"

struct resolve_channel;

/*
 * A server sent something. id and rcode are of a message that came by UDP; by
 * TCP, -1 and 0. What it answers, if anything, is told by resolve_back.
 */
typedef void resolve_heard(void *ctx, int id, unsigned rcode);

/*
 * Once for each resolve_channel_send(), maybe before that returns. message:
 * what came of it, empty if nothing did; then why tells as enum dns_why.
 */
typedef void resolve_back(void *arg, struct span message, unsigned why);

/* NULL with errno. */
struct resolve_channel *resolve_channel_new(struct loop *l,
    const struct resolve_options *o, resolve_heard *heard, resolve_back *back,
    void *ctx);

/* Calls back for all that is out. Not within a call back. */
void resolve_channel_free(struct resolve_channel **c);

/* -1: it knows that there is no such name, and back is not called. */
int resolve_channel_send(struct resolve_channel *c, const char *name, int type,
    unsigned flags, uint16_t id, void *arg);

/* Appends its servers, with commas between them. */
void resolve_channel_servers(struct resolve_channel *c, struct buf *out);

#endif
