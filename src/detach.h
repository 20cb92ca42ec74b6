/*
 * detach: into the background. Whoever started it waits until the workers
 * serve or will not, and exits with what it is told.
 */
#ifndef DETACH_H
#define DETACH_H

#include <stdbool.h>

/* In the process that goes on: what the others take. */
int detach_begin(void);

/* Both do nothing for -1: this never left the foreground. */

/* The exit status of who waits. */
void detach_tell(int started, int status);
/* All serve: it exits with 0, and the terminal is let go. */
void detach_end(int started, bool keep_stderr);

#endif
