/*
 * stream_due: which of a pool's streams is due next. Inside io only.
 */
#ifndef IO_STREAM_DUE_H
#define IO_STREAM_DUE_H

#include "io/stream.h"

int stream_due_init(struct stream_pool *p);
void stream_due_free(struct stream_pool *p);

/* stream_on_due() once, then (monotonic ms); what was set before is void. */
void stream_due_set(struct stream *s, int64_t when);
void stream_due_leave(struct stream *s);

/* stream.c's. */
void stream_on_due(struct stream *s);

#endif
