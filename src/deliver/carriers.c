/*
 * carriers: opened once, one for each route of the configuration, which has
 * numbered them. On the loop.
 */
#include "deliver/carriers.h"

#include <stdlib.h>

#include "base/mem.h"
#include "deliver/verify_cache.h"

void
carriers_open(struct carriers *c, const struct route *const *routes, unsigned n,
    const struct dest_services *s)
{
	c->routes = mem_new(n * sizeof(c->routes[0]));
	for (; c->n < n; c->n++) {
		const struct route *r = routes[c->n];

		c->routes[c->n].carrier = r->kind->open(r, s);
		c->routes[c->n].cache = verify_cache_new();
	}
}

void
carriers_free(struct carriers *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct carrier *one = c->routes[i].carrier;

		one->route->kind->free(&one);
		verify_cache_free(&c->routes[i].cache);
	}
	free(c->routes);
	*c = (struct carriers){.n = 0};
}

struct carrier *
carriers_find(const struct carriers *c, const struct route *r)
{
	return c->routes[r->number].carrier;
}

void
carriers_again(const struct carriers *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct carrier *one = c->routes[i].carrier;

		if (one->route->kind->again)
			one->route->kind->again(one);
	}
}

void
carriers_add(struct carriers *c, const struct route *r, uint64_t octets)
{
	c->routes[r->number].waiting += octets;
	c->routes[r->number].parcels++;
	c->waiting += octets;
}

void
carriers_take(struct carriers *c, const struct route *r, uint64_t octets)
{
	c->routes[r->number].waiting -= octets;
	c->routes[r->number].parcels--;
	c->waiting -= octets;
}

bool
carriers_full(const struct carriers *c, const struct route *r)
{
	return c->waiting >= WAITING_MAX ||
	       c->routes[r->number].waiting >= WAITING_MAX / 2;
}

const struct smtp_reply *
carriers_full_reply(void)
{
	return SMTP_REPLY(451, "4.3.2", "Too much waits for a slow server");
}
