/*
 * Jobs: order, completion on the loop, silence after a cancel, no leaks.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/jobs.h"

struct probe {
	struct job job;
	int value;
	pthread_t ran_on;
};

struct world {
	struct loop loop;
	struct jobs *jobs;
	int done;
	int last;
	int expected;
};

static atomic_int ran, freed;

static void
probe_run(struct job *j)
{
	struct probe *p = (struct probe *)j;

	p->ran_on = pthread_self();
	p->value *= 2;
	ran++;
}

static void
probe_free(struct job *j)
{
	freed++;
	free(j);
}

static struct job *
probe(int value)
{
	struct probe *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->job.run = probe_run;
	p->job.free = probe_free;
	p->value = value;
	return &p->job;
}

static void
on_done(struct job *j, void *ctx)
{
	struct world *w = ctx;
	struct probe *p = (struct probe *)j;

	assert_false(pthread_equal(p->ran_on, pthread_self()));
	w->last = p->value;
	if (++w->done == w->expected)
		loop_stop(&w->loop);
}

static void
open_world(struct world *w, unsigned threads)
{
	*w = (struct world){.done = 0};
	ran = freed = 0;
	assert_int_equal(loop_init(&w->loop), 0);
	w->jobs = jobs_new(&w->loop, threads);
	assert_non_null(w->jobs);
}

static void
close_world(struct world *w)
{
	jobs_free(&w->jobs);
	assert_null(w->jobs);
	loop_free(&w->loop);
}

static void
completes_in_order_on_one_thread(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 1);
	w.expected = 1000;
	for (int i = 1; i <= w.expected; i++)
		assert_true(jobs_submit(w.jobs, probe(i), on_done, &w) > 0);
	assert_int_equal(jobs_pending(w.jobs), 1000);
	assert_int_equal(loop_run(&w.loop), 0);
	assert_int_equal(w.done, 1000);
	assert_int_equal(w.last, 2000);
	assert_int_equal(jobs_pending(w.jobs), 0);
	assert_int_equal(freed, 1000);
	close_world(&w);
}

static void
many_threads_lose_nothing(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 8);
	w.expected = 20000;
	for (int i = 0; i < w.expected; i++)
		jobs_submit(w.jobs, probe(1), on_done, &w);
	assert_int_equal(loop_run(&w.loop), 0);
	assert_int_equal(w.done, w.expected);
	assert_int_equal(freed, w.expected);
	close_world(&w);
}

static void
cancelled_is_silent_but_runs(void **state)
{
	struct world w;
	uint64_t id;

	(void)state;
	open_world(&w, 1);
	w.expected = 1;
	id = jobs_submit(w.jobs, probe(7), on_done, &w);
	jobs_cancel(w.jobs, &id);
	assert_int_equal(id, 0);
	jobs_cancel(w.jobs, &id); /* again: nothing */
	jobs_submit(w.jobs, probe(9), on_done, &w);
	assert_int_equal(loop_run(&w.loop), 0);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.last, 18);
	assert_int_equal(ran, 2);
	assert_int_equal(freed, 2);
	close_world(&w);
}

static void
free_drops_what_waits(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, 2);
	for (int i = 0; i < 500; i++)
		jobs_submit(w.jobs, probe(i), on_done, &w);
	close_world(&w);
	assert_int_equal(w.done, 0);
	assert_int_equal(freed, 500);
}

static void
mark(void *ptr)
{
	++*(int *)ptr;
}

/* What is deferred in a deferred call runs in the same pass. */
static void
deferred_runs_after_the_turn(void **state)
{
	struct world w;
	int marks = 0;

	(void)state;
	open_world(&w, 1);
	w.expected = 1;
	loop_defer(&w.loop, mark, &marks);
	assert_int_equal(marks, 0);
	jobs_submit(w.jobs, probe(1), on_done, &w);
	loop_run(&w.loop);
	assert_int_equal(marks, 1);
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(completes_in_order_on_one_thread),
	    cmocka_unit_test(many_threads_lose_nothing),
	    cmocka_unit_test(cancelled_is_silent_but_runs),
	    cmocka_unit_test(free_drops_what_waits),
	    cmocka_unit_test(deferred_runs_after_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
