/*
 * session_door: a session at the door: which of its questions the checks are
 * asked, and what becomes of what they say.
 */
#ifndef SESSION_DOOR_H
#define SESSION_DOOR_H

#include "session/session.h"

/*
 * The client is known: NULL is yes. Without checks, the session has no door
 * and every question is yes.
 */
const struct smtp_reply *session_door_open(struct session *s);

/*
 * Yes: then(s), now or later, answers; no: it is answered already. It is the
 * session's question while it is open.
 */
void session_door_ask(struct session *s, enum policy_stage stage,
    void (*then)(struct session *s));

/*
 * Before the greeting. True: it is to wait, and session_door_greet() answers
 * at s->pause, or before, if there is no more time for that. Meanwhile
 * session_door_early() is told when it speaks.
 */
bool session_door_pause(struct session *s);
void session_door_early(struct session *s);
void session_door_greet(struct session *s);

/* After every run: it may have said who it is, or ended a transaction. */
void session_door_turn(struct session *s);

#endif
