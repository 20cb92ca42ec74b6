/*
 * runner_wire: what the two ends of a runner's socket say to each other, a
 * packet each, in the octets of this machine.
 */
#ifndef IO_RUNNER_WIRE_H
#define IO_RUNNER_WIRE_H

#include <stdint.h>

#include "io/runner.h"

/* In place of a number: the one that has this seq is to be killed. */
#define RUNNER_KILL UINT32_MAX

/* Values follow, and a descriptor comes with it, but where it is RUNNER_KILL */
struct runner_question {
	uint32_t seq; /* the asker's, never of two that are under way */
	uint32_t number;
	uint32_t timeout; /* ms */
};

struct runner_answer {
	uint32_t seq;
	uint32_t how; /* enum runner_how */
	int32_t status, error;
	uint32_t len; /* of output */
	char output[RUNNER_OUTPUT_MAX];
};

/* The other end: fd is all that it keeps. It never returns. */
_Noreturn void runner_main(const struct runner_options *o, int fd);

#endif
