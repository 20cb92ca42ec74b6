/*
 * A service in this same thread: lines in any cutting, what it does not
 * read, how it goes away, and that it is looked for again.
 */
#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/line_socket.h"
#include "scratch.h"

/* The longest pause that was asked for; this stands before libevent's. */
static int64_t longest;

int
event_add(struct event *e, const struct timeval *tv)
{
	static int (*add)(struct event *, const struct timeval *);
	int64_t ms = tv ? tv->tv_sec * 1000 + tv->tv_usec / 1000 : 0;

	if (!add)
		*(void **)&add = dlsym(RTLD_NEXT, "event_add");
	longest = ms > longest ? ms : longest;
	return add(e, tv ? &(struct timeval){0, 1000} : NULL);
}

struct world {
	struct loop loop;
	struct line_socket *s;
	int listener;
	int peer; /* the service's end */
	unsigned ups, downs;
	int err;         /* of the last down */
	struct buf said; /* its lines, each in brackets */
	enum { KEEP, DROP, FREE } then;
};

static void
on_up(void *ctx)
{
	struct world *w = ctx;

	w->ups++;
	loop_stop(&w->loop);
}

static void
on_line(void *ctx, struct span line)
{
	struct world *w = ctx;

	buf_append(&w->said, "[", 1);
	buf_append_span(&w->said, line);
	buf_append(&w->said, "]", 1);
	if (w->then == DROP)
		line_socket_drop(w->s, EPROTO);
	else if (w->then == FREE)
		line_socket_free(&w->s);
	loop_stop(&w->loop);
}

static void
on_down(void *ctx, int err)
{
	struct world *w = ctx;

	w->downs++;
	w->err = err;
	loop_stop(&w->loop);
}

static const struct line_socket_calls calls = {on_up, on_line, on_down};

static void
turn(struct world *w)
{
	w->loop.stop = 0;
	assert_int_equal(loop_run(&w->loop), 0);
}

static void
open_listener(struct world *w)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	strncpy(a.sun_path, scratch_path("socket"), sizeof(a.sun_path) - 1);
	w->listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&a, sizeof(a)),
	    0);
	assert_int_equal(listen(w->listener, 5), 0);
}

static void
open_world(struct world *w)
{
	*w = (struct world){.listener = -1, .peer = -1};
	assert_int_equal(loop_init(&w->loop), 0);
	w->s = line_socket_new(&w->loop, scratch_path("socket"), &calls, w);
	assert_non_null(w->s);
	assert_int_equal(w->ups + w->downs, 0); /* not from within the call */
}

static void
open_connected(struct world *w)
{
	int listener;

	*w = (struct world){.listener = -1};
	open_listener(w);
	listener = w->listener;
	open_world(w);
	w->listener = listener;
	turn(w);
	assert_int_equal(w->ups, 1);
	w->peer = accept(w->listener, NULL, NULL);
	assert_true(w->peer >= 0);
}

static void
close_world(struct world *w)
{
	line_socket_free(&w->s);
	line_socket_free(&w->s);
	loop_free(&w->loop);
	buf_free(&w->said);
	if (w->listener >= 0)
		close(w->listener);
	if (w->peer >= 0)
		close(w->peer);
	unlink(scratch_path("socket"));
}

static void
say(struct world *w, const char *text, size_t n)
{
	assert_int_equal(send(w->peer, text, n, MSG_NOSIGNAL), n);
}

static bool
write_str(struct world *w, const char *text)
{
	struct buf b = {0};
	bool up;

	buf_append_str(&b, text);
	up = line_socket_write(w->s, &b);
	assert_null(b.data);
	return up;
}

static void
said(struct world *w, const char *want)
{
	assert_true(span_equal(buf_span(&w->said), span_str(want)));
}

static void
lines_in_any_cutting(void **state)
{
	static const char text[] = "one\n\ntwo\tand\r\n\0x\n";
	static const char want[] = "[one][][two\tand][\0x]";
	const size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t cut = 0; cut <= n; cut++) {
		struct world w;

		open_connected(&w);
		if (cut)
			say(&w, text, cut);
		while (cut > 3 && !w.said.len)
			turn(&w);
		if (cut < n)
			say(&w, text + cut, n - cut);
		while (w.said.len < sizeof(want) - 1)
			turn(&w);
		assert_int_equal(w.said.len, sizeof(want) - 1);
		assert_memory_equal(w.said.data, want, sizeof(want) - 1);
		assert_int_equal(w.downs, 0);
		close_world(&w);
	}
}

static void
what_is_written_arrives(void **state)
{
	struct world w;
	char got[64];

	(void)state;
	open_connected(&w);
	assert_true(write_str(&w, "hello\n"));
	assert_true(write_str(&w, "again\n"));
	assert_int_equal(read(w.peer, got, sizeof(got)), 12);
	assert_memory_equal(got, "hello\nagain\n", 12);
	close_world(&w);
}

/* --- a service that is slow to read --- */

#define MANY 2000000

struct reader {
	struct world *w;
	size_t got;
};

static void
on_peer(void *ctx)
{
	static char data[65536];
	struct reader *r = ctx;
	ssize_t n = recv(r->w->peer, data, sizeof(data), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		assert_int_equal(data[i], 'a' + r->got++ % 26);
	if (r->got == MANY)
		loop_stop(&r->w->loop);
}

/* n letters of the alphabet, that begin with the from-th. */
static bool
write_letters(struct world *w, size_t from, size_t n)
{
	struct buf b = {0};
	char *p = buf_reserve(&b, n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + (from + i) % 26);
	b.len = n;
	return line_socket_write(w->s, &b);
}

static int
wants_room(const struct event_base *base, const struct event *e, void *ctx)
{
	(void)base;
	(void)ctx;
	return event_get_events(e) & EV_WRITE;
}

static void
a_slow_reader_gets_all(void **state)
{
	struct world w;
	struct reader r = {.w = &w};
	struct loop_event *e;

	(void)state;
	open_connected(&w);
	for (size_t i = 0; i < MANY; i += 10000)
		assert_true(write_letters(&w, i, 10000));
	e = loop_readable(&w.loop, w.peer, on_peer, &r);
	turn(&w);
	assert_int_equal(r.got, MANY);
	/* and then it goes on as at the beginning */
	r.got = 0;
	assert_true(write_letters(&w, 0, MANY));
	turn(&w);
	assert_int_equal(r.got, MANY);
	loop_event_free(&e);
	/* that it takes more is no news now: only reading is left */
	assert_int_equal(event_base_foreach_event(w.loop.base, wants_room,
			     NULL),
	    0);
	close_world(&w);
}

static void
one_that_never_reads_is_dropped(void **state)
{
	struct world w;
	size_t n = 0;

	(void)state;
	open_connected(&w);
	while (write_letters(&w, 0, 100000))
		assert_true((n += 100000) < 2 * LINE_SOCKET_OUT_MAX);
	assert_true(n >= LINE_SOCKET_OUT_MAX);
	assert_int_equal(w.downs, 0); /* not from within the call */
	assert_false(write_str(&w, "x\n"));
	turn(&w);
	assert_int_equal(w.downs, 1);
	assert_int_equal(w.err, ENOBUFS);
	close_world(&w);
}

/* What it said is heard, and its end once. */
static void
one_that_goes_with_output_unread(void **state)
{
	struct world w;

	(void)state;
	for (int speaks = 0; speaks < 2; speaks++) {
		open_connected(&w);
		while (!line_socket_unsent(w.s))
			assert_true(write_letters(&w, 0, 100000));
		if (speaks)
			say(&w, "one\n", 4);
		close(w.peer);
		w.peer = -1;
		while (!w.downs)
			turn(&w);
		said(&w, speaks ? "[one]" : "");
		assert_int_equal(w.downs, 1);
		close_world(&w);
	}
}

/* --- going away, and coming back --- */

static void
nobody_there(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	assert_false(write_str(&w, "x\n"));
	turn(&w);
	assert_int_equal(w.downs, 1);
	assert_int_equal(w.err, ENOENT);
	assert_false(write_str(&w, "x\n"));
	/* a socket without a listener */
	open_listener(&w);
	close(w.listener);
	turn(&w);
	assert_int_equal(w.downs, 2);
	assert_int_equal(w.err, ECONNREFUSED);
	/* it comes */
	unlink(scratch_path("socket"));
	open_listener(&w);
	turn(&w);
	assert_int_equal(w.ups, 1);
	assert_int_equal(w.downs, 2);
	close_world(&w);
}

static void
it_goes_and_comes_back(void **state)
{
	struct world w;

	(void)state;
	open_connected(&w);
	/* the rest of a line is no line */
	say(&w, "one\ntw", 6);
	close(w.peer);
	while (!w.downs)
		turn(&w);
	said(&w, "[one]");
	assert_int_equal(w.err, 0);
	assert_false(write_str(&w, "x\n"));
	turn(&w);
	assert_int_equal(w.ups, 2);
	w.peer = accept(w.listener, NULL, NULL);
	say(&w, "o\n", 2);
	turn(&w);
	said(&w, "[one][o]");
	close_world(&w);
}

/* FAULT F17: the more often it fails the longer the pause, until it speaks;
 * an open door alone is no sign of life. */
static void
the_pause_grows_and_shrinks(void **state)
{
	int64_t first, later;
	struct world w;

	(void)state;
	longest = 0;
	open_world(&w);
	turn(&w);
	first = longest;
	for (int i = 0; i < 3; i++)
		turn(&w);
	later = longest;
	assert_true(later >= 8 * first);
	open_listener(&w);
	turn(&w);
	assert_int_equal(w.ups, 1);
	w.peer = accept(w.listener, NULL, NULL);
	say(&w, "one\n", 4);
	turn(&w);
	said(&w, "[one]");
	longest = 0;
	close(w.peer);
	w.peer = -1;
	while (w.ups < 2)
		turn(&w);
	assert_int_equal(longest, first);
	close_world(&w);
}

static void
a_write_finds_it_gone(void **state)
{
	struct world w;

	(void)state;
	open_connected(&w);
	close(w.peer);
	w.peer = -1;
	assert_false(write_str(&w, "x\n"));
	assert_int_equal(w.downs, 0);
	turn(&w);
	assert_int_equal(w.downs, 1);
	assert_int_equal(w.err, EPIPE);
	turn(&w);
	assert_int_equal(w.ups, 2);
	close_world(&w);
}

static void
a_line_without_an_end(void **state)
{
	static char line[LINE_SOCKET_LINE_MAX + 1];
	struct world w;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[LINE_SOCKET_LINE_MAX - 1] = '\n';
	open_connected(&w);
	say(&w, line, LINE_SOCKET_LINE_MAX);
	turn(&w);
	assert_int_equal(w.said.len, LINE_SOCKET_LINE_MAX + 1);
	line[LINE_SOCKET_LINE_MAX - 1] = 'x';
	say(&w, line, LINE_SOCKET_LINE_MAX);
	turn(&w);
	assert_int_equal(w.downs, 1);
	assert_int_equal(w.err, EMSGSIZE);
	close_world(&w);
}

/* What follows in the same read is not heard any more. */
static void
dropped_from_a_call_back(void **state)
{
	struct world w;

	(void)state;
	open_connected(&w);
	w.then = DROP;
	say(&w, "one\ntwo\n", 8);
	turn(&w);
	while (!w.downs)
		turn(&w);
	said(&w, "[one]");
	assert_int_equal(w.err, EPROTO);
	assert_int_equal(w.downs, 1);
	line_socket_drop(w.s, EIO); /* it is down: nothing more */
	turn(&w);
	assert_int_equal(w.ups, 2);
	assert_int_equal(w.downs, 1);
	close_world(&w);
}

static void
freed_from_a_call_back(void **state)
{
	struct world w;
	char c;

	(void)state;
	open_connected(&w);
	w.then = FREE;
	say(&w, "one\ntwo\n", 8);
	turn(&w);
	said(&w, "[one]");
	assert_null(w.s);
	assert_int_equal(recv(w.peer, &c, 1, 0), 0);
	assert_int_equal(w.downs, 0);
	close_world(&w);
}

static void
a_path_that_is_too_long(void **state)
{
	struct world w = {.peer = -1};
	char path[200];

	(void)state;
	loop_init(&w.loop);
	memset(path, 'x', sizeof(path));
	path[107] = '\0';
	w.s = line_socket_new(&w.loop, path, &calls, &w);
	assert_non_null(w.s);
	line_socket_free(&w.s);
	path[107] = 'x';
	path[108] = '\0';
	assert_null(line_socket_new(&w.loop, path, &calls, &w));
	assert_int_equal(errno, ENAMETOOLONG);
	loop_free(&w.loop);
}

int
main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(lines_in_any_cutting),
	    TEST(what_is_written_arrives),
	    TEST(a_slow_reader_gets_all),
	    TEST(one_that_never_reads_is_dropped),
	    TEST(one_that_goes_with_output_unread),
	    TEST(nobody_there),
	    TEST(it_goes_and_comes_back),
	    TEST(the_pause_grows_and_shrinks),
	    TEST(a_write_finds_it_gone),
	    TEST(a_line_without_an_end),
	    TEST(dropped_from_a_call_back),
	    TEST(freed_from_a_call_back),
	    TEST(a_path_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
