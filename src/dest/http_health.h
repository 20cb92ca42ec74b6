/*
 * http_health: what a web address's answers say of itself, and who is told.
 */
#ifndef DEST_HTTP_HEALTH_H
#define DEST_HTTP_HEALTH_H

#include "dest/health.h"
#include "dest/http_answer.h"
#include "io/neighbour.h"

struct http_health {
	const char *route; /* as people read it */
	struct health health;
	unsigned lost; /* in a row */
	struct neighbour *place;
	unsigned slot;
};

/* One that has ended, in monotonic ms. */
struct http_event {
	enum fate fate;
	unsigned status;   /* 0: none */
	const char *error; /* libcurl's; NULL: it has no address */
	bool late;         /* its time was up */
	int64_t begun, now;
};

void http_health_judge(struct http_health *h, const struct http_event *e);

#endif
