/*
 * session_filter: between a session's finished message and delivery: the
 * milters, and what they have made of it.
 */
#ifndef SESSION_FILTER_H
#define SESSION_FILTER_H

#include "session/session.h"

/* Are milters to see its messages? The same for all of them. */
bool session_is_filtered(const struct session *s);

typedef void session_filtered_fn(struct session *s,
    const struct deliver_edit *e);

/*
 * The session's question from now on. Yes: then() takes the message on from
 * there, later; no: it is answered. So it is where a milter has it dropped.
 */
void session_filter(struct session *s, session_filtered_fn *then);

#endif
