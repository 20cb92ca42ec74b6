/*
 * utf8: well-formedness by the table of RFC 3629 section 4. The lead octet
 * says how many follow and, for the first of these, which range keeps out
 * overlong forms, surrogates and what lies above U+10FFFF.
 */
#include "base/utf8.h"

/* Octets in the character that c leads, or 0; *lo to *hi is the second. */
static size_t
lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
	*lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c < 0xc2)
		return 0;
	if (c < 0xe0)
		return 2;
	if (c < 0xf0)
		return 3;
	return c < 0xf5 ? 4 : 0;
}

int
utf8_valid(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;

	for (size_t i = 0; i < s.len;) {
		unsigned char lo, hi;
		size_t n = lead(p[i], &lo, &hi);

		if (!n || n > s.len - i)
			return 0;
		for (size_t k = 1; k < n; k++) {
			if (p[i + k] < lo || p[i + k] > hi)
				return 0;
			lo = 0x80;
			hi = 0xbf;
		}
		i += n;
	}
	return 1;
}
