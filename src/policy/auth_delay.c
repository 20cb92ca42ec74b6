/*
 * auth_delay: a number of failures and the second of the last one in a word,
 * which is forgotten when it has been quiet for long enough.
 */
#include "policy/auth_delay.h"

#define DELAY_MIN 500
#define DOUBLINGS 3
/* More than so many changed the word meanwhile: they are counted at least. */
#define TRIES 4

/* A word's value: failures, then seconds since the machine has started. */
#define SECONDS_BITS 36
#define SECONDS      ((UINT64_C(1) << SECONDS_BITS) - 1)
#define FAILURES_MAX (SHARED_CELLS_VALUE >> SECONDS_BITS)

/* A delay begins, and doubles, with every so many failures. */
struct rule {
	unsigned step;
	uint64_t quiet; /* seconds */
};

static const struct rule by_address = {1, 60}, by_login = {10, 3600};

void
auth_delay_init(struct auth_delay *d, struct shared *s)
{
	d->addresses = shared_cells_of(s, SHARED_LOGIN_ADDRESSES);
	d->logins = shared_cells_of(s, SHARED_LOGIN_NAMES);
}

static uint64_t
last_failure(uint64_t value)
{
	return value & SECONDS;
}

/* Counts one more; how many there are now. */
static uint64_t
failed(const struct shared_cells *c, struct span key, uint64_t quiet,
    uint64_t second)
{
	struct shared_cell at;
	uint64_t n = 0;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t was = shared_cells_find(c, key, last_failure, &at);

		n = was >> SECONDS_BITS;
		if (second > last_failure(was) + quiet)
			n = 0;
		if (n < FAILURES_MAX)
			n++;
		if (shared_cells_put(&at, n << SECONDS_BITS | second))
			break;
	}
	return n;
}

static void
take_back(const struct shared_cells *c, struct span key)
{
	struct shared_cell at;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t was = shared_cells_find(c, key, last_failure, &at);
		uint64_t n = was >> SECONDS_BITS;

		if (!n || shared_cells_put(&at,
			      n > 1 ? was - (UINT64_C(1) << SECONDS_BITS) : 0))
			break;
	}
}

static int64_t
delay(const struct shared_cells *c, struct span key, const struct rule *r,
    int64_t now)
{
	uint64_t steps =
	    failed(c, key, r->quiet, (uint64_t)now / 1000 & SECONDS) / r->step;

	if (!steps)
		return 0;
	return (int64_t)DELAY_MIN
	       << (steps <= DOUBLINGS ? steps - 1 : DOUBLINGS);
}

static struct span
address_key(const struct ipaddr *net)
{
	return (struct span){(const char *)net, sizeof(*net)};
}

int64_t
auth_delay_address(const struct auth_delay *d, const struct ipaddr *a,
    int64_t now)
{
	struct ipaddr net = ipaddr_client_net(a);

	return delay(&d->addresses, address_key(&net), &by_address, now);
}

int64_t
auth_delay_login(const struct auth_delay *d, struct span login, int64_t now)
{
	return delay(&d->logins, login, &by_login, now);
}

void
auth_delay_address_back(const struct auth_delay *d, const struct ipaddr *a)
{
	struct ipaddr net = ipaddr_client_net(a);

	take_back(&d->addresses, address_key(&net));
}

void
auth_delay_login_back(const struct auth_delay *d, struct span login)
{
	take_back(&d->logins, login);
}
