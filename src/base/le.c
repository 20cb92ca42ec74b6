/*
 * le: shifts, so that neither the order of this machine nor the alignment of
 * what is read matters. Owns nothing.
 */
#include "base/le.h"

void
le_put(char *p, uint64_t v, int octets)
{
	for (int i = 0; i < octets; i++)
		p[i] = (char)(v >> 8 * i);
}

uint64_t
le_get(const char *p, int octets)
{
	uint64_t v = 0;

	for (int i = 0; i < octets; i++)
		v |= (uint64_t)(unsigned char)p[i] << 8 * i;
	return v;
}
