/*
 * redis_grey: one greylist for several nodes. Each has its own, and asks when
 * it would send somebody away: has it passed elsewhere? Keys are hashes of the
 * tuple's text, so no stranger has a say in them; times are each node's own,
 * in seconds: a clock that is wrong lets pass early or late.
 *
 * PREFIX:g:HASH  when the tuple was first seen; as long as the window, and
 *                when it has passed, as long as that is remembered
 * PREFIX:c:HASH  the client is known
 */
#ifndef POLICY_REDIS_GREY_H
#define POLICY_REDIS_GREY_H

#include "policy/greylist.h"

struct redis;

/* It has passed here, or is still in use; known: so has its client. Nothing
 * without a Redis that is up. */
#ifndef SMTPD_NO_REDIS
void redis_grey_passed(struct redis *r, const struct greylist *g,
    const struct greylist_key *k, bool known);
#else
static inline void
redis_grey_passed(struct redis *r, const struct greylist *g,
    const struct greylist_key *k, bool known)
{
	(void)r;
	(void)g;
	(void)k;
	(void)known;
}
#endif

#endif
