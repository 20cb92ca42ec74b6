/*
 * session_log: what a session has to say to whoever reads the log.
 */
#ifndef SESSION_LOG_H
#define SESSION_LOG_H

#include "session/session.h"

void session_log_connect(const struct session *s);

/* It was to name its client, and did not. */
void session_log_no_header(const struct session *s, const char *reason);

/* A limit sends it away: s->refusal. */
void session_log_turned_away(const struct session *s);

/* This would have been said, were it not for limits' observe. */
void session_log_observed(const struct session *s, const struct smtp_reply *no,
    const struct session_why *why);

/* A check has found something, which is only told; no->code 0: it would say
 * nothing. */
void session_log_found(struct session *s, const struct smtp_reply *no,
    const struct session_why *why);

/*
 * With SMTP_REFUSED: the reply in all->out, and what earned it. Of many in a
 * row only the first have lines; the others are a number in the next line.
 */
void session_log_refused(struct session *s);

/* A message was answered with 250. */
void session_log_accepted(struct session *s);

/* A message that milters changed, or did not all see. */
void session_log_filtered(const struct session *s,
    const struct filter_result *r);
/* A milter said so: it was answered with 250 all the same. */
void session_log_discarded(struct session *s, const struct filter_result *r);

/* The octets of its line are gone; what is only answered now has its verb. */
void session_log_turn(struct smtp *s);

/* The end; lost: by the client, and perhaps in the middle of a message. */
void session_log_left(struct session *s, bool lost);

#endif
