/*
 * dnsbl_watch: a test is three questions: 127.0.0.2, which must be listed,
 * 127.0.0.1, which must not (RFC 5782 5), and an address of that network
 * which nobody has asked for: a resolver may still know the other two from
 * before the list turned bad. Who knows IPv6 alone is asked for the mapped
 * ones.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "policy/dnsbl_ask.h"
#include "policy/dnsbl_codes.h"
#include "policy/dnsbl_health.h"
#include "policy/door.h"

#define TEST_MS 3000
#define SOON    100       /* ms between two looks at the least */
#define ANYBODY "invalid" /* RFC 6761: a resolver knows by itself */

struct test;

enum which { LISTED, UNLISTED, UNHEARD_OF, RESOLVER, PROBES };

struct probe {
	struct test *test;
	struct ask *ask;
};

struct test {
	struct dnsbl_watch *watch;
	const struct dnsbl_zone *zone;
	struct probe probes[PROBES];
	unsigned waiting; /* 0: there is none */
	bool alive;       /* the resolver is */
	enum dnsbl_tested how;
	enum dnsbl_fault fault;
	struct ipaddr answer; /* behind the fault */
};

struct dnsbl_watch {
	const struct doors *all;
	struct loop_event *timer;
	struct test tests[DNSBL_MAX]; /* by the zone's number */
};

static struct shared_place *
place_of(const struct test *t)
{
	return dnsbl_place(t->watch->all->shared, t->zone);
}

/* --- what came of it --- */

static void
tell(const struct test *t, enum dnsbl_news news, int64_t off_since, int64_t now)
{
	const struct dnsbl_fault_text *text =
	    &dnsbl_faults[dnsbl_view(place_of(t)).fault];
	char ip[IPADDR_STRLEN];

	if (news == DNSBL_IS_OFF)
		log_event(LOG_ERROR, "dnsbl-off",
		    LOG_STR("zone", t->zone->name),
		    LOG_STR("reason", text->reason),
		    LOG_STR("answer", t->answer.family
					  ? ipaddr_format(&t->answer, ip)
					  : NULL),
		    LOG_STR("help", text->help));
	if (news == DNSBL_IS_ON)
		log_event(LOG_INFO, "dnsbl-on", LOG_STR("zone", t->zone->name),
		    LOG_INT("seconds", (now - off_since) / 1000));
}

static void
finish(struct test *t)
{
	struct shared_place *p = place_of(t);
	int64_t since = dnsbl_view(p).since, now = clock_now();
	uint32_t random;

	if (t->how == DNSBL_TEST_MISSED && !t->alive)
		t->how = DNSBL_TEST_UNASKED;
	digest_random(&random, sizeof(random));
	tell(t, dnsbl_test_done(p, t->how, t->fault, random, now), since, now);
}

/* What is wrong outweighs what is missing, and that what is right. */
static void
judge(struct test *t, const struct dnsbl_answer *a, bool listed)
{
	enum dnsbl_tested how = DNSBL_TEST_GOOD;
	enum dnsbl_fault fault = DNSBL_WELL;

	if (a->said == DNSBL_SAID_UNASKED || a->said == DNSBL_SAID_NOTHING)
		how = a->said == DNSBL_SAID_NOTHING ? DNSBL_TEST_MISSED
						    : DNSBL_TEST_UNASKED;
	else if (a->said == DNSBL_SAID_WRONG)
		fault = a->fault;
	else if (listed != (a->said != DNSBL_SAID_NOT))
		fault = listed ? DNSBL_NOBODY : DNSBL_EVERYBODY;
	if (t->fault)
		return;
	t->fault = fault;
	if (fault)
		t->how = DNSBL_TEST_BAD;
	else if (how < t->how)
		t->how = how;
	if (fault && a->said != DNSBL_SAID_NOT)
		t->answer = ipaddr_v4(a->code);
}

static void arm(struct dnsbl_watch *w);

static void
on_answer(void *ctx, const struct dns_answer *answer)
{
	struct probe *probe = ctx;
	struct test *t = probe->test;
	const struct dnsbl_answer a = dnsbl_read(t->zone, answer);

	probe->ask = NULL;
	if (probe == &t->probes[RESOLVER])
		t->alive =
		    answer->status != DNS_FAILED || answer->why < DNS_TIMEOUT;
	else
		judge(t, &a, probe == &t->probes[LISTED]);
	if (--t->waiting)
		return;
	finish(t);
	arm(t->watch);
}

/* --- asking --- */

static void
ask(struct test *t, enum which which, const char *name)
{
	struct probe *p = &t->probes[which];

	p->test = t;
	p->ask = resolve_ask(t->watch->all->resolve, DNS_A, name, 0, 0,
	    clock_now() + TEST_MS, on_answer, p);
}

static void
ask_list(struct test *t, enum which which, const uint8_t v4[4])
{
	char name[DNS_NAME_MAX + 1];
	struct ipaddr a = {.family = IP_V6,
	    .bytes = {[10] = 0xff, [11] = 0xff}};

	if (t->zone->family == DNSBL_IPV6)
		memcpy(a.bytes + 12, v4, 4);
	else
		a = ipaddr_v4(v4);
	ask(t, which, dnsbl_question(&a, t->zone->name, name));
}

void
dnsbl_watch_test(struct dnsbl_watch *w, unsigned zone)
{
	static const uint8_t listed[4] = {127, 0, 0, 2};
	static const uint8_t unlisted[4] = {127, 0, 0, 1};
	struct test *t = w ? &w->tests[zone] : NULL;
	uint8_t unheard_of[4];

	if (!t || t->waiting)
		return;
	digest_random(unheard_of, sizeof(unheard_of));
	unheard_of[0] = 127;
	unheard_of[1] |= 128;
	t->waiting = PROBES;
	t->how = DNSBL_TEST_GOOD;
	t->fault = DNSBL_WELL;
	t->answer = (struct ipaddr){.family = IP_NONE};
	ask_list(t, LISTED, listed);
	ask_list(t, UNLISTED, unlisted);
	ask_list(t, UNHEARD_OF, unheard_of);
	ask(t, RESOLVER, ANYBODY);
}

/* Of all that are to be tested. */
static void
arm(struct dnsbl_watch *w)
{
	int64_t now = clock_now(), first = now + DNSBL_HOURLY;

	for (unsigned i = 0; i < w->all->conf->lists->n; i++) {
		int64_t next = dnsbl_test_next(place_of(&w->tests[i]), now);

		first = next < first ? next : first;
	}
	loop_timer_set(w->timer,
	    first - now > SOON ? (uint64_t)(first - now) : SOON);
}

static void
look(void *ctx)
{
	struct dnsbl_watch *w = ctx;

	for (unsigned i = 0; i < w->all->conf->lists->n; i++)
		if (dnsbl_test_due(place_of(&w->tests[i]), clock_now()))
			dnsbl_watch_test(w, i);
	arm(w);
}

struct dnsbl_watch *
dnsbl_watch_new(const struct doors *all)
{
	struct dnsbl_watch *w = mem_new(sizeof(*w));

	w->all = all;
	for (unsigned i = 0; i < all->conf->lists->n; i++) {
		w->tests[i].watch = w;
		w->tests[i].zone = &all->conf->lists->zones[i];
	}
	w->timer = loop_timer(all->loop, look, w);
	if (!w->timer)
		abort();
	look(w);
	return w;
}

void
dnsbl_watch_free(struct dnsbl_watch **p)
{
	struct dnsbl_watch *w = *p;

	*p = NULL;
	if (!w)
		return;
	for (unsigned i = 0; i < DNSBL_MAX; i++)
		for (unsigned k = 0; w->tests[i].waiting && k < PROBES; k++)
			ask_cancel(&w->tests[i].probes[k].ask, ASK_ABANDON);
	loop_event_free(&w->timer);
	free(w);
}
