/*
 * auth_delay: whoever fails often waits longer. policy/auth's own.
 *
 * Counted over all workers, by address (IPv6: per /64), for a minute, and by
 * login over all addresses, for an hour: the one slows a guesser, the other
 * one who has many addresses. A login is counted by its name, whether or not
 * there is such a user. What waits is a no: who knows the password is never
 * late, however often others have failed.
 *
 * A success forgives nothing but itself: whoever has one password would use
 * it to guess another at full speed.
 */
#ifndef POLICY_AUTH_DELAY_H
#define POLICY_AUTH_DELAY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"
#include "io/shared.h"

struct auth_delay {
	struct shared_cells addresses, logins;
};

void auth_delay_init(struct auth_delay *d, struct shared *s);

/*
 * One more try, which counts as a failure until it is taken back; how long
 * its no waits, in ms: by address 500 to 4000, by login from the tenth on.
 */
int64_t auth_delay_address(const struct auth_delay *d, const struct ipaddr *a,
    int64_t now);
int64_t auth_delay_login(const struct auth_delay *d, struct span login,
    int64_t now);

/* That try was none, or a good one. */
void auth_delay_address_back(const struct auth_delay *d,
    const struct ipaddr *a);
void auth_delay_login_back(const struct auth_delay *d, struct span login);

#endif
