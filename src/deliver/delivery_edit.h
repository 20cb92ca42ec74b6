/*
 * delivery_edit: a message that filters had, up to where it goes on as any
 * other.
 */
#ifndef DELIVER_DELIVERY_EDIT_H
#define DELIVER_DELIVERY_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct delivery;

/* As of spool_edit(), and copied. */
struct delivery_edit {
	struct span ours, front;
	uint64_t skip;
};

/* From a new one to DELIVERY_SPOOLED, by way of DELIVERY_EDITING. */
void delivery_edit(struct delivery *v, const struct delivery_edit *e);

/*
 * Filters add to it behind RCPT, where the room of its record was counted: what
 * no record can have nobody is to be asked about.
 */
bool delivery_has_outgrown(const struct delivery *v);

#endif
