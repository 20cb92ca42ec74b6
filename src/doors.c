/*
 * doors: brings together what others own.
 */
#include "doors.h"

#include <stddef.h>

#include "io/stream.h"
#include "policy/dnsbl.h"

const struct doors *
doors_open(struct doors *d, const struct worker_start *st, struct loop *loop,
    struct resolve *resolve)
{
	*d = (struct doors){.conf = &st->conf->door,
	    .loop = loop,
	    .resolve = resolve,
	    .shared = st->shared,
	    .slot = st->shared_slot};
	if (d->conf->lists && d->resolve)
		d->lists = dnsbl_watch_new(d);
	return door_config_is_on(d->conf) ? d : NULL;
}

void
doors_close(struct doors *d)
{
	dnsbl_watch_free(&d->lists);
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
