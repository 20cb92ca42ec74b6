/*
 * lookup: a recipient resolved, on a thread when it must ask a file system.
 */
#ifndef DELIVER_LOOKUP_H
#define DELIVER_LOOKUP_H

#include "deliver/deliver.h"
#include "deliver/held.h"

/*
 * As deliver_rcpt(). The id, for jobs_cancel(), or 0. held: NULL, or whose
 * mailboxes get nothing now.
 */
uint64_t lookup_start(const struct recipients *r, const struct held *held,
    struct jobs *jobs, struct envelope *e, const struct smtp_path *path,
    deliver_fn *fn, void *ctx);

#endif
