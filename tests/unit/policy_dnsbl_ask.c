/*
 * Asking lists, and testing them, against a resolver that says what each of
 * them says just now, on a clock that stands still: what becomes of a client,
 * what is switched off and on and by whom, and what is said of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "liar.h"
#include "log_catch.h"
#include "policy/dnsbl_ask.h"
#include "policy/dnsbl_health.h"
#include "policy/facts.h"

#define TIMEOUT 3000

/* What a list is like. A good one lists 127.0.0.2, and what ends in 66. Of one
 * that is KNOWN to list nobody a resolver still knows what was asked before. */
enum mode {
	GOOD,
	EVERYBODY,
	KNOWN,
	NOBODY,
	PUBLIC,
	MUTE,
	BROKEN, /* for what it lists */
	SOLD,
	REWRITTEN,
	CODE
};

static const struct dnsbl_code bad[] = {{{127, 0, 0, 2}, {127, 0, 0, 9}, 5}};
static const struct dnsbl_code kind[] = {{{127, 0, 0, 2}, {127, 0, 0, 9}, -3}};

static struct dnsbl_zone zones[] = {
    {.name = "bl.test", .codes = bad, .ncodes = 1},
    {.name = "wl.test", .codes = kind, .ncodes = 1},
    {.name = "six.test", .codes = bad, .ncodes = 1, .family = DNSBL_IPV6},
    {.name = "old.test", .codes = bad, .ncodes = 1, .untested = true},
};
enum { BL, WL, SIX, OLD, ZONES };

static const struct dnsbl lists = {zones, ZONES};
static const struct door_config conf = {.lists = &lists};

static struct loop loop;
static struct liar *liar;
static enum mode modes[ZONES];
static unsigned asked[ZONES]; /* of clients, since the test began */
static struct doors workers[2];

/* --- the lists --- */

static int
say(enum mode mode, unsigned last, bool test, uint8_t octets[4])
{
	static const uint8_t answers[][4] = {
	    [GOOD] = {127, 0, 0, 2},
	    [EVERYBODY] = {127, 0, 0, 2},
	    [KNOWN] = {127, 0, 0, 2},
	    [PUBLIC] = {127, 255, 255, 254},
	    [SOLD] = {203, 0, 113, 9},
	    [REWRITTEN] = {127, 0, 0, 2},
	    [CODE] = {127, 0, 0, 77},
	};
	bool listed = test ? last == 2 : last == 66;

	if (mode == MUTE)
		return -1;
	if (mode == BROKEN)
		return listed ? -2 : 0;
	if (mode == NOBODY)
		return 0;
	memcpy(octets, answers[mode], 4);
	if (mode == REWRITTEN && !listed)
		memcpy(octets, answers[SOLD], 4);
	if (mode == CODE && test)
		memcpy(octets, answers[GOOD], 4);
	if (mode == KNOWN && test && last == 1)
		return 0;
	return listed || (mode != GOOD && mode != CODE);
}

/* Of nibbles, "2.0.0.0.0.0.f.7.f.f.f.f." is the mapped 127.0.0.2. */
static int
on_six(const char *name, uint8_t octets[4])
{
	bool test = strncmp(name + 12, "f.7.f.f.f.f.0.", 14) == 0;

	assert_int_equal(strlen(name), 64 + strlen("six.test"));
	asked[SIX] += !test;
	if (!test)
		return say(modes[SIX], 66, false, octets);
	if (strncmp(name + 1, ".0.0.0.0.0.", 11) != 0)
		return say(modes[SIX], 0, true, octets);
	return say(modes[SIX], (unsigned)(name[0] - '0'), true, octets);
}

static int
on_question(void *ctx, const char *name, uint8_t octets[4])
{
	unsigned a, b, c, d, n = 0;

	(void)ctx;
	while (n < ZONES && !strstr(name, zones[n].name))
		n++;
	if (n == ZONES) /* is anybody there? */
		return 0;
	if (n == SIX)
		return on_six(name, octets);
	assert_int_equal(sscanf(name, "%u.%u.%u.%u.", &a, &b, &c, &d), 4);
	asked[n] += d != 127;
	return say(modes[n], d == 127 && (b || c) ? 0 : a, d == 127, octets);
}

/* --- a client --- */

struct client {
	struct envelope env;
	struct facts facts;
	struct ask *ask;
	unsigned calls;
};

static void
on_facts(void *ctx, enum fact which)
{
	struct client *c = ctx;

	assert_int_equal(which, FACT_LISTS);
	c->ask = NULL;
	c->calls++;
}

static void
begin(struct client *c, const char *ip, unsigned worker)
{
	const struct fact_from from = {.all = &workers[worker],
	    .env = &c->env,
	    .deadline = clock_now() + TIMEOUT};

	*c = (struct client){.facts.known = 0};
	memset(&c->facts.lists, 0x55, sizeof(c->facts.lists));
	assert_int_equal(ipaddr_parse(span_str(ip), &c->env.client), 0);
	c->ask = fact_lists_ask(&from, &c->facts, on_facts, c);
	assert_int_equal(c->calls, 0);
}

/* Whatever is to be known of it, is. */
static struct client
ask(const char *ip, unsigned worker)
{
	struct client c;

	begin(&c, ip, worker);
	if (c.ask) {
		clock_pass(TIMEOUT);
		assert_int_equal(c.calls, 1);
	}
	assert_null(c.ask);
	assert_int_equal(c.facts.known, 0);
	return c;
}

static enum fact_list
state_of(const char *ip, unsigned list)
{
	return ask(ip, 0).facts.lists[list].state;
}

static enum dnsbl_state
health(unsigned list)
{
	return dnsbl_look(workers[0].shared, &zones[list]).state;
}

/* --- the world --- */

static int
set_up(void **state)
{
	struct resolve_options o = {.servers = NULL};
	struct shared *s = shared_new();

	(void)state;
	memset(modes, 0, sizeof(modes));
	memset(asked, 0, sizeof(asked));
	log_forget();
	assert_int_equal(loop_init(&loop), 0);
	liar = liar_new(&loop);
	assert_non_null(liar);
	liar_script(liar, on_question, NULL);
	o.servers = liar_server(liar);
	clock_stop(&loop, liar_busy);
	for (unsigned i = 0; i < 2; i++) {
		workers[i] = (struct doors){.conf = &conf,
		    .loop = &loop,
		    .resolve = resolve_new(&loop, &o),
		    .shared = s,
		    .slot = i};
		assert_non_null(workers[i].resolve);
	}
	return 0;
}

static void
start(void)
{
	for (unsigned i = 0; i < 2; i++)
		workers[i].lists = dnsbl_watch_new(&workers[i]);
	clock_pass(TIMEOUT);
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		dnsbl_watch_free(&workers[i].lists);
		dnsbl_watch_free(&workers[i].lists);
		resolve_free(&workers[i].resolve);
	}
	liar_free(&liar);
	clock_go();
	loop_free(&loop);
	log_forget();
	return 0;
}

/* --- the tests --- */

static void
what_they_say(void **state)
{
	struct client c;

	(void)state;
	start();
	c = ask("192.0.2.66", 0);
	assert_int_equal(c.facts.lists[BL].state, LIST_LISTED);
	assert_int_equal(c.facts.lists[BL].weight, 5);
	assert_memory_equal(c.facts.lists[BL].code, bad[0].from, 4);
	assert_int_equal(c.facts.lists[WL].weight, -3);
	assert_int_equal(c.facts.lists[SIX].state, LIST_NOT);
	assert_int_equal(c.facts.lists[OLD].state, LIST_LISTED);
	assert_int_equal(state_of("192.0.2.65", BL), LIST_NOT);
	assert_int_equal(asked[SIX], 0);
	/* of IPv6 */
	assert_int_equal(state_of("2001:db8::1", SIX), LIST_LISTED);
	assert_int_equal(asked[SIX], 1);
	/* a code that is none is counted, and said once in an hour */
	modes[BL] = CODE;
	for (int i = 0; i < 5; i++)
		assert_int_equal(state_of("192.0.2.66", BL), LIST_NOT);
	assert_int_equal(shared_total(workers[0].shared, SHARED_DNSBL_CODES),
	    5);
	assert_int_equal(logged("dnsbl-code", "zone=bl.test answer=127.0.0.77"),
	    1);
	assert_int_equal(health(BL), DNSBL_GOOD);
}

static void
nobody_is_asked(void **state)
{
	(void)state;
	start();
	liar_asked(liar);
	assert_int_equal(state_of("127.0.0.66", BL), LIST_NOT);
	assert_int_equal(state_of("::1", SIX), LIST_NOT);
	assert_int_equal(liar_asked(liar), 0);
}

/* One is silent: the others count, and the client waits no longer than it
 * may. */
static void
each_stands_for_itself(void **state)
{
	struct client c;

	(void)state;
	start();
	modes[WL] = MUTE;
	begin(&c, "192.0.2.66", 0);
	clock_pass(TIMEOUT - 1);
	assert_int_equal(c.calls, 0);
	assert_int_equal(c.facts.lists[BL].state, LIST_LISTED);
	clock_pass(1);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.facts.lists[WL].state, LIST_SILENT);
	assert_int_equal(c.facts.lists[BL].state, LIST_LISTED);
	assert_int_equal(c.facts.lists[OLD].state, LIST_LISTED);
}

static void
cancelled(void **state)
{
	struct client c;

	(void)state;
	start();
	for (int end = ASK_GO_ON; end <= ASK_ABANDON; end++) {
		begin(&c, "192.0.2.66", 0);
		ask_cancel(&c.ask, (enum ask_end)end);
		clock_pass(2 * TIMEOUT);
		assert_int_equal(c.calls, 0);
	}
	modes[WL] = MUTE; /* with one answer there and one not */
	begin(&c, "192.0.2.66", 0);
	clock_pass(TIMEOUT / 2);
	ask_cancel(&c.ask, ASK_ABANDON);
	clock_pass(2 * TIMEOUT);
	assert_int_equal(c.calls, 0);
}

static void
untested_is_not_asked(void **state)
{
	(void)state;
	assert_int_equal(state_of("192.0.2.66", BL), LIST_SILENT);
	assert_int_equal(asked[BL], 0);
	assert_int_equal(asked[OLD], 1);
	start();
	assert_int_equal(state_of("192.0.2.66", BL), LIST_LISTED);
	/* four questions each, by one of the two workers */
	liar_asked(liar);
	clock_pass(DNSBL_HOURLY / 10 * 11);
	assert_int_equal(liar_asked(liar), 3 * 4);
}

/* Bad from the start: nobody is listed, and it is said, once, and hourly. */
static void
bad_from_the_start(void **state)
{
	static const struct {
		enum mode mode;
		const char *line;
	} rows[] = {
	    {EVERYBODY, "it lists loopback addresses, so it may list everybody "
			"answer=127.0.0.2 help=lists"},
	    {KNOWN, "it lists loopback addresses, so it may list everybody "
		    "answer=127.0.0.2 help=lists"},
	    {NOBODY, "it does not list 127.0.0.2 help=is"},
	    {PUBLIC, "it does not serve public resolvers "
		     "answer=127.255.255.254 help=ask"},
	    {SOLD, "outside of 127.0.0.0/8 answer=203.0.113.9 help=its"},
	    {REWRITTEN, "outside of 127.0.0.0/8 answer=203.0.113.9 help=its"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i)
			set_up(state);
		modes[BL] = modes[SIX] = rows[i].mode;
		start();
		assert_int_equal(health(BL), DNSBL_OFF);
		assert_int_equal(health(SIX), DNSBL_OFF);
		assert_int_equal(health(WL), DNSBL_GOOD);
		assert_int_equal(state_of("192.0.2.66", BL), LIST_SILENT);
		assert_int_equal(state_of("192.0.2.66", WL), LIST_LISTED);
		assert_int_equal(asked[BL], 0);
		assert_int_equal(logged("dnsbl-off", "zone=bl.test reason="),
		    1);
		assert_int_equal(logged("dnsbl-off", rows[i].line), 2);
		clock_pass(DNSBL_HOURLY / 2);
		assert_int_equal(logged("dnsbl-off", "zone=bl.test"), 1);
		clock_pass(DNSBL_HOURLY / 4 * 3);
		assert_int_equal(logged("dnsbl-off", "zone=bl.test"), 2);
		/* well again, and found to be so */
		modes[BL] = GOOD;
		clock_pass(DNSBL_OFF_WAIT / 10 * 11 + TIMEOUT);
		assert_int_equal(logged("dnsbl-on", "zone=bl.test seconds="),
		    1);
		assert_int_equal(state_of("192.0.2.66", BL), LIST_LISTED);
		tear_down(state);
	}
	set_up(state);
}

/*
 * Listing everybody at once: at most 20, over both workers, however many come
 * after that.
 */
static void
it_turns_bad(void **state)
{
	unsigned listed = 0;

	(void)state;
	start();
	modes[BL] = EVERYBODY;
	for (unsigned i = 0; i < 60; i++) {
		struct client c = ask("192.0.2.1", i % 2);

		listed += c.facts.lists[BL].state == LIST_LISTED;
	}
	assert_int_equal(health(BL), DNSBL_OFF);
	assert_in_range(listed, DNSBL_LISTINGS - 1, DNSBL_LISTINGS);
	assert_int_equal(logged("dnsbl-off", "zone=bl.test"), 1);
	modes[BL] = GOOD;
	clock_pass(DNSBL_OFF_WAIT / 10 * 11 + TIMEOUT);
	assert_int_equal(logged("dnsbl-on", "zone=bl.test"), 1);
	assert_int_equal(state_of("192.0.2.1", BL), LIST_NOT);
}

/* Who had asked when it was switched off is not listed either. */
static void
an_answer_that_comes_late(void **state)
{
	struct client c;

	(void)state;
	start();
	begin(&c, "192.0.2.66", 0);
	assert_int_equal(dnsbl_test_done(dnsbl_place(workers[0].shared,
					     &zones[BL]),
			     DNSBL_TEST_BAD, DNSBL_PUBLIC, 0, clock_now()),
	    DNSBL_IS_OFF);
	clock_pass(TIMEOUT);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.facts.lists[BL].state, LIST_SILENT);
	assert_int_equal(c.facts.lists[WL].state, LIST_LISTED);
}

/* What lists nobody any more is no harm, but it is found out, too. */
static void
errors_are_found(void **state)
{
	static const enum mode rows[] = {PUBLIC, SOLD};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i)
			set_up(state);
		start();
		modes[BL] = rows[i];
		for (int k = 0; k < DNSBL_ERRORS; k++)
			assert_int_equal(state_of("192.0.2.66", BL),
			    LIST_SILENT);
		assert_int_equal(health(BL), DNSBL_OFF);
		if (!i)
			tear_down(state);
	}
}

/* A list that is away is no longer waited for. */
static void
silence(void **state)
{
	(void)state;
	start();
	modes[BL] = MUTE;
	for (int k = 0; k < DNSBL_ERRORS; k++) {
		assert_int_equal(state_of("192.0.2.66", BL), LIST_SILENT);
		assert_int_equal(health(BL), DNSBL_GOOD);
	}
	clock_pass(3 * DNSBL_AGAIN);
	assert_int_equal(health(BL), DNSBL_OFF);
	assert_int_equal(logged("dnsbl-off",
			     "zone=bl.test reason=it does not answer help="),
	    1);
	assert_int_equal(health(WL), DNSBL_GOOD);
	modes[BL] = GOOD;
	clock_pass(DNSBL_AGAIN + TIMEOUT);
	assert_int_equal(health(BL), DNSBL_GOOD);
	assert_int_equal(logged("dnsbl-on", "zone=bl.test"), 1);
}

/* Half an answer is none, in whatever order it comes. */
static void
half_a_test(void **state)
{
	(void)state;
	modes[BL] = BROKEN;
	start();
	assert_int_equal(health(BL), DNSBL_UNTESTED);
	clock_pass(2 * DNSBL_AGAIN);
	assert_int_equal(dnsbl_look(workers[0].shared, &zones[BL]).fault,
	    DNSBL_SILENT);
}

/* That of the resolver is no list's fault, when it is seen to be away. */
static void
the_resolver_is_away(void **state)
{
	struct client clients[30];

	(void)state;
	start();
	liar_mute(liar, true);
	for (int k = 0; k < 30; k++)
		begin(&clients[k], "192.0.2.66", 0);
	clock_pass(DNSBL_HOURLY);
	assert_int_equal(clients[29].calls, 1);
	assert_int_equal(clients[29].facts.lists[BL].state, LIST_SILENT);
	assert_int_equal(logged("dns-down", ""), 2);
	assert_int_equal(logged("dnsbl-off", ""), 0);
	assert_int_equal(health(BL), DNSBL_GOOD);
	liar_mute(liar, false);
	clock_pass(2 * DNSBL_AGAIN);
	assert_int_equal(state_of("192.0.2.66", BL), LIST_LISTED);
}

/* A test that was taken by somebody who died is another one's. */
static void
who_tests_dies(void **state)
{
	struct shared_place *p = dnsbl_place(workers[0].shared, &zones[BL]);

	(void)state;
	modes[WL] = MUTE;
	assert_true(dnsbl_test_due(p, clock_now()));
	start();
	assert_int_equal(health(BL), DNSBL_UNTESTED);
	dnsbl_watch_free(&workers[0].lists);
	clock_pass(DNSBL_AGAIN);
	assert_int_equal(health(BL), DNSBL_GOOD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_they_say),
	    TEST(nobody_is_asked),
	    TEST(each_stands_for_itself),
	    TEST(cancelled),
	    TEST(untested_is_not_asked),
	    TEST(bad_from_the_start),
	    TEST(it_turns_bad),
	    TEST(an_answer_that_comes_late),
	    TEST(errors_are_found),
	    TEST(silence),
	    TEST(half_a_test),
	    TEST(the_resolver_is_away),
	    TEST(who_tests_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
