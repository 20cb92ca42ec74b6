/*
 * session_log: one event for each refusal and for each message taken, under
 * the session's id. The logger escapes what the client said.
 */
#include "session_log.h"

#include "io/log.h"

void
session_log_turned_away(const struct session *s)
{
	struct buf reply = {0};
	uint64_t n;

	if (!sessions_may_log(s->all, &s->env.client, &n))
		return;
	smtp_reply_write(&reply, s->refusal, s->env.session);
	reply.len -= 2;
	log_event(LOG_INFO, "refused", LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client),
	    LOG_SPAN("reply", buf_span(&reply)), LOG_UINT("suppressed", n));
	buf_free(&reply);
}

void
session_log_refused(const struct session *s)
{
	struct span reply = buf_span(&s->all->out);
	struct buf rcpt = {0};
	struct buf from = {0};

	span_skip(&reply, s->smtp.reply_at);
	reply.len -= 2;
	if (s->env.sender.local)
		smtp_path_format(&s->env.sender, &from);
	if (s->smtp.asked == SMTP_ASK_RCPT && s->smtp.rcpt.local)
		smtp_path_format(&s->smtp.rcpt, &rcpt);
	log_event(LOG_INFO, "refused", LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client), LOG_SPAN("reply", reply),
	    LOG_SPAN("command", s->smtp.line), LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", buf_span(&from)),
	    LOG_SPAN("rcpt", buf_span(&rcpt)));
	buf_free(&rcpt);
	buf_free(&from);
}

void
session_log_accepted(const struct session *s)
{
	char id[MESSAGE_ID_MAX];
	struct buf from = {0};

	envelope_message_id(&s->env, id);
	smtp_path_format(&s->env.sender, &from);
	log_event(LOG_INFO, "accepted", LOG_STR("message", id),
	    LOG_IP("client", &s->env.client), LOG_STR("helo", s->env.helo),
	    LOG_SPAN("from", buf_span(&from)),
	    LOG_UINT("recipients", s->env.nrcpts),
	    LOG_UINT("size", s->smtp.received),
	    LOG_UINT("quirks", s->smtp.quirks));
	buf_free(&from);
}
