/*
 * Many streams, one timer: each is told once, none before its time, and none
 * that was closed or wants nothing any more.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/clock.h"
#include "io/stream.h"

#define STREAMS 500

struct one {
	struct stream s;
	int64_t due; /* 0: never */
	unsigned told;
};

static struct loop loop;
static struct stream_pool pool;
static struct one all[STREAMS];
static unsigned told;

static void
on_stream(void *owner, enum stream_event what)
{
	struct one *o = owner;

	assert_int_equal(what, STREAM_DEADLINE);
	assert_int_not_equal(o->due, 0);
	assert_true(clock_now() >= o->due);
	o->told++;
	told++;
}

static int
set_up(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(stream_pool_init(&pool, &loop), 0);
	memset(all, 0, sizeof(all));
	for (unsigned i = 0; i < STREAMS; i++)
		stream_init(&all[i].s, &pool, eventfd(0, EFD_NONBLOCK),
		    on_stream, &all[i]);
	told = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < STREAMS; i++)
		stream_close(&all[i].s);
	assert_int_equal(pool.ndue, 0);
	stream_pool_free(&pool);
	loop_free(&loop);
	return 0;
}

static void
want(struct one *o, int64_t ms)
{
	o->due = ms ? clock_now() + ms : 0;
	stream_deadline(&o->s, o->due);
}

static void
turn_until_told(unsigned n)
{
	while (told < n)
		event_base_loop(loop.base, EVLOOP_ONCE);
}

/* As a heap is: nobody is due before whoever stands above it. */
static void
is_in_order(void)
{
	for (uint32_t i = 0; i < pool.ndue; i++) {
		assert_int_equal(pool.due[i]->place, i + 1);
		if (i)
			assert_true(
			    pool.due[(i - 1) / 2]->armed <= pool.due[i]->armed);
	}
}

static void
each_in_its_time(void **state)
{
	unsigned n = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < STREAMS; i++)
		want(&all[i], 1 + rand() % 50);
	is_in_order();
	for (unsigned i = 0; i < 2000; i++) {
		struct one *o = &all[rand() % STREAMS];

		if (i % 7 == 0) {
			stream_close(&o->s);
			o->due = 0;
		} else if (o->s.fd >= 0) {
			want(o, rand() % 60);
		}
		is_in_order();
	}
	for (unsigned i = 0; i < STREAMS; i++)
		n += all[i].due != 0;
	assert_true(n > STREAMS / 4);
	turn_until_told(n);
	for (unsigned i = 0; i < STREAMS; i++)
		assert_int_equal(all[i].told, all[i].due != 0);
	assert_int_equal(told, n);
}

static void
again_and_again(void *owner, enum stream_event what)
{
	struct one *o = owner;

	on_stream(owner, what);
	want(o, -5); /* long past: but others have their turn */
	if (o == &all[0])
		stream_close(&all[1].s);
	if (told > 20)
		loop_stop(&loop);
}

static void
past_ones_do_not_spin(void **state)
{
	(void)state;
	all[0].s.fn = all[1].s.fn = again_and_again;
	want(&all[0], -5);
	want(&all[1], 1);
	assert_int_equal(loop_run(&loop), 0);
	assert_true(all[0].told > 19);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(each_in_its_time, set_up,
		tear_down),
	    cmocka_unit_test_setup_teardown(past_ones_do_not_spin, set_up,
		tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
