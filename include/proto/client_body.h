/*
 * client_body: a message on its way out. LF becomes CRLF, a CR (a bare one,
 * in what a spool holds) a blank, and a dot that begins a line two (RFC 5321
 * 4.5.2). What ends without a line end gets one.
 */
#ifndef PROTO_CLIENT_BODY_H
#define PROTO_CLIENT_BODY_H

#include <stdbool.h>

#include "base/buf.h"

/* Zeroed at its beginning. */
struct client_body {
	bool inside; /* of a line */
};

/* dots: stuffed, as behind DATA; not in HTTP. */
void client_body_add(struct client_body *b, struct span s, bool dots,
    struct buf *out);
/* The end of its last line; with dots the final one, too. */
void client_body_end(struct client_body *b, bool dots, struct buf *out);

#endif
