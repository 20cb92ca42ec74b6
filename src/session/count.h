/*
 * session_count: what of a session is counted, for the metrics.
 */
#ifndef SESSION_COUNT_H
#define SESSION_COUNT_H

#include "policy/auth.h"
#include "session/session.h"

/* The refusal at smtp.reply_at in the replies, which is being said. */
void session_count_refused(const struct session *s);
void session_count_rcpt(const struct session *s);
void session_count_accepted(const struct session *s);
/* The client has its greeting. */
void session_count_greeted(const struct session *s);
/* Its milters have. */
void session_count_filtered(const struct session *s,
    const struct filter_result *r);
/* Delivery has answered, whatever it said. */
void session_count_answered(const struct session *s);
void session_count_login(const struct session *s, const struct auth_outcome *o);
/* version: as stream_tls_version(); NULL: it failed. */
void session_count_tls(const struct session *s, const char *version);

#endif
