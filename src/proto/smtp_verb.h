/*
 * smtp_verb: one row per verb, and what each does. The engine's own.
 */
#ifndef PROTO_SMTP_VERB_H
#define PROTO_SMTP_VERB_H

#include "base/buf.h"
#include "proto/smtp.h"

/* Runs one command line, without its CRLF: a reply, a question or a body. */
void smtp_verb_run(struct smtp *s, struct span line, struct buf *out);

/*
 * What the log may see of this line, with or without its end, goes to
 * s->line: of AUTH its name; of no known verb, which may be AUTH misspelt or
 * a password that came behind it, nothing but its length.
 */
void smtp_verb_show(struct smtp *s, struct span line);

/* AUTH, a line that answers a challenge, and what ends an exchange. */
void smtp_auth_begin(struct smtp *s, struct span args, struct buf *out);
void smtp_auth_line(struct smtp *s, struct span line, struct buf *out);
void smtp_auth_abort(struct smtp *s);
void smtp_auth_answer(struct smtp *s, const struct smtp_reply *no,
    struct buf *out);

#endif
