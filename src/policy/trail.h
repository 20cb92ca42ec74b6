/*
 * trail: what the checks of a session have said, the last of it.
 */
#ifndef POLICY_TRAIL_H
#define POLICY_TRAIL_H

#include "base/buf.h"
#include "policy/verdict.h"

#define TRAIL_MAX 16

struct trail_entry {
	const char *check;
	enum verdict_kind kind;
	bool observed;
	struct where at;
	char value[VERDICT_VALUE];
};

/* Zeroed: empty. In the order in which they spoke. */
struct trail {
	struct trail_entry entries[TRAIL_MAX];
	unsigned n;
};

/* When it is full the oldest pass goes, or else the oldest. */
void trail_add(struct trail *t, const char *check, const struct verdict *v);

/* As door_trail(). */
void trail_format(const struct trail *t, struct buf *out);

#endif
