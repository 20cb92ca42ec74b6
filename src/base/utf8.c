/*
 * utf8: well-formedness by the table of RFC 3629 section 4. The lead octet
 * says how many follow and, for the first of these, which range keeps out
 * overlong forms, surrogates and what lies above U+10FFFF.
 */
#include "base/utf8.h"

#include <stdint.h>

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

/* Octets of the well-formed character at the front of s, or 0. */
static size_t
length(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	unsigned char lo, hi;
	size_t n = lead(p[0], &lo, &hi);

	if (n > s.len)
		return 0;
	for (size_t k = 1; k < n; k++) {
		if (p[k] < lo || p[k] > hi)
			return 0;
		lo = 0x80;
		hi = 0xbf;
	}
	return n;
}

size_t
utf8_decode(struct span s, uint32_t *r)
{
	size_t n = s.len ? length(s) : 0;

	if (!n)
		return 0;
	*r = (unsigned char)s.ptr[0] & (n > 1 ? 0xffu >> (n + 1) : 0x7f);
	for (size_t k = 1; k < n; k++)
		*r = *r << 6 | ((unsigned char)s.ptr[k] & 0x3f);
	return n;
}

int
utf8_valid(struct span s)
{
	while (s.len) {
		size_t n = length(s);

		if (!n)
			return 0;
		span_skip(&s, n);
	}
	return 1;
}

static const struct range {
	uint32_t first, last;
} steering[] = {
    {0x80, 0x9f},     /* C1: terminals obey them */
    {0x61c, 0x61c},   /* ARABIC LETTER MARK */
    {0x200e, 0x200f}, /* LEFT-TO-RIGHT MARK and its twin */
    {0x2028, 0x2029}, /* LINE and PARAGRAPH SEPARATOR */
    {0x202a, 0x202e}, /* embeddings and overrides */
    {0x2066, 0x2069}, /* isolates */
};

size_t
utf8_char(struct span s)
{
	uint32_t c;
	size_t n = utf8_decode(s, &c);

	if (n < 2)
		return 0;
	for (size_t i = 0; i < sizeof(steering) / sizeof(steering[0]); i++)
		if (c >= steering[i].first && c <= steering[i].last)
			return 0;
	return n;
}

int
utf8_shows(struct span s)
{
	while (s.len) {
		size_t n = (unsigned char)s.ptr[0] < 0x80 ? 1 : utf8_char(s);

		if (!n)
			return 0;
		span_skip(&s, n);
	}
	return 1;
}
