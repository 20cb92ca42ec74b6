/*
 * session_door: what the checks are told and asked. It decides nothing.
 */
#include "session/door.h"

#include <assert.h>

#include "io/clock.h"
#include "policy/pregreet.h"
#include "session/ask.h"
#include "session/log.h"

static struct session_why
why_of(const char *check, const struct verdict *v)
{
	return (struct session_why){check, *v->value ? v->value : NULL, v->at};
}

/* NULL, or what is said; the log will want to know who says so. */
static const struct smtp_reply *
said(struct session *s, const struct verdict *no)
{
	if (!no)
		return NULL;
	s->why = why_of(door_said(s->door), no);
	s->said = verdict_reply(no);
	return &s->said;
}

static void
on_observed(void *ctx, const char *check, const struct verdict *v)
{
	const struct session_why why = why_of(check, v);
	const struct smtp_reply reply = verdict_reply(v);

	session_log_found(ctx, &reply, &why);
}

static void
decide(struct session *s, const struct verdict *no)
{
	if (no)
		session_answer(s, said(s, no));
	else
		s->then(s);
}

static void
on_answer(void *ctx, const struct verdict *no)
{
	struct session *s = ctx;

	s->ask = NULL;
	s->running = true; /* who answers at once does not go on by itself */
	decide(s, no);
	s->running = false;
	if (s->smtp.ask == SMTP_ASK_NONE)
		session_continue(s);
}

const struct smtp_reply *
session_door_open(struct session *s)
{
	const struct door_subject subject = {.env = &s->env,
	    .hostname = s->listen->smtp.hostname,
	    .submission = s->listen->smtp.submission};
	const struct verdict *no;
	struct ask *later;

	if (!s->all->doors)
		return NULL;
	s->door = door_new(s->all->doors, &subject);
	door_on_observed(s->door, on_observed, s);
	later = door_ask(s->door, POLICY_CONNECT, NULL, &no, on_answer, s);
	assert(!later); /* nobody waits for others before the greeting */
	if (no)
		limits_refuse(&s->all->policy.limits, &s->env.client,
		    &s->place);
	return said(s, no);
}

void
session_door_ask(struct session *s, enum policy_stage stage,
    void (*then)(struct session *s))
{
	const struct verdict *no;

	if (!s->door) {
		then(s);
		return;
	}
	/* what delivery has taken cannot be refused any more */
	assert(!s->settled);
	s->then = then;
	s->ask = door_ask(s->door, stage,
	    stage == POLICY_RCPT ? &s->smtp.rcpt : NULL, &no, on_answer, s);
	if (!s->ask)
		decide(s, no);
}

/* A proxy asks for the greeting itself, and TLS begins without one. */
static bool
must_wait(const struct session *s)
{
	const struct door_config *c = s->all->doors->conf;

	return c->pregreet_wait && c->pregreet.act &&
	       s->listen->role == ROLE_MX && s->listen->tls != TLS_IMPLICIT &&
	       s->env.via.family == IP_NONE && !s->time.pressure &&
	       !door_allows_session(s->door) &&
	       !pregreet_has_waited(s->all->shared, &s->env.client,
		   clock_now());
}

bool
session_door_pause(struct session *s)
{
	if (!s->door || !must_wait(s))
		return false;
	s->pause = clock_now() + (int64_t)s->all->doors->conf->pregreet_wait;
	return true;
}

void
session_door_early(struct session *s)
{
	s->early = true;
	door_spoke_early(s->door);
}

void
session_door_greet(struct session *s)
{
	int64_t now = clock_now();

	if (!s->early && now >= s->pause)
		pregreet_waited(s->all->shared, &s->env.client, now);
	s->pause = 0;
	session_greet(s);
}

void
session_door_turn(struct session *s)
{
	if (!smtp_in_transaction(&s->smtp))
		door_reset(s->door);
	if (!s->env.helo)
		return;
	if (s->all->doors->conf->helo.act)
		session_server(s);
	door_begin(s->door);
}
