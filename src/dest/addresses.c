/*
 * addresses: one list for each entry of `to`.
 */
#include "dest/addresses.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/resolve.h"

#define GOOD   60000 /* ms for which an answer does, or an older one */
#define AGAIN  5000  /* and until the next question after none */
#define ANSWER 5000  /* for the resolver */
#define AVOID  60000 /* for which who failed comes last */

struct entry {
	struct addresses *all;
	const struct route_place *to;
	struct ask *ask;
	int64_t until; /* when DNS is to be asked again; 0: at once */
	unsigned n;
	struct dial_place places[ADDRESSES_EACH];
	int64_t failed[ADDRESSES_EACH]; /* when; 0: it did not */
};

struct addresses {
	struct resolve *resolve;
	void (*ready)(void *ctx);
	void *ctx;
	unsigned open; /* questions */
	unsigned n;
	struct entry entries[ROUTE_PLACES_MAX];
};

/* When it failed, if it is one that was there. */
static int64_t
failed_before(const struct entry *old, const struct ipaddr *addr)
{
	for (unsigned i = 0; i < old->n; i++)
		if (ipaddr_equal(&old->places[i].addr, addr))
			return old->failed[i];
	return 0;
}

static void
add(struct entry *e, const struct ipaddr *addr, int64_t failed)
{
	if (e->n == ADDRESSES_EACH)
		return;
	e->failed[e->n] = failed;
	e->places[e->n++] =
	    (struct dial_place){.addr = *addr, .port = e->to->port};
}

static void
on_answer(void *ctx, const struct dns_answer *a)
{
	struct entry *e = ctx;
	const struct entry old = *e;

	e->ask = NULL;
	e->all->open--;
	if (a->status != DNS_FAILED)
		e->n = 0;
	for (unsigned i = 0; a->status == DNS_FOUND && i < a->n; i++)
		add(e, &a->records[i].addr,
		    failed_before(&old, &a->records[i].addr));
	e->until = clock_now() + (e->n ? GOOD : AGAIN);
	if (!e->all->open)
		e->all->ready(e->all->ctx);
}

static bool
is_asked(const struct addresses *a, const struct entry *e)
{
	return a->resolve && e->to->host && !e->to->naddrs;
}

bool
addresses_ready(struct addresses *a, int64_t now)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct entry *e = &a->entries[i];

		if (e->ask || !is_asked(a, e) || (e->until && now < e->until))
			continue;
		a->open++;
		e->ask = resolve_host(a->resolve, e->to->host, now + ANSWER,
		    on_answer, e);
	}
	return !a->open;
}

struct addresses *
addresses_new(const struct route *r, struct resolve *resolve,
    void (*ready)(void *ctx), void *ctx)
{
	struct addresses *a = mem_new(sizeof(*a));

	*a = (struct addresses){.resolve = resolve,
	    .ready = ready,
	    .ctx = ctx,
	    .n = r->nto};
	for (unsigned i = 0; i < a->n; i++) {
		struct entry *e = &a->entries[i];

		e->all = a;
		e->to = &r->to[i];
		if (!e->to->host)
			e->places[e->n++] =
			    (struct dial_place){.path = e->to->path};
		for (unsigned k = 0; k < e->to->naddrs; k++)
			add(e, &e->to->addrs[k], 0);
	}
	addresses_ready(a, clock_now());
	return a;
}

void
addresses_free(struct addresses **p)
{
	struct addresses *a = *p;

	*p = NULL;
	if (!a)
		return;
	for (unsigned i = 0; i < a->n; i++)
		ask_cancel(&a->entries[i].ask, ASK_ABANDON);
	free(a);
}

unsigned
addresses_list(const struct addresses *a, int64_t now,
    struct address out[ADDRESSES_MAX])
{
	unsigned n = 0;

	for (int late = 0; late < 2; late++)
		for (unsigned i = 0; i < a->n; i++) {
			const struct entry *e = &a->entries[i];

			for (unsigned k = 0; k < e->n; k++) {
				int64_t at = e->failed[k];

				if ((at && now - at < AVOID) != late)
					continue;
				out[n++] =
				    (struct address){e->places[k], e->to};
			}
		}
	return n;
}

void
addresses_mark(struct addresses *a, const struct address *which, int64_t failed)
{
	struct entry *e = &a->entries[0];

	while (e->to != which->to)
		e++;
	for (unsigned i = 0; i < e->n; i++)
		if (e->to->path ||
		    ipaddr_equal(&e->places[i].addr, &which->place.addr))
			e->failed[i] = failed;
}
