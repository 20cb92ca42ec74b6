/*
 * redis: questions in a line, each with its time; a server that is slow, away,
 * or in strange hands; and when it is asked again. Time stands still but for
 * what a test lets pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "io/stream.h"
#include "log_catch.h"
#include "peer.h"
#include "policy/redis.h"

#define SCRIPT(...)                                                            \
	((const struct peer_turn[]){__VA_ARGS__, {NULL, NULL, 0, 0}})
/* clang-format off */
#define PONG       {"PING", "+PONG\r\n", 0, 0}
#define WHEN(h, s) {h, s, 0, 0}
/* clang-format on */

static struct loop loop;
static struct stream_pool pool;
static struct peer *peer;
static struct redis *redis;
static struct ipaddr here;
static struct redis_config conf;

static struct answer {
	unsigned n; /* times */
	bool good;
	struct redis_reply replies[REDIS_COMMANDS];
	unsigned expected;
} answers[8];

static int
open_loop(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(stream_pool_init(&pool, &loop), 0);
	clock_stop(&loop, NULL);
	memset(answers, 0, sizeof(answers));
	here = ipaddr_v4((const uint8_t[]){127, 0, 0, 1});
	conf = (struct redis_config){.server = "here",
	    .host = "127.0.0.1",
	    .addrs = &here,
	    .naddrs = 1,
	    .prefix = "smtpd",
	    .timeout = 50};
	return 0;
}

static int
close_loop(void **state)
{
	(void)state;
	redis_free(&redis);
	peer_free(&peer);
	clock_go();
	stream_pool_free(&pool);
	loop_free(&loop);
	log_forget();
	return 0;
}

static void
begin(const struct peer_turn *const *scripts, unsigned n)
{
	const struct redis_services s = {.loop = &loop, .pool = &pool};

	peer = peer_new(&loop, scripts, n, NULL, 0);
	assert_non_null(peer);
	conf.port = peer_port(peer);
	redis = redis_new(&conf, &s);
	assert_false(redis_is_up(redis));
	clock_pass(0);
}

static void
begin_with(const struct peer_turn *script)
{
	static const struct peer_turn *only;

	only = script;
	begin(&only, 1);
}

static void
on_answer(void *ctx, const struct redis_reply *replies)
{
	struct answer *a = ctx;

	a->n++;
	a->good = replies != NULL;
	if (replies)
		memcpy(a->replies, replies, a->expected * sizeof(*replies));
}

static struct ask *
get(unsigned i, const char *key)
{
	const struct redis_command c = {{SPAN_LIT("GET"), span_str(key)}, 2};

	answers[i] = (struct answer){.expected = 1};
	return redis_ask(redis, &c, 1, on_answer, &answers[i]);
}

static void
assert_text(unsigned i, const char *text)
{
	assert_int_equal(answers[i].n, 1);
	assert_true(answers[i].good);
	assert_int_equal(answers[i].replies[0].kind, REDIS_TEXT);
	assert_int_equal(answers[i].replies[0].len, strlen(text));
	assert_memory_equal(answers[i].replies[0].text, text, strlen(text));
}

static void
assert_none(unsigned i)
{
	assert_int_equal(answers[i].n, 1);
	assert_false(answers[i].good);
}

/* --- questions --- */

static void
questions(void **state)
{
	const struct redis_command three[] = {
	    {{SPAN_LIT("SET"), SPAN_LIT("a b"), SPAN_LIT("1")}, 3},
	    {{SPAN_LIT("GET"), SPAN_LIT("gone")}, 2},
	    {{SPAN_LIT("EXISTS"), SPAN_LIT("third")}, 2},
	};

	(void)state;
	begin_with(SCRIPT(PONG, WHEN("a b", "+OK\r\n$-1"),
	    WHEN("third", "\r\n:1\r\n"), WHEN("k1", "$2\r\nv1\r\n")));
	assert_true(redis_is_up(redis));
	answers[0].expected = 3;
	assert_non_null(redis_ask(redis, three, 3, on_answer, &answers[0]));
	assert_non_null(get(1, "k1"));
	assert_int_equal(answers[0].n, 0);
	clock_pass(0);
	assert_int_equal(answers[0].n, 1);
	assert_int_equal(answers[0].replies[0].kind, REDIS_STATUS);
	assert_int_equal(answers[0].replies[1].kind, REDIS_NIL);
	assert_int_equal(answers[0].replies[2].kind, REDIS_NUMBER);
	assert_int_equal(answers[0].replies[2].number, 1);
	assert_text(1, "v1");
	clock_pass(100);
	assert_int_equal(answers[0].n, 1);
	assert_int_equal(answers[1].n, 1);
	assert_non_null(
	    strstr(peer_heard(peer), "*3\n$3\nSET\n$3\na b\n$1\n1"));
	assert_int_equal(caught.len, 0);
}

/* Its answer comes when nobody waits for it, and is nobody else's. */
static void
late_and_cancelled(void **state)
{
	struct ask *a;

	(void)state;
	begin_with(SCRIPT(PONG, {"k1", "$2\r\nv1\r\n", 0, 60},
	    WHEN("k2", "$2\r\nv2\r\n"), WHEN("k3", "$2\r\nv3\r\n")));
	get(0, "k1");
	clock_pass(49);
	assert_int_equal(answers[0].n, 0);
	clock_pass(1);
	assert_none(0);
	a = get(1, "k2");
	get(2, "k3");
	ask_cancel(&a, ASK_ABANDON);
	clock_pass(49);
	assert_int_equal(answers[1].n, 0);
	assert_text(2, "v3");
	assert_int_equal(answers[0].n, 1);
	assert_true(redis_is_up(redis));
}

static void
nobody_waits(void **state)
{
	const struct redis_command c = {{SPAN_LIT("EXPIRE"), SPAN_LIT("k0"),
					    SPAN_LIT("5")},
	    3};

	(void)state;
	begin_with(
	    SCRIPT(PONG, WHEN("k0", ":0\r\n"), WHEN("k1", "$2\r\nv1\r\n")));
	redis_tell(redis, &c);
	get(1, "k1");
	clock_pass(0);
	assert_text(1, "v1");
}

/* --- who is let in --- */

static void
a_password(void **state)
{
	(void)state;
	conf.password = SPAN_LIT("s e\"cret");
	begin_with(SCRIPT(WHEN("s e\"cret", "+OK\r\n"), PONG));
	assert_true(redis_is_up(redis));
	assert_non_null(strstr(peer_heard(peer),
	    "*2\n$4\nAUTH\n$8\ns e\"cret\n*1\n$4\nPING"));
}

static void
not_let_in(void **state)
{
	const struct peer_turn *scripts[] =
	    {SCRIPT(WHEN("PING", "-NOAUTH Authentication required.\r\n")),
		SCRIPT(PONG)};

	(void)state;
	begin(scripts, 2);
	assert_false(redis_is_up(redis));
	assert_int_equal(logged("redis-down",
			     "server=here why=it does not let us in "
			     "said=NOAUTH Authentication required. "
			     "retry_ms=1000\n"),
	    1);
	clock_pass(999);
	assert_int_equal(peer_connections(peer), 1);
	clock_pass(1);
	assert_true(redis_is_up(redis));
	assert_int_equal(logged("redis-up", "server=here\n"), 1);
}

static void
half_let_in(void **state)
{
	(void)state;
	conf.password = SPAN_LIT("secret");
	begin_with(SCRIPT(WHEN("secret", "-WRONGPASS\r\n"),
	    WHEN("PING", "+PONG\r\n")));
	assert_false(redis_is_up(redis));
	assert_int_equal(logged("redis-down", "why=it does not let us in"), 1);
	assert_null(memmem(caught.data, caught.len, "secret", 6));
}

/* --- away --- */

static void
silent(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(PONG),
	    SCRIPT(PONG, WHEN("k0", "$2\r\nv0\r\n"))};

	(void)state;
	begin(scripts, 2);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(redis_is_up(redis));
		get(i, "k0");
		clock_pass(50);
		assert_none(i);
	}
	assert_false(redis_is_up(redis));
	assert_null(get(0, "k0"));
	assert_int_equal(logged("redis-down", "why=it does not answer in time"),
	    1);
	clock_pass(1000);
	assert_true(redis_is_up(redis));
	get(0, "k0");
	clock_pass(0);
	assert_text(0, "v0");
}

/* All at once is not longer than one. */
static void
silent_to_many(void **state)
{
	(void)state;
	begin_with(SCRIPT(PONG, {"k0", NULL, 0, 0}));
	for (unsigned i = 0; i < 7; i++)
		assert_non_null(get(i, "k0"));
	clock_pass(50);
	for (unsigned i = 0; i < 7; i++)
		assert_none(i);
	clock_pass(149);
	get(0, "k0");
	clock_pass(1);
	get(1, "k0");
	clock_pass(49);
	assert_none(0);
	assert_true(redis_is_up(redis));
	clock_pass(1);
	assert_none(1);
	assert_false(redis_is_up(redis));
}

#define OOM WHEN("k0", "-OOM\r\n")

/* That many of its errors. */
static void
fails(unsigned times)
{
	while (times--) {
		assert_non_null(get(0, "k0"));
		clock_pass(0);
		assert_none(0);
	}
}

/* Whoever answers is there, late as it may be. */
static void
slow(void **state)
{
	(void)state;
	begin_with(SCRIPT(PONG, {"k0", "$2\r\nv0\r\n", 0, 60},
	    {"k0", "$2\r\nv0\r\n", 0, 60}, {"k0", "$2\r\nv0\r\n", 0, 60},
	    {"k0", "$2\r\nv0\r\n", 0, 60}, {"k0", "$2\r\nv0\r\n", 0, 60},
	    {"k0", "$2\r\nv0\r\n", 0, 60}, WHEN("k1", "$2\r\nv1\r\n")));
	for (unsigned i = 0; i < 6; i++) {
		get(i, "k0");
		clock_pass(60);
		assert_none(i);
	}
	clock_pass(60000);
	get(0, "k1");
	clock_pass(0);
	assert_text(0, "v1");
	assert_int_equal(caught.len, 0);
}

/* In a row, on one connection. */
static void
errors(void **state)
{
	const struct peer_turn *scripts[] =
	    {SCRIPT(PONG, OOM, OOM, OOM, OOM, WHEN("k1", "$2\r\nv1\r\n"), OOM,
		 OOM, OOM, OOM,
		 WHEN("k0", "-OOM command not allowed when used memory > "
			    "'maxmemory' and then some\r\n")),
		SCRIPT(PONG, OOM, OOM, OOM, OOM)};

	(void)state;
	begin(scripts, 2);
	fails(4);
	get(1, "k1");
	clock_pass(0);
	assert_text(1, "v1");
	fails(4);
	assert_true(redis_is_up(redis));
	fails(1);
	assert_false(redis_is_up(redis));
	assert_int_equal(logged("redis-down", "said=OOM command not allowed"),
	    1);
	clock_pass(1000);
	fails(4);
	assert_true(redis_is_up(redis));
}

static void
it_hangs_up(void **state)
{
	(void)state;
	begin_with(SCRIPT(PONG, {"k1", NULL, PEER_RESET, 0}));
	get(0, "k0");
	get(1, "k1");
	clock_pass(0);
	assert_none(0);
	assert_none(1);
	assert_int_equal(logged("redis-down", "why=it closed the connection"),
	    1);
}

static void
nobody_is_there(void **state)
{
	static const unsigned after[] = {1, 2, 4, 8, 16, 30, 30};

	(void)state;
	begin_with(SCRIPT({NULL, NULL, PEER_RESET, 0}));
	assert_int_equal(logged("redis-down", ""), 1);
	for (unsigned i = 0; i < 7; i++) {
		unsigned before = peer_connections(peer);

		assert_int_equal(before, i + 1);
		clock_pass(after[i] * 1000 - 1);
		assert_int_equal(peer_connections(peer), before);
		clock_pass(1);
		assert_int_equal(peer_connections(peer), before + 1);
	}
	/* said once */
	assert_int_equal(logged("redis-down", ""), 1);
}

/* Once it was there, all begins anew: what is said, and how long it takes. */
static void
it_comes_and_goes(void **state)
{
	const struct peer_turn *scripts[] = {SCRIPT(
						 {NULL, NULL, PEER_RESET, 0}),
	    SCRIPT({NULL, NULL, PEER_RESET, 0}),
	    SCRIPT(PONG, {"k0", NULL, PEER_RESET, 0}), SCRIPT(PONG)};

	(void)state;
	begin(scripts, 4);
	clock_pass(1000);
	clock_pass(2000);
	assert_true(redis_is_up(redis));
	assert_int_equal(logged("redis-down", ""), 1);
	assert_int_equal(logged("redis-up", ""), 1);
	get(0, "k0");
	clock_pass(0);
	assert_none(0);
	assert_int_equal(logged("redis-down", ""), 2);
	assert_int_equal(logged("redis-down", "retry_ms=1000\n"), 2);
	clock_pass(1000);
	assert_true(redis_is_up(redis));
}

/* Connected, and then not a word. */
static void
it_does_not_greet(void **state)
{
	(void)state;
	begin_with(SCRIPT({"nothing", NULL, 0, 0}));
	clock_pass(999);
	assert_int_equal(caught.len, 0);
	clock_pass(1);
	assert_int_equal(logged("redis-down", "why=it does not greet in time"),
	    1);
}

static void
no_socket(void **state)
{
	const struct redis_services s = {.loop = &loop, .pool = &pool};

	(void)state;
	conf.path = "/nowhere/redis.sock";
	conf.naddrs = 0;
	redis = redis_new(&conf, &s);
	clock_pass(0);
	assert_int_equal(logged("redis-down", "why=No such file"), 1);
}

/* --- in strange hands --- */

/* What it says to GET, and that this ends the connection. */
static void
ends(const char *says)
{
	struct peer_turn script[] = {PONG, WHEN("k0", says),
	    {NULL, NULL, 0, 0}};
	void *none = NULL;

	begin_with(script);
	assert_true(redis_is_up(redis));
	assert_non_null(get(0, "k0"));
	clock_pass(0);
	if (redis_is_up(redis))
		fail_msg("%s", says);
	if (answers[0].n != 1 || answers[0].good)
		fail_msg("answered: %s", says);
	assert_int_equal(logged("redis-down", ""), 1);
	close_loop(&none);
	open_loop(&none);
}

static void
hostile(void **state)
{
	char text[100 + 66];

	(void)state;
	ends("*4294967295\r\n");
	ends("*2147483647\r\n");
	ends("*1\r\n:1\r\n");
	ends("*0\r\n");
	ends("$99999999999999999999999999\r\n");
	ends("$-2\r\n");
	ends("HTTP/1.1 400 Bad Request\r\n\r\n");
	ends("220 mx.example.org ESMTP\r\n");
	ends(":abc\r\n");
	ends("%1\r\n+a\r\n+b\r\n");
	ends("~1\r\n+a\r\n");
	ends(">1\r\n+a\r\n");
	ends("#t\r\n#t\r\n");
	ends(",1.5\r\n,1.5\r\n");
	snprintf(text, sizeof(text), "$65\r\n%065d\r\n", 0);
	ends(text);
	snprintf(text, sizeof(text), "+%065d\r\n", 0);
	ends(text);
}

/* More than it was asked for. */
static void
unasked(void **state)
{
	(void)state;
	begin_with(SCRIPT(PONG, WHEN("k0", ":1\r\n:2\r\n")));
	get(0, "k0");
	clock_pass(0);
	assert_true(answers[0].good);
	assert_int_equal(logged("redis-down",
			     "why=it speaks without being asked"),
	    1);
}

/* It gives what it was asked for in its own time, and never ends. */
static void
giant(void **state)
{
	static char much[80000];
	struct peer_turn script[] = {PONG, WHEN("k0", much),
	    {NULL, NULL, 0, 0}};

	(void)state;
	memset(much, 'a', sizeof(much) - 1);
	memcpy(much, "$536870912\r\n", 12);
	begin_with(script);
	get(0, "k0");
	clock_pass(0);
	assert_none(0);
	assert_false(redis_is_up(redis));
	assert_int_equal(logged("redis-down",
			     "why=it says more than it was asked for"),
	    1);
}

static void
the_longest(void **state)
{
	char text[100], digits[65];

	(void)state;
	snprintf(digits, sizeof(digits), "%064d", 0);
	snprintf(text, sizeof(text), "$64\r\n%s\r\n", digits);
	begin_with(
	    ((struct peer_turn[]){PONG, WHEN("k0", text), {NULL, NULL, 0, 0}}));
	get(0, "k0");
	clock_pass(0);
	assert_text(0, digits);
}

/* Nobody reads there: what is under way has an end. */
static void
too_much(void **state)
{
	const struct redis_command c = {{SPAN_LIT("EXISTS"), SPAN_LIT("k")}, 2};
	const char *at;
	unsigned heard = 0;

	(void)state;
	begin_with(SCRIPT(PONG));
	for (unsigned i = 0; i < 3000; i++)
		redis_tell(redis, &c);
	assert_true(redis_is_up(redis));
	clock_pass(0);
	at = peer_heard(peer);
	while ((at = strstr(at, "EXISTS\n")) != NULL) {
		heard++;
		at++;
	}
	assert_int_equal(heard, 1000);
	assert_null(get(0, "k"));
	assert_false(redis_is_up(redis));
	clock_pass(0);
	assert_int_equal(logged("redis-down", "why=too much is under way"), 1);
	assert_int_equal(answers[0].n, 0);
	/* the next connection has all of it again */
	clock_pass(1000);
	assert_non_null(get(0, "k"));
	assert_true(redis_is_up(redis));
}

/* Freed with all of it open: nobody hears. */
static void
the_end(void **state)
{
	struct ask *a;

	(void)state;
	begin_with(SCRIPT(PONG));
	a = get(0, "k0");
	get(1, "k1");
	ask_cancel(&a, ASK_GO_ON);
	redis_free(&redis);
	clock_pass(100);
	assert_int_equal(answers[0].n + answers[1].n, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_loop, close_loop)
	const struct CMUnitTest tests[] = {
	    TEST(questions),
	    TEST(late_and_cancelled),
	    TEST(nobody_waits),
	    TEST(a_password),
	    TEST(not_let_in),
	    TEST(half_let_in),
	    TEST(silent),
	    TEST(silent_to_many),
	    TEST(slow),
	    TEST(errors),
	    TEST(it_hangs_up),
	    TEST(nobody_is_there),
	    TEST(it_comes_and_goes),
	    TEST(it_does_not_greet),
	    TEST(no_socket),
	    TEST(hostile),
	    TEST(unasked),
	    TEST(giant),
	    TEST(the_longest),
	    TEST(too_much),
	    TEST(the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
