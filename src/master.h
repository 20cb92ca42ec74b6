/*
 * master: opens, forks, reaps. No event loop, no octet from the network.
 */
#ifndef MASTER_H
#define MASTER_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"

struct master_options {
	const char *file; /* read again at SIGHUP */
	bool foreground;  /* and log to stderr */
	bool verbose;     /* log each session's steps, whatever the file says */
};

/*
 * Takes c over and runs until SIGTERM or SIGINT; the exit status. warnings:
 * of the configuration, a line each, for the log.
 */
int master_run(struct config *c, const struct master_options *o,
    struct span warnings);

#endif
