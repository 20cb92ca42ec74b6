/*
 * session_time: what a session waits for, and until when.
 */
#ifndef SESSION_TIME_H
#define SESSION_TIME_H

#include <stdbool.h>

#include "session/session.h"

/* The client does not read what we say, and not enough of it is out. */
bool session_behind(const struct session *s);

/* Nothing can be read now: a question, a full spool, replies unread. */
bool session_blocked(const struct session *s);

/* After every run: sets the stream's deadline. */
void session_time_update(struct session *s);

/* The server is nearly full, or not any more: patience changes. */
void session_time_pressure(struct session *s, bool pressure);

#endif
