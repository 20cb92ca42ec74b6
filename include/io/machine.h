/*
 * machine: the addresses of this machine.
 */
#ifndef IO_MACHINE_H
#define IO_MACHINE_H

#include "base/arena.h"
#include "base/ipaddr.h"

/*
 * Those of its interfaces in *r, which lies in the arena. How many; -1 with
 * errno.
 */
int machine_addresses(struct arena *a, const struct ipaddr **r);

#endif
