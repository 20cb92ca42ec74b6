/*
 * worker: one process, one loop, many sessions. It never returns to the
 * master: the status is what the process exits with.
 */
#ifndef WORKER_H
#define WORKER_H

#include <stdint.h>

#include "config/config.h"
#include "io/sandbox.h"
#include "io/shared.h"
#include "setup.h"
#include "sockets.h"

/* Exit status: its sandbox does not know what a root is now. */
#define WORKER_OUTGROWN 75

/* What a worker that serves writes to the pipe of those who are awaited. */
struct worker_ready {
	uint8_t slot;
	uint8_t seccomp, landlock; /* of its sandbox: 0 or 1, the version */
};

struct worker_start {
	const struct config *conf;
	const struct sockets *sockets;
	const struct identity *identity;
	struct sandbox_rules sandbox;
	struct shared *shared;
	pid_t master;         /* with which it ends, even if it hangs */
	unsigned slot;        /* whose sockets it serves */
	unsigned shared_slot; /* where it counts */
	int client; /* of a trial: it serves this one, and leaves; else -1 */
	int alive;  /* read end: its end of file means drain and leave */
	int ready;  /* write end: a struct worker_ready; -1: nobody asks */
};

int worker_main(const struct worker_start *start);

#endif
