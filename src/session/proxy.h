/*
 * session_proxy: a peer that speaks for others, until it has said for whom.
 */
#ifndef SESSION_PROXY_H
#define SESSION_PROXY_H

#include "session/session.h"

/* The first octets of this peer name its client, or it is closed. */
void session_proxy_begin(struct session *s);

/* Octets have come, or their end: meets the client, or closes. */
void session_proxy_readable(struct session *s);

/* There is no header, for this reason: closes without an octet. */
void session_proxy_give_up(struct session *s, const char *reason);

#endif
