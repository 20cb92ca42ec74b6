/*
 * metrics: what all workers have counted, in the text format of Prometheus,
 * version 0.0.4.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdio.h>

#include "base/buf.h"
#include "io/sandbox.h"
#include "io/shared.h"
#include "io/tls.h"

struct dnsbl;

struct metrics_source {
	struct shared *shared;
	const struct tls *tls;               /* NULL: no certificate */
	const struct sandbox_state *sandbox; /* of whoever answers */
	const struct dnsbl *lists;           /* NULL: none is asked */
};

/* Appends every family. */
void metrics_render(struct buf *out, const struct metrics_source *from);

/* One line for each family: its name, type and help, with tabs between. */
void metrics_list(FILE *f);

#endif
