/*
 * grey: the greylist's file, for the master: read before the first worker
 * runs, written when the last has gone, and for the program that is next.
 */
#ifndef GREY_H
#define GREY_H

#include <stdbool.h>

#include "io/shared.h"
#include "setup.h"

/* What is damaged is told once, and is empty then. first: nobody else of this
 * spool runs. */
void grey_read(struct shared *s, const char *spool, bool first);

/*
 * If it has changed: in a child that is the user, for 5 s at most; the older
 * file serves then.
 */
void grey_write(struct shared *s, const char *spool, const struct identity *id);

#endif
