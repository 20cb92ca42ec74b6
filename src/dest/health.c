/*
 * health: pauses that double. Those who were under way together fail together,
 * which counts once.
 */
#include "dest/health.h"

#include "io/digest.h"
#include "io/log.h"

#define FIRST    5000  /* ms */
#define LAST     60000 /* ms */
#define LATE_MAX 3
#define LOST_MAX 3

bool
health_is_down(const struct health *h, int64_t now)
{
	return now < h->until;
}

/* A fifth more or less, so that workers do not come all at once. */
static uint64_t
jitter(uint64_t wait)
{
	uint32_t r;

	digest_random(&r, sizeof(r));
	return wait * 4 / 5 + r % (wait * 2 / 5 + 1);
}

bool
health_fail(struct health *h, int64_t now)
{
	bool was_up = !h->since;

	if (health_is_down(h, now))
		return false;
	h->wait = h->wait ? 2 * h->wait : FIRST;
	if (h->wait > LAST)
		h->wait = LAST;
	h->until = now + (int64_t)jitter(h->wait);
	if (was_up)
		h->since = now;
	return was_up;
}

bool
health_late(struct health *h, int64_t now)
{
	return ++h->late >= LATE_MAX && health_fail(h, now);
}

void
health_again(struct health *h)
{
	h->until = 0;
	h->wait = 0;
}

void
health_lost(unsigned *lost, bool is_lost, const char *route, int64_t ms)
{
	*lost = is_lost ? *lost + 1 : 0;
	if (*lost < LOST_MAX)
		return;
	*lost = 0;
	log_event(LOG_ERROR, "route-too-slow", LOG_STR("route", route),
	    LOG_INT("ms", ms),
	    LOG_STR("help",
		"it takes mail, but does not say so in time, so senders "
		"repeat it: raise its speed, or write when-down = hold"));
}

int64_t
health_good(struct health *h, int64_t now)
{
	int64_t since = h->since;

	*h = (struct health){.since = 0};
	return since ? now - since : 0;
}
