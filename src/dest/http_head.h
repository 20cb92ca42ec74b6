/*
 * http_head: the lines of a POST that say who sends what to whom, and who
 * vouches for it. All of them are ASCII, whatever a client has said. Pure, but
 * for the digests.
 */
#ifndef DEST_HTTP_HEAD_H
#define DEST_HTTP_HEAD_H

#include "base/buf.h"
#include "dest/parcel.h"

#define HTTP_ENVELOPE_MAX                                                      \
	4096 /* octets of JSON, unless one alone is longer                     \
	      */

/*
 * Appends the value of Smtp-Envelope for the first of these copies, as many as
 * fit, to *json, and to *id that of webhook-id. How many: at least one.
 */
unsigned http_envelope(const struct message *m,
    struct message_copy *const *copies, unsigned n, struct buf *json,
    struct buf *id);

/* "whsec_" and base64 is decoded, all else is the key as it is. */
void http_key(struct span secret, struct buf *key);

#endif
