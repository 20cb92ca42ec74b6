/*
 * How much is hashed at once, by whom and for whom; on one thread that is
 * held up until the test lets it go.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/auth.h"

/* RFC 7677 section 3: the password is "pencil". */
#define SCRAM                                                                  \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                         \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define GOOD SPAN_LIT("\0user\0pencil")

static struct loop loop;
static struct jobs *jobs;
static struct auth_users *users;
static struct auth_options options;
static struct auth *auth;

struct said {
	unsigned count;
	unsigned turn; /* the how manieth answer it was */
	enum auth_result result;
	struct auth_exchange *x;
};

static unsigned answers, awaited;

static void
on_result(void *ctx, enum auth_result result, struct span data)
{
	struct said *s = ctx;

	(void)data;
	s->count++;
	s->result = result;
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
start(struct said *s, const char *mechanism, struct span message)
{
	static uint8_t last;
	const uint8_t ip[4] = {192, 0, 2, last++};
	struct auth_channel c = {.client = ipaddr_v4(ip)};

	*s = (struct said){.count = 0};
	auth_start(auth, span_str(mechanism), &c, message, on_result, s, &s->x);
	assert_int_equal(s->count, 0);
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
	jobs = jobs_new(&loop, 1);
	users = auth_users_new();
	assert_null(auth_users_add(users, SPAN_LIT("user::" SCRAM)));
	options = (struct auth_options){.users = users, .mechanisms = 15};
	auth = auth_new(&options, &loop, jobs);
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
	auth_cancel(&s[0].x); /* submitted */
	auth_cancel(&s[3].x); /* in the queue: the middle of it */
	auth_cancel(&s[4].x); /* and its end */
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
	auth_cancel(&known.x);
	auth_cancel(&unknown.x);
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
		auth_cancel(&s[i].x);
	let_go();
	assert_int_equal(answers, 0);
}

/* Cancelled by the answer to another: as when a session ends its peer. */
static struct said victim;

static void
on_result_cancel(void *ctx, enum auth_result result, struct span data)
{
	auth_cancel(&victim.x);
	on_result(ctx, result, data);
}

static void
cancelled_from_an_answer(void **state)
{
	struct auth_channel c = {.bound = false};
	struct said s = {0};

	(void)state;
	hold();
	auth_start(auth, SPAN_LIT("PLAIN"), &c, GOOD, on_result_cancel, &s,
	    &s.x);
	start(&victim, "PLAIN", GOOD);
	let_go();
	await(2);
	assert_int_equal(s.result, AUTH_YES);
	submit_gate();
	await(1);
	assert_int_equal(victim.count, 0);
	assert_null(victim.x);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
