/*
 * limits: how many sessions there may be, in all and per address; how many
 * of those who were refused may linger to hear it; and whether it is so full
 * that deadlines shorten.
 */
#ifndef POLICY_LIMITS_H
#define POLICY_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "io/shared.h"
#include "proto/smtp_reply.h"

struct limits_config {
	unsigned sessions;    /* over all workers */
	unsigned per_address; /* an IPv6 client counts by its /64 */
};

struct limits {
	const struct limits_config *conf;
	struct shared *shared;
	unsigned slot;
};

/* One client's place, inside or among the refused; zeroed: none. */
struct limits_place {
	bool held;
	bool counted; /* in the table of addresses */
	enum shared_counter level;
	uint32_t cell;
};

/*
 * NULL is yes. Whoever hears no has a place among the few who may linger, or
 * none: then it is told and closed at once. A place must be given back.
 */
const struct smtp_reply *limits_enter(const struct limits *l,
    const struct ipaddr *client, struct limits_place *p);
void limits_leave(const struct limits *l, struct limits_place *p);

/* More than 80 % of the session slots are taken. */
bool limits_pressure(const struct limits *l);

#endif
