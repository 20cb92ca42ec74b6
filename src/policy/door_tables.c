/*
 * door_tables: the checks in the order in which they are heard, and who
 * gathers what they look at.
 */
#include "policy/door_state.h"
#include "policy/greylist_judge.h"

#define ACTION_OF(member)                                                      \
	static struct check_action action_##member(                            \
	    const struct door_config *c)                                       \
	{                                                                      \
		return c->member;                                              \
	}

ACTION_OF(helo)
ACTION_OF(dnsbl)
ACTION_OF(greylist)

static unsigned
needs_lists(const struct check_case *c)
{
	return c->conf->lists ? FACT_LISTS : 0;
}

static const struct check checks[] = {
    {"helo", POLICY_RCPT, .reputation = true, .once = true, .defer = 451,
	.action = action_helo, .judge = helo_judge},
    {"dnsbl", POLICY_RCPT, SCOPE_SESSION, .reputation = true, .once = true,
	.defer = 451, .action = action_dnsbl, .needs = needs_lists,
	.judge = dnsbl_judge},
    {"greylist", POLICY_DATA, .reputation = true, .wants = FACT_NAME,
	.action = action_greylist, .needs = greylist_needs,
	.judge = greylist_judge},
};

static const struct door_fact facts[] = {
    {FACT_LISTS, fact_lists_ask, POLICY_CONNECT},
#ifndef SMTPD_NO_REDIS
    {FACT_GREY, fact_grey_ask, POLICY_DATA},
#endif
};

const struct door_tables door_tables = {
    .checks = checks,
    .nchecks = sizeof(checks) / sizeof(checks[0]),
    .facts = facts,
    .nfacts = sizeof(facts) / sizeof(facts[0]),
};
