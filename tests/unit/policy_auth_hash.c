/*
 * How much is hashed at once, by whom and for whom, and who waits for whom;
 * on one thread that is held up until the test lets it go.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/clock.h"
#include "policy/auth.h"
#include "policy/auth_delay.h"

/* RFC 7677 section 3: the password is "pencil". */
#define SCRAM                                                                  \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                         \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define GOOD SPAN_LIT("\0user\0pencil")

static struct loop loop;
static struct jobs *jobs;
static struct shared *shared;
static struct auth_users *users;
static struct auth_options options;
static struct auth *auth;

struct said {
	unsigned count;
	unsigned turn; /* the how manieth answer it was */
	enum auth_result result;
	struct ask *x;
};

static unsigned answers, awaited;

static void
on_result(void *ctx, const struct auth_outcome *o)
{
	struct said *s = ctx;

	s->count++;
	s->result = o->result;
	if (o->result != AUTH_CHALLENGE)
		s->x = NULL;
	s->turn = ++answers;
	if (answers == awaited)
		loop_stop(&loop);
}

static void
await(unsigned n)
{
	awaited = answers + n;
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static void
start_from(uint8_t host, struct said *s, const char *mechanism,
    struct span message)
{
	const uint8_t ip[4] = {192, 0, 2, host};
	struct auth_channel c = {.client = ipaddr_v4(ip)};

	*s = (struct said){.count = 0};
	s->x = auth_start(auth, span_str(mechanism), &c, message, on_result, s);
	assert_int_equal(s->count, 0);
}

/* Each from an address of its own. */
static void
start(struct said *s, const char *mechanism, struct span message)
{
	static uint8_t last;

	start_from(last++ % 200, s, mechanism, message);
}

/* --- a job that waits --- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void
gate_run(struct job *j)
{
	(void)j;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void
gate_free(struct job *j)
{
	free(j);
}

static void
gate_done(struct job *j, void *ctx)
{
	(void)j;
	(void)ctx;
	if (++answers == awaited)
		loop_stop(&loop);
}

/* The number of jobs submitted so far, this one too. */
static uint64_t
submit_gate(void)
{
	struct job *j = calloc(1, sizeof(*j));

	j->run = gate_run;
	j->free = gate_free;
	return jobs_submit(jobs, j, gate_done, NULL);
}

static void
hold(void)
{
	pthread_mutex_lock(&gate);
	submit_gate();
}

static void
let_go(void)
{
	pthread_mutex_unlock(&gate);
}

static int
open_world(void **state)
{
	(void)state;
	answers = awaited = 0;
	assert_int_equal(loop_init(&loop), 0);
	shared = shared_new();
	jobs = jobs_new(&loop, 1);
	users = auth_users_new();
	assert_null(auth_users_add(users, SPAN_LIT("user::" SCRAM)));
	options = (struct auth_options){.users = users, .mechanisms = 15};
	auth = auth_new(&options, &loop, jobs, shared);
	return 0;
}

static int
close_world(void **state)
{
	(void)state;
	jobs_free(&jobs);
	auth_free(&auth);
	auth_free(&auth);
	auth_users_free(&users);
	loop_free(&loop);
	return 0;
}

/* --- tests --- */

static void
at_most(unsigned hashes, unsigned want)
{
	struct said s[10];

	options.hashes = hashes;
	hold();
	for (int i = 0; i < 10; i++)
		start(&s[i], "PLAIN", GOOD);
	assert_int_equal(jobs_pending(jobs), 1 + want);
	let_go();
	await(11);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(s[i].result, AUTH_YES);
		assert_int_equal(s[i].count, 1);
		if (i && want == 1) /* in the order of coming */
			assert_true(s[i].turn > s[i - 1].turn);
	}
	assert_int_equal(jobs_pending(jobs), 0);
}

static void
bounded(void **state)
{
	(void)state;
	at_most(0, 2);
	at_most(1, 1);
	at_most(3, 3);
}

/* The thread is taken until the hash is done, wanted or not. */
static void
cancelling_makes_no_room(void **state)
{
	struct said s[5];
	uint64_t before, after;

	(void)state;
	pthread_mutex_lock(&gate);
	before = submit_gate();
	for (int i = 0; i < 5; i++)
		start(&s[i], "PLAIN", GOOD);
	assert_int_equal(jobs_pending(jobs), 3);
	ask_cancel(&s[0].x, ASK_GO_ON); /* submitted */
	ask_cancel(&s[3].x, ASK_GO_ON); /* in the queue: the middle of it */
	ask_cancel(&s[4].x, ASK_GO_ON); /* and its end */
	assert_int_equal(jobs_pending(jobs), 3);
	let_go();
	await(3);
	assert_int_equal(s[0].count + s[3].count + s[4].count, 0);
	assert_int_equal(s[1].result, AUTH_YES);
	assert_int_equal(s[2].result, AUTH_YES);
	after = submit_gate();
	await(1);
	/* who left while waiting cost no hash */
	assert_int_equal(after - before - 1, 3);
}

/* A stranger costs what a user costs, for every mechanism and way to fail. */
static void
same_cost(void **state)
{
	static const struct {
		struct span message;
		uint64_t hashes;
		enum auth_result result;
	} rows[] = {
	    {SPAN_LIT("\0user\0pencil"), 1, AUTH_YES},
	    {SPAN_LIT("\0user\0pencils"), 1, AUTH_NO},
	    {SPAN_LIT("\0nobody\0pencil"), 1, AUTH_NO},
	    {SPAN_LIT("user\0nobody\0pencil"), 0, AUTH_NO},
	    {SPAN_LIT("nobody\0user\0pencil"), 0, AUTH_NO},
	    {SPAN_LIT("\0user"), 0, AUTH_MALFORMED},
	    {SPAN_LIT("\0nobody"), 0, AUTH_MALFORMED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = submit_gate(), after;
		struct said s;

		await(1);
		start(&s, "PLAIN", rows[i].message);
		await(1);
		assert_int_equal(s.result, rows[i].result);
		after = submit_gate();
		await(1);
		assert_int_equal(after - before - 1, rows[i].hashes);
	}
}

/* SCRAM hashes on the client's side: a server's thread is never taken. */
static void
scram_costs_nothing(void **state)
{
	struct said known, unknown;

	(void)state;
	hold();
	start(&known, "SCRAM-SHA-256", SPAN_LIT("n,,n=user,r=a"));
	start(&unknown, "SCRAM-SHA-256", SPAN_LIT("n,,n=nobody,r=a"));
	await(2);
	assert_int_equal(known.result, AUTH_CHALLENGE);
	assert_int_equal(unknown.result, AUTH_CHALLENGE);
	assert_int_equal(jobs_pending(jobs), 1);
	ask_cancel(&known.x, ASK_GO_ON);
	ask_cancel(&unknown.x, ASK_GO_ON);
	let_go();
	await(1);
}

/* A worker that leaves: its sessions are gone, then its jobs, then auth. */
static void
left_in_the_middle(void **state)
{
	struct said s[5];

	(void)state;
	hold();
	for (int i = 0; i < 5; i++)
		start(&s[i], "PLAIN", GOOD);
	for (int i = 0; i < 5; i++)
		ask_cancel(&s[i].x, ASK_GO_ON);
	let_go();
	assert_int_equal(answers, 0);
}

/* Cancelled by the answer to another: as when a session ends its peer. */
static struct said victim;

static void
on_result_cancel(void *ctx, const struct auth_outcome *o)
{
	ask_cancel(&victim.x, ASK_GO_ON);
	on_result(ctx, o);
}

static void
cancelled_from_an_answer(void **state)
{
	struct auth_channel c = {.bound = false};
	struct said s = {0};

	(void)state;
	hold();
	s.x =
	    auth_start(auth, SPAN_LIT("PLAIN"), &c, GOOD, on_result_cancel, &s);
	start(&victim, "PLAIN", GOOD);
	let_go();
	await(2);
	assert_int_equal(s.result, AUTH_YES);
	submit_gate();
	await(1);
	assert_int_equal(victim.count, 0);
	assert_null(victim.x);
}

/* --- turns --- */

#define HOST 201

/* What the next failure from HOST would wait, and that of a login. */
static int64_t
next_delay(const char *login)
{
	const uint8_t ip[4] = {192, 0, 2, HOST};
	struct ipaddr a = ipaddr_v4(ip);
	struct auth_delay d;

	auth_delay_init(&d, shared);
	return login ? auth_delay_login(&d, span_str(login), clock_now())
		     : auth_delay_address(&d, &a, clock_now());
}

/* FAULT A9: two of an address at once, 16 behind them in order, no more; and
 * others do not wait for them. */
static void
two_at_a_time(void **state)
{
	enum { MANY = 30 };
	struct said s[MANY], other;

	(void)state;
	options.hashes = 100;
	hold();
	for (int i = 0; i < MANY; i++)
		start_from(HOST, &s[i], "PLAIN", GOOD);
	assert_int_equal(jobs_pending(jobs), 1 + 2);
	await(MANY - 18);
	for (int i = 18; i < MANY; i++) {
		assert_int_equal(s[i].result, AUTH_BUSY);
		assert_null(s[i].x);
	}
	start_from(HOST + 1, &other, "PLAIN", GOOD);
	assert_int_equal(jobs_pending(jobs), 1 + 3);
	let_go();
	await(20);
	assert_int_equal(other.result, AUTH_YES);
	for (int i = 0; i < 18; i++) {
		int before = 0;

		assert_int_equal(s[i].result, AUTH_YES);
		/* when its turn came, one before it may have had one still */
		for (int k = 0; k < i; k++)
			before += s[k].turn < s[i].turn;
		assert_true(before >= i - 1);
	}
	/* nobody of them was wrong */
	assert_int_equal(next_delay(NULL), 500);
}

/* FAULT A9: whoever hangs up early waits as if he had waited, and counts. */
static void
a_cancelled_one_keeps_its_turn(void **state)
{
	struct said s[3];

	(void)state;
	options.hashes = 100;
	hold();
	for (int i = 0; i < 3; i++)
		start_from(HOST, &s[i], "PLAIN", GOOD);
	ask_cancel(&s[0].x, ASK_GO_ON);
	ask_cancel(&s[1].x, ASK_GO_ON);
	assert_int_equal(jobs_pending(jobs), 1 + 2);
	let_go();
	await(2);
	assert_int_equal(s[2].result, AUTH_YES);
	assert_int_equal(s[0].count + s[1].count, 0);
	assert_int_equal(next_delay(NULL), 2000);
}

/* Of those in the line nobody is held up by one who leaves it. */
static void
leaving_the_line(void **state)
{
	struct said s[5];

	(void)state;
	hold();
	for (int i = 0; i < 5; i++)
		start_from(HOST, &s[i], "PLAIN", GOOD);
	ask_cancel(&s[2].x, ASK_GO_ON);
	ask_cancel(&s[4].x, ASK_GO_ON);
	let_go();
	await(4);
	assert_int_equal(s[3].result, AUTH_YES);
	assert_int_equal(s[2].count + s[4].count, 0);
}

/* Whose place in the line another takes. */
static void
a_place_is_free_again(void **state)
{
	struct said s[18], next, last;

	(void)state;
	options.hashes = 100;
	hold();
	for (int i = 0; i < 18; i++)
		start_from(HOST, &s[i], "PLAIN", GOOD);
	ask_cancel(&s[9].x, ASK_GO_ON);
	assert_int_equal(jobs_pending(jobs), 1 + 2);
	start_from(HOST, &next, "PLAIN", GOOD);
	start_from(HOST, &last, "PLAIN", GOOD);
	await(1);
	assert_int_equal(last.result, AUTH_BUSY);
	let_go();
	await(19);
	assert_int_equal(next.result, AUTH_YES);
}

/* A client that does not answer holds up nobody of its address. */
static void
a_challenge_takes_no_turn(void **state)
{
	struct said s[40], last;

	(void)state;
	for (int i = 0; i < 40; i++)
		start_from(HOST, &s[i], "LOGIN", (struct span){NULL, 0});
	await(40);
	for (int i = 0; i < 40; i++)
		assert_int_equal(s[i].result, AUTH_CHALLENGE);
	start_from(HOST, &last, "PLAIN", GOOD);
	await(1);
	assert_int_equal(last.result, AUTH_YES);
	for (int i = 0; i < 40; i++)
		ask_cancel(&s[i].x, ASK_GO_ON);
	assert_int_equal(next_delay(NULL), 4000); /* they were begun */
}

/* FAULT A9: one count for all workers, and the same for a stranger's name. */
static void
workers_count_together(void **state)
{
	struct auth *mine = auth,
		    *theirs = auth_new(&options, &loop, jobs, shared);
	struct said s;

	(void)state;
	for (int i = 0; i < 10; i++) {
		auth = i % 2 ? theirs : mine;
		start(&s, i < 5 ? "PLAIN" : "SCRAM-SHA-256",
		    i < 5 ? SPAN_LIT("\0user\0wrong")
			  : SPAN_LIT("n,,n=user,r=a"));
		ask_cancel(&s.x, ASK_GO_ON);
		start(&s, i < 5 ? "PLAIN" : "SCRAM-SHA-256",
		    i < 5 ? SPAN_LIT("\0nobody\0wrong")
			  : SPAN_LIT("n,,n=nobody,r=a"));
		ask_cancel(&s.x, ASK_GO_ON);
	}
	for (int i = 0; i < 2; i++) {
		auth = i ? theirs : mine;
		start_from(HOST, &s, "SCRAM-SHA-256", SPAN_LIT("x"));
		await(1);
		assert_int_equal(s.result, AUTH_MALFORMED);
	}
	assert_int_equal(next_delay(NULL), 2000);
	assert_int_equal(next_delay("user"), 500);
	assert_int_equal(next_delay("nobody"), 500);
	auth = mine;
	start_from(HOST + 1, &s, "PLAIN", GOOD); /* and alice gets in */
	await(1);
	assert_int_equal(s.result, AUTH_YES);
	for (int i = 0; i < 8; i++)
		assert_int_equal(next_delay("user"), 500);
	assert_int_equal(next_delay("user"), 1000); /* no more, no less */
	auth_free(&theirs);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
	const struct CMUnitTest tests[] = {
	    TEST(bounded),
	    TEST(cancelling_makes_no_room),
	    TEST(same_cost),
	    TEST(scram_costs_nothing),
	    TEST(left_in_the_middle),
	    TEST(cancelled_from_an_answer),
	    TEST(two_at_a_time),
	    TEST(a_cancelled_one_keeps_its_turn),
	    TEST(leaving_the_line),
	    TEST(a_place_is_free_again),
	    TEST(a_challenge_takes_no_turn),
	    TEST(workers_count_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
