/*
 * Many parcels and connections, and whether their server is there. See road.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/clock.h"
#include "io/neighbour.h"
#include "io/resolve.h"
#include "liar.h"
#include "log_catch.h"
#include "road.h"

/* What the resolver of the tests says of a name is this machine. */
int
connect(int fd, const struct sockaddr *a, socklen_t len)
{
	struct sockaddr_in to;

	if (a->sa_family != AF_INET)
		return (int)syscall(SYS_connect, fd, a, len);
	to = *(const struct sockaddr_in *)(const void *)a;
	if (to.sin_addr.s_addr == htonl(0xc0000200))
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return (int)syscall(SYS_connect, fd, &to, sizeof(to));
}

/* --- health --- */

/* In its own words. */
static void
took(const struct road_post *p, unsigned code, const char *status,
    const char *text)
{
	const struct smtp_reply *r = p->copies[0].reply;

	assert_int_equal(r->code, code);
	assert_string_equal(r->status, status);
	assert_string_equal(r->text, text);
}

static void
the_next_server(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(HI, MAIL, RCPT, DATA,
						 {".",
						     "250 2.0.1 Got\x1b it\r\n",
						     0, 0}),
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", "250 yes\r\n", 0, 0})};
	struct peer *second;
	struct road_post *p;

	(void)state;
	road_add_port(false);
	road_serve_one(SCRIPT({NULL, "554 not now\r\n", 0, 0}));
	second = road_serve(scripts, 2);
	road.route.to[2].text = "smtp://second";
	road_start();
	p = road_send(1);
	road_has(p, 0, "taken");
	took(p, 250, "2.0.1", "Got? it");
	assert_string_equal(p->copies[0].peer, "smtp://second");
	clock_pass(20000);
	p = road_send(1); /* those that failed come last */
	road_has(p, 0, "taken");
	took(p, 250, "2.0.0", "yes");
	assert_int_equal(peer_connections(road.peers[0]), 1);
	assert_int_equal(peer_connections(second), 2);
}

static void
nobody_listens(void **state)
{
	struct road_post *p;

	(void)state;
	road_add_port(false);
	road.route.to[road.route.nto++] =
	    (struct route_place){.path = "/nowhere/at/all", .local = true};
	road_start();
	p = road_send(1);
	road_has(p, 0, AWAY);
	assert_int_equal(logged("route-down",
			     "error=No such file or directory"),
	    1);
	assert_int_equal(neighbour_look(road.shared, NEIGHBOUR_ROUTE,
			     road.route.text)
			     .error,
	    NEIGHBOUR_NO_CONNECTION);
}

/* One that fails speaks for those who dial as well. */
static void
nobody_dials_any_more(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT({NULL, "554 no\r\n", 0, 0}),
	    SCRIPT({"never", NULL, 0, 0})};
	struct neighbour *place;
	struct road_post *p, *q;

	(void)state;
	road_serve(scripts, 2);
	road_start();
	p = road_post(1);
	q = road_post(1);
	road_soon();
	road_has(p, 0, AWAY);
	road_has(q, 0, AWAY);
	place = neighbour_open(road.shared, 7, NEIGHBOUR_ROUTE, road.route.text,
	    clock_now());
	assert_int_equal(neighbour_in_use(place), 0);
}

/* --- names --- */

static bool
is_asking(void)
{
	static unsigned n;

	return liar_busy() || ++n % 8;
}

static void
names(void **state)
{
	static const char *const hosts[] = {"a.test", "nx.test"};
	struct liar *liar = liar_new(&road.loop);
	struct resolve_options o = {.servers = liar_server(liar)};

	(void)state;
	clock_stop(&road.loop, is_asking);
	road.services.resolve = resolve_new(&road.loop, &o);
	for (int i = 0; i < 2; i++) {
		struct road_post *p;

		road.route.nto = 0;
		road_serve_one(SCRIPT(HI, ALL));
		road.route.to[0].host = hosts[i];
		road.route.to[0].naddrs = 0;
		road_start();
		p = road_post(1);
		clock_pass(100);
		road_has(p, 0, i ? AWAY : "taken");
		assert_int_equal(road_is_down(), i);
		carrier_free(&road.carrier);
	}
	assert_int_equal(logged("route-down", "error=no address for its name"),
	    1);
	resolve_free(&road.services.resolve);
	liar_free(&liar);
}

static void
down_and_up(void **state)
{
	const struct peer_turn *bad = SCRIPT({NULL, "554 no\r\n", 0, 0});
	const struct peer_turn *scripts[] = {bad, bad, bad, SCRIPT(HI, ALL)};
	struct peer *peer = road_serve(scripts, 4);
	struct neighbour_view v;
	struct road_post *p;

	(void)state;
	road_start();
	p = road_send(1);
	road_has(p, 0, AWAY);
	assert_true(road_is_down());
	v = neighbour_look(road.shared, NEIGHBOUR_ROUTE, road.route.text);
	assert_int_equal(v.down, 1);
	assert_int_equal(v.error, NEIGHBOUR_REFUSES);
	p = road_send(1); /* told at once, and nobody dials for it */
	road_has(p, 0, AWAY);
	road_verify("a@example.org");
	road_soon();
	assert_string_equal(road.reply, AWAY);
	assert_int_equal(peer_connections(peer), 1);
	clock_pass(3900); /* 5 s, but a fifth */
	assert_int_equal(peer_connections(peer), 1);
	clock_pass(2100);
	assert_int_equal(peer_connections(peer), 2);
	clock_pass(5800); /* of ten, behind the earliest */
	assert_int_equal(peer_connections(peer), 2);
	clock_pass(6300); /* and the latest */
	assert_int_equal(peer_connections(peer), 3);
	assert_true(road_is_down());
	for (int s = 0; s < 25 && road_is_down(); s++) /* of twenty */
		clock_pass(1000);
	assert_int_equal(peer_connections(peer), 4);
	assert_false(road_is_down());
	assert_int_equal(logged("route-down", "error=554 no"), 1);
	assert_int_equal(logged("route-up", "route=out"), 1);
	p = road_send(1); /* on the connection that found out */
	road_has(p, 0, "taken");
	assert_int_equal(peer_connections(peer), 4);
}

/* Somebody says that it is, so that no pause counts, nor the next one. */
static void
down_and_asked_for(void **state)
{
	const struct peer_turn *bad = SCRIPT({NULL, "554 no\r\n", 0, 0});
	const struct peer_turn *scripts[] = {bad, bad, bad, bad,
	    SCRIPT(HI, ALL)};
	struct peer *peer = road_serve(scripts, 5);

	(void)state;
	road_start();
	carrier_again(road.carrier); /* it is up */
	road_soon();
	assert_int_equal(peer_connections(peer), 0);
	road_post(1);
	clock_pass(6200);
	assert_int_equal(peer_connections(peer), 2);
	carrier_again(road.carrier);
	carrier_again(road.carrier);
	road_soon();
	assert_int_equal(peer_connections(peer), 3);
	assert_true(road_is_down());
	clock_pass(6200); /* five again */
	assert_int_equal(peer_connections(peer), 4);
	carrier_again(road.carrier);
	road_soon();
	assert_int_equal(peer_connections(peer), 5);
	assert_false(road_is_down());
	assert_int_equal(logged("route-down", ""), 1);
	assert_int_equal(logged("route-up", "route=out"), 1);
}

/* What greets is up; but the pause is shorter only when it takes mail. */
static void
refused_again_and_again(void **state)
{
	/* clang-format off */
#define NO {"MAIL", "530 5.7.0 who\r\n", 0, 0}
	/* clang-format on */
	const struct peer_turn *scripts[] = {SCRIPT(HI, NO), SCRIPT(HI, NO),
	    SCRIPT(HI, ALL, NO), SCRIPT(HI)};

	(void)state;
	road_serve(scripts, 4);
	road_start();
	road_post(1);
	clock_pass(3900);
	assert_true(road_is_down());
	clock_pass(2200);
	assert_false(road_is_down());
	road_post(1);
	clock_pass(7900);
	assert_true(road_is_down());
	clock_pass(4200);
	assert_false(road_is_down());
	road_send(1);
	road_has(&road.posts[2], 0, "taken");
	road_send(1);
	assert_true(road_is_down());
	clock_pass(6200);
	assert_false(road_is_down());
}

/* It takes connections, and never answers. */
static void
three_in_a_row(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT(HI));
	struct road_post *p;

	(void)state;
	road_start();
	for (int i = 0; i < 3; i++) {
		assert_false(road_is_down());
		p = road_post(1);
		clock_pass(30100);
		road_has(p, 0, GONE);
	}
	assert_true(road_is_down());
	assert_int_equal(logged("route-down", "error=no answer in time"), 1);
	assert_int_equal(peer_connections(peer), 3);
}

/* A route's `timeout` may be shorter than that of each phase. */
static void
three_that_are_short(void **state)
{
	(void)state;
	road_serve_one(SCRIPT(HI));
	road_start();
	for (int i = 0; i < 3; i++) {
		struct road_post *p = road_prepare(1);

		assert_false(road_is_down());
		p->p.deadline = p->p.dot_by = clock_now() + 7000;
		road_submit(p);
		clock_pass(7100);
		road_has(p, 0, GONE);
	}
	assert_true(road_is_down());
}

/* A server's own limit of connections is no outage. */
static void
no_more_connections(void **state)
{
	const struct peer_turn *full =
	    SCRIPT({NULL, "421 too many\r\n", PEER_CLOSE, 0});
	const struct peer_turn *scripts[] = {SCRIPT(HI, MAIL, RCPT, DATA,
						 {".", "250 ok\r\n", 0, 1000},
						 ALL),
	    full};
	struct peer *peer = road_serve(scripts, 2);
	struct road_post *p, *q;

	(void)state;
	road_start();
	p = road_send(1);
	q = road_send(1);
	assert_int_equal(peer_connections(peer), 2);
	assert_false(road_is_down());
	clock_pass(2000);
	road_has(p, 0, "taken");
	road_has(q, 0, "taken");
	assert_int_equal(peer_connections(peer), 2);
}

/* But one more is tried before long. */
static void
some_more_later(void **state)
{
	const struct peer_turn *full =
	    SCRIPT({NULL, "421 too many\r\n", PEER_CLOSE, 0});
	const struct peer_turn *scripts[] = {SCRIPT(HI, MAIL, RCPT, DATA,
						 {".", "250 ok\r\n", 0, 20000}),
	    full, SCRIPT(HI, ALL)};
	struct road_post *p, *q;

	(void)state;
	road_serve(scripts, 3);
	road_start();
	p = road_send(1);
	q = road_post(1);
	clock_pass(4900);
	assert_int_equal(q->told, 0);
	clock_pass(200);
	road_has(q, 0, "taken");
	assert_int_equal(p->told, 0);
}

static void
too_slow(void **state)
{
	(void)state;
	road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", NULL, PEER_CLOSE, 700}));
	road_start();
	for (int i = 0; i < 3; i++) {
		struct road_post *p = road_post(1);

		assert_int_equal(logged("route-too-slow", ""), 0);
		clock_pass(1000);
		road_has(p, 0, LOST);
	}
	assert_int_equal(logged("route-too-slow", "route=out ms=700"), 1);
}

static void
not_three_in_a_row(void **state)
{
	const struct peer_turn *bad =
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", NULL, PEER_CLOSE, 0});
	const struct peer_turn *scripts[] = {bad, bad,
	    SCRIPT(HI, ALL, MAIL, RCPT, DATA, {".", NULL, PEER_CLOSE, 0}), bad};

	(void)state;
	road_serve(scripts, 4);
	road_start();
	for (int i = 0; i < 5; i++) {
		struct road_post *p = road_post(1);

		road_soon();
		road_has(p, 0, i == 2 ? "taken" : LOST);
	}
	assert_int_equal(logged("route-too-slow", ""), 0);
}

/* --- verify --- */

static void
verified(void **state)
{
	struct peer *peer = road_serve_one(SCRIPT(HI, MAIL,
	    {"RCPT", "550 5.1.1 who\r\n", 0, 0}, {"RSET", "250\r\n", 0, 0},
	    MAIL, RCPT, {"RSET", "250\r\n", 0, 0}, ALL));
	struct road_post *p;

	(void)state;
	road_start();
	road_verify("a@example.org");
	road_soon();
	assert_string_equal(road.reply, "refused 550 5.1.1 who");
	road_verify("b@example.org");
	road_soon();
	assert_string_equal(road.reply, "taken");
	p = road_send(1);
	road_has(p, 0, "taken");
	assert_int_equal(peer_connections(peer), 1);
	assert_non_null(strstr(peer_heard(peer),
	    "MAIL FROM:<>\nRCPT TO:<b@example.org>\nRSET\n"));
}

/* It waits for no body. */
static void
verified_first(void **state)
{
	struct road_post *p, *q;

	(void)state;
	road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", "250 ok\r\n", 0, 1000}, MAIL,
		RCPT, {"RSET", "250\r\n", 0, 0}, ALL));
	road.route.connections = 1;
	road_start();
	p = road_send(1);
	q = road_post(1);
	road_verify("b@example.org");
	road_soon();
	assert_int_equal(road.verified, 0);
	clock_pass(2000);
	road_has(p, 0, "taken");
	road_has(q, 0, "taken");
	assert_string_equal(road.reply, "taken");
}

/* clang-format off */
#define SLOW MAIL, RCPT, DATA, {".", "250 ok\r\n", 0, 1000}
/* clang-format on */

/* And among each of the two in order. */
static void
fresh_before_held(void **state)
{
	struct road_post *all[5];

	(void)state;
	road_serve_one(SCRIPT(HI, SLOW, SLOW, SLOW, SLOW, ALL));
	road.route.connections = 1;
	road_start();
	for (int i = 0; i < 5; i++) {
		all[i] = road_prepare(1);
		all[i]->p.held = i == 0 || i == 1 || i == 3;
		road_submit(all[i]);
		road_soon();
	}
	assert_true(all[0]->p.handed);
	assert_false(all[1]->p.handed);
	for (int i = 0; i < 4; i++) {
		static const int order[] = {0, 2, 4, 1};

		clock_pass(500);
		assert_int_equal(all[order[i]]->told, 0);
		clock_pass(500);
		road_has(all[order[i]], 0, "taken");
	}
	road_soon();
	road_has(all[3], 0, "taken");
}

static void
verify_has_no_answer(void **state)
{
	(void)state;
	road_serve_one(SCRIPT(HI, MAIL));
	road_start();
	road_verify("b@example.org");
	clock_pass(20100);
	assert_string_equal(road.reply,
	    "again 451 4.4.1 The server for this address is not there now");
}

/* Whoever had a moment alone is not to blame, also if it was there before. */
static void
verify_has_no_answer_three_times(void **state)
{
	const struct peer_turn *good =
	    SCRIPT(HI, MAIL, RCPT, {"RSET", "250\r\n", 0, 0}, MAIL);
	const struct peer_turn *scripts[] = {good, SCRIPT(HI, MAIL)};

	(void)state;
	road_serve(scripts, 2);
	road_start();
	road_verify("a@example.org");
	road_soon();
	assert_string_equal(road.reply, "taken");
	for (unsigned i = 0; i < 6; i++) {
		road_verify_within("b@example.org", i < 3 ? 4900 : 6000);
		clock_pass(6100);
		assert_int_equal(road.verified, i + 2);
		assert_string_equal(road.reply,
		    "again 451 4.4.1 The server for this address is not there "
		    "now");
		assert_int_equal(road_is_down(), i == 5);
	}
}

static void
verify_has_no_turn(void **state)
{
	(void)state;
	road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", "250 ok\r\n", 0, 40000}));
	road.route.connections = 1;
	road_start();
	road_send(1);
	road_verify("b@example.org");
	clock_pass(20100);
	assert_string_equal(road.reply,
	    "again 451 4.4.1 The server for this address is not there now");
	assert_false(road_is_down());
}

/* --- how many --- */

static void
connections_of_all_workers(void **state)
{
	struct peer *peer = road_serve_one(
	    SCRIPT(HI, MAIL, RCPT, DATA, {".", "250 ok\r\n", 0, 1000}, ALL));
	struct neighbour *other;
	struct road_post *all[4];

	(void)state;
	other = neighbour_open(road.shared, 7, NEIGHBOUR_ROUTE, road.route.text,
	    clock_now());
	road.route.connections = 3;
	neighbour_use(other, 7, 1);
	road_start();
	for (int i = 0; i < 4; i++)
		all[i] = road_post(1);
	road_soon();
	assert_int_equal(peer_connections(peer), 2);
	assert_int_equal(neighbour_in_use(other), 3);
	clock_pass(3000);
	for (int i = 0; i < 4; i++)
		road_has(all[i], 0, "taken");
	assert_int_equal(peer_connections(peer), 2);
	/* one more is wanted elsewhere: of two that idle one goes */
	assert_int_equal(neighbour_in_use(other), 2);
	neighbour_use(other, 7, 1);
	neighbour_use(other, 7, 1);
	clock_pass(10000);
	assert_int_equal(neighbour_in_use(other), 3);
	road_send(1); /* one is everybody's */
	assert_int_equal(neighbour_in_use(other), 4);
}

static unsigned
count_of(const char *text, const char *what)
{
	unsigned n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* An idle one is no way for whom a stale one has failed. */
static void
room_for_a_fresh_one(void **state)
{
	const struct peer_turn *stale =
	    SCRIPT(HI, ALL, {"MAIL", NULL, PEER_CLOSE, 0});
	const struct peer_turn *scripts[] = {stale, stale, SCRIPT(HI, ALL)};
	struct peer *peer = road_serve(scripts, 3);
	struct neighbour *other;
	struct road_post *p;

	(void)state;
	road.route.connections = 3;
	road_start();
	road_post(1);
	road_post(1);
	road_soon();
	assert_int_equal(peer_connections(peer), 2);
	other = neighbour_open(road.shared, 7, NEIGHBOUR_ROUTE, road.route.text,
	    clock_now());
	p = road_post(1); /* on one of the two */
	for (int i = 0; i < 3; i++)
		neighbour_use(other, 7, 1);
	road_soon();
	road_has(p, 0, "taken");
	assert_int_equal(peer_connections(peer), 3);
	assert_int_equal(count_of(peer_heard(peer), "MAIL"), 4);
}

/* Who is sent back into the queue of a route that is DOWN hears so at once. */
static void
stale_when_it_is_down(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(HI, ALL,
						 {"MAIL", "530 log in\r\n", 0,
						     0}),
	    SCRIPT(HI, ALL, {"MAIL", NULL, PEER_CLOSE, 1000})};
	struct road_post *first, *second;

	(void)state;
	road_serve(scripts, 2);
	road_start();
	road_post(1);
	road_post(1);
	road_soon();
	first = road_post(1);
	second = road_post(1);
	clock_pass(2000);
	assert_true(road_is_down());
	road_has(first, 0, SETUP);
	road_has(second, 0, SETUP);
}

static void
several_dial_at_a_time(void **state)
{
	struct road_post *all[3];

	(void)state;
	road_serve_one(SCRIPT({NULL, "220 hi\r\n", 0, 1000},
	    {"EHLO", "250 hi\r\n", 0, 0}, ALL));
	road_start();
	for (int i = 0; i < 3; i++)
		all[i] = road_post(1);
	clock_pass(1500);
	for (int i = 0; i < 3; i++)
		road_has(all[i], 0, "taken");
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
	    TEST(the_next_server),
	    TEST(nobody_listens),
	    TEST(nobody_dials_any_more),
	    TEST(names),
	    TEST(down_and_up),
	    TEST(down_and_asked_for),
	    TEST(refused_again_and_again),
	    TEST(three_in_a_row),
	    TEST(three_that_are_short),
	    TEST(no_more_connections),
	    TEST(some_more_later),
	    TEST(too_slow),
	    TEST(not_three_in_a_row),
	    TEST(verified),
	    TEST(verified_first),
	    TEST(fresh_before_held),
	    TEST(verify_has_no_answer),
	    TEST(verify_has_no_answer_three_times),
	    TEST(verify_has_no_turn),
	    TEST(connections_of_all_workers),
	    TEST(room_for_a_fresh_one),
	    TEST(stale_when_it_is_down),
	    TEST(several_dial_at_a_time),
	};

	return cmocka_run_group_tests(tests, road_begin, road_end);
}
