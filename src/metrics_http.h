/*
 * metrics_http: answers GET /metrics, once for each connection. As much of
 * HTTP as a scraper needs (RFC 9112), and nothing is read beyond the request:
 * 4 KiB, 5 s, 8 clients.
 */
#ifndef METRICS_HTTP_H
#define METRICS_HTTP_H

#include "io/stream.h"
#include "metrics.h"

struct metrics_client;

/* The worker's; the first three are set by it. */
struct metrics_http {
	struct loop *loop;
	struct stream_pool *pool;
	struct metrics_source source;
	struct metrics_client *clients;
	unsigned n;
};

/* Takes fd over. One too many ends the one that came first. */
void metrics_accept(struct metrics_http *m, int fd);

/* Closes all of them without a word. */
void metrics_free(struct metrics_http *m);

#endif
