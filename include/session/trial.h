/*
 * trial: a session whose client is a part of this process, and wants to know
 * more than it is told. Of sessions that are dry.
 */
#ifndef SESSION_TRIAL_H
#define SESSION_TRIAL_H

#include "session/sessions.h"

/* As session_new() and session_meet(). NULL: no memory, and fd is closed. */
struct session *trial_begin(struct sessions *all, const struct config_listen *l,
    int fd, const struct ipaddr *client);

/* As if it had, before MAIL. */
void trial_log_in(struct session *s, const char *login);

const struct envelope *trial_envelope(const struct session *s);

/* Appends who said the last no, and where it stands: "check value, file:line";
 * nothing when it was neither a check nor a limit. */
void trial_why(const struct session *s, struct buf *out);

/* Appends door_trail(), if there is a door. */
void trial_trail(const struct session *s, struct buf *out);

#endif
