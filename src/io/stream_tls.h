/*
 * stream_tls: the part of a stream that speaks TLS. Inside io only.
 */
#ifndef IO_STREAM_TLS_H
#define IO_STREAM_TLS_H

#include <sys/types.h>

#include "base/buf.h"
#include "io/stream.h"

/* An event while the handshake is under way. */
void stream_tls_on_io(struct stream *s);

/* stream.c's: registers for what is wanted now. */
void stream_update_io(struct stream *s);

/*
 * Like recv and send: -1 with EAGAIN to wait, with EPROTO when the peer must
 * go: s->reason. n: more than a record.
 */
ssize_t stream_tls_read(struct stream *s, char *to, size_t n);
ssize_t stream_tls_write(struct stream *s, struct span data);

void stream_tls_close_notify(struct stream *s);
void stream_tls_free(struct stream *s);

#endif
