/*
 * copies: those of a message, one for each target that keeps some.
 */
#ifndef DELIVER_COPIES_H
#define DELIVER_COPIES_H

#include "deliver/delivery.h"

/* Makes v's message: what is local in front; what is dropped is noted. */
void copies_init(struct delivery *v, const struct envelope *e,
    struct spool **spool);

/*
 * As it was decided: the message has those that are placed, one for failed for
 * each that was refused late, and v->kept the others. None is freed.
 */
void copies_settle(struct delivery *v);

/* "550 5.1.1 text". */
void copies_put_reply(struct buf *out, const struct smtp_reply *r);
/* The same of what its route said, in the message's arena; "": nothing. */
const char *copies_note(struct message *m, const struct message_copy *c);

#endif
