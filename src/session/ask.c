/*
 * session_ask: carries the engine's questions to policy and delivery, and
 * their answers back.
 */
#include "session/ask.h"

#include "io/listen.h"
#include "io/shared.h"
#include "mail/spool.h"
#include "session/auth.h"
#include "session/log.h"

void
session_answer(struct session *s, const struct smtp_reply *reply)
{
	s->request = 0;
	s->asking = false;
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
	s->error = error;
	session_answer(s, reply);
}

static void
on_message(void *ctx, const struct smtp_reply *reply, const char *error)
{
	struct session *s = ctx;

	shared_add(s->all->shared, s->all->limits.slot,
	    reply ? SHARED_REJECTED : SHARED_MESSAGES, 1);
	if (!reply)
		session_log_accepted(s);
	s->error = error;
	session_answer(s, reply);
}

static void
ask_connect(struct session *s)
{
	session_answer(s, s->refusal);
}

void
session_release(struct session *s)
{
	deliver_release(s->all->deliver, s->reserved);
	s->reserved = 0;
}

static void
ask_mail(struct session *s)
{
	uint64_t size =
	    s->env.size ? s->env.size : deliver_size_unknown(s->all->deliver);
	const struct smtp_reply *no = session_auth_sender(s);

	session_release(s);
	if (!no)
		no = deliver_reserve(s->all->deliver, size);
	if (!no)
		s->reserved = size;
	session_answer(s, no);
}

static void
ask_rcpt(struct session *s)
{
	uint64_t id;

	/* seldom needed: not a system call for every client */
	if (s->smtp.rcpt.literal && s->env.server.family == IP_NONE)
		listen_local(s->stream.fd, &s->env.server);
	id = deliver_rcpt(s->all->deliver, &s->env, &s->smtp.rcpt, on_rcpt, s);
	if (id)
		s->request = id;
}

static void
ask_data(struct session *s)
{
	spool_free(&s->spool); /* of a BDAT that RSET has forgotten */
	s->spool = deliver_spool(s->all->deliver, &s->env);
	session_answer(s, NULL);
}

static void
ask_message(struct session *s)
{
	s->request =
	    deliver_message(s->all->deliver, &s->env, &s->spool, on_message, s);
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
		s->asking = true;
		s->error = NULL;
		asks[s->smtp.ask](s);
	}
	return s->smtp.ask == SMTP_ASK_NONE;
}
