/*
 * generation: the workers that were started with one configuration. Two
 * live at most: one that serves, and one that leaves.
 */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "io/shared.h"
#include "setup.h"

/* Two generations share the slots of the mapping: each has its half. */
#define WORKERS_MAX (SHARED_SLOTS / 2)

struct slot {
	pid_t pid;      /* 0: none */
	bool serves;    /* it has said so, when it was waited for */
	int64_t begun;  /* ms */
	int64_t due;    /* when to fork again */
	unsigned delay; /* ms, before the next try */
};

struct generation {
	struct config *conf; /* owned; NULL: there is no such generation */
	struct sockets sockets;
	struct slot slots[WORKERS_MAX];
	unsigned half; /* 0 or 1 */
	int alive[2];  /* its workers hold the read end */
	bool leaving;
};

/* What all of them need, and who is beside them. */
struct generations {
	struct generation gens[2];
	const struct identity *identity;
	struct shared *shared;
};

/*
 * Takes conf and sockets over, forks a worker for each slot and waits until
 * all serve. 0, or -1: then it is leaving, and who did not come to serve is
 * killed.
 */
int generation_start(struct generations *all, struct generation *g,
    struct config *conf, const struct sockets *sockets);

/* No more clients: its workers finish what they have, and leave. */
void generation_leave(struct generation *g);

/* It does not wait: whoever is left is told 421. */
void generation_hurry(struct generation *g);

/* A child has ended; false: it is none of this generation's. */
bool generation_reap(struct generations *all, struct generation *g, pid_t pid,
    int status);

unsigned generation_living(const struct generation *g);

/* Starts what is due; the ms until the next one, or -1. */
int64_t generation_start_due(struct generations *all, struct generation *g);

/* Nobody of it lives: frees it, but for sockets that `heir` has too. */
void generation_free(struct generation *g, const struct generation *heir);

#endif
