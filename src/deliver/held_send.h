/*
 * held_send: what routes did not take at once is sent from held/ until they
 * take it, refuse it, or it has waited too long.
 */
#ifndef DELIVER_HELD_SEND_H
#define DELIVER_HELD_SEND_H

#include <stdbool.h>

struct deliver;
struct held_send;

/* Looks at held mail begin it: d's carriers are open, and it has d's held. */
struct held_send *held_send_new(struct deliver *d);
/* Behind carriers_free() and jobs_free(), both silent. */
void held_send_free(struct held_send **s);

/*
 * No more is begun, and what its route cannot have yet is given up; at the end
 * all of it is. Each file stays. NULL, and below: there is none.
 */
void held_send_drain(struct held_send *s, bool end);
/* Nothing is being sent, or written about it. */
bool held_send_is_idle(const struct held_send *s);

#endif
