/*
 * quote: text of strangers between quotes, which it can neither leave nor
 * turn a terminal with. What is no UTF-8, a control, or steers how a line is
 * shown (utf8.h) becomes an escape.
 */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include "base/buf.h"

enum quote_escapes {
	QUOTE_TEXT, /* \n \r \t \" \\ \x1b */
	QUOTE_JSON, /* \n \r \t \" \\ \u001b */
};

/* Appends it. Stops when max octets are written, and ends in "..." then. */
void quote_put(struct buf *out, enum quote_escapes how, size_t max,
    struct span s);

/*
 * Appends a whole JSON string of ASCII alone (RFC 8259, 7): characters above
 * U+007F as \uXXXX, octets that are no UTF-8 each as \ufffd.
 */
void quote_json(struct buf *out, struct span s);

#endif
