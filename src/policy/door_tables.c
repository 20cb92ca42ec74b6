/*
 * door_tables: the checks in the order in which they are heard, and who
 * gathers what they look at.
 */
#include "policy/access.h"
#include "policy/door_state.h"
#include "policy/greylist_judge.h"

#define ACTION_OF(member)                                                      \
	static struct check_action action_##member(                            \
	    const struct door_config *c)                                       \
	{                                                                      \
		return c->member;                                              \
	}

/* Each rule has its own; where there are none, nobody is asked. */
#define ACTION_OF_RULES(name, kind)                                            \
	static struct check_action action_access_##name(                       \
	    const struct door_config *c)                                       \
	{                                                                      \
		return (struct check_action){                                  \
		    .act = access_has(c->access, kind) ? ACTION_REJECT         \
						       : ACTION_OFF};          \
	}

ACTION_OF_RULES(client, ACCESS_CLIENT)
ACTION_OF_RULES(login, ACCESS_LOGIN)
ACTION_OF_RULES(helo, ACCESS_HELO)
ACTION_OF_RULES(sender, ACCESS_SENDER)
ACTION_OF_RULES(rcpt, ACCESS_RECIPIENT)
ACTION_OF(pregreet)
ACTION_OF(helo)
ACTION_OF(fcrdns)
ACTION_OF(dnsbl)
ACTION_OF(sender_domain)
ACTION_OF(greylist)

static unsigned
needs_name(const struct check_case *c)
{
	(void)c;
	return FACT_NAME;
}

static unsigned
needs_sender(const struct check_case *c)
{
	(void)c;
	return FACT_SENDER;
}

static unsigned
needs_lists(const struct check_case *c)
{
	return c->conf->lists ? FACT_LISTS : 0;
}

static const struct check checks[] = {
    {"access", POLICY_CONNECT, SCOPE_SESSION, .action = action_access_client,
	.counter = SHARED_CHECK_ACCESS, .judge = access_client},
    {"access", POLICY_MAIL, SCOPE_TRANSACTION, .action = action_access_login,
	.counter = SHARED_CHECK_ACCESS, .judge = access_login},
    {"access", POLICY_MAIL, .action = action_access_helo,
	.counter = SHARED_CHECK_ACCESS, .judge = access_helo},
    {"access", POLICY_MAIL, .action = action_access_sender,
	.counter = SHARED_CHECK_ACCESS, .judge = access_sender},
    {"access", POLICY_RCPT, SCOPE_RCPT, .action = action_access_rcpt,
	.counter = SHARED_CHECK_ACCESS, .judge = access_rcpt},
    {"pregreet", POLICY_RCPT, .reputation = true, .once = true, .defer = 451,
	.action = action_pregreet, .counter = SHARED_CHECK_PREGREET,
	.judge = pregreet_judge},
    {"helo", POLICY_RCPT, .reputation = true, .once = true, .defer = 451,
	.action = action_helo, .counter = SHARED_CHECK_HELO,
	.judge = helo_judge},
    {"fcrdns", POLICY_RCPT, .reputation = true, .once = true, .defer = 450,
	.action = action_fcrdns, .needs = needs_name,
	.counter = SHARED_CHECK_FCRDNS, .judge = fcrdns_judge},
    {"dnsbl", POLICY_RCPT, SCOPE_SESSION, .reputation = true, .once = true,
	.defer = 451, .action = action_dnsbl, .needs = needs_lists,
	.counter = SHARED_CHECK_DNSBL, .judge = dnsbl_judge},
    {"sender-domain", POLICY_RCPT, .reputation = true, .once = true,
	.defer = 451, .action = action_sender_domain, .needs = needs_sender,
	.counter = SHARED_CHECK_SENDER, .judge = sender_domain_judge},
    {"greylist", POLICY_DATA, .reputation = true, .wants = FACT_NAME,
	.action = action_greylist, .needs = greylist_needs,
	.counter = SHARED_CHECK_GREYLIST, .judge = greylist_judge},
};

static const struct door_fact facts[] = {
    {FACT_NAME, fact_name_ask, POLICY_CONNECT},
    {FACT_LISTS, fact_lists_ask, POLICY_CONNECT},
    {FACT_SENDER, fact_sender_ask, POLICY_MAIL},
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
