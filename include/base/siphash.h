/*
 * siphash: SipHash-2-4, the keyed hash for tables whose keys come from
 * strangers. The key is drawn by whoever owns the table.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_LEN 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY_LEN], const void *data,
    size_t len);

#endif
