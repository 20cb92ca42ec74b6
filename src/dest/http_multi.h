/*
 * http_multi: libcurl's transfers on our loop, and the connections that they
 * keep for the next ones.
 */
#ifndef DEST_HTTP_MULTI_H
#define DEST_HTTP_MULTI_H

#include <curl/curl.h>

#include "io/loop.h"
#include "io/neighbour.h"

/* A transfer has ended: from inside, where nothing may be removed. The pointer
 * is its CURLOPT_PRIVATE. */
typedef void http_ended_fn(void *private);

struct http_multi {
	struct loop *loop;
	http_ended_fn *ended;
	/* over all workers, counted at their place of the route */
	unsigned connections;
	struct neighbour *place; /* NULL: alone */
	unsigned slot;
	unsigned open; /* of this worker */
	CURLM *multi;  /* NULL: nothing is kept */
	struct loop_event *timer;
	struct loop_event *idle; /* when there was nothing for a while */
	unsigned running;
};

/* The caller sets connections, and what they are counted at. */
void http_multi_init(struct http_multi *m, struct loop *l,
    http_ended_fn *ended);
/* None may be left in it. */
void http_multi_free(struct http_multi *m);

void http_multi_add(struct http_multi *m, CURL *easy);
/* Not from one of libcurl's own callbacks. */
void http_multi_remove(struct http_multi *m, CURL *easy);

#endif
