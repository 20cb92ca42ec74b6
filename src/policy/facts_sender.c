/*
 * facts_sender: could mail be sent to the sender's domain? By its MX records;
 * where there is none, by its addresses (RFC 5321 5.1).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "io/idn.h"
#include "io/resolve.h"
#include "policy/facts.h"

struct sender_ask {
	struct ask ask; /* first */
	struct fact_from from;
	struct facts *facts;
	fact_fn *fn;
	void *ctx;
	struct ask *mx, *v4, *v6; /* NULL: answered, or not asked */
	bool failed;              /* one of the addresses has */
	char domain[IDN_MAX + 1];
};

static void
on_cancel(struct ask *ask, enum ask_end end)
{
	struct sender_ask *a = (struct sender_ask *)ask;

	ask_cancel(&a->mx, end);
	ask_cancel(&a->v4, end);
	ask_cancel(&a->v6, end);
	free(a);
}

static void
tell(struct sender_ask *a, enum fact_sender is)
{
	fact_fn *fn = a->fn;
	void *ctx = a->ctx;

	a->facts->sender = is;
	on_cancel(&a->ask, ASK_ABANDON);
	fn(ctx, FACT_SENDER);
}

static void
on_address(struct sender_ask *a, struct ask **asked,
    const struct dns_answer *answer)
{
	*asked = NULL;
	a->failed |= answer->status == DNS_FAILED;
	if (answer->status == DNS_FOUND)
		tell(a, SENDER_GOOD);
	else if (!a->v4 && !a->v6)
		tell(a, a->failed ? SENDER_UNKNOWN : SENDER_NONE);
}

static void
on_v4(void *ctx, const struct dns_answer *answer)
{
	struct sender_ask *a = ctx;

	on_address(a, &a->v4, answer);
}

static void
on_v6(void *ctx, const struct dns_answer *answer)
{
	struct sender_ask *a = ctx;

	on_address(a, &a->v6, answer);
}

static struct ask *
ask(struct sender_ask *a, enum dns_type type, resolve_fn *fn)
{
	return resolve_ask(a->from.all->resolve, type, a->domain, 0,
	    a->from.stranger, a->from.deadline, fn, a);
}

/* RFC 7505: it takes no mail, and says so. */
static bool
is_null_mx(const struct dns_answer *answer)
{
	const struct dns_record *r = answer->records;

	return answer->n == 1 && !r->preference &&
	       (!r->name[0] || (r->name[0] == '.' && !r->name[1]));
}

static void
on_mx(void *ctx, const struct dns_answer *answer)
{
	struct sender_ask *a = ctx;

	a->mx = NULL;
	switch (answer->status) {
	case DNS_FOUND:
		tell(a, is_null_mx(answer) ? SENDER_NULL_MX : SENDER_GOOD);
		break;
	case DNS_NXDOMAIN:
		tell(a, SENDER_NONE);
		break;
	case DNS_FAILED:
		tell(a, SENDER_UNKNOWN);
		break;
	case DNS_NODATA:
		a->v4 = ask(a, DNS_A, on_v4);
		a->v6 = ask(a, DNS_AAAA, on_v6);
		break;
	}
}

/* Nothing is to be learned of our own, and nothing of what is no name. */
static bool
is_asked(const struct fact_from *from)
{
	const struct smtp_path *p = &from->env->sender;
	const struct door_config *c = from->all->conf;
	struct span domain = span_str(p->domain ? p->domain : "");

	return from->all->resolve && domain.len && !p->literal &&
	       !(c->serves && c->serves(c->serves_ctx, domain));
}

struct ask *
fact_sender_ask(const struct fact_from *from, struct facts *f, fact_fn *fn,
    void *ctx)
{
	struct sender_ask *a;

	f->sender = SENDER_UNKNOWN;
	if (!is_asked(from))
		return NULL;
	a = mem_new(sizeof(*a));
	*a = (struct sender_ask){.ask.cancel = on_cancel,
	    .from = *from,
	    .facts = f,
	    .fn = fn,
	    .ctx = ctx};
	if (idn_key(span_str(from->env->sender.domain), a->domain) < 0) {
		free(a);
		return NULL;
	}
	a->mx = ask(a, DNS_MX, on_mx);
	return &a->ask;
}
