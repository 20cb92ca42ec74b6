/*
 * watch: what nobody tells the master, looked at now and then: certificates
 * that were renewed, and workers whose loops do not turn any more.
 *
 * now: monotonic ms.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "generation.h"

struct watch {
	int64_t certificates; /* when to look at them next */
	int64_t workers;
	uint64_t seen; /* how the certificates' files looked last */
	uint64_t told; /* what was said of them last */
};

/*
 * Whether c should be loaded again for the sake of its certificates: their
 * files have changed, were the same in two looks, and nothing else of the
 * configuration has. *again: it was said of the very same files before.
 */
bool watch_certificates(struct watch *w, const struct config *c, int64_t now,
    bool *again);

/*
 * Tells a service manager that asks for it that `current` has workers. Ends
 * those of both generations whose loop has not turned for two minutes, or
 * that have not left a minute behind the drain.
 */
void watch_workers(struct watch *w, struct generations *all,
    const struct generation *current, int64_t now);

/* The ms until the next look at anything. */
int64_t watch_due(const struct watch *w, int64_t now);

#endif
