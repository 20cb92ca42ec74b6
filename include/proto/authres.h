/*
 * authres: who an Authentication-Results field says it is from (RFC 8601). One
 * that comes in under our name is forged, since we have not written it yet.
 */
#ifndef PROTO_AUTHRES_H
#define PROTO_AUTHRES_H

#include <stdbool.h>

#include "base/buf.h"
#include "proto/header.h"

/*
 * Does the value behind the colon name one of these as its authserv-id? Names
 * are compared without case. Also true for what cannot be read, because others
 * may read our name there; and so is an id that is not ASCII.
 */
bool authres_is_ours(struct span value, const char *const *names, unsigned n);

/* Deletes those of the fields; how many. */
unsigned authres_delete(struct header *h, const char *const *names, unsigned n);

#endif
