/*
 * door_state: what a door is made of, for those who build it.
 */
#ifndef POLICY_DOOR_STATE_H
#define POLICY_DOOR_STATE_H

#include "policy/check.h"
#include "policy/door.h"
#include "policy/facts.h"
#include "policy/trail.h"

/* Who gathers a fact. */
struct door_fact {
	enum fact which;
	fact_ask *ask;
	/* when it is begun, if a check will want it; CONNECT is the EHLO */
	enum policy_stage begins;
};

#define DOOR_FACTS_MAX  8
#define DOOR_CHECKS_MAX 32

/* Constant. */
struct door_tables {
	const struct check *checks;
	unsigned nchecks;
	const struct door_fact *facts;
	unsigned nfacts;
};

/* Those of this server. */
extern const struct door_tables door_tables;

/* door_new() with others. */
struct door *door_new_with(const struct doors *all,
    const struct door_subject *s, const struct door_tables *t);

#endif
