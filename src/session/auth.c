/*
 * session_auth: carries messages of an exchange; the secrets in them are the
 * engine's to wipe and policy's to forget.
 */
#include "session/auth.h"

#include "io/log.h"
#include "policy/auth.h"
#include "session/ask.h"
#include "session/count.h"
#include "session/log.h"

void
session_auth_offer(struct session *s)
{
	uint8_t exporter[32];

	if (s->all->auth)
		s->smtp.auth = auth_list(s->all->auth,
		    stream_tls_exporter(&s->stream, exporter));
}

static const struct smtp_reply *
reply_to(enum auth_result result)
{
	switch (result) {
	case AUTH_DOWN:
		return SMTP_REPLY(454, "4.7.0", "Nobody can log in now");
	case AUTH_BUSY:
		return SMTP_REPLY(454, "4.7.0",
		    "Too many logins from your address at once");
	case AUTH_UNKNOWN:
		return SMTP_REPLY(504, "5.5.4", "No such mechanism here");
	default:
		return SMTP_REPLY(535, "5.7.8", "Wrong user or password");
	}
}

/* It is said, and so logged, before this returns. */
static void
refuse(struct session *s, const struct auth_outcome *o,
    const struct smtp_reply *reply)
{
	s->denied = o;
	session_answer(s, reply);
	s->denied = NULL;
}

static void
give_back_guess(const struct session *s, enum auth_result result)
{
	struct limits_ask ask = session_limits(s);

	if (result != AUTH_CHALLENGE && result != AUTH_NO &&
	    result != AUTH_MALFORMED)
		limits_give_back(&s->all->policy.limits, LIMITS_FAILED_LOGINS,
		    &ask);
}

static void
on_auth(void *ctx, const struct auth_outcome *o)
{
	const struct smtp_reply malformed = {501, "5.5.2", o->text};
	struct session *s = ctx;

	session_count_login(s, o);
	give_back_guess(s, o->result);
	switch (o->result) {
	case AUTH_CHALLENGE:
		s->asking = false;
		smtp_challenge(&s->smtp, o->data, &s->all->out);
		session_continue(s);
		break;
	case AUTH_YES:
		envelope_set_login(&s->env, o->login.ptr);
		s->env.mechanism = o->mechanism;
		log_event(LOG_INFO, "logged-in",
		    LOG_STR("session", s->env.session),
		    LOG_IP("client", &s->env.client),
		    LOG_STR("login", s->env.login));
		session_answer(s, NULL);
		break;
	case AUTH_MALFORMED:
		refuse(s, o, &malformed);
		break;
	default:
		refuse(s, o, reply_to(o->result));
	}
}

/* Whatever begins is a wrong guess until it was right, or no guess. */
static const struct smtp_reply *
take_guess(struct session *s)
{
	struct limits_ask ask = session_limits(s);
	const struct smtp_reply *no =
	    limits_take(&s->all->policy.limits, LIMITS_FAILED_LOGINS, &ask);

	const struct session_why why = session_limit(s, ask.key);

	if (ask.observed)
		session_log_observed(s, ask.observed, &why);
	if (no)
		s->why = why;
	return no;
}

void
session_auth_ask(struct session *s)
{
	struct auth_channel channel = {.client = s->env.client};
	struct span message = buf_span(&s->smtp.sasl);
	const struct smtp_reply *no;

	if (s->smtp.mechanism.len) /* another one before this may wait still */
		ask_cancel(&s->ask, ASK_GO_ON);
	if (s->ask) {
		auth_continue(s->ask, message);
		return;
	}
	no = take_guess(s);
	if (no) {
		session_answer(s, no);
		return;
	}
	if (!s->smtp.has_sasl)
		message = (struct span){NULL, 0};
	else if (!message.len) /* empty is not the same as none */
		message = SPAN_LIT("");
	channel.bound = stream_tls_exporter(&s->stream, channel.exporter);
	s->ask = auth_start(s->all->auth, s->smtp.mechanism, &channel, message,
	    on_auth, s);
}

void
session_auth_tidy(struct session *s)
{
	if (!s->asking && !smtp_in_auth(&s->smtp))
		ask_cancel(&s->ask, ASK_GO_ON);
}
