/*
 * check: one check of the door is one row, one file policy/NAME.c and one
 * table test. checks[] (door_tables.c) is the order in which they are heard.
 */
#ifndef POLICY_CHECK_H
#define POLICY_CHECK_H

#include "policy/door.h"
#include "policy/facts.h"

/* What an ALLOW covers: checks of reputation are skipped there. */
enum check_scope {
	SCOPE_SESSION = 1,
	SCOPE_TRANSACTION = 2,
	SCOPE_RCPT = 4,
};

/* All that a judge may look at. */
struct check_case {
	const struct doors *all;
	const struct door_config *conf;
	const struct door_subject *subject;
	const struct facts *facts;
	int64_t now;  /* monotonic ms */
	int64_t wall; /* ms since 1970 */
};

/*
 * *v is zeroed, and stays so for a pass; kind is VERDICT_REJECT with its code
 * when something is found. What comes of it is the row's action's, but for
 * a VERDICT_DEFER, which stays one. Of a row without an action it is final.
 * No I/O; a fact that is not known is a pass.
 */
typedef void check_judge(const struct check_case *c, struct verdict *v);

struct check {
	const char *name; /* in log, metrics, manual: "dnsbl" */
	enum policy_stage stage;
	unsigned scope;
	/* skipped while an ALLOW covers the question, after AUTH, and on
	 * submission */
	bool reputation;
	/* depends on nothing of the recipient: judged at the transaction's
	 * first RCPT that is not allowed, and kept for the others */
	bool once;
	/* code with ACTION_DEFER; its status is the rejection's with a 4 */
	unsigned defer;
	/* ACTION_OFF: not asked; NULL: on when it has something to look at */
	struct check_action (*action)(const struct door_config *c);
	/* mask of enum fact, or 0; NULL: none */
	unsigned (*needs)(const struct check_case *c);
	/* mask of what is gathered for it as well, and never waited for */
	unsigned wants;
	/* the first of its COUNTERS_CHECK; 0: none */
	enum shared_counter counter;
	check_judge *judge;
};

check_judge access_client, access_login, access_helo, access_sender,
    access_rcpt;
check_judge pregreet_judge, helo_judge, fcrdns_judge, dnsbl_judge;
check_judge sender_domain_judge, greylist_judge;

#endif
