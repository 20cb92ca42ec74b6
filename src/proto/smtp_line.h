/*
 * smtp_line: where a command line ends: at CRLF and nowhere else.
 */
#ifndef PROTO_SMTP_LINE_H
#define PROTO_SMTP_LINE_H

#include <stdbool.h>

#include "base/buf.h"
#include "proto/smtp_reply.h"

/*
 * max: octets of a line, CRLF included. Looks at the octets in order. NULL when
 * all seen so far are good: *len is then the line with its CRLF, or 0 when more
 * is needed. Else the reply that says what is wrong, and *len counts up to and
 * with the wrong octet.
 */
const struct smtp_reply *smtp_line_scan(struct span in, size_t max,
    size_t *len);

/*
 * Skips to behind the next CRLF; true when it was there. *cr carries over
 * from one piece of input to the next: its last octet was a CR.
 */
bool smtp_line_skip(bool *cr, struct span *in);

#endif
