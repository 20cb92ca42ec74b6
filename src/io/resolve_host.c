/*
 * resolve_host: two questions, and one answer when both are there. What
 * /etc/hosts says is told in the next turn, and nobody else is asked then.
 */
#include "io/resolve_host.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/hosts.h"
#include "io/loop.h"

#define HOSTS_FILE "/etc/hosts"

struct part {
	struct host_ask *host;
	struct ask *ask; /* NULL: answered, or never asked */
	struct dns_answer answer;
};

struct host_ask {
	struct ask ask; /* first */
	LIST_ENTRY(host_ask) next;
	struct part v4, v6;
	struct loop_event *timer; /* when /etc/hosts has it */
	struct arena arena;       /* what answers consist of */
	resolve_fn *fn;
	void *ctx;
};

static void
on_cancel(struct ask *ask, enum ask_end end)
{
	struct host_ask *h = (struct host_ask *)ask;

	ask_cancel(&h->v4.ask, end);
	ask_cancel(&h->v6.ask, end);
	loop_event_free(&h->timer);
	LIST_REMOVE(h, next);
	arena_reset(&h->arena);
	free(h);
}

static void
tell(struct host_ask *h, const struct dns_answer *answer)
{
	LIST_REMOVE(h, next);
	loop_event_free(&h->timer);
	h->fn(h->ctx, answer);
	arena_reset(&h->arena);
	free(h);
}

/* --- the DNS --- */

/* What was found; else what failed; else what is not there. */
static const struct dns_answer *
better(const struct dns_answer *a, const struct dns_answer *b)
{
	if (a->status == DNS_FOUND || b->status == DNS_FOUND)
		return a->status == DNS_FOUND ? a : b;
	return a->status == DNS_FAILED ? a : b;
}

static void
tell_both(struct host_ask *h)
{
	const struct dns_answer *v4 = &h->v4.answer, *v6 = &h->v6.answer;
	struct dns_answer sum = *better(v4, v6);
	struct dns_record *records;

	sum.n = v4->n + v6->n;
	records = arena_alloc(&h->arena, sum.n * sizeof(*records));
	if (v4->n)
		memcpy(records, v4->records, v4->n * sizeof(*records));
	if (v6->n)
		memcpy(records + v4->n, v6->records, v6->n * sizeof(*records));
	sum.records = records;
	if (sum.n > DNS_RECORDS_MAX)
		sum = (struct dns_answer){.status = DNS_FAILED,
		    .why = DNS_NONSENSE};
	tell(h, &sum);
}

static void
on_answer(void *ctx, const struct dns_answer *answer)
{
	struct part *p = ctx;
	struct host_ask *h = p->host;
	struct dns_record *records =
	    arena_alloc(&h->arena, answer->n * sizeof(*records));

	p->ask = NULL;
	p->answer = *answer;
	p->answer.records = records;
	for (unsigned i = 0; i < answer->n; i++)
		records[i].addr = answer->records[i].addr;
	for (unsigned i = 0; i < answer->naliases; i++)
		p->answer.aliases[i] =
		    arena_dup(&h->arena, span_str(answer->aliases[i]));
	if (!h->v4.ask && !h->v6.ask)
		tell_both(h);
}

/* --- /etc/hosts --- */

static const struct known_host *
find_known(const struct resolve_hosts *all, struct arena *a, const char *name)
{
	const struct known_host *known =
	    hosts_find(all->known, all->nknown, name);

	/* a file that is not there says nothing */
	if (!known && all->files &&
	    hosts_read(HOSTS_FILE, &name, 1, a, &known) < 1)
		known = NULL;
	return known;
}

static void
on_timer(void *ctx)
{
	struct host_ask *h = ctx;

	tell(h, &h->v4.answer);
}

static void
answer_known(struct host_ask *h, struct loop *l, const struct known_host *known)
{
	struct dns_record *records =
	    arena_alloc(&h->arena, known->n * sizeof(*records));

	for (unsigned i = 0; i < known->n; i++)
		records[i].addr = known->addrs[i];
	h->v4.answer = (struct dns_answer){.status = DNS_FOUND,
	    .known = true,
	    .n = known->n,
	    .records = records};
	h->timer = loop_timer(l, on_timer, h);
	if (!h->timer)
		abort();
	loop_timer_set(h->timer, 0);
}

/* --- both --- */

struct ask *
resolve_hosts_ask(struct resolve_hosts *all, const char *name, int64_t deadline,
    resolve_fn *fn, void *ctx)
{
	struct host_ask *h = mem_new(sizeof(*h));
	const struct known_host *known;

	*h = (struct host_ask){.ask.cancel = on_cancel,
	    .v4.host = h,
	    .v6.host = h,
	    .fn = fn,
	    .ctx = ctx};
	LIST_INSERT_HEAD(&all->open, h, next);
	known = find_known(all, &h->arena, name);
	if (known) {
		answer_known(h, all->loop, known);
		return &h->ask;
	}
	h->v4.ask = resolve_ask(all->resolve, DNS_A, name, 0, 0, deadline,
	    on_answer, &h->v4);
	h->v6.ask = resolve_ask(all->resolve, DNS_AAAA, name, 0, 0, deadline,
	    on_answer, &h->v6);
	return &h->ask;
}

void
resolve_hosts_drop(struct resolve_hosts *all)
{
	struct host_ask *h = LIST_FIRST(&all->open);

	while (h) {
		struct host_ask *next = LIST_NEXT(h, next);

		on_cancel(&h->ask, ASK_ABANDON);
		h = next;
	}
}
