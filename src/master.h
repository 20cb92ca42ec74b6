/*
 * master: opens, forks, reaps. No event loop, no octet from the network.
 */
#ifndef MASTER_H
#define MASTER_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"

struct upgrade;

struct master_options {
	const char *file; /* read again at SIGHUP */
	char **argv;      /* with which the next program is run at SIGUSR2 */
	bool foreground;  /* and log to stderr */
	bool verbose;     /* log each session's steps, whatever the file says */
};

/*
 * Takes c over and runs until SIGTERM or SIGINT; the exit status. warnings:
 * of the configuration, a line each, for the log.
 */
int master_run(struct config *c, const struct master_options *o,
    struct span warnings);

/* The same, after the program before has left u, which is taken over. */
int master_resume(struct upgrade *u, const struct master_options *o);

/* What the command line says is above any file. */
void master_override(const struct master_options *o, struct config *c);

#endif
