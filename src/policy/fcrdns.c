/*
 * fcrdns: a client without any reverse name. One that leads elsewhere is
 * told and refuses nobody: too many honest servers have one.
 */
#include <stdio.h>

#include "policy/check.h"

void
fcrdns_judge(const struct check_case *c, struct verdict *v)
{
	const struct facts *f = c->facts;
	const char *const states[] = {
	    [NAME_UNKNOWN] = "unknown",
	    [NAME_NONE] = "none",
	    [NAME_UNCONFIRMED] = "unconfirmed",
	    [NAME_CONFIRMED] = f->client_name,
	};

	snprintf(v->value, sizeof(v->value), "%s", states[f->name]);
	if (f->name != NAME_NONE)
		return;
	v->kind = VERDICT_REJECT;
	v->code = 550;
	v->status = "5.7.25";
	v->text = "No reverse name";
}
