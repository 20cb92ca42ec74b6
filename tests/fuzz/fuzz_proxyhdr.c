/*
 * PROXY headers: however they are cut they say the same at the same octet, and
 * one that is whole goes on being so whatever stands behind it.
 */
#include <stdint.h>
#include <stdlib.h>

#include "proto/proxyhdr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(int holds)
{
	if (!holds)
		abort();
}

static enum proxyhdr_step
read_by(size_t step, struct span all, struct proxyhdr *h, size_t *taken)
{
	enum proxyhdr_step r = PROXYHDR_MORE;

	*taken = 0;
	while (r == PROXYHDR_MORE && *taken < all.len) {
		size_t left = all.len - *taken;
		size_t n = left < step ? left : step;
		struct span in = {all.ptr + *taken, n};

		r = proxyhdr_read(h, &in);
		check(in.len < n);
		*taken += n - in.len;
	}
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span all = {(const char *)data, n};
	struct proxyhdr whole = {.have = 0}, cut = {.have = 0},
			end = {.have = 0};
	size_t taken, again;
	enum proxyhdr_step step = read_by(SIZE_MAX, all, &whole, &taken);

	check(step != PROXYHDR_MORE || taken == n);
	check(taken <= 16 + PROXYHDR_REST_MAX);
	check(read_by(n % 7 + 1, all, &cut, &again) == step && again == taken);
	all.len = taken;
	check(read_by(1, all, &end, &again) == step && again == taken);
	if (step == PROXYHDR_CLIENT) {
		check(whole.client.family != IP_NONE);
		check(ipaddr_equal(&whole.client, &cut.client));
		check(whole.port == cut.port);
	}
	return 0;
}
