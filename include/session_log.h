/*
 * session_log: what a session has to say to whoever reads the log.
 */
#ifndef SESSION_LOG_H
#define SESSION_LOG_H

#include "session.h"

/* A limit sends it away: s->refusal. */
void session_log_turned_away(const struct session *s);

/* With SMTP_REFUSED: the reply in all->out, and what earned it. */
void session_log_refused(const struct session *s);

/* A message was answered with 250. */
void session_log_accepted(const struct session *s);

/* The end; lost: by the client, and perhaps in the middle of a message. */
void session_log_left(const struct session *s, bool lost);

#endif
