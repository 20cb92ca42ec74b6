/*
 * greylist_saver: one worker writes, every ten minutes, and none that leaves.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "grey_rig.h"
#include "log_catch.h"
#include "policy/greylist_saver.h"
#include "scratch.h"

#define SYS_LOG 0
#include "sys.h"

#define MINUTES INT64_C(60000)

static struct loop loop;
static struct jobs *jobs;
static struct shared *shared;
static struct loop_event *settled;

static void
look_settled(void *ctx)
{
	(void)ctx;
	if (jobs_pending(jobs))
		loop_timer_set(settled, 1);
	else
		loop_stop(&loop);
}

static void
settle(void)
{
	loop_timer_set(settled, 0);
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static int
open_saver(void **state)
{
	scratch_setup(state);
	sys_reset();
	assert_int_equal(loop_init(&loop), 0);
	jobs = jobs_new(&loop, 1);
	settled = loop_timer(&loop, look_settled, NULL);
	shared = shared_new();
	t = shared_grey(shared);
	return 0;
}

static int
close_saver(void **state)
{
	loop_event_free(&settled);
	jobs_free(&jobs);
	loop_free(&loop);
	log_forget();
	return scratch_teardown(state);
}

/* It has passed. */
static void
pass(const char *sender)
{
	struct greylist_key k = key("192.0.2.1", sender, "example.org");

	greylist_pass(&lonely, t, &k, NOW);
}

/* Its worker looks, and what comes of that is waited for: was it written? */
static bool
looks(struct greylist_saver *s, int64_t now)
{
	bool is;

	greylist_saver_look(s, now);
	settle();
	is = scratch_exists("greylist");
	unlink("greylist");
	return is;
}

static void
one_of_them_every_ten_minutes(void **state)
{
	struct greylist_saver a, b;
	int64_t now = 5;

	(void)state;
	greylist_saver_init(&a, shared, 1, jobs, ".");
	greylist_saver_init(&b, shared, 2, jobs, ".");
	pass("1.example");
	assert_false(looks(&a, now));
	assert_false(looks(&b, now + 1));
	assert_false(looks(&a, now + 10 * MINUTES - 1));
	assert_true(looks(&b, now + 10 * MINUTES));
	assert_int_equal(t->saver, 0);
	pass("2.example");
	assert_false(looks(&a, now + 10 * MINUTES + 1));
	assert_true(looks(&a, now + 20 * MINUTES));
	/* nothing has changed; then it has */
	assert_false(looks(&a, now + 40 * MINUTES));
	pass("3.example");
	assert_true(looks(&b, now + 41 * MINUTES));
	assert_false(looks(&a, now + 41 * MINUTES));
}

static void
somebody_is_at_it(void **state)
{
	struct greylist_saver a, b;

	(void)state;
	greylist_saver_init(&a, shared, 1, jobs, ".");
	greylist_saver_init(&b, shared, 2, jobs, ".");
	pass("1.example");
	looks(&a, 5);
	t->saver = 2; /* a, which has died since */
	assert_false(looks(&b, 11 * MINUTES));
	shared_clear_slot(shared, 0);
	assert_false(looks(&b, 11 * MINUTES));
	shared_clear_slot(shared, 1);
	assert_true(looks(&b, 11 * MINUTES));
}

/* Also what is under way then is not put in place. */
static void
who_leaves_writes_nothing(void **state)
{
	struct greylist_saver a, b;

	(void)state;
	greylist_saver_init(&a, shared, 1, jobs, ".");
	greylist_saver_init(&b, shared, 2, jobs, ".");
	pass("1.example");
	looks(&a, 5);
	pthread_mutex_lock(&sys_lock); /* it waits at its first call */
	greylist_saver_look(&a, 11 * MINUTES);
	assert_int_equal(t->saver, 2);
	greylist_saver_leave(&a);
	assert_int_equal(t->saver, 0);
	pthread_mutex_unlock(&sys_lock);
	settle();
	assert_int_equal(scratch_files("."), 0);
	assert_int_equal(t->changed, 1);
	assert_false(looks(&a, 100 * MINUTES));
	assert_int_equal(caught.len, 0);
	assert_true(looks(&b, 100 * MINUTES));
	/* nor does it give back what another has */
	t->saver = 3;
	greylist_saver_leave(&a);
	assert_int_equal(t->saver, 3);
}

static void
a_failure_is_told(void **state)
{
	struct greylist_saver a;

	(void)state;
	greylist_saver_init(&a, shared, 1, jobs, "nowhere");
	pass("1.example");
	looks(&a, 5);
	assert_false(looks(&a, 11 * MINUTES));
	assert_int_equal(logged("greylist-not-saved", "spool=nowhere error=No"),
	    1);
	a.spool = ".";
	assert_true(looks(&a, 22 * MINUTES));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_saver, close_saver)
	const struct CMUnitTest tests[] = {
	    TEST(one_of_them_every_ten_minutes),
	    TEST(somebody_is_at_it),
	    TEST(who_leaves_writes_nothing),
	    TEST(a_failure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
