/*
 * policy: the table of who has a say, and when.
 */
#include "policy/policy.h"

#include <stddef.h>

#include "policy/senders.h"

typedef const struct smtp_reply *say_fn(const struct policy *p,
    const struct policy_subject *s);

static const struct smtp_reply *
say_limits(const struct policy *p, const struct policy_subject *s)
{
	return limits_client(&p->limits, s->ask, s->place);
}

/* A login's messages are its own business, wherever it is. */
static const struct smtp_reply *
say_messages(const struct policy *p, const struct policy_subject *s)
{
	return s->env->login ? NULL
			     : limits_take(&p->limits, LIMITS_MESSAGES, s->ask);
}

static const struct smtp_reply *
say_recipients(const struct policy *p, const struct policy_subject *s)
{
	return limits_take(&p->limits, LIMITS_RECIPIENTS, s->ask);
}

/* Whoever is logged in sends as who it is. */
static const struct smtp_reply *
say_login(const struct policy *p, const struct policy_subject *s)
{
	const struct smtp_path *from = &s->env->sender;
	const char *login = s->env->login;
	enum senders_verdict v;

	if (!login)
		return NULL;
	v = senders_look(p->senders, login, from);
	if (v == SENDERS_YES ||
	    (v == SENDERS_UNLISTED && p->owns(p->owns_ctx, login, from)))
		return NULL;
	return SMTP_REPLY(553, "5.7.1", "You may not send from that address");
}

static const struct {
	enum policy_stage stage;
	say_fn *say;
} rows[] = {
    {POLICY_CONNECT, say_limits},
    {POLICY_MAIL, say_login},
    {POLICY_MAIL, say_messages},
    {POLICY_RCPT, say_recipients},
};

const struct smtp_reply *
policy_ask(const struct policy *p, enum policy_stage stage,
    const struct policy_subject *s)
{
	const struct smtp_reply *no = NULL;

	for (size_t i = 0; !no && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].stage == stage)
			no = rows[i].say(p, s);
	return no;
}
