/*
 * Messages through the journal: mailboxes that take nothing while the memory
 * for what waits is full, commits and syncs that fail, clients that leave.
 */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver.h"
#include "deliver/deliver_state.h"
#include "io/log.h"
#include "scratch.h"

#define BODY     60000
#define FILED    200000                        /* more than the journal takes */
#define ACCEPTED (BACKLOG_MAX / (BODY + 4096)) /* at least */
#define MESSAGES (BACKLOG_MAX / BODY + 16)
#define PATIENCE 20000 /* ms */

/* --- a disk that stands still or fails: these stand before libc's --- */

static atomic_bool still; /* no file gets its name */
static atomic_bool commits_fail;
static atomic_uint commits; /* begun */
static atomic_bool commits_wait;
static atomic_bool syncs_fail;
static atomic_uint syncs; /* that failed */

int
renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
	while (still)
		usleep(1000);
	return (int)syscall(SYS_renameat2, from, old, to, name, flags);
}

int
fdatasync(int fd)
{
	commits++;
	while (commits_wait)
		usleep(1000);
	if (commits_fail) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int
syncfs(int fd)
{
	if (syncs_fail) {
		syncs++;
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}

/* --- a worker in small --- */

static struct loop loop;
static struct jobs *jobs;
static struct deliver *deliver;
static struct deliver_options options;
static struct envelope env;
static unsigned replies, refusals;
static uint64_t checkpoint = 50;

static void
stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

/* Turns the loop until it is so; false: it never is. */
static bool
comes(bool (*is_so)(void))
{
	struct loop_event *tick = loop_timer(&loop, stop_loop, NULL);

	for (unsigned ms = 0; !is_so() && ms < PATIENCE; ms += 10) {
		loop_timer_set(tick, 10);
		loop.stop = 0;
		assert_int_equal(loop_run(&loop), 0);
	}
	loop_event_free(&tick);
	return is_so();
}

static void
on_reply(void *ctx, const struct smtp_reply *r, const char *error)
{
	(void)ctx;
	(void)error;
	replies += r == NULL;
	refusals += r != NULL;
}

static bool
is_known(void)
{
	return replies == 1;
}

static int
start(void **state)
{
	struct recipients_options o = {.delimiter = '+',
	    .fold = true,
	    .targets = 1000};
	struct smtp_path user = {.local = "u", .domain = "example.org"};
	struct mail_domain *org;
	const char *what = NULL;

	if (scratch_setup(state))
		return -1;
	replies = refusals = 0;
	commits = 0;
	syncs = 0;
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	scratch_mkdir("spool");
	options = (struct deliver_options){.hostname = "mx.example.org",
	    .spool = strdup(scratch_path("spool")),
	    .recipients = recipients_new(&o),
	    .journal = true,
	    .segment = 4 << 20,
	    .size = 64 << 20,
	    .inline_size = 65536,
	    .checkpoint = checkpoint,
	    .held = 1 << 20,
	    .expire = 3600 * 1000,
	    .failed = strdup(scratch_path("failed"))};
	assert_null(recipients_add_domain(options.recipients, "example.org",
	    scratch_path("mail/%d/%u"), &org));
	assert_null(recipients_add_user(options.recipients, org, "u"));
	scratch_mkdirs(recipients_root(options.recipients, 0)->path);
	if (loop_init(&loop))
		return -1;
	jobs = jobs_new(&loop, 2);
	deliver = deliver_new(&options, &loop, jobs, &what);
	env = (struct envelope){.session = "0123456789ABCDEF", .port = 25};
	envelope_set_helo(&env, SPAN_LIT("client.example.com"), true);
	env.sender = (struct smtp_path){.local = "s", .domain = "example.com"};
	if (!deliver)
		return -1;
	deliver_rcpt(deliver, &env, &user, on_reply, NULL);
	if (!comes(is_known))
		return -1;
	envelope_add_rcpt(&env, &user);
	replies = 0;
	return 0;
}

static int
finish(void **state)
{
	still = commits_fail = commits_wait = syncs_fail = false;
	checkpoint = 50;
	jobs_free(&jobs);
	deliver_free(&deliver);
	loop_free(&loop);
	envelope_free(&env);
	recipients_free(&options.recipients);
	free((char *)(uintptr_t)options.spool);
	free((char *)(uintptr_t)options.failed);
	return scratch_teardown(state);
}

static uint64_t
submit(unsigned serial, size_t size)
{
	static char body[FILED];
	struct spool *s;

	env.serial = serial;
	s = deliver_spool(deliver, &env);
	memset(body, 'x', size);
	spool_write(s, (struct span){body, size});
	return deliver_message(deliver, &env, &s, on_reply, NULL);
}

static bool
memory_is_full(void)
{
	return deliver->parked && replies > ACCEPTED;
}

static bool
nobody_is_parked(void)
{
	return !deliver->parked && !deliver->refused;
}

static bool
all_is_settled(void)
{
	return !jobs_pending(jobs) && deliver_settled(deliver);
}

static void
who_left_is_not_kept(void **state)
{
	uint64_t ids[MESSAGES];

	(void)state;
	still = true;
	for (unsigned i = 0; i < MESSAGES; i++)
		ids[i] = submit(i + 1, BODY);
	assert_true(comes(memory_is_full));
	for (unsigned i = 0; i < MESSAGES; i++)
		deliver_cancel(deliver, &ids[i]);
	assert_true(comes(nobody_is_parked));
	assert_true(replies < MESSAGES);
	assert_int_equal(replies, deliver_pending(deliver));
	still = false;
	assert_true(comes(all_is_settled));
	assert_int_equal(replies, scratch_count("mail/example.org/u/new"));
}

static bool
all_are_answered(void)
{
	return replies == MESSAGES;
}

/* FAULT F3: what waited for memory goes on when there is some. */
static void
who_waits_is_answered(void **state)
{
	(void)state;
	still = true;
	for (unsigned i = 0; i < MESSAGES; i++)
		submit(i + 1, BODY);
	assert_true(comes(memory_is_full));
	still = false;
	assert_true(comes(all_are_answered));
	assert_true(comes(all_is_settled));
	assert_int_equal(scratch_count("mail/example.org/u/new"), MESSAGES);
}

static bool
a_commit_waits(void)
{
	return commits > 0;
}

static bool
one_is_answered(void)
{
	return replies + refusals == 1;
}

/* FAULT F10: whoever was told no gets no mail by a rewrite, either. */
static void
who_gave_up_gets_nothing(void **state)
{
	uint64_t id;

	(void)state;
	if (recipients_root(options.recipients, 0)->sync < 0) {
		print_message("skip: syncfs is not trusted here\n");
		skip();
	}
	commits_wait = syncs_fail = true;
	id = submit(1, BODY);
	assert_true(comes(a_commit_waits));
	deliver_abandon(deliver, &id);
	submit(2, BODY);
	commits_wait = false;
	assert_true(comes(one_is_answered));
	assert_true(comes(all_is_settled));
	assert_true(syncs > 0);
	assert_int_equal(replies, 1);
	assert_int_equal(scratch_count("mail/example.org/u/new"), 1);
}

/* FAULT F13: of a message that was refused no file stays behind. */
static void
who_is_refused_leaves_no_body(void **state)
{
	glob_t found;

	(void)state;
	submit(1, FILED);
	assert_true(comes(one_is_answered));
	assert_int_equal(replies, 1);
	assert_true(comes(all_is_settled));
	commits_fail = true;
	replies = 0;
	submit(2, FILED);
	assert_true(comes(one_is_answered));
	assert_int_equal(refusals, 1);
	assert_int_equal(glob("spool/journal/*/*.body", 0, NULL, &found),
	    GLOB_NOMATCH);
	assert_int_equal(scratch_count("mail/example.org/u/new"), 1);
}

static int
start_without_looks(void **state)
{
	checkpoint = 3600 * 1000;
	return start(state);
}

static bool
it_is_held(void)
{
	return replies == 1 && !deliver->backlog;
}

/* FAULT F9: the next one for that mailbox is refused at once, not only when
 * somebody looks at what is held. */
static void
who_is_held_takes_no_more(void **state)
{
	struct smtp_path user = {.local = "u", .domain = "example.org"};

	(void)state;
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u");
	submit(1, BODY);
	assert_true(comes(it_is_held));
	assert_int_equal(scratch_count("spool/held"), 1);
	replies = refusals = 0;
	deliver_rcpt(deliver, &env, &user, on_reply, NULL);
	assert_true(comes(one_is_answered));
	assert_int_equal(refusals, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(who_left_is_not_kept),
	    T(who_waits_is_answered),
	    T(who_gave_up_gets_nothing),
	    T(who_is_refused_leaves_no_body),
	    cmocka_unit_test_setup_teardown(who_is_held_takes_no_more,
		start_without_looks, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
