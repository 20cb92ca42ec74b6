/*
 * doors: what a worker's checks of clients need.
 */
#ifndef DOORS_H
#define DOORS_H

#include "policy/door.h"
#include "worker.h"

/* Fills d, of this loop; resolve may be NULL. NULL: no check is on. */
const struct doors *doors_open(struct doors *d, const struct worker_start *st,
    struct loop *loop, struct resolve *resolve);
/* Before its resolver goes. */
void doors_close(struct doors *d);

#endif
