/*
 * le: numbers as octets, the least first, as they lie on a disk. By shifts, so
 * that neither the order of this machine nor the alignment of what is read
 * matters.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <stdint.h>

/* octets: 1 to 8. */
static inline void
le_put(char *p, uint64_t v, int octets)
{
	for (int i = 0; i < octets; i++)
		p[i] = (char)(v >> 8 * i);
}

static inline uint64_t
le_get(const char *p, int octets)
{
	uint64_t v = 0;

	for (int i = 0; i < octets; i++)
		v |= (uint64_t)(unsigned char)p[i] << 8 * i;
	return v;
}

#endif
