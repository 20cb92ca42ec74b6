/*
 * session_tls: STARTTLS and TLS from the first octet.
 *
 * Nothing that was read in clear survives: the engine refused octets behind
 * STARTTLS, and the buffer is asserted empty before the handshake.
 */
#include "session/tls.h"

#include <assert.h>

#include "io/log.h"
#include "proto/smtp.h"
#include "session/auth.h"
#include "session/count.h"

enum session_tls
session_tls_begin(struct session *s)
{
	assert(!stream_kept(&s->stream).len && !stream_unsent(&s->stream));
	s->handshaking = true;
	return stream_start_tls(&s->stream, s->all->conf->tls)
		   ? SESSION_TLS_WAITS
		   : SESSION_TLS_ENDED;
}

void
session_tls_secured(struct session *s)
{
	s->handshaking = false;
	s->env.tls = true;
	s->env.tls_version = stream_tls_version(&s->stream);
	session_count_tls(s, s->env.tls_version);
	s->env.tls_cipher = stream_tls_cipher(&s->stream);
	log_event(LOG_TRACE, "secured", LOG_STR("session", s->env.session),
	    LOG_STR("version", s->env.tls_version),
	    LOG_STR("cipher", s->env.tls_cipher));
	if (s->smtp.state == SMTP_STATE_TLS)
		smtp_tls_started(&s->smtp);
	session_auth_offer(s);
}

bool
session_tls_failed(struct session *s, const char *reason)
{
	bool in_clear = s->smtp.state == SMTP_STATE_CONNECT &&
			!s->smtp.nobody && stream_in_clear(&s->stream);

	stream_give_up_tls(&s->stream);
	s->handshaking = false;
	session_count_tls(s, NULL);
	/* a health check hangs up when it has seen that the port is open */
	log_event(s->smtp.nobody ? LOG_TRACE : LOG_INFO | LOG_KEEP, "insecure",
	    LOG_STR("session", s->env.session),
	    LOG_IP("client", &s->env.client), LOG_STR("helo", s->env.helo),
	    LOG_STR("reason", reason));
	if (in_clear)
		smtp_hangup(&s->smtp,
		    SMTP_REPLY(554, "5.7.0", "This port speaks TLS only"),
		    &s->all->out);
	return in_clear;
}
