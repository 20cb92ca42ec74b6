/*
 * ident: session ids, 16 characters of base32 that sort by time.
 *
 * 48 bits of milliseconds since 1970, then 32 random ones; the alphabet is
 * 0-9 and A-V, which sorts as the numbers do, on any file system.
 */
#ifndef BASE_IDENT_H
#define BASE_IDENT_H

#include <stdint.h>

#define IDENT_LEN 16

void ident_format(uint64_t wall_ms, uint32_t random, char out[IDENT_LEN + 1]);

#endif
