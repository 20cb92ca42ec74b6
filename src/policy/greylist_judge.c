/*
 * greylist_judge: the check, at DATA: by then whoever only asks whether there
 * is such an address has gone, and so has whoever asks for one that is not.
 * Programs on this machine do not come again.
 */
#include <stdio.h>

#include "policy/check.h"
#include "policy/greylist.h"

static const char *const states[] = {
    [GREYLIST_NEW] = "new",
    [GREYLIST_EARLY] = "early",
    [GREYLIST_BACK] = "came back",
    [GREYLIST_PASSED] = "passed before",
    [GREYLIST_KNOWN] = "known client",
};

static const char *
name_of(const struct facts *f)
{
	return f->known & FACT_NAME && f->name == NAME_CONFIRMED
		   ? f->client_name
		   : NULL;
}

static bool
is_here(const struct envelope *e)
{
	return ipaddr_is_loopback(&e->client) && e->via.family == IP_NONE;
}

void
greylist_judge(const struct check_case *c, struct verdict *v)
{
	const struct envelope *e = c->subject->env;
	struct greylist_key key;
	struct greylist_answer a;
	struct shared_grey *table;

	if (!c->conf->grey || !c->all->shared || !e->rcpts ||
	    e->client.family == IP_NONE || is_here(e))
		return;
	table = shared_grey(c->all->shared);
	greylist_key_of(e, name_of(c->facts), &key);
	a = greylist_ask(c->conf->grey, table, &key, c->wall);
	snprintf(v->value, sizeof(v->value), "%.*s %s",
	    key.who < 56 ? (int)key.who : 56, key.text, states[a.state]);
	if (a.state > GREYLIST_EARLY)
		return;
	v->kind = VERDICT_DEFER;
	v->code = 451;
	v->status = "4.7.1";
	snprintf(v->said, sizeof(v->said),
	    "Greylisted, come back in %u seconds", a.wait);
}
