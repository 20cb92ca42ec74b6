/*
 * generation: the workers that were started with one configuration. Two
 * live at most: one that serves, and one that leaves.
 */
#ifndef GENERATION_H
#define GENERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "config/config.h"
#include "io/shared.h"
#include "sandbox_rules.h"
#include "setup.h"
#include "sockets.h"

#define WORKERS_MAX SHARED_WORKERS

struct slot {
	pid_t pid;      /* 0: none */
	bool serves;    /* it has said so, when it was waited for */
	bool aborted;   /* told to end, as its loop does not turn */
	int64_t begun;  /* ms */
	int64_t due;    /* when to fork again */
	unsigned delay; /* ms, before the next try */
};

struct generation {
	struct config *conf; /* owned; NULL: there is no such generation */
	/* By the program that ran before in this process, whose mapping has
	 * gone: conf is what is known of it, and not owned. Nobody of it is
	 * started again. */
	bool taken;
	struct sockets sockets;
	struct slot slots[WORKERS_MAX];
	unsigned half; /* 0 or 1 */
	int alive[2];  /* its workers hold the read end */
	bool seccomp;  /* the sandbox of its workers, as the first said */
	int landlock;  /* its version, 0: none */
	bool leaving;
	int64_t left; /* ms: when it began to */
};

/* One worker of the program that is to run next, in a process of its own. */
struct trial {
	pid_t pid;     /* 0: none */
	int fd;        /* its client: no worker is to have it */
	int64_t until; /* ms, when it is too late */
	bool late;
	struct stat file; /* what is run */
};

/* What all of them need, and who is beside them. */
struct generations {
	struct generation gens[2];
	struct trial trial;
	const struct identity *identity;
	struct shared *shared;
	struct sandbox_dirs dirs; /* of all since the start */
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

/* Where the worker of its slot i counts. */
unsigned generation_shared_slot(const struct generation *g, unsigned i);

unsigned generation_living(const struct generation *g);

/* In the metrics: those of `serving`, if any does, and all others. */
void generations_show(const struct generations *all,
    const struct generation *serving);

/* Starts what is due; the ms until the next one, or -1. */
int64_t generation_start_due(struct generations *all, struct generation *g);

/* Nobody of it lives: frees it, but for sockets that `heir` has too. */
void generation_free(struct generation *g, const struct generation *heir);

#endif
