/*
 * auth: exchanges, from the mechanism's name to yes or no.
 *
 * Owns the exchanges; the steps in between are auth_step's, the hashing is
 * auth_hash's, or auth_dovecot does it all. Each answer comes from a timer,
 * never from within the call that asked.
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

#include "base/ascii.h"
#include "io/digest.h"
#include "policy/auth_exchange.h"
#include "policy/auth_users.h"

/* In the order in which they are listed. */
static const struct {
	const char *name;
	enum auth_mechanism bit;
	auth_step_fn *step;
	const char *prompt; /* when there was no initial response */
} mechanisms[] = {
    {"PLAIN", AUTH_PLAIN, auth_step_plain, ""},
    {"LOGIN", AUTH_LOGIN, auth_step_login, "Username:"},
    {"SCRAM-SHA-256", AUTH_SCRAM, auth_step_scram, ""},
    {"SCRAM-SHA-256-PLUS", AUTH_SCRAM_PLUS, auth_step_scram, ""},
};
#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

/* Octets of a login that was refused. */
#define SHOWN_MAX 64

/* --- a worker's --- */

bool
auth_offers(const struct auth *a, enum auth_mechanism m, bool binding)
{
	const struct auth_users *u = a->options->users;

	if (!(a->options->mechanisms & m))
		return false;
	if (a->dovecot)
		return auth_dovecot_offers(a->dovecot) & m;
	if (!u)
		return false;
	if (m & (AUTH_SCRAM | AUTH_SCRAM_PLUS))
		return auth_users_have_scram(u) && (m == AUTH_SCRAM || binding);
	return true;
}

unsigned
auth_mechanism_of(struct span name)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (ascii_equal_str(name, mechanisms[i].name))
			return mechanisms[i].bit;
	return 0;
}

static void
make_list(struct auth *a, bool binding)
{
	struct buf list = {0};

	for (size_t i = 0; i < MECHANISMS; i++) {
		if (!auth_offers(a, mechanisms[i].bit, binding))
			continue;
		if (list.len)
			buf_append(&list, " ", 1);
		buf_append_str(&list, mechanisms[i].name);
	}
	buf_append(&list, "", 1);
	assert(list.len <= sizeof(a->lists[binding]));
	memcpy(a->lists[binding], list.data, list.len);
	buf_free(&list);
}

void
auth_make_lists(struct auth *a)
{
	make_list(a, false);
	make_list(a, true);
}

struct auth *
auth_new(const struct auth_options *o, struct loop *loop, struct jobs *jobs,
    struct shared *shared)
{
	struct auth *a = calloc(1, sizeof(*a));

	if (!a)
		abort();
	a->options = o;
	a->loop = loop;
	a->jobs = jobs;
	auth_delay_init(&a->delay, shared);
	if (o->dovecot) {
		a->dovecot = auth_dovecot_new(a, o->dovecot);
		if (!a->dovecot)
			auth_free(&a);
	}
	if (a)
		auth_make_lists(a);
	return a;
}

const char *
auth_list(const struct auth *a, bool binding)
{
	return a->lists[binding];
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
	if (x->owner)
		*x->owner = NULL;
	else
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
	bool heard = x->owner != NULL;

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
	if (heard)
		x->fn(x->ctx, &o);
}

void
auth_answer_by(struct auth_exchange *x, enum auth_result result, int64_t ms)
{
	x->result = result;
	loop_timer_set(x->timer, (uint64_t)ms);
}

void
auth_answer(struct auth_exchange *x, enum auth_result result)
{
	x->answered = true;
	auth_answer_by(x, result, result == AUTH_NO ? x->delay : 0);
}

void
auth_answer_malformed(struct auth_exchange *x, const char *text)
{
	x->text = text;
	auth_answer(x, AUTH_MALFORMED);
}

void
auth_answer_yes(struct auth_exchange *x)
{
	buf_append(&x->user, "", 1);
	x->user.len--;
	auth_answer(x, AUTH_YES);
}

void
auth_name(struct auth_exchange *x, struct span user)
{
	int64_t delay =
	    auth_delay_login(&x->auth->delay, user, loop_now(x->auth->loop));

	x->named = true;
	if (x->delay < delay)
		x->delay = delay;
	buf_append_span(&x->user, user);
}

void
auth_challenge(struct auth_exchange *x, struct span data, auth_step_fn *next)
{
	x->data.len = 0;
	buf_append_span(&x->data, data);
	x->step = next;
	auth_answer(x, AUTH_CHALLENGE);
}

/* It has a turn, and may be a guess that was wrong. */
static bool
must_linger(const struct auth_exchange *x)
{
	return x->client && !x->waiting &&
	       (!x->answered || x->result == AUTH_NO);
}

void
auth_cancel(struct auth_exchange **r)
{
	struct auth_exchange *x = *r;

	*r = NULL;
	if (!x)
		return;
	if (!must_linger(x)) {
		let_go(x);
		return;
	}
	stop(x);
	if (!x->answered)
		auth_answer(x, AUTH_NO);
	x->owner = NULL;
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
	struct auth_exchange *x = calloc(1, sizeof(*x));

	if (!x)
		abort();
	x->auth = a;
	a->exchanges++;
	x->timer = loop_timer(a->loop, on_timer, x);
	if (!x->timer)
		abort();
	return x;
}

/* MECHANISMS: there is none of this name here. */
static size_t
choose(const struct auth *a, struct span name, bool binding)
{
	for (size_t i = 0; i < MECHANISMS; i++)
		if (ascii_equal_str(name, mechanisms[i].name) &&
		    auth_offers(a, mechanisms[i].bit, binding))
			return i;
	return MECHANISMS;
}

/* For the log, only what cannot be a password in the wrong place. */
static const char *
known_name(struct span name)
{
	static const char *const others[] = {"ANONYMOUS", "CRAM-MD5",
	    "DIGEST-MD5", "EXTERNAL", "GSSAPI", "NTLM", "OAUTHBEARER",
	    "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "XOAUTH2"};

	for (size_t i = 0; i < MECHANISMS; i++)
		if (ascii_equal_str(name, mechanisms[i].name))
			return mechanisms[i].name;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (ascii_equal_str(name, others[i]))
			return others[i];
	return NULL;
}

void
auth_start(struct auth *a, struct span mechanism,
    const struct auth_channel *channel, struct span message, auth_fn *fn,
    void *ctx, struct auth_exchange **r)
{
	struct auth_exchange *x = new_exchange(a);
	size_t i = choose(a, mechanism, channel->bound);

	x->owner = r;
	x->fn = fn;
	x->ctx = ctx;
	x->channel = *channel;
	*r = x;
	x->name = known_name(mechanism);
	if (i == MECHANISMS) {
		bool any = a->lists[channel->bound][0];

		auth_answer(x, any ? AUTH_UNKNOWN : AUTH_DOWN);
		return;
	}
	x->mechanism = mechanisms[i].bit;
	x->step = a->dovecot ? auth_dovecot_start : mechanisms[i].step;
	x->delay =
	    auth_delay_address(&a->delay, &channel->client, loop_now(a->loop));
	x->counted = true;
	if (a->dovecot || message.ptr)
		auth_turn_take(x, message);
	else
		auth_challenge(x, span_str(mechanisms[i].prompt), x->step);
}

void
auth_continue(struct auth_exchange *x, struct span message)
{
	/* the last answer was a challenge, and it was heard */
	assert(!x->queued && !x->check && !x->asked && !x->client);
	x->answered = false;
	auth_turn_take(x, message);
}
