/*
 * session_proxy: reads a header, and no octet behind it: what follows may be a
 * handshake, which is for the TLS library to read.
 *
 * Until it is there the engine has not begun and there is no client: nothing
 * is said, nothing asked, and of limits it takes one of all sessions.
 */
#include "session/proxy.h"

#include <stdlib.h>

#include "base/mem.h"
#include "proto/proxyhdr.h"
#include "session/log.h"
#include "session/time.h"

void
session_proxy_begin(struct session *s)
{
	s->header = mem_new(sizeof(*s->header));
	s->proxied = true;
	session_time_update(s);
}

void
session_proxy_give_up(struct session *s, const char *reason)
{
	session_log_no_header(s, reason);
	session_hangup(s, NULL);
}

static void
meet(struct session *s, bool named)
{
	struct ipaddr client = s->header->client;
	uint16_t port = s->header->port;

	free(s->header);
	s->header = NULL;
	s->env.via = s->env.client;
	session_meet(s, named ? &client : NULL, port);
}

void
session_proxy_readable(struct session *s)
{
	struct span in;
	size_t seen;

	switch (stream_peek(&s->stream, &in)) {
	case STREAM_DATA:
		break;
	case STREAM_AGAIN:
		return;
	default:
		if (s->header->have)
			session_proxy_give_up(s, "closed");
		else /* somebody looks whether the port is open */
			session_hangup(s, NULL);
		return;
	}
	seen = in.len;
	switch (proxyhdr_read(s->header, &in)) {
	case PROXYHDR_MORE:
		stream_take(&s->stream, seen);
		break;
	case PROXYHDR_CLIENT:
		stream_take(&s->stream, seen - in.len);
		meet(s, true);
		break;
	case PROXYHDR_LOCAL:
		stream_take(&s->stream, seen - in.len);
		meet(s, false);
		break;
	case PROXYHDR_BAD:
		session_proxy_give_up(s, "no PROXY header");
		break;
	}
}
