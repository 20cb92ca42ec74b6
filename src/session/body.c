/*
 * session_body: what the engine has of a body goes to the spool that DATA
 * opened; the octets are the stream's until then.
 */
#include "session/body.h"

#include "mail/spool.h"

static void
on_room(void *ctx)
{
	struct session *s = ctx;

	s->full = false;
	session_continue(s);
}

bool
session_body_store(struct session *s)
{
	if (!spool_write(s->spool, s->smtp.body)) {
		s->full = true;
		spool_on_room(s->spool, on_room, s);
	}
	return !s->full;
}

void
session_body_tidy(struct session *s)
{
	if (s->spool && !smtp_receiving(&s->smtp))
		spool_free(&s->spool);
}
