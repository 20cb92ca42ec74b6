/*
 * facts_name: the client's reverse name, if the address of that name is the
 * client's again. Whoever has an address writes its names and their zones: so
 * few are asked about, all as a stranger's, and of several that lead back it
 * is always the same one that counts, whichever is told first.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/mem.h"
#include "io/resolve.h"
#include "policy/facts.h"

#define NAMES_MAX 4

/* One of its names. */
struct host {
	struct name_ask *of;
	struct ask *ask; /* NULL: answered */
	enum fact_name is;
	char name[FACTS_NAME_MAX];
};

struct name_ask {
	struct ask ask; /* first */
	struct fact_from from;
	struct facts *facts;
	fact_fn *fn;
	void *ctx;
	struct ask *reverse;          /* NULL: answered */
	struct host hosts[NAMES_MAX]; /* in the order of their names */
	unsigned n;
};

static void
on_cancel(struct ask *ask, enum ask_end end)
{
	struct name_ask *a = (struct name_ask *)ask;

	ask_cancel(&a->reverse, end);
	for (unsigned i = 0; i < a->n; i++)
		ask_cancel(&a->hosts[i].ask, end);
	free(a);
}

static void
tell(struct name_ask *a, enum fact_name is)
{
	fact_fn *fn = a->fn;
	void *ctx = a->ctx;

	a->facts->name = is;
	on_cancel(&a->ask, ASK_ABANDON);
	fn(ctx, FACT_NAME);
}

/* The first that leads back, once those before it do not. */
static void
decide(struct name_ask *a)
{
	enum fact_name sum = NAME_UNCONFIRMED;

	for (unsigned i = 0; i < a->n; i++) {
		const struct host *h = &a->hosts[i];

		if (h->ask)
			return;
		if (h->is == NAME_CONFIRMED) {
			memcpy(a->facts->client_name, h->name, sizeof(h->name));
			tell(a, NAME_CONFIRMED);
			return;
		}
		if (h->is == NAME_UNKNOWN)
			sum = NAME_UNKNOWN;
	}
	tell(a, sum);
}

static void
on_addresses(void *ctx, const struct dns_answer *answer)
{
	struct host *h = ctx;
	const struct ipaddr *client = &h->of->from.env->client;

	h->ask = NULL;
	h->is = answer->status == DNS_FAILED ? NAME_UNKNOWN : NAME_UNCONFIRMED;
	for (unsigned i = 0; i < answer->n; i++)
		if (ipaddr_equal(&answer->records[i].addr, client))
			h->is = NAME_CONFIRMED;
	decide(h->of);
}

/* Resolvers turn the order of records round: so theirs is none. */
static void
take_name(struct name_ask *a, const char *text)
{
	struct span s = span_str(text);
	char name[FACTS_NAME_MAX];
	unsigned at = 0;
	int how = 1;

	if (!dns_name_valid(s) || s.len >= sizeof(name))
		return;
	memcpy(name, text, s.len + 1);
	ascii_fold(name, s.len);
	while (at < a->n && (how = strcmp(name, a->hosts[at].name)) > 0)
		at++;
	if (!how || at == NAMES_MAX)
		return;
	if (a->n < NAMES_MAX)
		a->n++;
	memmove(&a->hosts[at + 1], &a->hosts[at],
	    (a->n - at - 1) * sizeof(a->hosts[0]));
	a->hosts[at] = (struct host){.of = a};
	memcpy(a->hosts[at].name, name, s.len + 1);
}

static void
on_reverse(void *ctx, const struct dns_answer *answer)
{
	struct name_ask *a = ctx;
	const struct fact_from *from = &a->from;

	a->reverse = NULL;
	if (answer->status != DNS_FOUND) {
		tell(a,
		    answer->status == DNS_FAILED ? NAME_UNKNOWN : NAME_NONE);
		return;
	}
	for (unsigned i = 0; i < answer->n; i++)
		take_name(a, answer->records[i].name);
	for (unsigned i = 0; i < a->n; i++)
		a->hosts[i].ask = resolve_ask(from->all->resolve,
		    from->env->client.family == IP_V4 ? DNS_A : DNS_AAAA,
		    a->hosts[i].name, 0, from->stranger, from->deadline,
		    on_addresses, &a->hosts[i]);
	if (!a->n)
		tell(a, NAME_UNCONFIRMED);
}

struct ask *
fact_name_ask(const struct fact_from *from, struct facts *f, fact_fn *fn,
    void *ctx)
{
	const struct ipaddr *client = &from->env->client;
	char name[RESOLVE_REVERSE_MAX];
	struct name_ask *a;

	f->name = NAME_UNKNOWN;
	if (!from->all->resolve || client->family == IP_NONE ||
	    ipaddr_is_loopback(client))
		return NULL;
	a = mem_new(sizeof(*a));
	*a = (struct name_ask){.ask.cancel = on_cancel,
	    .from = *from,
	    .facts = f,
	    .fn = fn,
	    .ctx = ctx};
	a->reverse = resolve_ask(from->all->resolve, DNS_PTR,
	    resolve_reverse(client, name), 0, from->stranger, from->deadline,
	    on_reverse, a);
	return &a->ask;
}
