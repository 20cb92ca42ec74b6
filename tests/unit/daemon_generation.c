/*
 * A generation that starts, and those that do not: who serves is let go
 * politely, who hangs is killed, and nobody is waited for twice. The workers
 * here are three lines, and time passes when the test says so.
 */
#include "generation.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker.h"

#define LIMIT 60 /* seconds, for a test that waits for ever */

enum act { SERVE, DIE, HANG, TWICE };

static enum act acts[4];
static unsigned reports; /* that come before the time is over */

/* Linked in the place of the real ones. */
int
worker_main(const struct worker_start *start)
{
	const uint8_t slot = (uint8_t)start->slot;
	const struct worker_ready ready = {slot, 1, 7};
	char c;

	if (acts[slot] == DIE)
		_exit(70);
	alarm(LIMIT);
	while (acts[slot] == HANG)
		pause();
	if (write(start->ready, &ready, sizeof(ready)) < 0 ||
	    (acts[slot] == TWICE &&
		write(start->ready, &ready, sizeof(ready)) < 0))
		_exit(71);
	close(start->ready);
	while (read(start->alive, &c, 1) > 0)
		;
	_exit(0);
}

/* A worker that hangs keeps the pipe open: only the time ends the wait. */
int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	assert_true(timeout >= 0);
	if (!reports)
		return 0;
	reports--;
	return ppoll(fds, n, NULL, NULL);
}

static time_t now = 1000;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	(void)clock;
	*ts = (struct timespec){now, 0};
	return 0;
}

static struct identity identity;

static void
set_up(struct generations *all, struct config *conf, struct sockets *sockets)
{
	*all =
	    (struct generations){.identity = &identity, .shared = shared_new()};
	*conf = (struct config){.log_level = LOG_ERROR};
	*sockets = (struct sockets){.nslots = 3};
	assert_non_null(all->shared);
}

/* Waits for all, and says how each ended; nobody is left behind. */
static void
reap(struct generations *all, struct generation *g, int status[3])
{
	pid_t pids[3];

	for (unsigned i = 0; i < 3; i++)
		pids[i] = g->slots[i].pid;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(pids[i] > 0);
		assert_int_equal(waitpid(pids[i], &status[i], 0), pids[i]);
		assert_true(generation_reap(all, g, pids[i], status[i]));
		assert_false(generation_reap(all, g, pids[i], status[i]));
	}
	assert_int_equal(generation_living(g), 0);
	assert_int_equal(generation_start_due(all, g), -1);
	assert_int_equal(generation_living(g), 0);
	close(g->alive[0]);
}

static void
all_serve(void **state)
{
	struct generations all;
	struct sockets sockets;
	struct config conf;
	int status[3];

	(void)state;
	for (unsigned half = 0; half < 2; half++) {
		struct generation *g = &all.gens[half];

		set_up(&all, &conf, &sockets);
		acts[0] = acts[1] = acts[2] = SERVE;
		reports = 3;
		assert_int_equal(generation_start(&all, g, &conf, &sockets), 0);
		assert_int_equal(generation_living(g), 3);
		assert_true(g->seccomp && g->landlock == 7);
		assert_int_equal(g->half, half);
		assert_false(g->leaving);
		generations_show(&all, g);
		assert_int_equal(shared_total(all.shared,
				     SHARED_WORKERS_SERVING),
		    3);
		generation_leave(g);
		generations_show(&all, NULL);
		assert_int_equal(shared_total(all.shared,
				     SHARED_WORKERS_LEAVING),
		    3);
		reap(&all, g, status);
		assert_int_equal(shared_total(all.shared, SHARED_DEATHS), 0);
		for (unsigned i = 0; i < 3; i++)
			assert_true(
			    WIFEXITED(status[i]) && !WEXITSTATUS(status[i]));
	}
}

static void
one_dies(void **state)
{
	struct generation *g;
	struct generations all;
	struct sockets sockets;
	struct config conf;
	int status[3];

	(void)state;
	set_up(&all, &conf, &sockets);
	g = &all.gens[0];
	acts[0] = acts[2] = SERVE;
	acts[1] = DIE;
	reports = 3; /* the third is the end of the pipe */
	assert_int_equal(generation_start(&all, g, &conf, &sockets), -1);
	assert_true(g->leaving);
	reap(&all, g, status);
	assert_int_equal(shared_total(all.shared, SHARED_DEATHS), 1);
	assert_true(WIFEXITED(status[0]) && !WEXITSTATUS(status[0]));
	assert_true(WIFEXITED(status[2]) && !WEXITSTATUS(status[2]));
	assert_false(WIFEXITED(status[1]) && !WEXITSTATUS(status[1]));
}

static void
one_hangs(void **state)
{
	struct generation *g;
	struct generations all;
	struct sockets sockets;
	struct config conf;
	int status[3];

	(void)state;
	set_up(&all, &conf, &sockets);
	g = &all.gens[1];
	acts[0] = HANG;
	acts[1] = acts[2] = SERVE;
	reports = 2;
	assert_int_equal(generation_start(&all, g, &conf, &sockets), -1);
	assert_true(g->leaving);
	reap(&all, g, status);
	assert_true(WIFSIGNALED(status[0]) && WTERMSIG(status[0]) == SIGKILL);
	assert_true(WIFEXITED(status[1]) && !WEXITSTATUS(status[1]));
	assert_true(WIFEXITED(status[2]) && !WEXITSTATUS(status[2]));
}

/* One that reports for another does not hide that the other hangs. */
static void
one_reports_twice(void **state)
{
	struct generation *g;
	struct generations all;
	struct sockets sockets;
	struct config conf;
	int status[3];

	(void)state;
	set_up(&all, &conf, &sockets);
	g = &all.gens[0];
	acts[0] = TWICE;
	acts[1] = SERVE;
	acts[2] = HANG;
	reports = 3;
	assert_int_equal(generation_start(&all, g, &conf, &sockets), -1);
	reap(&all, g, status);
	assert_true(WIFEXITED(status[0]) && !WEXITSTATUS(status[0]));
	assert_true(WIFSIGNALED(status[2]) && WTERMSIG(status[2]) == SIGKILL);
}

/* FAULT F15: who dies again and again waits, longer each time; whoever has
 * lived long is back at once. */
static void
the_wait_grows_and_ends(void **state)
{
	static const struct {
		time_t lived;
		int64_t wait;
	} deaths[] = {{0, 0}, {0, 1000}, {9, 2000}, {0, 4000}, {10, 4000},
	    {11, 0}, {0, 1000}};
	struct generations all;
	struct generation *g = &all.gens[0];
	struct sockets sockets;
	struct config conf;
	int status;

	(void)state;
	set_up(&all, &conf, &sockets);
	*g = (struct generation){.conf = &conf,
	    .sockets = {.nslots = 1},
	    .alive = {-1, -1}};
	acts[0] = DIE;
	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
		pid_t pid;

		assert_int_equal(generation_start_due(&all, g), -1);
		pid = g->slots[0].pid;
		assert_true(pid > 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		now += deaths[i].lived;
		assert_true(generation_reap(&all, g, pid, status));
		assert_int_equal(g->slots[0].due - now * 1000, deaths[i].wait);
		now += deaths[i].wait / 1000;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_serve),
	    cmocka_unit_test(one_dies),
	    cmocka_unit_test(one_hangs),
	    cmocka_unit_test(one_reports_twice),
	    cmocka_unit_test(the_wait_grows_and_ends),
	};

	alarm(LIMIT);
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
