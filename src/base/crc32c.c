/*
 * crc32c: eight octets a step, by instruction or by table.
 *
 * The instruction's polynomial is this one on x86-64 (SSE 4.2); elsewhere the
 * tables do it. Owns nothing.
 */
#include "base/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>

static int
have_instruction(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_2);
}

__attribute__((target("sse4.2"))) static uint32_t
by_instruction(uint32_t crc, struct span s)
{
	uint64_t wide = crc, eight;

	for (; s.len >= 8; span_skip(&s, 8)) {
		memcpy(&eight, s.ptr, 8);
		wide = _mm_crc32_u64(wide, eight);
	}
	crc = (uint32_t)wide;
	for (size_t i = 0; i < s.len; i++)
		crc = _mm_crc32_u8(crc, (uint8_t)s.ptr[i]);
	return crc;
}
#else
static int
have_instruction(void)
{
	return 0;
}

static uint32_t
by_instruction(uint32_t crc, struct span s)
{
	(void)s;
	return crc;
}
#endif

void
crc32c_init(struct crc32c *c)
{
	c->hardware = have_instruction();
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t r = i;

		for (int bit = 0; bit < 8; bit++)
			r = r & 1 ? r >> 1 ^ POLYNOMIAL : r >> 1;
		c->table[0][i] = r;
	}
	for (uint32_t i = 0; i < 256; i++) {
		for (int t = 1; t < 8; t++) {
			uint32_t r = c->table[t - 1][i];

			c->table[t][i] = c->table[0][r & 0xff] ^ r >> 8;
		}
	}
}

static uint32_t
load32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 |
	       (uint32_t)u[3] << 24;
}

static uint32_t
by_table(const struct crc32c *c, uint32_t crc, struct span s)
{
	for (; s.len >= 8; span_skip(&s, 8)) {
		uint32_t low = crc ^ load32(s.ptr);
		uint32_t high = load32(s.ptr + 4);

		crc = 0;
		for (int i = 0; i < 4; i++) {
			crc ^= c->table[7 - i][low >> 8 * i & 0xff];
			crc ^= c->table[3 - i][high >> 8 * i & 0xff];
		}
	}
	for (size_t i = 0; i < s.len; i++)
		crc = crc >> 8 ^
		      c->table[0][(crc ^ (unsigned char)s.ptr[i]) & 0xff];
	return crc;
}

uint32_t
crc32c(const struct crc32c *c, uint32_t crc, struct span s)
{
	return ~(c->hardware ? by_instruction(~crc, s) : by_table(c, ~crc, s));
}
