/*
 * verify_cache: what a server said of recipients a moment ago, so that a known
 * one costs no round trip. Pure but for memory.
 */
#ifndef DELIVER_VERIFY_CACHE_H
#define DELIVER_VERIFY_CACHE_H

#include <stdint.h>

#include "proto/fate.h"
#include "proto/smtp_reply.h"

#define VERIFY_CACHE_MAX 4096 /* the oldest goes first */

struct verify_cache;

struct verify_cache *verify_cache_new(void);
void verify_cache_free(struct verify_cache **c);

/*
 * What is still good at now (monotonic ms): FATE_NONE, nothing is. *reply is
 * good until the next put.
 */
enum fate verify_cache_find(struct verify_cache *c, const char *to, int64_t now,
    const struct smtp_reply **reply);
/* TAKEN is good for 10 min, REFUSED for 1, AGAIN for 10 s; whatever else
 * forgets it. reply is copied; NULL with TAKEN. */
void verify_cache_put(struct verify_cache *c, const char *to, int64_t now,
    enum fate fate, const struct smtp_reply *reply);

#endif
