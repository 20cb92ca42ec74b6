/*
 * Streams over real loopback connections: kept input, short writes, pauses,
 * deadlines, and the polite end that never turns into a reset.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/clock.h"
#include "io/stream.h"

struct world {
	struct loop loop;
	struct stream_pool pool;
	struct stream s;
	int peer;
	unsigned seen[STREAM_FAILED + 1];
};

static void
on_stream(void *owner, enum stream_event what)
{
	struct world *w = owner;

	w->seen[what]++;
}

/* A connected TCP pair: ours non-blocking, the peer's blocking. */
static void
connect_pair(int *ours, int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(*peer, (struct sockaddr *)&a, len), 0);
	*ours = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	close(l);
}

static void
open_world(struct world *w)
{
	int ours;

	memset(w, 0, sizeof(*w));
	assert_int_equal(loop_init(&w->loop), 0);
	assert_int_equal(stream_pool_init(&w->pool, &w->loop), 0);
	connect_pair(&ours, &w->peer);
	stream_init(&w->s, &w->pool, ours, on_stream, w);
}

static void
close_world(struct world *w)
{
	stream_close(&w->s);
	if (w->peer >= 0)
		close(w->peer);
	stream_pool_free(&w->pool);
	loop_free(&w->loop);
}

/* Turns until the event was seen n times; a hang is a failure elsewhere. */
static void
turn_until(struct world *w, enum stream_event what, unsigned n)
{
	for (int i = 0; i < 10000 && w->seen[what] < n; i++) {
		event_base_loop(w->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		usleep(500);
	}
	assert_true(w->seen[what] >= n);
}

static void
turn(struct world *w, int times)
{
	for (int i = 0; i < times; i++) {
		event_base_loop(w->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		usleep(1000);
	}
}

static void
say(struct world *w, const char *text)
{
	assert_int_equal(send(w->peer, text, strlen(text), 0),
	    (ssize_t)strlen(text));
}

static void
kept_input_comes_first(void **state)
{
	struct world w;
	struct span in;

	(void)state;
	open_world(&w);
	assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
	say(&w, "EHLO a\r\nMAIL");
	turn_until(&w, STREAM_READABLE, 1);
	assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
	assert_int_equal(in.len, 12);
	span_skip(&in, 8);
	stream_keep(&w.s, in);
	assert_true(span_equal(stream_kept(&w.s), SPAN_LIT("MAIL")));
	say(&w, " FROM");
	turn_until(&w, STREAM_READABLE, 2);
	assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
	assert_true(span_equal(in, SPAN_LIT("MAIL FROM")));
	stream_keep(&w.s, in);
	in = stream_kept(&w.s);
	span_skip(&in, 5);
	stream_keep(&w.s, in); /* aliases what is kept */
	assert_true(span_equal(stream_kept(&w.s), SPAN_LIT("FROM")));
	stream_keep(&w.s, (struct span){NULL, 0});
	assert_null(w.s.in.data); /* an idle stream owns nothing */
	close(w.peer);
	w.peer = -1;
	turn_until(&w, STREAM_READABLE, 3);
	assert_int_equal(stream_read(&w.s, &in), STREAM_EOF);
	close_world(&w);
}

static void
paused_means_silent(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	stream_pause(&w.s);
	say(&w, "x");
	turn(&w, 20);
	assert_int_equal(w.seen[STREAM_READABLE], 0);
	stream_resume(&w.s);
	turn_until(&w, STREAM_READABLE, 1);
	close_world(&w);
}

/* More than any socket buffer takes: all of it comes, in order. */
static void
short_writes_go_on(void **state)
{
	enum { SIZE = 16 << 20 };
	struct world w;
	struct buf out = {0};
	char *got = malloc(SIZE);
	size_t n = 0;

	(void)state;
	open_world(&w);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		buf_append(&out, &i, 4);
	assert_true(stream_write(&w.s, &out));
	assert_int_equal(out.len, 0);
	assert_true(stream_unsent(&w.s) > 0);
	fcntl(w.peer, F_SETFL, O_NONBLOCK);
	while (n < SIZE) {
		ssize_t r = recv(w.peer, got + n, SIZE - n, 0);

		if (r > 0)
			n += (size_t)r;
		event_base_loop(w.loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	turn_until(&w, STREAM_WRITABLE, 1);
	assert_int_equal(stream_unsent(&w.s), 0);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		assert_memory_equal(got + 4 * i, &i, 4);
	free(got);
	buf_free(&out);
	close_world(&w);
}

static void
a_deadline_moves(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	stream_deadline(&w.s, clock_now() + 20);
	stream_deadline(&w.s, clock_now() + 3600000);
	turn(&w, 100);
	assert_int_equal(w.seen[STREAM_DEADLINE], 0);
	stream_deadline(&w.s, clock_now() + 1); /* earlier again */
	turn_until(&w, STREAM_DEADLINE, 1);
	stream_deadline(&w.s, clock_now() + 1);
	stream_deadline(&w.s, 0);
	turn(&w, 50);
	assert_int_equal(w.seen[STREAM_DEADLINE], 1);
	close_world(&w);
}

/* FAULT F4: one that was moved comes by itself, however often it moved. */
static void
a_deadline_comes_later(void **state)
{
	struct world w;

	(void)state;
	open_world(&w);
	for (unsigned i = 1; i <= 3; i++) {
		stream_deadline(&w.s, clock_now() + 20);
		stream_deadline(&w.s, clock_now() + 60);
		turn_until(&w, STREAM_DEADLINE, i);
	}
	close_world(&w);
}

/* A failure is remembered: who looks only at the last write learns of it. */
static void
a_failed_write_is_final(void **state)
{
	struct linger reset = {.l_onoff = 1};
	struct buf out = {0};
	struct world w;

	(void)state;
	open_world(&w);
	setsockopt(w.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(w.peer);
	w.peer = -1;
	do /* the first may yet be taken */
		buf_append_str(&out, "250 OK\r\n");
	while (stream_write(&w.s, &out));
	assert_false(stream_write(&w.s, &out));
	buf_free(&out);
	close_world(&w);
}

/* Who hears nothing more, and still takes its time to say so: said once. */
static void
what_waits_fails_once(void **state)
{
	enum { SIZE = 4 << 20 };
	struct buf out = {0};
	char *octets = calloc(1, SIZE);
	int pair[2];
	struct world w;

	(void)state;
	open_world(&w);
	stream_close(&w.s);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			     pair),
	    0);
	stream_init(&w.s, &w.pool, pair[0], on_stream, &w);
	buf_append(&out, octets, SIZE);
	assert_true(stream_write(&w.s, &out));
	assert_true(stream_unsent(&w.s) > 0);
	shutdown(pair[1], SHUT_RD);
	while (recv(pair[1], octets, SIZE, 0) > 0)
		;
	turn(&w, 20);
	assert_int_equal(w.seen[STREAM_FAILED], 1);
	assert_int_equal(send(pair[1], "421 x\r\n", 7, 0), 7);
	turn_until(&w, STREAM_READABLE, 1);
	assert_int_equal(w.seen[STREAM_FAILED], 1);
	assert_false(stream_write(&w.s, &out));
	close(pair[1]);
	free(octets);
	buf_free(&out);
	close_world(&w);
}

/* Unread octets at a close would reset the connection and eat the reply. */
static void
the_last_reply_survives_unread_input(void **state)
{
	struct world w;
	struct buf out = {0};
	char got[32];
	ssize_t n;

	(void)state;
	open_world(&w);
	say(&w, "lots of pipelined commands that nobody reads");
	turn_until(&w, STREAM_READABLE, 1);
	buf_append_str(&out, "421 bye\r\n");
	assert_true(stream_write(&w.s, &out));
	stream_shutdown(&w.s);
	say(&w, "and more");
	turn(&w, 20);
	n = recv(w.peer, got, sizeof(got), 0);
	assert_int_equal(n, 9);
	assert_memory_equal(got, "421 bye\r\n", 9);
	assert_int_equal(recv(w.peer, got, sizeof(got), 0), 0); /* no reset */
	close(w.peer);
	w.peer = -1;
	turn_until(&w, STREAM_CLOSED, 1);
	assert_int_equal(w.s.fd, -1);
	buf_free(&out);
	close_world(&w);
}

static void
a_talker_cannot_hold_the_end(void **state)
{
	static char noise[65536];
	struct world w;

	(void)state;
	open_world(&w);
	stream_shutdown(&w.s);
	fcntl(w.peer, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 10000 && !w.seen[STREAM_CLOSED]; i++) {
		send(w.peer, noise, sizeof(noise), MSG_NOSIGNAL);
		event_base_loop(w.loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	assert_int_equal(w.seen[STREAM_CLOSED], 1);
	close_world(&w);
}

/* FAULT F5: nor can one who neither reads nor talks. */
static void
the_deaf_cannot_hold_the_end(void **state)
{
	enum { SIZE = 16 << 20 };
	struct buf out = {0};
	struct world w;

	(void)state;
	open_world(&w);
	memset(buf_reserve(&out, SIZE), 'x', SIZE);
	out.len = SIZE;
	assert_true(stream_write(&w.s, &out));
	assert_true(stream_unsent(&w.s) > 0);
	stream_shutdown(&w.s);
	assert_int_not_equal(w.s.deadline, 0);
	stream_deadline(&w.s, clock_now() + 1); /* there and then */
	turn_until(&w, STREAM_CLOSED, 1);
	assert_int_equal(w.s.fd, -1);
	buf_free(&out);
	close_world(&w);
}

static void
nothing_after_close(void **state)
{
	struct world w;
	struct buf out = {0};

	(void)state;
	open_world(&w);
	say(&w, "x");
	stream_deadline(&w.s, clock_now() + 1);
	stream_close(&w.s);
	stream_close(&w.s);
	stream_deadline(&w.s, clock_now() + 1);
	stream_resume(&w.s);
	stream_shutdown(&w.s);
	buf_append_str(&out, "x");
	assert_false(stream_write(&w.s, &out));
	turn(&w, 20);
	for (int i = 0; i <= STREAM_FAILED; i++)
		assert_int_equal(w.seen[i], 0);
	buf_free(&out);
	close_world(&w);
}

/* What is only looked at stays where it is, and is told of again. */
static void
a_look_takes_nothing(void **state)
{
	struct world w;
	struct span in;

	(void)state;
	open_world(&w);
	assert_int_equal(stream_peek(&w.s, &in), STREAM_AGAIN);
	assert_int_equal(send(w.peer, "onetwo", 6, 0), 6);
	turn_until(&w, STREAM_READABLE, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(stream_peek(&w.s, &in), STREAM_DATA);
		assert_true(span_equal(in, SPAN_LIT("onetwo")));
	}
	stream_take(&w.s, 1);
	assert_int_equal(stream_peek(&w.s, &in), STREAM_DATA);
	assert_true(span_equal(in, SPAN_LIT("netwo")));
	stream_take(&w.s, 2);
	assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
	assert_true(span_equal(in, SPAN_LIT("two")));
	assert_int_equal(stream_peek(&w.s, &in), STREAM_AGAIN);
	close(w.peer);
	w.peer = -1;
	turn_until(&w, STREAM_READABLE, w.seen[STREAM_READABLE] + 1);
	assert_int_equal(stream_peek(&w.s, &in), STREAM_EOF);
	stream_take(&w.s, 5);
	close_world(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kept_input_comes_first),
	    cmocka_unit_test(a_look_takes_nothing),
	    cmocka_unit_test(paused_means_silent),
	    cmocka_unit_test(short_writes_go_on),
	    cmocka_unit_test(a_failed_write_is_final),
	    cmocka_unit_test(what_waits_fails_once),
	    cmocka_unit_test(a_deadline_moves),
	    cmocka_unit_test(a_deadline_comes_later),
	    cmocka_unit_test(the_last_reply_survives_unread_input),
	    cmocka_unit_test(a_talker_cannot_hold_the_end),
	    cmocka_unit_test(the_deaf_cannot_hold_the_end),
	    cmocka_unit_test(nothing_after_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
