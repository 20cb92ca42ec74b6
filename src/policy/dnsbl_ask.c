/*
 * dnsbl_ask: what the lists say of a client: all are asked at once, and each
 * stands for itself.
 */
#include "policy/dnsbl_ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/resolve.h"
#include "policy/dnsbl_codes.h"
#include "policy/dnsbl_health.h"
#include "policy/facts.h"

_Static_assert(DNSBL_MAX == FACTS_LISTS_MAX, "each list has a fact");

struct lists_ask;

struct list {
	struct lists_ask *all;
	struct ask *ask;
};

struct lists_ask {
	struct ask ask; /* first */
	const struct doors *doors;
	struct facts *facts;
	fact_fn *fn;
	void *ctx;
	unsigned waiting;
	struct list lists[DNSBL_MAX];
};

static void
on_cancel(struct ask *ask, enum ask_end end)
{
	struct lists_ask *x = (struct lists_ask *)ask;

	for (unsigned i = 0; i < DNSBL_MAX; i++)
		ask_cancel(&x->lists[i].ask, end);
	free(x);
}

static void
say_code(const struct doors *doors, struct shared_place *p,
    const struct dnsbl_zone *z, const uint8_t code[4])
{
	const struct ipaddr a = ipaddr_v4(code);

	shared_add(doors->shared, doors->slot, SHARED_DNSBL_CODES, 1);
	if (dnsbl_may_say_code(p, clock_now()))
		log_event(LOG_WARN, "dnsbl-code", LOG_STR("zone", z->name),
		    LOG_IP("answer", &a),
		    LOG_STR("help",
			"no code of its dnsbl block is this, so it counts as "
			"not listed: see what its operator says of it"));
}

/* The list's own answer, whatever becomes of the client. */
static void
tell_health(struct lists_ask *x, unsigned i, const struct dnsbl_answer *a)
{
	const struct doors *doors = x->doors;
	const struct dnsbl_zone *z = &doors->conf->lists->zones[i];
	struct shared_place *p = dnsbl_place(doors->shared, z);

	if (a->said == DNSBL_SAID_CODE)
		say_code(doors, p, z, a->code);
	if (dnsbl_heard(p, a->said, clock_now()))
		dnsbl_watch_test(doors->lists, i);
	/* it may have been switched off meanwhile */
	if (!dnsbl_is_good(p, z))
		return;
	if (a->said == DNSBL_SAID_NOT || a->said == DNSBL_SAID_CODE)
		x->facts->lists[i].state = LIST_NOT;
	if (a->said != DNSBL_SAID_LISTED)
		return;
	x->facts->lists[i].state = LIST_LISTED;
	x->facts->lists[i].weight = a->weight;
	memcpy(x->facts->lists[i].code, a->code, sizeof(a->code));
}

static void
on_answer(void *ctx, const struct dns_answer *answer)
{
	struct list *l = ctx;
	struct lists_ask *x = l->all;
	unsigned i = (unsigned)(l - x->lists);
	const struct dnsbl_answer a =
	    dnsbl_read(&x->doors->conf->lists->zones[i], answer);
	fact_fn *fn = x->fn;

	l->ask = NULL;
	tell_health(x, i, &a);
	if (--x->waiting)
		return;
	ctx = x->ctx;
	free(x);
	fn(ctx, FACT_LISTS);
}

static bool
knows(const struct dnsbl_zone *z, const struct ipaddr *client)
{
	return z->family == DNSBL_BOTH ||
	       (z->family == DNSBL_IPV6) == (client->family == IP_V6);
}

/* Whoever is on this machine is nobody's to list. */
struct ask *
fact_lists_ask(const struct fact_from *from, struct facts *f, fact_fn *fn,
    void *ctx)
{
	const struct doors *doors = from->all;
	const struct ipaddr *client = &from->env->client;
	const struct dnsbl *lists = doors->conf->lists;
	struct lists_ask *x = mem_new(sizeof(*x));
	char name[DNS_NAME_MAX + 1];

	*x = (struct lists_ask){.ask.cancel = on_cancel,
	    .doors = doors,
	    .facts = f,
	    .fn = fn,
	    .ctx = ctx};
	memset(f->lists, 0, sizeof(f->lists));
	for (unsigned i = 0; lists && i < lists->n; i++) {
		const struct dnsbl_zone *z = &lists->zones[i];

		x->lists[i].all = x;
		if (!knows(z, client) || ipaddr_is_loopback(client))
			f->lists[i].state = LIST_NOT;
		else if (doors->resolve &&
			 dnsbl_is_good(dnsbl_place(doors->shared, z), z)) {
			x->waiting++;
			x->lists[i].ask = resolve_ask(doors->resolve, DNS_A,
			    dnsbl_question(client, z->name, name), 0, 0,
			    from->deadline, on_answer, &x->lists[i]);
		}
	}
	if (x->waiting)
		return &x->ask;
	free(x);
	return NULL;
}
