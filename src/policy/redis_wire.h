/*
 * redis_wire: commands into octets, and octets into replies: all that is
 * wanted of hiredis. Its connections are not: the old ones look names up
 * where a sandbox lets nobody, and none has a time of its own.
 *
 * What comes from there is in strange hands: no reply is an array, since the
 * library would make room for as many as it is told; none is longer than
 * REDIS_TEXT_MAX, but for an error; and no more than REDIS_WIRE_MAX waits for
 * its end. All else is an error, and no memory is taken for any of them.
 */
#ifndef POLICY_REDIS_WIRE_H
#define POLICY_REDIS_WIRE_H

#include "policy/redis.h"

#define REDIS_WIRE_MAX 65536

struct redisReader;

struct redis_wire {
	struct redisReader *reader;
	struct redis_reply reply;
};

void redis_wire_init(struct redis_wire *w);
void redis_wire_free(struct redis_wire *w);

/* False: what is wrong is in *why, constant or w's. */
bool redis_wire_feed(struct redis_wire *w, struct span in, const char **why);
/* The next reply, good until the next call; NULL: there is none yet, or *why
 * is set. */
const struct redis_reply *redis_wire_next(struct redis_wire *w,
    const char **why);

void redis_wire_put(struct buf *out, const struct redis_command *c);

#endif
