/*
 * session_auth: AUTH between the engine and policy, and what a login is good
 * for.
 */
#ifndef SESSION_AUTH_H
#define SESSION_AUTH_H

#include "session/session.h"

/* What EHLO lists from now on: at the start, and when TLS is there. */
void session_auth_offer(struct session *s);

/* The engine's question. */
void session_auth_ask(struct session *s);

/* The client may have ended an exchange that policy knows still. */
void session_auth_tidy(struct session *s);

#endif
