/*
 * session_ask: the engine's questions and who answers them.
 */
#ifndef SESSION_ASK_H
#define SESSION_ASK_H

#include <stdbool.h>

#include "session/session.h"

/* Asks what is open, once. True: it is answered already. */
bool session_ask(struct session *s);

/* What limits are asked with, now. */
struct limits_ask session_limits(const struct session *s);

/* Whose no it is. */
struct session_why session_limit(const struct session *s, enum limits_key k);

/* env.server is known: a system call that not every client is worth. */
void session_server(struct session *s);

/* NULL, or policy's no at this stage. */
const struct smtp_reply *session_policy(struct session *s,
    enum policy_stage stage);

/* Answers SMTP_ASK_CONNECT. */
void session_greet(struct session *s);

/* The answer to the open question; the session goes on with it. */
void session_answer(struct session *s, const struct smtp_reply *reply);

/* What MAIL reserved is given back; harmless without a transaction. */
void session_release(struct session *s);

#endif
