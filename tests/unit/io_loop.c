/*
 * loop: a descriptor that is watched both ways, wants something else from
 * within its call, and goes away in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/loop.h"

struct world {
	struct loop loop;
	struct loop_event *io, *timer;
	int fd, peer;
	unsigned reads, writes, calls;
	bool free, pause;
};

static void
on_io(void *ctx, bool readable, bool writable)
{
	struct world *w = ctx;

	w->calls++;
	w->reads += readable;
	w->writes += writable;
	if (w->pause)
		loop_io_want(w->io, false, false);
	if (w->free)
		loop_event_free(&w->io);
	loop_stop(&w->loop);
}

static void
on_timer(void *ctx)
{
	struct world *w = ctx;

	loop_stop(&w->loop);
}

/* Until something happens, at most a little while. */
static void
turn(struct world *w)
{
	w->reads = w->writes = w->calls = 0;
	loop_timer_set(w->timer, 20);
	w->loop.stop = 0;
	assert_int_equal(loop_run(&w->loop), 0);
}

static int
set_up(void **state)
{
	static struct world w;
	int fd[2];

	w = (struct world){0};
	if (loop_init(&w.loop) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) < 0)
		return -1;
	w.fd = fd[0];
	w.peer = fd[1];
	w.io = loop_io(&w.loop, w.fd, on_io, &w);
	w.timer = loop_timer(&w.loop, on_timer, &w);
	*state = &w;
	return w.io && w.timer ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	loop_event_free(&w->io);
	loop_event_free(&w->timer);
	loop_free(&w->loop);
	close(w->fd);
	close(w->peer);
	return 0;
}

static void
wants_what_it_is_told(void **state)
{
	struct world *w = *state;

	assert_int_equal(write(w->peer, "x", 1), 1);
	turn(w);
	assert_int_equal(w->calls, 0);
	loop_io_want(w->io, false, true);
	turn(w);
	assert_int_equal(w->writes, 1);
	assert_int_equal(w->reads, 0);
	loop_io_want(w->io, true, true);
	turn(w);
	/* in one call */
	assert_int_equal(w->calls, 1);
	assert_int_equal(w->writes, 1);
	assert_int_equal(w->reads, 1);
	loop_io_want(w->io, true, false);
	loop_io_want(w->io, true, false);
	turn(w);
	assert_int_equal(w->writes, 0);
	assert_int_equal(w->reads, 1);
	loop_io_want(w->io, false, false);
	turn(w);
	assert_int_equal(w->calls, 0);
}

static void
an_end_is_whatever_was_wanted(void **state)
{
	struct world *w = *state;

	shutdown(w->fd, SHUT_RDWR);
	loop_io_want(w->io, false, true);
	turn(w);
	assert_int_equal(w->writes, 1);
	loop_io_want(w->io, true, false);
	turn(w);
	assert_int_equal(w->reads, 1);
}

static void
changes_from_within(void **state)
{
	struct world *w = *state;

	loop_io_want(w->io, true, true);
	w->pause = true;
	turn(w);
	assert_int_equal(w->calls, 1);
	turn(w);
	assert_int_equal(w->calls, 0);
	loop_io_want(w->io, false, true);
	w->free = true;
	w->pause = false;
	turn(w);
	assert_int_equal(w->calls, 1);
	assert_null(w->io);
	turn(w);
	assert_int_equal(w->calls, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(wants_what_it_is_told, set_up,
		tear_down),
	    cmocka_unit_test_setup_teardown(an_end_is_whatever_was_wanted,
		set_up, tear_down),
	    cmocka_unit_test_setup_teardown(changes_from_within, set_up,
		tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
