/*
 * auth_delay: whoever fails often waits longer. policy/auth's own.
 *
 * A success changes nothing: whoever has one password would use it to guess
 * another at full speed, and only failures wait.
 *
 * A small table, one per worker; the time is an argument. Two addresses that
 * share a place share its count, which costs the second one a wait, and
 * nobody memory.
 */
#ifndef POLICY_AUTH_DELAY_H
#define POLICY_AUTH_DELAY_H

#include <stdint.h>

#include "base/ipaddr.h"
#include "base/siphash.h"

#define AUTH_DELAY_PLACES 1024

struct auth_delay {
	uint8_t key[SIPHASH_KEY_LEN];
	struct {
		int64_t last; /* ms, of the last failure */
		uint8_t failures;
	} places[AUTH_DELAY_PLACES];
};

void auth_delay_init(struct auth_delay *d);

/* One more failure; how long its answer waits: 500 ms to 4 s. */
int64_t auth_delay_failed(struct auth_delay *d, const struct ipaddr *a,
    int64_t now);

#endif
