/*
 * greylist_judge: the check, at DATA: by then whoever only asks whether there
 * is such an address has gone, and so has whoever asks for one that is not.
 * Programs on this machine do not come again.
 */
#include "policy/greylist_judge.h"

#include <stdio.h>

#include "policy/redis.h"
#include "policy/redis_grey.h"

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

bool
greylist_key_now(const struct envelope *e, const struct facts *f,
    struct greylist_key *r)
{
	if (!e->rcpts || e->client.family == IP_NONE || is_here(e))
		return false;
	greylist_key_of(e, name_of(f), r);
	return true;
}

static bool
is_asked(const struct check_case *c, struct greylist_key *r)
{
	return c->conf->grey && c->all->shared &&
	       greylist_key_now(c->subject->env, c->facts, r);
}

unsigned
greylist_needs(const struct check_case *c)
{
	struct greylist_key key;

	if (!redis_is_up(c->all->redis) || !is_asked(c, &key) ||
	    !greylist_would_defer(c->conf->grey, shared_grey(c->all->shared),
		&key, c->wall))
		return 0;
	return FACT_GREY;
}

static void
say(struct verdict *v, const struct greylist_key *k, const char *what)
{
	snprintf(v->value, sizeof(v->value), "%.*s %s",
	    k->who < 56 ? (int)k->who : 56, k->text, what);
}

static void
send_away(struct verdict *v, unsigned wait)
{
	v->kind = VERDICT_DEFER;
	v->code = 451;
	v->status = "4.7.1";
	snprintf(v->said, sizeof(v->said),
	    "Greylisted, come back in %u seconds", wait);
}

void
greylist_judge(const struct check_case *c, struct verdict *v)
{
	const struct greylist *g = c->conf->grey;
	struct greylist_key key;
	struct greylist_answer a;
	struct shared_grey *table;

	if (!is_asked(c, &key))
		return;
	table = shared_grey(c->all->shared);
	a = greylist_ask(g, table, &key, c->wall);
	if (a.state <= GREYLIST_EARLY && c->facts->known & FACT_GREY &&
	    c->facts->grey == GREY_PASSED) {
		greylist_pass(g, table, &key, c->wall);
		say(v, &key, "passed elsewhere");
		return;
	}
	say(v, &key, states[a.state]);
	if (a.written && redis_is_up(c->all->redis))
		redis_grey_passed(c->all->redis, g, &key,
		    g->after && a.passed >= g->after);
	if (a.state <= GREYLIST_EARLY)
		send_away(v, a.wait);
}
