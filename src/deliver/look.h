/*
 * look: are the spool and the roots still what their paths lead to?
 */
#ifndef DELIVER_LOOK_H
#define DELIVER_LOOK_H

struct deliver;

/* Opens anew what is not, and says so. On the loop. */
void deliver_look(struct deliver *d);

#endif
