/*
 * auth: exchanges, from the mechanism's name to yes or no.
 *
 * Owns the exchanges; which mechanisms there are is auth_mechanism's, the
 * steps in between are auth_step's, the hashing is auth_hash's, or
 * auth_dovecot does it all. Each answer comes from a timer, never from within
 * the call that asked.
 *
 * An exchange counts as a failure from its beginning, so that hanging up
 * early hides none, until it turns out to be something else. Whoever hangs
 * up keeps his turn until the no would have been told, or a guesser would
 * not wait for it.
 */
#include "policy/auth.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/digest.h"
#include "policy/auth_exchange.h"
#include "policy/auth_users.h"

/* Octets of a login that was refused. */
#define SHOWN_MAX 64

/* --- a worker's --- */

/* Of what Dovecot has it will tell. */
static unsigned
of_file(const struct auth_options *o)
{
	if (o->dovecot || !o->users)
		return 0;
	return AUTH_PLAIN | AUTH_LOGIN |
	       (auth_users_have_scram(o->users) ? AUTH_SCRAM | AUTH_SCRAM_PLUS
						: 0);
}

struct auth *
auth_new(const struct auth_options *o, struct loop *loop, struct jobs *jobs,
    struct shared *shared)
{
	struct auth *a = mem_new(sizeof(*a));

	a->options = o;
	a->loop = loop;
	a->jobs = jobs;
	auth_delay_init(&a->delay, shared);
	auth_offer(a, of_file(o));
	if (o->dovecot) {
		a->dovecot = auth_dovecot_new(a, o->dovecot);
		if (!a->dovecot)
			auth_free(&a);
	}
	return a;
}

/* --- the end of an exchange --- */

static void
free_exchange(void *arg)
{
	struct auth_exchange *x = arg;

	buf_wipe(&x->data);
	buf_wipe(&x->user);
	buf_wipe(&x->password);
	buf_wipe(&x->message);
	auth_scram_free(&x->scram);
	digest_wipe(x, sizeof(*x));
	free(x);
}

/* Nobody answers it any more. */
static void
stop(struct auth_exchange *x)
{
	auth_hash_forget(x);
	if (x->auth->dovecot)
		auth_dovecot_forget(x);
	buf_wipe(&x->password);
}

/* No guess was judged, or it was no guess. */
static void
take_back(const struct auth_exchange *x)
{
	const struct auth_delay *d = &x->auth->delay;

	if (x->result != AUTH_YES && x->result != AUTH_DOWN &&
	    x->result != AUTH_BUSY)
		return;
	if (x->counted)
		auth_delay_address_back(d, &x->channel.client);
	if (x->named)
		auth_delay_login_back(d, buf_span(&x->user));
}

/* It is over, and freed when this turn of the loop is. */
static void
let_go(struct auth_exchange *x)
{
	stop(x);
	take_back(x);
	auth_turn_end(x);
	if (!x->fn)
		DL_DELETE(x->auth->lingering, x);
	x->auth->exchanges--;
	loop_event_free(&x->timer);
	loop_defer(x->auth->loop, free_exchange, x);
}

/* What may stand in the log: the start of a name, never half a letter. What
 * has a colon is no login, but may be one and its password. */
static struct span
shown(struct span user)
{
	if (!auth_users_name_valid(user) || memchr(user.ptr, ':', user.len))
		user.len = 0;
	if (user.len > SHOWN_MAX) {
		user.len = SHOWN_MAX;
		while ((user.ptr[user.len] & 0xc0) == 0x80)
			user.len--;
	}
	return user.len ? user : (struct span){NULL, 0};
}

static void
on_timer(void *ctx)
{
	struct auth_exchange *x = ctx;
	struct auth_outcome o = {.result = x->result,
	    .text = x->text,
	    .mechanism = x->name};
	auth_fn *fn = x->fn;

	if (x->result == AUTH_CHALLENGE)
		o.data = buf_span(&x->data);
	else if (x->result == AUTH_YES)
		o.login = buf_span(&x->user);
	else
		o.login = shown(buf_span(&x->user));
	if (x->result == AUTH_CHALLENGE)
		auth_turn_end(x);
	else
		let_go(x);
	if (fn)
		fn(x->ctx, &o);
}

/* It has a turn, and may be a guess that was wrong. */
static bool
must_linger(const struct auth_exchange *x)
{
	return x->client && !x->waiting &&
	       (!x->answered || x->result == AUTH_NO);
}

static void
cancel(struct ask *a, enum ask_end end)
{
	struct auth_exchange *x = (struct auth_exchange *)a;

	(void)end;
	if (!must_linger(x)) {
		let_go(x);
		return;
	}
	stop(x);
	if (!x->answered)
		auth_answer(x, AUTH_NO);
	x->fn = NULL;
	DL_APPEND(x->auth->lingering, x);
}

void
auth_free(struct auth **p)
{
	struct auth *a = *p;

	*p = NULL;
	if (!a)
		return;
	while (a->lingering)
		let_go(a->lingering);
	assert(!a->exchanges);
	auth_dovecot_free(&a->dovecot);
	free(a);
}

/* --- its beginning --- */

static struct auth_exchange *
new_exchange(struct auth *a)
{
	struct auth_exchange *x = mem_new(sizeof(*x));

	x->ask.cancel = cancel;
	x->auth = a;
	a->exchanges++;
	x->timer = loop_timer(a->loop, on_timer, x);
	if (!x->timer)
		abort();
	return x;
}

struct ask *
auth_start(struct auth *a, struct span mechanism,
    const struct auth_channel *channel, struct span message, auth_fn *fn,
    void *ctx)
{
	struct auth_exchange *x = new_exchange(a);
	const struct auth_mechanism_row *m = auth_mechanism_find(mechanism);

	x->fn = fn;
	x->ctx = ctx;
	x->channel = *channel;
	x->name = m ? m->name : auth_mechanism_foreign(mechanism);
	if (!m || !auth_offers(a, m->bit, channel->bound)) {
		bool any = a->lists[channel->bound][0];

		auth_answer(x, any ? AUTH_UNKNOWN : AUTH_DOWN);
		return &x->ask;
	}
	x->mechanism = m->bit;
	x->step = a->dovecot ? auth_dovecot_start : m->step;
	x->delay = auth_delay_address(&a->delay, &channel->client, clock_now());
	x->counted = true;
	if (a->dovecot || message.ptr)
		auth_turn_take(x, message);
	else
		auth_challenge(x, span_str(m->prompt), x->step);
	return &x->ask;
}

void
auth_continue(struct ask *a, struct span message)
{
	struct auth_exchange *x = (struct auth_exchange *)a;

	/* the last answer was a challenge, and it was heard */
	assert(!x->queued && !x->check && !x->asked && !x->client);
	x->answered = false;
	auth_turn_take(x, message);
}
