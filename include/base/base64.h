/*
 * base64: RFC 4648 section 4, strict: padded, no white space, no other
 * alphabet, and the bits behind the last octet are zero.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/buf.h"

void base64_encode(struct span in, struct buf *out);

/* Appends what it decodes; 0, or -1 and nothing is appended. "" is "". */
int base64_decode(struct span in, struct buf *out);

#endif
