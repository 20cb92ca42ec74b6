/*
 * doors: brings together what others own.
 */
#include "doors.h"

#include <stddef.h>

#include "io/stream.h"
#include "policy/dnsbl.h"
#include "policy/redis.h"

const struct doors *
doors_open(struct doors *d, const struct worker_start *st, struct loop *loop,
    struct stream_pool *pool, struct resolve *resolve)
{
	const struct redis_config *redis = &st->conf->redis;
	const struct redis_services services = {loop, pool, resolve};

	*d = (struct doors){.conf = &st->conf->door,
	    .loop = loop,
	    .resolve = resolve,
	    .shared = st->shared,
	    .slot = st->shared_slot};
	if (d->conf->lists && d->resolve)
		d->lists = dnsbl_watch_new(d);
	if (redis->server && d->conf->greylist.act && pool)
		d->redis = redis_new(redis, &services);
	return door_config_is_on(d->conf) ? d : NULL;
}

void
doors_close(struct doors *d)
{
	dnsbl_watch_free(&d->lists);
	redis_free(&d->redis);
}

struct filters *
filters_open(const struct worker_start *st, struct jobs *jobs,
    struct stream_pool *pool, struct resolve *resolve)
{
	const struct filter_services s = {.loop = pool->loop,
	    .pool = pool,
	    .jobs = jobs,
	    .resolve = resolve,
	    .shared = st->shared,
	    .slot = st->shared_slot};

	if (!st->conf->filters.n)
		return NULL;
	return filters_new(&st->conf->filters, &s);
}
