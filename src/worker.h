/*
 * worker: one process, one loop, many sessions. It never returns to the
 * master: the status is what the process exits with.
 */
#ifndef WORKER_H
#define WORKER_H

#include "config/config.h"
#include "io/shared.h"
#include "setup.h"

struct worker_start {
	const struct config *conf;
	const struct sockets *sockets;
	const struct identity *identity;
	struct shared *shared;
	pid_t master;         /* with which it ends, even if it hangs */
	unsigned slot;        /* whose sockets it serves */
	unsigned shared_slot; /* where it counts */
	int alive; /* read end: its end of file means drain and leave */
	int ready; /* write end: its slot when it serves; -1: nobody asks */
};

int worker_main(const struct worker_start *start);

#endif
