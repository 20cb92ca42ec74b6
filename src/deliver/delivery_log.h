/*
 * delivery_log: what came of a message, for the client and for the log.
 */
#ifndef DELIVER_DELIVERY_LOG_H
#define DELIVER_DELIVERY_LOG_H

#include "deliver/delivery.h"
#include "io/log.h"

/* What the client hears about an error; constant. */
const struct smtp_reply *delivery_reply(int error);

/* An event of a copy for this route, as it is shown; ms: since it was asked;
 * -1: that is not said. */
void delivery_log_copy(const struct message *m, const struct message_copy *c,
    const char *route, enum log_level level, const char *event, int64_t ms);

/* The copies that are in their mailboxes; placing took ns. */
void delivery_log_delivered(const struct delivery *v, int64_t ns);
/* Those that are not: held; help: or not even that, and what that means. */
void delivery_log_held(const struct delivery *v, const char *help);
/* What was said of the last parcel: who took it, or perhaps did. */
void delivery_log_told(const struct delivery *v);
/* The others, when all is decided; and those of them that are in held/. */
void delivery_log_settled(const struct delivery *v);
void delivery_log_kept(const struct delivery *v);
/* Taken and dropped, unless it was abandoned. */
void delivery_log_discarded(const struct delivery *v);
/* Why nothing of it is kept, and where; and who has it all the same. */
void delivery_log_refused(const struct delivery *v);

#endif
