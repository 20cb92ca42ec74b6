/*
 * carry_state: what the two halves of a connection do for each other: carry.c
 * has the engine, carry_dial.c finds a server for it.
 */
#ifndef DEST_CARRY_STATE_H
#define DEST_CARRY_STATE_H

#include "dest/carry.h"

/* n of its addresses, from the one it is at. */
void carry_dial(struct carry *y, unsigned n);
/* The one it is at has failed: the next, or GONE. */
void carry_next_address(struct carry *y);
void carry_start_tls(struct carry *y);
/* Where that is no fault, the same address once more without. */
void carry_no_tls(struct carry *y, const char *why);

/* GONE, or the next address, for this reason: constant or the engine's, or an
 * errno. */
void carry_lose(struct carry *y, enum neighbour_error error, const char *why,
    int err);
/* Sets the time for what is awaited. */
void carry_wait(struct carry *y);
void carry_on_stream(void *owner, enum stream_event what);
void carry_tell(struct carry *y);

#endif
