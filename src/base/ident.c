/*
 * ident: writes session ids. The caller brings the clock and the dice.
 */
#include "base/ident.h"

#include <string.h>

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

/* The lowest count digits of n. */
static void
base32(uint64_t n, unsigned count, char *out)
{
	while (count--) {
		out[count] = digits[n & 31];
		n >>= 5;
	}
}

void
ident_format(uint64_t wall_ms, uint32_t random, char out[IDENT_LEN + 1])
{
	/* 80 bits as two halves: 48 + 32 = 40 + 40 */
	uint64_t high = wall_ms >> 8;
	uint64_t low = (wall_ms & 0xff) << 32 | random;

	base32(high, IDENT_LEN / 2, out);
	base32(low, IDENT_LEN / 2, out + IDENT_LEN / 2);
	out[IDENT_LEN] = '\0';
}

/* 48 bits in nine digits and three of the five bits of the tenth. */
int
ident_time(struct span id, uint64_t *wall_ms)
{
	uint64_t n = 0;

	if (id.len != IDENT_LEN)
		return -1;
	for (size_t i = 0; i < IDENT_LEN; i++) {
		char c = id.ptr[i];
		const char *d = c ? strchr(digits, c) : NULL;

		if (!d)
			return -1;
		if (i < 10)
			n = n << 5 | (uint64_t)(d - digits);
	}
	*wall_ms = n >> 2;
	return 0;
}
