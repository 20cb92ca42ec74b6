/*
 * counters: the rows as a table, and the bounds of histograms.
 */
#include "io/counters.h"

const struct counter counters[] = {
#define COUNTER(id, kind, family, labels, help)                                \
	{SHARED_##id, COUNTER_##kind, family, labels, help},
    COUNTERS(COUNTER)
#undef COUNTER
	{.family = 0},
};

#define US 1000ull
#define MS (1000 * US)
#define S  (1000 * MS)

static const uint64_t seconds[COUNTER_SECONDS_BOUNDS] = {100 * US, 250 * US,
    500 * US, 1 * MS, 2500 * US, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS,
    250 * MS, 500 * MS, 1 * S, 2500 * MS, 10 * S};
static const char *const seconds_le[COUNTER_SECONDS_BOUNDS] = {"0.0001",
    "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
    "0.1", "0.25", "0.5", "1", "2.5", "10"};

static const uint64_t batch[COUNTER_BATCH_BOUNDS] = {1, 2, 4, 8, 16, 32, 64,
    128, 256, 512, 1024};
static const char *const batch_le[COUNTER_BATCH_BOUNDS] = {"1", "2", "4", "8",
    "16", "32", "64", "128", "256", "512", "1024"};

static const struct counter_bounds bounds[] = {
    {COUNTER_SECONDS_BOUNDS, seconds, seconds_le},
    {COUNTER_BATCH_BOUNDS, batch, batch_le},
};

const struct counter_bounds *
counter_bounds(enum counter_kind k)
{
	return &bounds[k == COUNTER_BATCH];
}
