/*
 * session_tls: how a session gets into TLS, or does not.
 */
#ifndef SESSION_TLS_H
#define SESSION_TLS_H

#include "session/session.h"

enum session_tls {
	SESSION_TLS_WAITS, /* the handshake is under way */
	SESSION_TLS_ENDED, /* it cannot be: the session is over */
};

/* The next octets are the handshake's. */
enum session_tls session_tls_begin(struct session *s);

/* It is done: the engine may go on, or begin. */
void session_tls_secured(struct session *s);

/*
 * It is not, for this reason. True: a client that spoke in clear where TLS
 * comes first, or said nothing at all, is to be told so; the engine has.
 */
bool session_tls_failed(struct session *s, const char *reason);

#endif
