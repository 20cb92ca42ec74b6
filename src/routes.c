/*
 * routes: begins what a sandbox would not let a worker begin, and keeps it
 * until the rest is there. Says what cannot be had.
 */
#include "routes.h"

#include <errno.h>

#include "dest/destination.h"
#include "dest/http.h"
#include "io/log.h"
#include "io/resolve.h"
#include "io/runner.h"

static int
fail(const char *what)
{
	log_event(LOG_ERROR, "worker-failed", LOG_STR("at", what),
	    LOG_ERRNO(errno));
	return -1;
}

int
routes_begin(struct routes *r, const struct config *c, struct loop *loop)
{
	const struct deliver_options *o = &c->deliver;
	const struct resolve_options resolvers = {.servers = c->dns_servers};
	bool http = false;

	errno = 0;
	r->services.runner = dest_runner(o->routes, o->nroutes, c->workers);
	if (!r->services.runner && errno)
		return fail("starting programs");
	for (unsigned i = 0; i < o->nroutes; i++)
		http |= o->routes[i]->kind->syntax == ROUTE_WEB;
	if (c->dns && !(r->services.resolve = resolve_new(loop, &resolvers)))
		return fail("resolver");
	if (http && http_begin() < 0)
		return fail("web client");
	r->http = http;
	return 0;
}

int
routes_attach(struct routes *r, const struct dest_services *rest,
    void (*lost)(void *ctx), void *ctx)
{
	struct dest_services *s = &r->services;
	struct dest_services begun = *s;

	*s = *rest;
	s->runner = begun.runner;
	s->resolve = begun.resolve;
	return s->runner ? runner_attach(s->runner, s->loop, lost, ctx) : 0;
}

void
routes_free(struct routes *r)
{
	runner_free(&r->services.runner);
	resolve_free(&r->services.resolve);
	if (r->http)
		http_end();
	r->http = false;
}
