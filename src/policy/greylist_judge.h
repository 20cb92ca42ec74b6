/*
 * greylist_judge: the check of the greylist, and what it needs of others.
 */
#ifndef POLICY_GREYLIST_JUDGE_H
#define POLICY_GREYLIST_JUDGE_H

#include "policy/check.h"
#include "policy/greylist.h"

/* What is asked for; false: nobody asks for this one. */
bool greylist_key_now(const struct envelope *e, const struct facts *f,
    struct greylist_key *r);

/* Other nodes are asked when this one would send it away. */
unsigned greylist_needs(const struct check_case *c);

#endif
