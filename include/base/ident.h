/*
 * ident: session ids, 16 characters of base32 that sort by time.
 *
 * 48 bits of milliseconds since 1970, then 32 random ones; the alphabet is
 * 0-9 and A-V, which sorts as the numbers do, on any file system.
 */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include <stdint.h>

#include "base/buf.h"

#define IDENT_LEN 16

void ident_format(uint64_t wall_ms, uint32_t random, char out[IDENT_LEN + 1]);

/* When it was made. 0, or -1: this is none. */
int ident_time(struct span id, uint64_t *wall_ms);

#endif
