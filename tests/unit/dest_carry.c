/*
 * One connection, and what a message has become at its end. See road.h.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "dest/carrier_mail.h"
#include "fake_clock.h"
#include "gate.h"
#include "io/clock.h"
#include "io/jobs.h"
#include "log_catch.h"
#include "road.h"

/* --- what is good --- */

static void
smtp(void **state)
{
	struct peer *peer =
	    road_serve_one(SCRIPT(HI, ALL, {"QUIT", NULL, 0, 0}));
	struct road_post *p;

	(void)state;
	road_start();
	p = road_send(1);
	road_has(p, 0, "taken");
	assert_string_equal(peer_heard(peer),
	    "EHLO me.example.net\nMAIL FROM:<s@example.com>\n"
	    "RCPT TO:<a@example.org>\nDATA\nReceived: x\nHi\n..\n.\n");
	clock_pass(9000);
	assert_null(strstr(peer_heard(peer), "QUIT"));
	clock_pass(2000); /* idle for 10 s */
	assert_non_null(strstr(peer_heard(peer), "QUIT"));
	assert_int_equal(neighbour_look(road.shared, NEIGHBOUR_ROUTE,
			     road.route.text)
			     .workers,
	    1);
}

static void
lmtp(void **state)
{
	struct road_post *p;

	(void)state;
	road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"LHLO", "250-hi\r\n250 PIPELINING\r\n", 0, 0},
	    {"MAIL", "250 ok\r\n", 0, 0}, {"RCPT", "250 ok\r\n", 0, 0},
	    {"RCPT", "550 5.1.1 who\r\n", 0, 0}, {"RCPT", "250 ok\r\n", 0, 0},
	    {"DATA", "354 go\r\n", 0, 0},
	    {".", "250 taken\r\n452 4.2.2 full\r\n", 0, 0}));
	road_start_lmtp(true);
	p = road_send(3);
	road_has(p, 0, "taken");
	road_has(p, 1, "refused 550 5.1.1 who");
	road_has(p, 2, "again 452 4.2.2 full");
}

/* Nobody has it when one is refused before anybody has. */
static void
whole(void **state)
{
	struct peer *peer = road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, {"RCPT", "550 5.1.1 who\r\n", 0, 0},
		{"RSET", "250\r\n", 0, 0}, ALL));
	struct road_post *p, *q;

	(void)state;
	road_start();
	p = road_prepare(2);
	p->p.whole = true;
	road_submit(p);
	road_soon();
	road_has(p, 0, "none");
	road_has(p, 1, "refused 550 5.1.1 who");
	q = road_send(1);
	road_has(q, 0, "taken");
	assert_int_equal(peer_connections(peer), 1);
}

/* RFC 9422: the rest is another transaction of the same parcel. */
static void
more_than_it_takes_at_once(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"EHLO", "250-hi\r\n250 LIMITS RCPTMAX=2\r\n", 0, 0}, MAIL, RCPT,
	    RCPT, DATA, DOT, ALL));
	struct road_post *p;

	(void)state;
	road_start();
	p = road_send(3);
	road_has_all(p);
	assert_int_equal(peer_connections(peer), 1);
}

/* Whoever is refused when others have it ends nothing. */
static void
whole_until_somebody_has_it(void **state)
{
	struct road_post *p;

	(void)state;
	road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"EHLO", "250-hi\r\n250 LIMITS RCPTMAX=1\r\n", 0, 0}, ALL, MAIL,
	    {"RCPT", "550 5.1.1 who\r\n", 0, 0}, {"RSET", "250\r\n", 0, 0},
	    ALL));
	road_start();
	p = road_prepare(3);
	p->p.whole = true;
	road_submit(p);
	road_soon();
	road_has(p, 0, "taken");
	road_has(p, 1, "refused 550 5.1.1 who");
	road_has(p, 2, "taken");
}

static void
one_after_the_other(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT(HI, ALL, ALL, ALL));

	(void)state;
	road_start();
	for (int i = 0; i < 3; i++) {
		struct road_post *p = road_post(1);

		road_soon();
		road_has(p, 0, "taken");
	}
	assert_int_equal(peer_connections(peer), 1);
}

/* More than the socket takes at once, and each octet of it twice. */
static void
a_large_body(void **state)
{
	static char text[300000];
	struct peer *peer = road_serve_one(SCRIPT(HI, ALL));
	struct road_post *p;
	const char *heard;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 100 == 99 ? '\n' : 'x';
	road_start();
	p = road_prepare(1);
	p->m.body.tail = (struct span){text, sizeof(text)};
	road_submit(p);
	clock_pass(2000);
	road_has(p, 0, "taken");
	heard = strstr(peer_heard(peer), "Received: x\n");
	assert_non_null(heard);
	assert_int_equal(strlen(heard), 12 + sizeof(text) + 2);
	assert_memory_equal(heard + 12, text, sizeof(text));
}

/* The file is read by a thread, two blocks of it, while the loop turns. */
static bool
is_busy(void)
{
	static unsigned n;

	return jobs_pending(road.services.jobs) || ++n % 8;
}

static void
a_body_in_a_file(void **state)
{
	static char text[100000];
	struct peer *peer = road_serve_one(SCRIPT(HI, ALL, MAIL, RCPT, DATA));
	struct road_post *p;
	const char *heard;
	int fd = open("body", O_RDWR | O_CREAT, 0600);

	(void)state;
	memset(text, 'y', sizeof(text));
	for (size_t i = 70; i < sizeof(text); i += 71)
		text[i] = '\n';
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	road.services.jobs = jobs_new(&road.loop, 1);
	clock_stop(&road.loop, is_busy);
	road_start();
	p = road_prepare(1);
	p->m.body = (struct spool_content){.fd = fd,
	    .filed = sizeof(text),
	    .tail = SPAN_LIT("end\n")};
	road_submit(p);
	clock_pass(2000);
	road_has(p, 0, "taken");
	heard = strstr(peer_heard(peer), "Received: x\n") + 12;
	assert_memory_equal(heard, text, sizeof(text));
	assert_string_equal(heard + sizeof(text), "end\n.\n");
	/* and one that is not there any more, as far as anybody can read it */
	p = road_prepare(1);
	p->m.body = (struct spool_content){.fd = fd, .filed = 2 * sizeof(text)};
	road_submit(p);
	clock_pass(2000);
	road_has(p, 0, "again 451 4.3.0 The message cannot be read here");
	assert_null(strstr(strstr(peer_heard(peer), "\n.\n") + 3, "\n.\n"));
	assert_false(road_is_down());
	close(fd);
	jobs_free(&road.services.jobs);
}

/* A disk of ours that hangs is no fault of the server's. */
static void
nothing_to_send(void **state)
{
	int fd = open("body", O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "x\n", 2), 2);
	road_serve_one(SCRIPT(HI, MAIL, RCPT, DATA));
	road.services.jobs = jobs_new(&road.loop, 1);
	gate_close(road.services.jobs, NULL);
	road_start();
	for (int i = 0; i < 3; i++) {
		struct road_post *p = road_prepare(1);

		p->m.body = (struct spool_content){.fd = fd, .filed = 2};
		road_submit(p);
		clock_pass(31000);
		road_has(p, 0,
		    "again 451 4.3.0 The message cannot be read here");
	}
	assert_false(road_is_down());
	gate_open();
	jobs_free(&road.services.jobs);
	close(fd);
}

/* --- what a server does not take --- */

static int
take_connection(void)
{
	int fd;

	road_soon();
	fd = accept4(road.closed, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void
say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
	    strlen(text));
	road_soon();
}

/* How much was there, up to so much. */
static size_t
take(int fd, size_t most)
{
	static char data[65536];
	size_t sum = 0;

	while (sum < most) {
		size_t left = most - sum;
		ssize_t n = recv(fd, data,
		    left < sizeof(data) ? left : sizeof(data), 0);

		if (n <= 0)
			break;
		sum += (size_t)n;
	}
	return sum;
}

static const struct carry *
the_connection(void)
{
	return LIST_FIRST(&((struct carrier_mail *)(void *)road.carrier)->all);
}

static void
it_reads_slowly_and_then_not_at_all(void **state)
{
	static char text[20000000];
	struct road_post *p;
	size_t taken = 0;
	int fd;

	(void)state;
	memset(text, '\n', sizeof(text));
	road_add_port(true);
	road_start();
	p = road_prepare(1);
	p->m.body.tail = (struct span){text, sizeof(text)};
	p->p.deadline = clock_now() + 10000000;
	p->p.dot_by = clock_now() + 10000000;
	road_submit(p);
	fd = take_connection();
	say(fd, "220 hi\r\n");
	say(fd, "250-hi\r\n250 PIPELINING\r\n");
	say(fd, "250 ok\r\n250 ok\r\n354 go\r\n");
	for (int i = 0; i < 10; i++) {
		clock_pass(20000);
		assert_int_equal(p->told, 0);
		assert_in_range(stream_unsent(&the_connection()->stream), 1,
		    65536);
		/* more than what has to leave a buffer before it is asked */
		for (taken = 0; taken < 3000000 && !p->told; road_soon())
			taken += take(fd, 3000000 - taken);
	}
	clock_pass(29000);
	assert_int_equal(p->told, 0);
	clock_pass(32000); /* a little progress may be seen late */
	road_has(p, 0, GONE);
	close(fd);
}

/* What is said before it hangs up is heard, though nothing more is taken. */
static void
it_says_why_and_goes(void **state)
{
	static char text[5000000];
	struct road_post *p;
	int fd;

	(void)state;
	memset(text, '\n', sizeof(text));
	road_add_port(true);
	road_start();
	p = road_prepare(1);
	p->m.body.tail = (struct span){text, sizeof(text)};
	road_submit(p);
	fd = take_connection();
	say(fd, "220 hi\r\n");
	say(fd, "250-hi\r\n250 PIPELINING\r\n");
	say(fd, "250 ok\r\n250 ok\r\n354 go\r\n");
	send(fd, "552 5.3.4 no\r\n", 14, MSG_NOSIGNAL);
	close(fd);
	road_soon();
	road_has(p, 0, "refused 552 5.3.4 no");
}

/* A secret is nowhere once it was sent. */
static void
secrets_are_wiped(void **state)
{
	struct road_post *p;
	int fd;

	(void)state;
	road_add_port(true);
	road.route.login = "me";
	road.route.secret = SPAN_LIT("secret");
	road_start();
	p = road_post(1);
	fd = take_connection();
	say(fd, "220 hi\r\n");
	say(fd, "250-hi\r\n250 AUTH PLAIN\r\n");
	assert_true(take(fd, 1000) > 40);
	assert_null(the_connection()->out.data);
	assert_null(the_connection()->stream.out.data);
	ask_cancel(&p->ask, ASK_ABANDON);
	close(fd);
}

/* --- a connection that was there before --- */

static void
closed_while_it_waited(void **state)
{
	static const char *const last[] = {NULL, "421 4.3.2 I go\r\n"};
	const struct peer_turn *good = SCRIPT(HI, ALL);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		/* it ends when it hears MAIL: too late to know before */
		const struct peer_turn *scripts[] =
		    {SCRIPT(HI, ALL, {"MAIL", last[i], PEER_CLOSE, 0}), good};
		struct peer *peer;
		struct road_post *p;

		road.route.nto = 0;
		peer = road_serve(scripts, 2);
		road_start();
		road_send(1);
		p = road_send(1);
		road_has(p, 0, "taken");
		assert_int_equal(peer_connections(peer), 2);
		carrier_free(&road.carrier);
	}
}

/* Once, and then it is the answer. */
static void
closed_again(void **state)
{
	const struct peer_turn *bad = SCRIPT(HI, {"MAIL", NULL, PEER_CLOSE, 0});
	const struct peer_turn *scripts[] = {SCRIPT(HI, ALL,
						 {"MAIL", NULL, PEER_CLOSE, 0}),
	    bad, SCRIPT(HI, ALL)};
	struct peer *peer = road_serve(scripts, 3);
	struct road_post *p;

	(void)state;
	road_start();
	road_send(1);
	p = road_send(1);
	road_has(p, 0, GONE);
	assert_int_equal(peer_connections(peer), 2);
	p = road_send(1);
	road_has(p, 0, "taken");
}

/* Silence has cost its time, and is not tried twice. */
static void
silent_after_it_waited(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT(HI, ALL));
	struct road_post *p;

	(void)state;
	road_start();
	road_send(1);
	p = road_post(1);
	clock_pass(30100);
	road_has(p, 0, GONE);
	assert_int_equal(peer_connections(peer), 1);
}

/* RCPTMAX and a server that ends behind each message: each gets further. */
static void
one_message_each(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"EHLO", "250-hi\r\n250 LIMITS RCPTMAX=1\r\n", 0, 0}, MAIL, RCPT,
	    DATA, {".", "250 ok\r\n", PEER_CLOSE, 0}));
	struct road_post *p;

	(void)state;
	road_start();
	p = road_send(3);
	road_has_all(p);
	assert_int_equal(peer_connections(peer), 3);
}

/* Behind 354 it is not said twice. */
static void
closed_when_it_was_handed_over(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(HI, ALL, MAIL, RCPT,
						 {"DATA", "354 go\r\n",
						     PEER_CLOSE, 0}),
	    SCRIPT(HI, ALL)};
	struct peer *peer = road_serve(scripts, 2);
	struct road_post *p;

	(void)state;
	road_start();
	road_send(1);
	p = road_send(1);
	assert_int_equal(p->told, 1);
	assert_int_equal(peer_connections(peer), 1);
	assert_true(
	    p->copies[0].fate == FATE_AGAIN || p->copies[0].fate == FATE_LOST);
}

static void
a_hundred_messages(void **state)
{
	struct peer_turn turns[3 + 4 * 101] = {HI};
	const struct peer_turn all[] = {ALL}, *script = turns;
	struct peer *peer;

	(void)state;
	for (unsigned i = 0; i < 101 * 4; i++)
		turns[2 + i] = all[i % 4];
	peer = road_serve(&script, 1);
	road_start();
	for (int i = 0; i < 101; i++) {
		road.nposts = 0;
		road_send(1);
		road_has(&road.posts[0], 0, "taken");
		buf_free(&road.posts[0].m.received);
		arena_reset(&road.posts[0].m.arena);
	}
	road.nposts = 0;
	assert_int_equal(peer_connections(peer), 2);
}

/* --- what a connection may do --- */

static void
each_end_has_its_fate(void **state)
{
	const struct {
		const struct peer_turn *script;
		const char *want;
		bool down;
	} all[] = {
	    {SCRIPT(HI, {"MAIL", "421 4.3.2 no\r\n", PEER_CLOSE, 0}), GONE, 0},
	    {SCRIPT(HI, {"MAIL", NULL, PEER_CLOSE, 0}), GONE, 0},
	    {SCRIPT(HI, {"MAIL", NULL, PEER_RESET, 0}), GONE, 0},
	    {SCRIPT(HI, MAIL, {"RCPT", NULL, PEER_CLOSE, 0}), GONE, 0},
	    {SCRIPT(HI, MAIL, RCPT, {"DATA", NULL, PEER_CLOSE, 0}), GONE, 0},
	    {SCRIPT(HI, {"MAIL", "What?\r\n", 0, 0}),
		"again 451 4.5.0 The server for this address makes no sense",
		0},
	    {SCRIPT(HI, MAIL, RCPT, DATA, {".", NULL, PEER_CLOSE, 0}), LOST, 0},
	    {SCRIPT(HI, MAIL, RCPT, DATA, {".", "421 a\r\n", PEER_CLOSE, 0}),
		LOST, 0},
	    {SCRIPT(HI, MAIL, RCPT, DATA, {".", "What?\r\n", 0, 0}), LOST, 0},
	    {SCRIPT(HI, MAIL, RCPT,
		 {"DATA", "354 a\r\n552 5.3.4 no\r\n", PEER_CLOSE, 0}),
		"refused 552 5.3.4 no", 0},
	    {SCRIPT(HI, {"MAIL", "530 5.7.0 who\r\n", 0, 0}), SETUP, 1},
	    {SCRIPT({NULL, "554 no\r\n", 0, 0}), AWAY, 1},
	    {SCRIPT({NULL, "421 no\r\n", PEER_CLOSE, 0}), AWAY, 1},
	    {SCRIPT({NULL, NULL, PEER_CLOSE, 0}), AWAY, 1},
	    {SCRIPT({NULL, "220 a\r\n", 0, 0}, {"EHLO", "550 no\r\n", 0, 0},
		 {"HELO", "550 no\r\n", 0, 0}),
		AWAY, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct road_post *p;

		road_clear();
		road_serve_one(all[i].script);
		road_start();
		p = road_post(1);
		clock_pass(1000);
		road_has(p, 0, all[i].want);
		assert_int_equal(road_is_down(), all[i].down);
		carrier_free(&road.carrier);
		assert_int_equal(neighbour_look(road.shared, NEIGHBOUR_ROUTE,
				     road.route.text)
				     .workers,
		    0);
	}
	assert_int_equal(logged("route-misconfigured", "route=out"), 1);
}

/* Silence has its time in each phase. */
static void
silence(void **state)
{
	const struct {
		const struct peer_turn *script;
		const char *want;
		int64_t ms;
	} all[] = {
	    {SCRIPT({"never", NULL, 0, 0}), AWAY, 20000},
	    {SCRIPT({NULL, "220 a\r\n", 0, 0}), AWAY, 20000},
	    {SCRIPT(HI), GONE, 30000},
	    {SCRIPT(HI, MAIL), GONE, 30000},
	    {SCRIPT(HI, MAIL, {"RCPT", "250 ok\r\n", 0, 25000}), GONE, 55000},
	    {SCRIPT(HI, MAIL, RCPT, DATA), LOST, ROAD_FAR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct road_post *p;
		int64_t begun = clock_now();

		road_clear();
		road_serve_one(all[i].script);
		road_start();
		p = road_post(1);
		clock_pass(ROAD_FAR + 1000);
		road_has(p, 0, all[i].want);
		assert_int_equal((p->when + road.begun - begun) / 100,
		    all[i].ms / 100);
	}
}

/* Whoever takes its octets slowly has its time for each of them: a peer that
 * reads nothing has no more than that. */
static void
no_end_of_data_behind_its_time(void **state)
{
	struct peer *peer = road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, {"DATA", "354 go\r\n", 0, 20000}, DOT));
	struct road_post *p;

	(void)state;
	road_start();
	p = road_prepare(1);
	p->p.dot_by = clock_now() + 10000;
	road_submit(p);
	clock_pass(ROAD_FAR);
	road_has(p, 0, GONE);
	assert_int_equal(p->when / 100, 100);
	assert_null(strstr(peer_heard(peer), "Received"));
	assert_false(road_is_down());
}

/* Each reply has a time of its own. */
static void
slow_for_each(void **state)
{
	struct road_post *p;

	(void)state;
	road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"EHLO", "250-hi\r\n250 PIPELINING\r\n", 0, 0}, MAIL,
	    {"RCPT", "250 ok\r\n", 0, 20000}, {"RCPT", "250 ok\r\n", 0, 20000},
	    DATA, DOT));
	road_start();
	p = road_post(2);
	clock_pass(45000);
	road_has(p, 0, "taken");
	road_has(p, 1, "taken");
}

static void
who_waits_too_long(void **state)
{
	struct road_post *p, *q;

	(void)state;
	road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", "250 ok\r\n", 0, 40000}));
	road.route.connections = 1;
	road_start();
	p = road_post(1);
	q = road_prepare(1);
	q->p.deadline = clock_now() + 20000;
	road_submit(q);
	clock_pass(50000);
	road_has(p, 0, "taken");
	road_has(q, 0, "again 451 4.3.2 Too much waits for a slow server");
	assert_int_equal(q->when / 100, 200);
}

/* --- TLS and AUTH --- */

/* clang-format off */
#define TLS                                                                    \
	{NULL, "220 hi\r\n", 0, 0},                                            \
	    {"EHLO", "250-hi\r\n250 STARTTLS\r\n", 0, 0},                      \
	    {"STARTTLS", "220 go\r\n", PEER_TLS, 0}
/* clang-format on */

static void
opportunistic(void **state)
{
	struct peer *peer =
	    road_serve_one(SCRIPT(TLS, {"EHLO", "250 hi\r\n", 0, 0}, ALL));
	struct road_post *p;

	(void)state;
	road.route.tls = ROUTE_TLS_OPPORTUNISTIC;
	road_start();
	p = road_post(1);
	clock_pass(100);
	road_has(p, 0, "taken");
	assert_int_equal(peer_connections(peer), 1);
}

/* Once more in clear, and this time without asking for TLS. */
static void
a_handshake_that_fails(void **state)
{
	static const struct {
		enum peer_then then;
		const char *say;
		int64_t ms;
	} all[] = {{PEER_CLOSE, "220 go\r\n", 100},
	    {PEER_STAY, "220 go\r\nWhat?\r\n", 100},
	    {PEER_STAY, "220 go\r\n", 20100}};
	const struct peer_turn *good = SCRIPT({NULL, "220 hi\r\n", 0, 0},
	    {"EHLO", "250-hi\r\n250 STARTTLS\r\n", 0, 0}, ALL);

	(void)state;
	road.route.tls = ROUTE_TLS_OPPORTUNISTIC;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct peer_turn *scripts[] =
		    {SCRIPT({NULL, "220 hi\r\n", 0, 0},
			 {"EHLO", "250-hi\r\n250 STARTTLS\r\n", 0, 0},
			 {"STARTTLS", all[i].say, all[i].then, 0}),
			good};
		struct road_post *p;

		road_clear();
		road_serve(scripts, 2);
		road_start();
		p = road_post(1);
		clock_pass(all[i].ms);
		if (i == 1) /* what it says in clear is no handshake: broken */
			assert_int_equal(p->told, 1);
		else
			road_has(p, 0, "taken");
		assert_int_equal(peer_connections(road.peers[0]),
		    i == 1 ? 1 : 2);
	}
}

static void
required(void **state)
{
	struct peer *peer = road_serve_one(
	    SCRIPT(TLS, {"EHLO", "250-hi\r\n250 AUTH PLAIN\r\n", 0, 0},
		{"AUTH PLAIN AG1lAHNlY3JldA==", "235 in\r\n", 0, 0}, ALL));
	struct road_post *p;

	(void)state;
	road.route.tls = ROUTE_TLS_REQUIRED;
	road.route.to[0].local = false;
	road.route.login = "me";
	road.route.secret = SPAN_LIT("secret");
	road_start();
	p = road_post(1);
	clock_pass(100);
	road_has(p, 0, "taken");
	assert_int_equal(peer_connections(peer), 1);
}

static void
required_but_not_so(void **state)
{
	const struct {
		const struct peer_turn *script;
		const char *host, *why;
		bool misconfigured;
	} all[] = {
	    {SCRIPT(HI), ROAD_NAME, "", true},
	    {SCRIPT(TLS), "other.example.org", "", false},
	    {SCRIPT(TLS, {"EHLO", "250-a\r\n250 AUTH PLAIN\r\n", 0, 0},
		 {"AUTH", "535 5.7.8 no\r\n", 0, 0}),
		ROAD_NAME, "reply=535", true},
	};

	(void)state;
	road.route.tls = ROUTE_TLS_REQUIRED;
	road.route.login = "me";
	road.route.secret = SPAN_LIT("secret");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct road_post *p;

		log_forget();
		road_clear();
		road_serve_one(all[i].script);
		road.route.to[0].host = all[i].host;
		road_start();
		p = road_post(1);
		clock_pass(100);
		assert_int_equal(p->told, 1);
		assert_int_equal(p->copies[0].fate, FATE_DOWN);
		assert_true(road_is_down());
		assert_int_equal(logged("route-misconfigured", all[i].why),
		    all[i].misconfigured);
		assert_null(strstr(peer_heard(road.peers[0]), "MAIL"));
	}
}

/* A password is for a server that is who it says, or for this machine. */
static void
no_password_for_a_stranger(void **state)
{
	struct peer *peer = road_serve_one(
	    SCRIPT(TLS, {"EHLO", "250-hi\r\n250 AUTH PLAIN\r\n", 0, 0}, ALL));
	struct road_post *p;

	(void)state;
	road.route.tls = ROUTE_TLS_OPPORTUNISTIC;
	road.route.to[0].local = false;
	road.route.login = "me";
	road.route.secret = SPAN_LIT("secret");
	road_start();
	p = road_post(1);
	clock_pass(100);
	road_has(p, 0, "taken");
	assert_null(strstr(peer_heard(peer), "AUTH"));
}

static void
from_the_first_octet(void **state)
{
	struct road_post *p;

	(void)state;
	road_serve_one(SCRIPT({NULL, NULL, PEER_TLS, 0}, HI, ALL));
	road.route.to[0].tls = true;
	road.route.tls = ROUTE_TLS_REQUIRED;
	road_start();
	p = road_post(1);
	clock_pass(100);
	road_has(p, 0, "taken");
}

static void
no_tls_from_the_first_octet(void **state)
{
	struct road_post *p;

	(void)state;
	road_serve_one(SCRIPT(HI, ALL));
	road.route.to[0].tls = true;
	road_start();
	p = road_post(1);
	clock_pass(100);
	road_has(p, 0, AWAY);
	assert_int_equal(logged("route-down", "error=it speaks in clear"), 1);
}

/* --- cancelled --- */

static void
cancelled(void **state)
{
	const struct peer_turn *const all[] = {SCRIPT({"never", NULL, 0, 0}),
	    SCRIPT(HI), SCRIPT(HI, MAIL, RCPT), SCRIPT(HI, MAIL, RCPT, DATA),
	    SCRIPT(HI, ALL)};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (int end = ASK_GO_ON; end <= ASK_ABANDON; end++) {
			struct road_post *p;

			log_forget();
			road_clear();
			road_serve_one(all[i]);
			road_start();
			p = road_post(1);
			if (i < 4)
				road_soon();
			ask_cancel(&p->ask, (enum ask_end)end);
			/* whatever it had is nobody's now */
			memset(&p->p, 0xff, sizeof(p->p));
			clock_pass(ROAD_FAR);
			assert_int_equal(p->told, 0);
			assert_int_equal(logged("unanswered",
					     "rcpt=a@example.org route=out"),
			    i == 3);
		}
}

/* The one behind it goes on. */
static void
one_of_two_is_cancelled(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(HI), SCRIPT(HI, ALL)};
	struct road_post *p, *q;

	(void)state;
	road_serve(scripts, 2);
	road.route.connections = 1;
	road_start();
	p = road_post(1);
	q = road_post(1);
	road_soon();
	ask_cancel(&p->ask, ASK_ABANDON);
	road_soon();
	road_has(q, 0, "taken");
	assert_int_equal(p->told, 0);
}

static void
freed_while_it_works(void **state)
{
	(void)state;
	road_serve_one(SCRIPT(HI, MAIL));
	road.route.connections = 2;
	road_start();
	for (int i = 0; i < 4; i++)
		road_post(1);
	road_verify("a@example.org");
	road_soon();
	carrier_free(&road.carrier);
	clock_pass(ROAD_FAR);
	for (int i = 0; i < 4; i++)
		assert_int_equal(road.posts[i].told, 0);
	assert_int_equal(road.verified, 0);
}

static int
finish(void **state)
{
	log_forget();
	return road_close(state);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, road_open, finish)
	const struct CMUnitTest tests[] = {
	    TEST(smtp),
	    TEST(lmtp),
	    TEST(whole),
	    TEST(more_than_it_takes_at_once),
	    TEST(whole_until_somebody_has_it),
	    TEST(one_after_the_other),
	    TEST(a_large_body),
	    TEST(a_body_in_a_file),
	    TEST(nothing_to_send),
	    TEST(it_reads_slowly_and_then_not_at_all),
	    TEST(it_says_why_and_goes),
	    TEST(secrets_are_wiped),
	    TEST(closed_while_it_waited),
	    TEST(closed_again),
	    TEST(silent_after_it_waited),
	    TEST(one_message_each),
	    TEST(closed_when_it_was_handed_over),
	    TEST(a_hundred_messages),
	    TEST(each_end_has_its_fate),
	    TEST(silence),
	    TEST(no_end_of_data_behind_its_time),
	    TEST(slow_for_each),
	    TEST(who_waits_too_long),
	    TEST(opportunistic),
	    TEST(a_handshake_that_fails),
	    TEST(required),
	    TEST(required_but_not_so),
	    TEST(no_password_for_a_stranger),
	    TEST(from_the_first_octet),
	    TEST(no_tls_from_the_first_octet),
	    TEST(cancelled),
	    TEST(one_of_two_is_cancelled),
	    TEST(freed_while_it_works),
	};

	return cmocka_run_group_tests(tests, road_begin, road_end);
}
