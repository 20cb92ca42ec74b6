/*
 * budget: what is committed and not yet in its mailboxes, over all workers,
 * counts as used before it is.
 *
 * Without it each of a thousand copies, and each of many workers, would find
 * the same room free. A worker that dies leaves its share to its journal:
 * it counts until somebody has read that back.
 */
#ifndef DELIVER_BUDGET_H
#define DELIVER_BUDGET_H

#include <stdbool.h>

struct deliver;
struct delivery;

/*
 * Is there room for all local copies, above the reserve, on each file system
 * that one of them goes to? Then they are counted. Else v->failed is one for
 * which there is not. After message_ready().
 */
bool budget_take(struct delivery *v);
/* They are in their mailboxes, held, or never to come. Idempotent. */
void budget_return(struct delivery *v);

/* Now and then: shares whose journals are gone, and what disks have left. */
void budget_tick(struct deliver *d);

#endif
