/*
 * control: the running master of a configuration's spool: found by the lock,
 * asked by signals, heard by the file spool/status (see status.h).
 */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/buf.h"
#include "config/config.h"

/* Of the exit status: LSB's, where it has one. */
enum {
	CONTROL_STOPPED = 3,   /* it is not running */
	CONTROL_FORBIDDEN = 4, /* may not ask */
};

struct control {
	const char *tool; /* its name, in front of what is said */
	const char *file; /* of the configuration */
	bool flag;        /* its own option was given */
	struct config *conf;
	const char *spool;
	pid_t pid;
	int process; /* a pidfd */
	uid_t uid;   /* the master's */
	uint64_t start;
	struct buf status; /* the last that was heard */
	int64_t heard;     /* which one: nanoseconds */
};

/*
 * Takes "-f file", and option, which sets flag. 0, or an exit status, and then
 * it was said why. control_free() either way.
 */
int control_open(struct control *c, int argc, char **argv, const char *option);
void control_free(struct control *c);

/* Both: 0 or an exit status, as above. */
int control_signal(struct control *c, int sig);
/* Has it say how it is, now. */
int control_ask(struct control *c);

/* What it said, as it may stand on a terminal. */
void control_show(FILE *f, struct span text);

/* All is said: the exit status, or another if nobody could read it. */
int control_end(const char *tool, int status);

/* Each line in turn; false: that was the last. *at begins at 0. */
bool control_line(const struct control *c, size_t *at, struct span *key,
    struct span *value);

#endif
