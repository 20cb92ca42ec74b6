/*
 * held_show: what waits in held/, as somebody reads it: a line for each file,
 * or for each place that mail waits for.
 */
#ifndef TOOLS_HELD_SHOW_H
#define TOOLS_HELD_SHOW_H

#include <stdint.h>

#include "deliver/held_file.h"

struct held_seen {
	const char *name;
	struct held_file f;
	struct held_block block;
	char reason[HELD_REASON_MAX];
	int64_t now; /* clock_boot() */
};

void held_show(const struct held_seen *e);

/* What waits for a route, or a mailbox; an empty set is NULL. */
struct held_sum;
void held_sums_add(struct held_sum **set, const struct held_seen *e);
void held_sums_show(const struct held_sum *set);
void held_sums_free(struct held_sum **set);

#endif
