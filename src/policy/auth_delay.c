/*
 * auth_delay: doubling from half a second, forgotten after a quiet minute.
 */
#include "policy/auth_delay.h"

#include <string.h>

#include "io/digest.h"

#define DELAY_MIN 500
#define DOUBLINGS 3
#define QUIET     60000

void
auth_delay_init(struct auth_delay *d)
{
	memset(d, 0, sizeof(*d));
	digest_random(d->key, sizeof(d->key));
}

/* An IPv6 client owns its whole /64. */
static unsigned
place_of(const struct auth_delay *d, const struct ipaddr *a)
{
	struct ipaddr net = *a;

	if (a->family == IP_V6)
		memset(net.bytes + 8, 0, 8);
	return (
	    unsigned)(siphash(d->key, &net, sizeof(net)) % AUTH_DELAY_PLACES);
}

int64_t
auth_delay_failed(struct auth_delay *d, const struct ipaddr *a, int64_t now)
{
	unsigned i = place_of(d, a);
	unsigned before = d->places[i].failures;

	if (now - d->places[i].last > QUIET)
		before = 0;
	d->places[i].last = now;
	d->places[i].failures =
	    (uint8_t)(before < DOUBLINGS ? before + 1 : before);
	return (int64_t)DELAY_MIN << before;
}
