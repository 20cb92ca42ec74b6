/*
 * clock: where the kernel is asked for the time.
 */
#include "io/clock.h"

#include <time.h>

static int64_t
ms_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_now(void)
{
	return ms_of(CLOCK_MONOTONIC_COARSE);
}

int64_t
clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
clock_wall(void)
{
	return ms_of(CLOCK_REALTIME);
}

int64_t
clock_boot(void)
{
	return ms_of(CLOCK_BOOTTIME);
}

const char *
clock_text(int64_t seconds, char out[CLOCK_TEXT_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    !strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		*out = '\0';
	return out;
}
