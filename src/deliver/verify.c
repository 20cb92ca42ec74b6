/*
 * verify: health first, then what is remembered, then a question. One of each
 * recipient is under way. For a recipient here the sender is <>, so that the
 * answer depends on the recipient alone and may be remembered; servers that
 * send on want the real one, and nothing of theirs is kept. On the loop.
 */
#include "deliver/verify.h"

#include "deliver/verify_cache.h"
#include "io/clock.h"
#include "io/log.h"

static struct verify_cache *
cache_of(const struct carriers *c, const struct route *r)
{
	return c->routes[r->number].cache;
}

static struct verify_cache *
cache(const struct verify *v)
{
	return cache_of(v->carriers, v->at->dest->route);
}

static bool
is_relayed(const struct target *t)
{
	return !t->domain;
}

static void
say(const struct verify *v, enum fate fate, const struct smtp_reply *reply,
    bool cached)
{
	log_event(LOG_TRACE, "verified", LOG_STR("session", v->session),
	    LOG_STR("rcpt", v->at->to),
	    LOG_STR("route", v->at->dest->route->shown),
	    LOG_UINT("code", fate == FATE_TAKEN || !reply ? 250 : reply->code),
	    LOG_UINT("cached", cached));
}

enum verify_what {
	VERIFY_NEXT, /* it may come, as far as those before `at` go */
	VERIFY_NO,   /* the reply is there */
	VERIFY_ASKED,
};

static bool
may_hold(const struct verify *v)
{
	const struct destination *d = v->at->dest;

	return d->route->hold && v->held && !held_route_full(v->held, d->text);
}

/*
 * A server says no to an address that everybody must have (RFC 5321 4.5.1).
 * Said once for each time that it was asked: strangers ask as often as they
 * like. All begins anew with somebody else in its place; what has said yes to
 * the others is known.
 */
static enum verify_what
not_that_one(struct verify *v, const struct smtp_reply *reply, bool cached)
{
	if (recipients_instead(v->recipients, v->found, v->at, v->arena)) {
		v->at = v->found->first;
		return VERIFY_NEXT;
	}
	if (!cached)
		log_event(LOG_ERROR, "route-misconfigured",
		    LOG_STR("route", v->at->dest->route->shown),
		    LOG_STR("rcpt", v->at->to), LOG_UINT("reply", reply->code),
		    LOG_STR("help",
			"make an alias for it, or this address there"));
	v->reply = SMTP_REPLY(451, "4.3.5", "This address is not set up yet");
	return VERIFY_NO;
}

static enum verify_what
judge(struct verify *v, enum fate fate, const struct smtp_reply *reply,
    bool cached)
{
	if (fate == FATE_TAKEN || (fate != FATE_REFUSED && may_hold(v))) {
		v->at = v->at->next;
		return VERIFY_NEXT;
	}
	if (fate == FATE_REFUSED && v->needed && !is_relayed(v->at))
		return not_that_one(v, reply, cached);
	v->reply = reply;
	return VERIFY_NO;
}

static verify_fn on_verified;

static enum verify_what
look_at(struct verify *v)
{
	const struct route *r = v->at->dest->route;
	struct carrier *c = r ? carriers_find(v->carriers, r) : NULL;
	const struct smtp_reply *reply = NULL;
	enum fate known = FATE_NONE;

	if (r && r->kind->health(c, &reply) == CARRIER_DOWN)
		return judge(v, FATE_DOWN, reply, false);
	if (!r || !r->verify || !r->kind->verify)
		return judge(v, FATE_TAKEN, NULL, false);
	if (!is_relayed(v->at))
		known =
		    verify_cache_find(cache(v), v->at->to, clock_now(), &reply);
	if (known != FATE_NONE) {
		say(v, known, reply, true);
		return judge(v, known, reply, true);
	}
	v->ask = r->kind->verify(c, is_relayed(v->at) ? v->sender : "",
	    v->at->to, v->deadline, on_verified, v);
	return VERIFY_ASKED;
}

/* True: the reply is there. */
static bool
go_on(struct verify *v)
{
	enum verify_what what = VERIFY_NEXT;

	while (v->at && what == VERIFY_NEXT)
		what = look_at(v);
	return what != VERIFY_ASKED;
}

bool
verify_begin(struct verify *v)
{
	v->at = v->found->first;
	return go_on(v);
}

static void
on_verified(void *ctx, enum fate fate, const struct smtp_reply *reply)
{
	struct verify *v = ctx;

	v->ask = NULL;
	say(v, fate, reply, false);
	if (!is_relayed(v->at))
		verify_cache_put(cache(v), v->at->to, clock_now(), fate, reply);
	if (judge(v, fate, reply, false) == VERIFY_NO || go_on(v))
		v->told(v->ctx);
}

bool
verify_is_due(const struct targets *t)
{
	for (const struct target *x = t->first; x; x = x->next)
		if (x->dest->route)
			return true;
	return false;
}

void
verify_stop(struct verify *v)
{
	ask_cancel(&v->ask, ASK_ABANDON);
}

void
verify_settled(const struct carriers *c, const struct route *r, const char *to,
    enum fate fate, int64_t now)
{
	struct verify_cache *known = cache_of(c, r);
	const struct smtp_reply *reply;

	if (fate == FATE_REFUSED || fate == FATE_AGAIN)
		verify_cache_put(known, to, now, FATE_NONE, NULL);
	else if (fate == FATE_TAKEN &&
		 verify_cache_find(known, to, now, &reply) != FATE_NONE)
		verify_cache_put(known, to, now, fate, NULL);
}
