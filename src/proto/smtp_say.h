/*
 * smtp_say: what every part of the engine may do: reply, and end things.
 */
#ifndef PROTO_SMTP_SAY_H
#define PROTO_SMTP_SAY_H

#include "base/buf.h"
#include "proto/smtp.h"

/*
 * Every reply but the greeting goes this way: counts errors, closes after a
 * 421 and after too many errors.
 */
void smtp_say(struct smtp *s, const struct smtp_reply *r, struct buf *out);
/* The same for what is no error. */
void smtp_tell(struct smtp *s, const struct smtp_reply *r, struct buf *out);

/* Back to READY, nothing of the transaction left but what a refusal that is
 * due is about; smtp_forget() when that was told. */
void smtp_end_transaction(struct smtp *s);
void smtp_forget(struct smtp *s);

/* And no other one begins. */
void smtp_close(struct smtp *s);

#endif
