/*
 * lookup: a recipient resolved, on a thread when it must ask a file system.
 */
#ifndef DELIVER_LOOKUP_H
#define DELIVER_LOOKUP_H

#include "deliver/carriers.h"
#include "deliver/deliver.h"
#include "deliver/held.h"

struct lookups {
	const struct recipients *recipients;
	const struct held *held; /* whose mailboxes get nothing now; or NULL */
	const struct carriers *carriers;
	const struct destination *smarthost; /* or NULL */
	struct jobs *jobs;
	/* octets for all recipients of a message, and of them what each takes
	 * beside its names */
	uint64_t room;
	unsigned each;
	bool dry; /* no server is asked */
};

/* As deliver_rcpt(). l must outlive it. */
struct ask *lookup_start(const struct lookups *l, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx);

#endif
