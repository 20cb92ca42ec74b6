/*
 * check_say: what `smtpd check` prints: each reply, and what decided it.
 */
#ifndef TOOLS_CHECK_SAY_H
#define TOOLS_CHECK_SAY_H

#include "proto/envelope.h"
#include "rcpt/recipients.h"

/* Of the recipient, which was taken: what it is, and where it goes. */
void check_say_recipient(const struct recipients *r, const struct envelope *e,
    struct buf *out);

/* Of this one, which was not: that the configuration does not have it. */
void check_say_nobody(const struct recipients *r, const char *rcpt,
    struct buf *out);

/* "<- line   because", as it may stand on a terminal. */
void check_say_reply(struct span line, struct span because);
/* The same, for each line of a trail. */
void check_say_trail(struct span trail);

#endif
