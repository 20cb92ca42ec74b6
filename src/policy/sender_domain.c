/*
 * sender_domain: a sender that no reply could reach. What a domain says of
 * itself is believed; what is not found may be found in an hour, and a
 * resolver that is broken for a day must cost nobody a message.
 */
#include <stdio.h>

#include "policy/check.h"

void
sender_domain_judge(const struct check_case *c, struct verdict *v)
{
	static const char *const states[] = {
	    [SENDER_UNKNOWN] = "unknown",
	    [SENDER_GOOD] = "found",
	    [SENDER_NULL_MX] = "null MX",
	    [SENDER_NONE] = "not found",
	};
	enum fact_sender is = c->facts->sender;

	snprintf(v->value, sizeof(v->value), "%s", states[is]);
	if (is == SENDER_NULL_MX) { /* RFC 7505 4.2 */
		v->kind = VERDICT_REJECT;
		v->code = 550;
		v->status = "5.7.27";
		v->text = "Sender's domain takes no mail";
	} else if (is == SENDER_NONE) {
		v->kind = VERDICT_DEFER;
		v->code = 450;
		v->status = "4.1.8";
		v->text = "Sender's domain not found";
	}
}
