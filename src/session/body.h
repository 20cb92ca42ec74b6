/*
 * session_body: octets of a message on their way to its spool.
 */
#ifndef SESSION_BODY_H
#define SESSION_BODY_H

#include <stdbool.h>

#include "session/session.h"

/* False: the spool is full; the session goes on when there is room. */
bool session_body_store(struct session *s);

/* Behind each turn: one that ended badly, or was forgotten by RSET, goes. */
void session_body_tidy(struct session *s);

#endif
