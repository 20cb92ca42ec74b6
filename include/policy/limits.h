/*
 * limits: how many sessions there may be, in all, per address and per network;
 * how many of those who were refused may linger to hear it; how often a client
 * may come, and with what; and whether it is so full that deadlines shorten.
 */
#ifndef POLICY_LIMITS_H
#define POLICY_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ipaddr.h"
#include "base/where.h"
#include "io/shared.h"
#include "policy/rate.h"
#include "proto/smtp_reply.h"

enum limits_rate {
	LIMITS_CONNECTIONS,
	LIMITS_MESSAGES,   /* MAIL, of those who are not logged in */
	LIMITS_RECIPIENTS, /* RCPT, whatever is answered */
	LIMITS_FAILED_LOGINS,
	LIMITS_RATES
};

/* The keys of the section that can say no: the rates, and these. */
enum limits_key {
	LIMITS_SESSIONS = LIMITS_RATES,
	LIMITS_PER_ADDRESS,
	LIMITS_PER_NETWORK,
	LIMITS_KEYS
};

/* As they are written. */
extern const char *const limits_keys[LIMITS_KEYS];

struct limits_config {
	unsigned sessions;    /* over all workers */
	unsigned per_address; /* an IPv6 client counts by its /64 */
	unsigned per_network; /* IPv4 /24, IPv6 /48; 0: any number */
	struct rate rates[LIMITS_RATES];
	struct smtp_reply beyond[LIMITS_RATES]; /* see limits_say() */
	bool observe; /* what is beyond a rate is told, not refused */
	struct where at[LIMITS_KEYS];
};

struct limits {
	const struct limits_config *conf;
	struct shared *shared;
	unsigned slot;
};

/* Who asks, when, and what it is told. */
struct limits_ask {
	const struct ipaddr *client;
	bool unlimited; /* all but the sessions in all */
	bool proxied;   /* a proxy says so: loopback is nobody special */
	int64_t now;    /* monotonic ms */
	/* set: a no that it does not hear, because of observe */
	const struct smtp_reply *observed;
	enum limits_key key; /* set with either no: whose it is */
};

#define LIMITS_CELLS 2 /* its address's, its network's */

/* One client's place, inside or among the refused; zeroed: none. */
struct limits_place {
	bool held;
	bool apart; /* refused for what its address does, not for all */
	enum shared_counter level;
	unsigned ncells;
	uint32_t cells[LIMITS_CELLS];
};

/* Writes what is answered beyond the rates; the texts are in the arena. */
void limits_say(struct limits_config *c, struct arena *a);

/*
 * One more in all: when it comes, whoever it is; and then, into the same place,
 * one more of its address and network, and of the rate of connections.
 *
 * NULL is yes. Whoever hears no has a place among the few who may linger, or
 * none: then it is told and closed at once. A place must be given back.
 */
const struct smtp_reply *limits_enter(const struct limits *l,
    const struct ipaddr *peer, struct limits_place *p);
const struct smtp_reply *limits_client(const struct limits *l,
    struct limits_ask *a, struct limits_place *p);
void limits_leave(const struct limits *l, struct limits_place *p);
/* Whoever is in hears no from others, and has such a place from now on. */
void limits_refuse(const struct limits *l, const struct ipaddr *client,
    struct limits_place *p);

/*
 * One more: NULL is yes. Nobody on this machine has a rate, but for failed
 * logins: behind a tunnel everybody has its address. The same holds for
 * networks.
 */
const struct smtp_reply *limits_take(const struct limits *l, enum limits_rate r,
    struct limits_ask *a);
/* What was a failed login was none. */
void limits_give_back(const struct limits *l, enum limits_rate r,
    const struct limits_ask *a);

/* More than 80 % of the session slots are taken. */
bool limits_pressure(const struct limits *l);

#endif
