/*
 * master: opens, forks, reaps. No event loop, no octet from the network.
 */
#ifndef MASTER_H
#define MASTER_H

#include <stdbool.h>

#include "base/buf.h"
#include "config.h"

/*
 * Runs until SIGTERM or SIGINT; the exit status. warnings: of the
 * configuration, a line each, for the log.
 */
int master_run(struct config *c, bool foreground, struct span warnings);

#endif
