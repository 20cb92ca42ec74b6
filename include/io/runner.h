/*
 * runner: a process of its own, which starts programs for one that may not.
 *
 * It is forked before its asker has a sandbox, threads, or anything that must
 * not be held twice, and knows from then on all that it may ever start. Who
 * asks gives a number, what some variables are, and a file; whatever becomes
 * of him can run nothing else, nor set a variable like LD_PRELOAD.
 *
 * A program has the file as its input, from where it is read; standard output
 * and error are one pipe; no other descriptor, a process group of its own, /,
 * umask 077, default signals, no capability. Its end is the exit of the process
 * that was started: what is left of its group is killed then.
 */
#ifndef IO_RUNNER_H
#define IO_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/ask.h"
#include "io/loop.h"

#define RUNNER_VALUES_MAX 32768 /* octets */
#define RUNNER_OUTPUT_MAX 512   /* that are kept; the rest is dropped */

struct runner;

struct runner_program {
	char *const *argv; /* an absolute path, arguments; NULL: none */
	unsigned max;      /* at once: 1 at least */
};

/* Good for the call alone. */
struct runner_options {
	const struct runner_program *programs; /* by number */
	unsigned n;
	const char *const *env;   /* the same for all: "NAME=value"; NULL */
	const char *const *names; /* of a request's values; NULL */
};

/*
 * Forks. It has none of its parent's descriptors, and ends with what *r is in:
 * when that is freed, or its process gone, all groups are killed. HUP, INT,
 * TERM, USR1 and USR2 are nothing to it. NULL with errno.
 */
struct runner *runner_start(const struct runner_options *o);

/*
 * Before the first runner_run(). lost() is called once, after all who asked
 * have been told, should its process end. 0, or -1 with errno.
 */
int runner_attach(struct runner *r, struct loop *l, void (*lost)(void *ctx),
    void *ctx);

/* Silence, and all programs end. Not from a call back of its own. */
void runner_free(struct runner **r);

/* Of a number: how many at once; 0: there is no such program. */
unsigned runner_max(const struct runner *r, unsigned number);
/* Its process has ended, and nothing runs any more. */
bool runner_is_lost(const struct runner *r);

enum runner_how {
	RUNNER_EXITED,      /* status: of waitpid() */
	RUNNER_TIMEOUT,     /* it was killed */
	RUNNER_NO_PROGRAM,  /* it cannot be executed: error */
	RUNNER_NOT_STARTED, /* for another reason: error */
	RUNNER_LOST,        /* nobody knows what became of it */
};

struct runner_end {
	enum runner_how how;
	int status;
	int error;
	struct span output; /* its first octets; of the call alone */
};

/* From the loop. */
typedef void runner_fn(void *ctx, const struct runner_end *end);

struct runner_request {
	unsigned number;
	uint32_t timeout;   /* ms, then it is killed */
	struct span values; /* in the order of names, a NUL behind each */
	int in;             /* to be read; taken over */
};

/*
 * Never calls back before it returns. Cancelled to be abandoned, the program
 * is killed; else it goes on.
 */
struct ask *runner_run(struct runner *r, const struct runner_request *q,
    runner_fn *fn, void *ctx);

/*
 * Kills the program, whose end is told as any other. False: it was not started
 * and never will be, and a is gone in silence.
 */
bool runner_kill(struct ask *a);

#endif
