/*
 * session_ask: carries the engine's questions to policy and delivery, and
 * their answers back.
 */
#include "session/ask.h"

#include <assert.h>

#include "io/clock.h"
#include "io/listen.h"
#include "mail/spool.h"
#include "session/auth.h"
#include "session/count.h"
#include "session/door.h"
#include "session/filter.h"
#include "session/log.h"

struct limits_ask
session_limits(const struct session *s)
{
	return (struct limits_ask){.client = &s->env.client,
	    .unlimited = s->client->unlimited,
	    .proxied = s->proxied,
	    .now = clock_now(),
	    .key = LIMITS_KEYS};
}

struct session_why
session_limit(const struct session *s, enum limits_key k)
{
	if (k == LIMITS_KEYS) /* none's */
		return (struct session_why){NULL, NULL, {NULL, 0}};
	return (struct session_why){limits_keys[k], NULL,
	    s->all->conf->limits.at[k]};
}

void
session_server(struct session *s)
{
	if (s->env.server.family == IP_NONE)
		listen_local(s->stream.fd, &s->env.server);
}

const struct smtp_reply *
session_policy(struct session *s, enum policy_stage stage)
{
	struct limits_ask ask = session_limits(s);
	struct session_why why;
	const struct smtp_reply *no = policy_ask(&s->all->policy, stage,
	    &(struct policy_subject){.env = &s->env,
		.ask = &ask,
		.place = &s->place});

	assert(!s->settled);
	why = session_limit(s, ask.key);
	if (ask.observed)
		session_log_observed(s, ask.observed, &why);
	if (no)
		s->why = why;
	return no;
}

void
session_answer(struct session *s, const struct smtp_reply *reply)
{
	s->ask = NULL;
	s->asking = s->settled = false;
	smtp_answer(&s->smtp, reply, &s->all->out);
	if (!s->running)
		session_continue(s);
}

static void
on_rcpt(void *ctx, const struct smtp_reply *reply, const char *error)
{
	struct session *s = ctx;
	uint64_t max = reply ? 0 : deliver_size_max(&s->env);

	if (max)
		smtp_limit_size(&s->smtp, max);
	if (!reply)
		session_count_rcpt(s);
	if (!reply && s->door)
		door_took_rcpt(s->door);
	s->error = error;
	session_answer(s, reply);
}

static void
on_message(void *ctx, const struct smtp_reply *reply, const char *error)
{
	struct session *s = ctx;

	session_count_answered(s);
	if (!reply) {
		session_count_accepted(s);
		session_log_accepted(s);
	}
	s->error = error;
	session_answer(s, reply);
}

void
session_greet(struct session *s)
{
	if (!s->refusal)
		session_count_greeted(s);
	session_answer(s, s->refusal);
}

static void
ask_connect(struct session *s)
{
	if (s->refusal || !session_door_pause(s))
		session_greet(s);
}

void
session_release(struct session *s)
{
	deliver_release(s->all->deliver, s->reserved);
	s->reserved = 0;
}

/* Policy, then the checks; then it goes on to delivery. */
static void
ask_before(struct session *s, enum policy_stage stage,
    void (*then)(struct session *s))
{
	const struct smtp_reply *no = session_policy(s, stage);

	if (no)
		session_answer(s, no);
	else
		session_door_ask(s, stage, then);
}

static void
take_mail(struct session *s)
{
	uint64_t size =
	    s->env.size ? s->env.size : deliver_size_unknown(s->all->deliver);
	const struct smtp_reply *no = NULL;

	if (!s->all->dry)
		no = deliver_reserve(s->all->deliver, size);
	if (!no)
		s->reserved = size;
	session_answer(s, no);
}

static void
ask_mail(struct session *s)
{
	session_release(s);
	ask_before(s, POLICY_MAIL, take_mail);
}

/*
 * The last to be asked: its yes makes the targets part of the transaction, and
 * a no behind that would take the memory from under them.
 */
static void
take_rcpt(struct session *s)
{
	if (s->smtp.rcpt.literal)
		session_server(s);
	s->settled = true;
	s->ask =
	    deliver_rcpt(s->all->deliver, &s->env, &s->smtp.rcpt, on_rcpt, s);
}

static void
ask_rcpt(struct session *s)
{
	ask_before(s, POLICY_RCPT, take_rcpt);
}

static void
take_data(struct session *s)
{
	s->env.name = s->door ? door_client_name(s->door) : NULL;
	s->spool =
	    deliver_spool(s->all->deliver, &s->env, session_is_filtered(s));
	session_answer(s, NULL);
}

static void
ask_data(struct session *s)
{
	spool_free(&s->spool); /* of a BDAT that RSET has forgotten */
	ask_before(s, POLICY_DATA, take_data);
}

/* e: what filters have made of it; NULL: it was not theirs to see. */
static void
take_message(struct session *s, const struct deliver_edit *e)
{
	struct deliver *d = s->all->deliver;
	int64_t by = s->ended / 1000000 + DEADLINE_ANSWER_MS;

	if (s->all->dry) {
		session_answer(s, NULL);
		return;
	}
	s->ask =
	    e ? deliver_filtered(d, &s->env, &s->spool, e, by, on_message, s)
	      : deliver_message(d, &s->env, &s->spool, by, on_message, s);
}

/* Nothing of the body is still on its way to a file. */
static void
on_spooled(void *ctx)
{
	struct session *s = ctx;
	const struct smtp_reply *no = session_policy(s, POLICY_MESSAGE);

	if (no)
		session_answer(s, no);
	else if (session_is_filtered(s) && !spool_error(s->spool))
		session_filter(s, take_message);
	else
		take_message(s, NULL);
}

static void
ask_message(struct session *s)
{
	s->ended = loop_turn(s->all->loop);
	spool_finish(s->spool, on_spooled, s);
}

bool
session_ask(struct session *s)
{
	static void (*const asks[])(struct session *) = {
	    [SMTP_ASK_CONNECT] = ask_connect,
	    [SMTP_ASK_MAIL] = ask_mail,
	    [SMTP_ASK_RCPT] = ask_rcpt,
	    [SMTP_ASK_DATA] = ask_data,
	    [SMTP_ASK_MESSAGE] = ask_message,
	    [SMTP_ASK_AUTH] = session_auth_ask,
	};

	if (!s->asking) {
		session_auth_tidy(s);
		s->asking = true;
		s->error = NULL;
		if (s->smtp.ask != SMTP_ASK_CONNECT)
			s->why = session_limit(s, LIMITS_KEYS);
		asks[s->smtp.ask](s);
	}
	return s->smtp.ask == SMTP_ASK_NONE;
}
