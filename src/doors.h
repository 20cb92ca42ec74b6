/*
 * doors: what a worker's checks of clients and its milters need.
 */
#ifndef DOORS_H
#define DOORS_H

#include "io/stream.h"
#include "policy/door.h"
#include "policy/filter.h"
#include "worker.h"

/* Fills d, of this loop; resolve may be NULL; pool too, then no Redis is asked.
 * NULL: no check is on. */
const struct doors *doors_open(struct doors *d, const struct worker_start *st,
    struct loop *loop, struct stream_pool *pool, struct resolve *resolve);
/* Before its resolver goes. */
void doors_close(struct doors *d);

/* NULL: there are no milters. */
struct filters *filters_open(const struct worker_start *st, struct jobs *jobs,
    struct stream_pool *pool, struct resolve *resolve);

#endif
