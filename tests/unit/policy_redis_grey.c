/*
 * redis_grey: what is asked of other nodes, what their answer means, and what
 * they are told; with a server of ours, and time that stands still.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "grey_rig.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/shared.h"
#include "io/stream.h"
#include "log_catch.h"
#include "peer.h"
#include "policy/greylist_judge.h"
#include "policy/redis.h"

static struct loop loop;
static struct stream_pool pool;
static struct peer *peer;
static struct ipaddr here;
static struct redis_config server;
static struct doors all;
static struct door_config conf;
static struct envelope_rcpt rcpt;
static struct envelope env;
static struct door_subject subject;
static struct facts facts;
static unsigned known; /* times that the fact came */
/* What its keys are called. */
static char tuple[33], client[33];

static void
hash(const char *text, char out[33])
{
	uint8_t sum[DIGEST_LEN];

	digest_sha256(span_str(text), sum);
	for (unsigned i = 0; i < 16; i++)
		snprintf(out + (size_t)2 * i, 3, "%02x", sum[i]);
}

static int
open_all(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(stream_pool_init(&pool, &loop), 0);
	clock_stop(&loop, NULL);
	here = ip("127.0.0.1");
	server = (struct redis_config){.server = "here",
	    .host = "127.0.0.1",
	    .addrs = &here,
	    .naddrs = 1,
	    .prefix = "pre",
	    .timeout = 50};
	conf = (struct door_config){.grey = &usual};
	all = (struct doors){.conf = &conf,
	    .loop = &loop,
	    .shared = shared_new()};
	t = shared_grey(all.shared);
	rcpt.path = (struct smtp_path){.local = "a", .domain = "example.org"};
	env = (struct envelope){.client = ip("192.0.2.1"),
	    .sender = {.local = "b", .domain = "example.com"},
	    .nrcpts = 1,
	    .rcpts = &rcpt};
	subject.env = &env;
	facts = (struct facts){0};
	known = 0;
	hash("192.0.2.0/24\nexample.com\nexample.org", tuple);
	hash("192.0.2.0/24", client);
	return 0;
}

static int
close_all(void **state)
{
	(void)state;
	redis_free(&all.redis);
	peer_free(&peer);
	clock_go();
	stream_pool_free(&pool);
	loop_free(&loop);
	log_forget();
	return 0;
}

/* A node that answers this to the three of them, and no more. */
static void
begin(const char *says)
{
	static struct peer_turn script[4];
	static const struct peer_turn *scripts[] = {script};
	const struct redis_services s = {.loop = &loop, .pool = &pool};

	script[0] = (struct peer_turn){"PING", "+PONG\r\n", 0, 0};
	script[1] = (struct peer_turn){"EXISTS", says, 0, 0};
	script[2] = (struct peer_turn){0};
	peer = peer_new(&loop, scripts, 1, NULL, 0);
	server.port = peer_port(peer);
	all.redis = redis_new(&server, &s);
	clock_pass(0);
	assert_true(redis_is_up(all.redis));
}

static struct check_case
case_now(void)
{
	return (struct check_case){.all = &all,
	    .conf = &conf,
	    .subject = &subject,
	    .facts = &facts,
	    .wall = clock_wall()};
}

static void
on_fact(void *ctx, enum fact which)
{
	assert_ptr_equal(ctx, &known);
	assert_int_equal(which, FACT_GREY);
	known++;
}

static struct ask *
gather(void)
{
	const struct fact_from from = {.all = &all, .env = &env};

	return fact_grey_ask(&from, &facts, on_fact, &known);
}

/* As the door does it. */
static enum verdict_kind
judge(struct verdict *v)
{
	struct check_case c = case_now();

	facts.known |= greylist_needs(&c) ? FACT_GREY : 0;
	*v = (struct verdict){0};
	greylist_judge(&c, v);
	return v->kind;
}

static const char *
said_before(int64_t seconds)
{
	static char text[80];
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64,
	    clock_wall() / 1000 - seconds);
	snprintf(text, sizeof(text), "$-1\r\n$%zu\r\n%s\r\n:0\r\n",
	    strlen(digits), digits);
	return text;
}

__attribute__((format(printf, 1, 2))) static void
assert_said(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!strstr(peer_heard(peer), text))
		fail_msg("%s\nis not in:\n%s", text, peer_heard(peer));
}

static void
what_is_asked(void **state)
{
	char now[24];
	struct verdict v;

	(void)state;
	begin("+OK\r\n$10\r\n9999999999\r\n:0\r\n");
	snprintf(now, sizeof(now), "%" PRId64, clock_wall() / 1000);
	assert_non_null(gather());
	assert_int_equal(known, 0);
	clock_pass(0);
	assert_int_equal(known, 1);
	assert_int_equal(facts.grey, GREY_NEW);
	assert_said("*6\n$3\nSET\n$38\npre:g:%s\n$%zu\n%s\n"
		    "$2\nEX\n$6\n172800\n$2\nNX\n"
		    "*2\n$3\nGET\n$38\npre:g:%s\n"
		    "*2\n$6\nEXISTS\n$38\npre:c:%s\n",
	    tuple, strlen(now), now, tuple, client);
	assert_null(strstr(peer_heard(peer), "EXPIRE"));
	assert_int_equal(judge(&v), VERDICT_DEFER);
	assert_string_equal(v.value, "192.0.2.0/24 new");
}

static void
it_waited_elsewhere(void **state)
{
	struct verdict v;

	(void)state;
	begin(said_before(60));
	gather();
	clock_pass(0);
	assert_int_equal(facts.grey, GREY_PASSED);
	assert_int_equal(judge(&v), VERDICT_PASS);
	assert_string_equal(v.value, "192.0.2.0/24 passed elsewhere");
	/* or other nodes would send it away again when the window is over */
	assert_said("*3\n$6\nEXPIRE\n$38\npre:g:%s\n$7\n3110400\n", tuple);
	/* and here it need not ask again */
	facts = (struct facts){0};
	assert_int_equal(judge(&v), VERDICT_PASS);
	assert_int_equal(facts.known, 0);
	assert_string_equal(v.value, "192.0.2.0/24 passed before");
}

static void
it_did_not(void **state)
{
	(void)state;
	begin(said_before(59));
	gather();
	clock_pass(0);
	assert_int_equal(facts.grey, GREY_NEW);
}

static void
its_client_is_known(void **state)
{
	(void)state;
	begin("+OK\r\n$1\r\n0\r\n:1\r\n");
	gather();
	clock_pass(0);
	assert_int_equal(facts.grey, GREY_PASSED);
}

static void
answers_that_are_none(void **state)
{
	static const char *const says[] = {
	    "+OK\r\n$-1\r\n:0\r\n",
	    "+OK\r\n$3\r\nabc\r\n:0\r\n",
	    "+OK\r\n$2\r\n-5\r\n:0\r\n",
	    "+OK\r\n$20\r\n99999999999999999999\r\n:0\r\n",
	    "+OK\r\n:5\r\n:2\r\n",
	    "+OK\r\n:5\r\n+1\r\n",
	};
	void *none = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
		begin(says[i]);
		gather();
		clock_pass(0);
		assert_int_equal(known, 1);
		assert_int_equal(facts.grey, GREY_NEW);
		close_all(&none);
		open_all(&none);
	}
}

/* As if there were none. */
static void
away(void **state)
{
	struct verdict v;
	struct ask *a;

	(void)state;
	begin(NULL);
	assert_non_null(gather());
	clock_pass(49);
	assert_int_equal(known, 0);
	clock_pass(1);
	assert_int_equal(known, 1);
	assert_int_equal(facts.grey, GREY_UNKNOWN);
	assert_int_equal(judge(&v), VERDICT_DEFER);
	a = gather();
	ask_cancel(&a, ASK_ABANDON);
	clock_pass(100);
	assert_int_equal(known, 1);
	for (unsigned i = 0; i < 5; i++) {
		gather();
		clock_pass(50);
	}
	assert_false(redis_is_up(all.redis));
	assert_null(gather());
	facts.known = 0;
	judge(&v);
	assert_int_equal(facts.known, 0);
}

/* Who would be let by here is not asked about, nor who is none. */
static void
who_is_asked_about(void **state)
{
	const struct check_case c = case_now();
	struct greylist_key k;

	(void)state;
	assert_int_equal(greylist_needs(&c), 0);
	begin(NULL);
	assert_int_equal(greylist_needs(&c), FACT_GREY);
	greylist_key_of(&env, NULL, &k);
	greylist_pass(&usual, t, &k, clock_wall());
	assert_int_equal(greylist_needs(&c), 0);
	env.sender.domain = "";
	assert_int_equal(greylist_needs(&c), FACT_GREY);
	env.client = ip("127.0.0.1");
	assert_int_equal(greylist_needs(&c), 0);
	assert_null(gather());
	env.client = ip("192.0.2.1");
	env.rcpts = NULL;
	assert_int_equal(greylist_needs(&c), 0);
	conf.grey = NULL;
	assert_int_equal(greylist_needs(&c), 0);
}

/* It passed here, for the fifth time: its client is known everywhere. */
static void
others_are_told(void **state)
{
	static const char *const from[] = {"a", "b", "c", "d", "example.com"};
	struct verdict v;

	(void)state;
	begin(NULL);
	for (unsigned i = 0; i < 5; i++) {
		struct check_case c = case_now();

		assert_null(strstr(peer_heard(peer), "pre:c:"));
		env.sender.domain = from[i];
		c.wall -= 60000;
		greylist_judge(&c, &v);
		c.wall += 60000;
		v = (struct verdict){0};
		greylist_judge(&c, &v);
		assert_int_equal(v.kind, VERDICT_PASS);
		clock_pass(0);
	}
	assert_said("*3\n$6\nEXPIRE\n$38\npre:g:%s\n$7\n3110400\n"
		    "*5\n$3\nSET\n$38\npre:c:%s\n$1\n1\n$2\nEX\n$7\n3110400\n",
	    tuple, client);
}

/* Then it is asked nothing, and nothing is left of the question. */
static void
too_much_is_under_way(void **state)
{
	const struct redis_command c = {{SPAN_LIT("EXISTS"), SPAN_LIT("k")}, 2};

	(void)state;
	begin(NULL);
	for (unsigned i = 0; i < 998; i++)
		redis_tell(all.redis, &c);
	assert_null(gather());
	clock_pass(0);
	assert_int_equal(known, 0);
	assert_false(redis_is_up(all.redis));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
	    TEST(what_is_asked),
	    TEST(it_waited_elsewhere),
	    TEST(it_did_not),
	    TEST(its_client_is_known),
	    TEST(answers_that_are_none),
	    TEST(away),
	    TEST(who_is_asked_about),
	    TEST(others_are_told),
	    TEST(too_much_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
