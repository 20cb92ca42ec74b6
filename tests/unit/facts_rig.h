/*
 * What the tests of the facts share: a resolver that lies, a clock that stands
 * still, and a client of whom something is asked.
 */
#ifndef FACTS_RIG_H
#define FACTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/resolve.h"
#include "liar.h"
#include "log_catch.h"
#include "policy/facts.h"

#define TIMEOUT 3000 /* ms */

static struct rig {
	struct loop loop;
	struct liar *liar;
	struct resolve *resolve;
	struct door_config conf;
	struct doors doors;
	struct envelope env;
	struct facts facts;
	struct ask *ask;
	unsigned told;
	enum fact which;
} rig;

static inline int
rig_up(void **state)
{
	struct resolve_options o = {0};

	(void)state;
	rig = (struct rig){0};
	if (loop_init(&rig.loop) < 0)
		return -1;
	clock_stop(&rig.loop, liar_busy);
	rig.liar = liar_new(&rig.loop);
	o.servers = liar_server(rig.liar);
	rig.resolve = resolve_new(&rig.loop, &o);
	rig.doors = (struct doors){.conf = &rig.conf,
	    .loop = &rig.loop,
	    .resolve = rig.resolve};
	return rig.resolve ? 0 : -1;
}

static inline int
rig_down(void **state)
{
	(void)state;
	envelope_free(&rig.env);
	resolve_free(&rig.resolve);
	liar_free(&rig.liar);
	loop_free(&rig.loop);
	clock_go();
	log_forget();
	return 0;
}

static inline void
rig_told(void *ctx, enum fact which)
{
	assert_ptr_equal(ctx, &rig);
	rig.ask = NULL;
	rig.told++;
	rig.which = which;
}

/* False: nothing is asked. */
static inline bool
rig_ask(fact_ask *fact)
{
	/* it need not last */
	const struct fact_from from = {.all = &rig.doors,
	    .env = &rig.env,
	    .stranger = 7,
	    .deadline = clock_now() + TIMEOUT};

	rig.told = 0;
	rig.ask = fact(&from, &rig.facts, rig_told, &rig);
	assert_int_equal(rig.told, 0);
	assert_int_equal(rig.facts.known, 0);
	return rig.ask != NULL;
}

/* Asks, and it has been told by the deadline. */
static inline void
rig_learn(fact_ask *fact, enum fact which)
{
	assert_true(rig_ask(fact));
	clock_pass(TIMEOUT);
	assert_int_equal(rig.told, 1);
	assert_int_equal(rig.which, which);
	/* what is late is nobody's */
	clock_pass(20000);
	assert_int_equal(rig.told, 1);
	assert_int_equal(rig.facts.known, 0);
}

/* Silence, whenever it is cancelled: before the loop has turned, with answers
 * that are there, between two, and before the last gives up. */
static inline void
rig_cancel_always(fact_ask *fact)
{
	static const int64_t moments[] = {-1, 0, 1000, 1499, 1500, 1600, 1900};

	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		assert_true(rig_ask(fact));
		if (moments[i] >= 0)
			clock_pass(moments[i]);
		assert_non_null(rig.ask);
		ask_cancel(&rig.ask, ASK_ABANDON);
		clock_pass(20000);
		assert_int_equal(rig.told, 0);
	}
}

#endif
