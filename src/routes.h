/*
 * routes: what a worker needs to hand mail to others, and none of it if its
 * configuration has nobody to hand it to.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "config/config.h"
#include "dest/parcel.h"

struct routes {
	struct dest_services services;
	bool http; /* was begun */
};

/*
 * Before the sandbox and the first thread: starts the process that starts
 * programs, and reads what resolvers and web clients read. -1, which was said.
 */
int routes_begin(struct routes *r, const struct config *c, struct loop *loop);
/* Inside: the rest of the services are these. lost: no program can be started
 * any more. -1 with errno. */
int routes_attach(struct routes *r, const struct dest_services *rest,
    void (*lost)(void *ctx), void *ctx);
/* Once nothing is delivered any more, before the loop. */
void routes_free(struct routes *r);

#endif
