/*
 * Room for what is about to be written: each copy, of each worker, those that
 * died among them, is counted before it is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver.h"
#include "deliver/deliver_state.h"
#include "io/log.h"
#include "scratch.h"

#define BLOCK    4096
#define BLOCKS   1000u
#define RESERVE  10 /* percent */
#define ABOVE    100u
#define PATIENCE 20000 /* ms */
#define COPIES   20

/* --- a disk of which somebody says how full it is; before libc's --- */

static _Atomic unsigned available = BLOCKS; /* blocks */
static _Atomic unsigned inodes = BLOCKS;
static _Atomic unsigned asked;
static atomic_bool gone; /* for those who write behind 250: the threads */

int
fstatvfs(int fd, struct statvfs *v)
{
	bool none = gone && gettid() != getpid();

	(void)fd;
	asked++;
	*v = (struct statvfs){.f_frsize = BLOCK,
	    .f_blocks = BLOCKS,
	    .f_bavail = none ? 0 : available,
	    .f_files = BLOCKS,
	    .f_favail = none ? 0 : inodes};
	return 0;
}

/* So much above the reserve. */
static void
leave(unsigned blocks, unsigned files)
{
	available = ABOVE + blocks;
	inodes = ABOVE + files;
}

/* --- a worker in small --- */

static struct loop loop;
static struct jobs *jobs;
static struct deliver *deliver;
static struct deliver_options options;
static struct envelope env;
static struct shared *shared;
static unsigned replies;
static char reply[64];

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
	(void)error;
	(void)ctx;
	replies++;
	snprintf(reply, sizeof(reply), "%u %s", r ? r->code : 250,
	    r ? r->status : "");
}

static bool
is_answered(void)
{
	return replies > 0;
}

static bool
is_settled(void)
{
	return !jobs_pending(jobs) && !deliver_pending(deliver) &&
	       deliver_settled(deliver);
}

static void
add_user(struct mail_domain *org, unsigned n)
{
	struct smtp_path user = {.domain = "example.org"};
	char local[8];

	snprintf(local, sizeof(local), "u%u", n);
	assert_null(recipients_add_user(options.recipients, org, local));
	user.local = arena_dup(&env.arena, span_str(local));
	replies = 0;
	deliver_rcpt(deliver, &env, &user, on_reply, NULL);
	assert_true(comes(is_answered));
	envelope_add_rcpt(&env, &user);
}

static int
start_with(void **state, bool journal)
{
	struct recipients_options o = {.delimiter = '+',
	    .fold = true,
	    .targets = 1000};
	struct mail_domain *org;
	const char *what = NULL;

	if (scratch_setup(state))
		return -1;
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	scratch_mkdir("spool");
	options = (struct deliver_options){.hostname = "mx.example.org",
	    .spool = strdup(scratch_path("spool")),
	    .recipients = recipients_new(&o),
	    .reserve = RESERVE,
	    .journal = journal,
	    .segment = 4 << 20,
	    .size = 64 << 20,
	    .inline_size = 65536,
	    .checkpoint = 50,
	    .held = 1 << 20,
	    .expire = 3600 * 1000,
	    .failed = strdup(scratch_path("failed"))};
	assert_null(recipients_add_domain(options.recipients, "example.org",
	    scratch_path("mail/%d/%u"), &org));
	scratch_mkdirs(recipients_root(options.recipients, 0)->path);
	if (loop_init(&loop))
		return -1;
	leave(BLOCKS - ABOVE, BLOCKS - ABOVE);
	jobs = jobs_new(&loop, 2);
	deliver = deliver_new(&options, &loop, jobs, &what);
	env = (struct envelope){.session = "0123456789ABCDEF", .port = 25};
	envelope_set_helo(&env, SPAN_LIT("client.example.com"), true);
	env.sender = (struct smtp_path){.local = "s", .domain = "example.com"};
	shared = shared_new();
	if (!deliver || !shared)
		return -1;
	deliver_share(deliver, shared, 1);
	for (unsigned i = 0; i < COPIES; i++)
		add_user(org, i);
	return 0;
}

static int
start(void **state)
{
	return start_with(state, true);
}

static int
start_without(void **state)
{
	return start_with(state, false);
}

static int
finish(void **state)
{
	jobs_free(&jobs);
	deliver_free(&deliver);
	loop_free(&loop);
	envelope_free(&env);
	recipients_free(&options.recipients);
	free((char *)(uintptr_t)options.spool);
	free((char *)(uintptr_t)options.failed);
	return scratch_teardown(state);
}

/* A message to all; what the client heard. */
static const char *
send(size_t size)
{
	char *body = malloc(size);
	struct spool *s;

	assert_non_null(body);
	memset(body, 'x', size);
	env.serial++;
	replies = 0;
	s = deliver_spool(deliver, &env);
	spool_write(s, (struct span){body, size});
	free(body);
	(void)deliver_message(deliver, &env, &s, on_reply, NULL);
	assert_true(comes(is_answered));
	return reply;
}

/* FAULT A5: copies x size, at the dot; and nothing is left behind. */
static void
each_copy_is_asked_for(void **state)
{
	(void)state;
	leave(2 * COPIES - 1, COPIES);
	assert_null(deliver_reserve(deliver, 5000));
	assert_string_equal(send(5000), "452 4.3.1");
	assert_true(comes(is_settled));
	assert_int_equal(scratch_files("mail"), 0);
	leave(2 * COPIES, COPIES - 1); /* inodes, too */
	assert_string_equal(send(5000), "452 4.3.1");
	leave(2 * COPIES, COPIES);
	assert_string_equal(send(5000), "250 ");
	assert_true(comes(is_settled));
	assert_int_equal(scratch_files("mail"), COPIES);
	assert_int_equal(shared_total(shared, SHARED_UNPLACED), 0);
	assert_int_equal(shared_total(shared, SHARED_UNPLACED_FILES), 0);
}

/* FAULT A5: one by one they would each find the same room. */
static void
what_others_have_not_placed(void **state)
{
	(void)state;
	leave(2 * COPIES, COPIES);
	shared_add(shared, 2, SHARED_UNPLACED, 1);
	assert_string_equal(send(5000), "452 4.3.1");
	shared_add(shared, 2, SHARED_UNPLACED, -1);
	shared_add(shared, 2, SHARED_UNPLACED_FILES, 1);
	assert_string_equal(send(5000), "452 4.3.1");
	shared_add(shared, 2, SHARED_UNPLACED_FILES, -1);
	assert_string_equal(send(5000), "250 ");
}

static bool
is_forgotten(void)
{
	return !shared_total(shared, SHARED_UNPLACED);
}

/* FAULT A5: a worker that dies leaves its share to its journal, until that
 * was read back. */
static void
what_the_dead_have_not_placed(void **state)
{
	static const char id[] = "0123456789ABCDEF";
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "spool/journal/quarantine-%s", id);
	scratch_mkdir("spool/journal/here-and-locked");
	assert_int_equal(rename("spool/journal/here-and-locked", path), 0);
	shared_set_journal(shared, 2, journal_name(deliver->journal));
	shared_add(shared, 2, SHARED_UNPLACED, 100);
	shared_clear_slot(shared, 2);
	shared_set_journal(shared, 3, id);
	shared_add(shared, 3, SHARED_UNPLACED, 10);
	shared_clear_slot(shared, 3);
	shared_add(shared, 4, SHARED_UNPLACED, 1); /* without a journal */
	shared_clear_slot(shared, 4);
	shared_clear_slot(shared, 3); /* its next worker died at once */
	assert_int_equal(shared_total(shared, SHARED_UNPLACED), 110);
	deliver->journal_options.tick(deliver);
	/* the one is there, the other in quarantine: nobody places it */
	assert_int_equal(shared_total(shared, SHARED_UNPLACED), 100);
	leave(2 * COPIES, COPIES);
	assert_string_equal(send(5000), "452 4.3.1");
	snprintf(path, sizeof(path), "spool/journal/%s",
	    journal_name(deliver->journal));
	assert_int_equal(rename(path, "spool/gone"), 0);
	assert_true(comes(is_forgotten));
	assert_int_equal(rename("spool/gone", path), 0);
}

/* FAULT A5: whoever writes behind 250 holds rather than use the reserve. */
static void
held_alone_may_use_the_reserve(void **state)
{
	(void)state;
	gone = true; /* somebody else's files came meanwhile */
	assert_string_equal(send(5000), "250 ");
	assert_true(comes(is_settled));
	gone = false;
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(scratch_count("spool/held"), 1);
}

/* FAULT A5: so too where each message is written before 250. */
static void
without_a_journal(void **state)
{
	(void)state;
	leave(2 * COPIES - 1, COPIES);
	assert_string_equal(send(5000), "452 4.3.1");
	assert_int_equal(scratch_files("mail"), 0);
	leave(2 * COPIES, COPIES);
	assert_string_equal(send(5000), "250 ");
	assert_int_equal(scratch_files("mail"), COPIES);
	assert_int_equal(shared_total(shared, SHARED_UNPLACED), 0);
}

/* FAULT A5: a body of which nobody said how large it will be. */
static void
the_spool_is_asked_on_the_way(void **state)
{
	(void)state;
	leave(2, COPIES);
	assert_null(deliver_reserve(deliver, 100));
	assert_string_equal(send(200000), "452 4.3.1");
	assert_int_equal(scratch_files("mail"), 0);
}

/* Where there is plenty a disk is asked once a second, not per message. */
static void
it_is_not_asked_each_time(void **state)
{
	struct space s = {0};
	struct space_need n = {100, 1};

	(void)state;
	leave(BLOCKS - ABOVE, 0);
	assert_int_equal(space_add(&s, 0), 0);
	asked = 0;
	for (int i = 0; i < 10; i++)
		(void)space_room(&s, 5, &n);
	assert_int_equal(asked, 1);
	(void)space_room(&s, 6, &n);
	assert_int_equal(asked, 2);
	space_free(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(each_copy_is_asked_for),
	    T(what_others_have_not_placed),
	    T(what_the_dead_have_not_placed),
	    T(held_alone_may_use_the_reserve),
	    cmocka_unit_test_setup_teardown(without_a_journal, start_without,
		finish),
	    T(the_spool_is_asked_on_the_way),
	    T(it_is_not_asked_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
