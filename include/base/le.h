/*
 * le: numbers as octets, the least first, as they lie on a disk.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <stdint.h>

/* octets: 1 to 8. */
void le_put(char *p, uint64_t v, int octets);
uint64_t le_get(const char *p, int octets);

#endif
