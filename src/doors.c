/*
 * doors: brings together what others own.
 */
#include "doors.h"

#include <stddef.h>

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
