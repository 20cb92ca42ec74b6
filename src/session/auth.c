/*
 * session_auth: carries messages of an exchange; the secrets in them are the
 * engine's to wipe and policy's to forget.
 */
#include "session/auth.h"

#include "io/log.h"
#include "policy/auth.h"
#include "policy/senders.h"
#include "session/ask.h"

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
	s->all->refused = o;
	session_answer(s, reply);
	s->all->refused = NULL;
}

static void
on_auth(void *ctx, const struct auth_outcome *o)
{
	const struct smtp_reply malformed = {501, "5.5.2", o->text};
	struct session *s = ctx;

	switch (o->result) {
	case AUTH_CHALLENGE:
		s->asking = false;
		smtp_challenge(&s->smtp, o->data, &s->all->out);
		session_continue(s);
		break;
	case AUTH_YES:
		envelope_set_login(&s->env, o->login.ptr);
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

void
session_auth_ask(struct session *s)
{
	struct auth_channel channel = {.client = s->env.client};
	struct span message = buf_span(&s->smtp.sasl);

	if (s->exchange && !s->smtp.mechanism.len) {
		auth_continue(s->exchange, message);
		return;
	}
	auth_cancel(&s->exchange);
	if (!s->smtp.has_sasl)
		message = (struct span){NULL, 0};
	else if (!message.len) /* empty is not the same as none */
		message = SPAN_LIT("");
	channel.bound = stream_tls_exporter(&s->stream, channel.exporter);
	auth_start(s->all->auth, s->smtp.mechanism, &channel, message, on_auth,
	    s, &s->exchange);
}

void
session_auth_tidy(struct session *s)
{
	if (s->exchange && !smtp_in_auth(&s->smtp))
		auth_cancel(&s->exchange);
}

const struct smtp_reply *
session_auth_sender(const struct session *s)
{
	const char *login = s->env.login;
	enum senders_verdict v;

	if (!login)
		return NULL;
	v = senders_look(s->all->conf->senders, login, &s->env.sender);
	if (v == SENDERS_YES ||
	    (v == SENDERS_UNLISTED &&
		deliver_owns(s->all->deliver, login, &s->env.sender)))
		return NULL;
	return SMTP_REPLY(553, "5.7.1", "You may not send from that address");
}
