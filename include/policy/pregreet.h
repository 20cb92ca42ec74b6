/*
 * pregreet: who waits for the greeting, as it should, and who does not. An
 * address that has waited once need not wait again for a day.
 */
#ifndef POLICY_PREGREET_H
#define POLICY_PREGREET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/shared.h"

/* now: monotonic ms. An IPv6 client is its /64. */
bool pregreet_has_waited(struct shared *s, const struct ipaddr *client,
    int64_t now);
void pregreet_waited(struct shared *s, const struct ipaddr *client,
    int64_t now);

#endif
