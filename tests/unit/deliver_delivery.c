/*
 * Messages through the journal: mailboxes that take nothing while the memory
 * for what waits is full, commits and syncs that fail, clients that leave.
 */
#include <errno.h>
#include <glob.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <utlist.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "io/log.h"
#include "rig.h"
#include "scratch.h"
#include "sys.h"

#define BODY     60000
#define FILED    300000                        /* more than the journal takes */
#define ACCEPTED (BACKLOG_MAX / (BODY + 4096)) /* at least */
#define MESSAGES (BACKLOG_MAX / BODY + 16)

/* Whatever the file system is that the tests are on, its syncfs is trusted. */
int
fstatfs(int fd, struct statfs *fs)
{
	int r = (int)syscall(SYS_fstatfs, fd, fs);

	fs->f_type = EXT4_SUPER_MAGIC;
	return r;
}

static unsigned
count(enum delivery_state s)
{
	return rig.deliver->lists[s].n;
}

/* Each is where its state says, and nowhere else. */
static void
assert_lists(void)
{
	const struct delivery *v;
	unsigned n;

	for (unsigned s = 0; s < DELIVERY_STATES; s++) {
		n = 0;
		DL_FOREACH (rig.deliver->lists[s].first, v) {
			assert_int_equal(v->state, s);
			n++;
		}
		assert_int_equal(n, count(s));
	}
}

/* What threads have to do is done, and no checkpoint. */
static void
turn(void)
{
	rig_pass(20);
	assert_lists();
	assert_int_equal(count(DELIVERY_DONE), 0);
}

static void
heard(const struct smtp_reply *r)
{
	(void)r;
	assert_lists();
}

static int
start_with(void (*change)(struct deliver_options *o))
{
	if (post_setup("mail/%d/%u"))
		return -1;
	log_open(LOG_TO_STDERR, LOG_TEXT, LOG_ERROR);
	sys_reset();
	if (change)
		change(&post.options);
	post_user("u");
	post_open();
	post_rcpt("u");
	assert_int_equal(post.replies, 1);
	post.replies = 0;
	post.heard = heard;
	return 0;
}

static int
start(void **state)
{
	(void)state;
	return start_with(NULL);
}

static int
finish(void **state)
{
	sys_reset();
	return post_finish(state);
}

static bool
all_is_settled(void)
{
	for (unsigned i = 0; i < 10 && !post_is_settled(); i++)
		rig_pass(50);
	assert_lists();
	return post_is_settled();
}

/* Until the memory for what waits is full, and more. */
static struct ask **asked[MESSAGES];

static void
fill_memory(void)
{
	rig_hold(RIG_JOBS);
	for (unsigned i = 0; i < MESSAGES; i++)
		asked[i] = post_submit(NULL, BODY);
	turn();
	assert_true(count(DELIVERY_PARKED) > 0);
	assert_true(post.replies > ACCEPTED);
}

static void
who_left_is_not_kept(void **state)
{
	(void)state;
	fill_memory();
	for (unsigned i = 0; i < MESSAGES; i++)
		ask_cancel(asked[i], ASK_GO_ON);
	rig_pass(50);
	assert_lists();
	assert_int_equal(count(DELIVERY_PARKED) + count(DELIVERY_REFUSED), 0);
	assert_true(post.replies < MESSAGES);
	assert_int_equal(post.replies, deliver_pending(rig.deliver));
	rig_go_on();
	assert_true(all_is_settled());
	assert_int_equal(post.replies, scratch_count("mail/example.org/u/new"));
}

/* FAULT F3: what waited for memory goes on when there is some. */
static void
who_waits_is_answered(void **state)
{
	(void)state;
	fill_memory();
	rig_go_on();
	turn();
	assert_int_equal(post.replies, MESSAGES);
	assert_true(all_is_settled());
	assert_int_equal(scratch_count("mail/example.org/u/new"), MESSAGES);
}

/* FAULT F10: whoever was told no gets no mail by a rewrite, either. */
static void
who_gave_up_gets_nothing(void **state)
{
	struct ask **a;

	(void)state;
	post_submit(NULL, BODY);
	turn(); /* there is a segment, and then a commit under way */
	rig_hold(RIG_COMMITS);
	a = post_submit(NULL, BODY);
	ask_cancel(a, ASK_ABANDON);
	post_submit(NULL, BODY);
	sys_fail("syncfs", 1, EIO);
	rig_go_on();
	turn();
	assert_int_equal(post.replies, 2);
	assert_true(all_is_settled());
	assert_true(sys_failed());
	assert_int_equal(post.replies, 2);
	assert_int_equal(scratch_count("mail/example.org/u/new"), 2);
}

static unsigned
bodies(void)
{
	glob_t found;
	unsigned n = 0;

	if (!glob("spool/journal/*/*.body", 0, NULL, &found)) {
		n = (unsigned)found.gl_pathc;
		globfree(&found);
	}
	return n;
}

/* FAULT F13: of a message that was refused no file stays behind. */
static void
who_is_refused_leaves_no_body(void **state)
{
	(void)state;
	post_submit(NULL, FILED);
	turn();
	assert_int_equal(post.replies, 1);
	assert_true(all_is_settled());
	sys_fail("fdatasync", 0, EIO);
	post_submit(NULL, FILED);
	turn();
	assert_int_equal(post.refusals, 1);
	assert_int_equal(bodies(), 0);
	assert_int_equal(scratch_count("mail/example.org/u/new"), 1);
}

static void
no_looks(struct deliver_options *o)
{
	o->checkpoint = 3600 * 1000;
}

static int
start_without_looks(void **state)
{
	(void)state;
	return start_with(no_looks);
}

static void
spoil_mailbox(void)
{
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u");
}

/* FAULT F9: the next one for that mailbox is refused at once, not only when
 * somebody looks at what is held. */
static void
who_is_held_takes_no_more(void **state)
{
	(void)state;
	spoil_mailbox();
	post_submit(NULL, BODY);
	turn();
	assert_int_equal(post.replies, 1);
	assert_int_equal(rig.deliver->backlog, 0);
	assert_int_equal(scratch_count("spool/held"), 1);
	post_rcpt("u");
	assert_int_equal(post.refusals, 1);
}

/* Its record is all there is: that keeps no worker, and it is tried again. */
static void
what_is_not_held_keeps_nobody(void **state)
{
	(void)state;
	spoil_mailbox();
	sys_fail("renameat", 0, ENOSPC);
	post_submit(NULL, BODY);
	turn();
	assert_int_equal(count(DELIVERY_UNHELD), 1);
	assert_int_equal(post.replies, 1);
	assert_true(all_is_settled());
	assert_int_equal(scratch_count("spool/held"), 0);
	assert_true(journal_size(rig.deliver->journal) > 0);
	sys_reset();
	rig_pass(100);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_true(all_is_settled());
	assert_int_equal(rig.deliver->backlog, 0);
}

static void
small_segments(struct deliver_options *o)
{
	o->segment = 1 << 20;
	o->inline_size = o->segment / 4;
}

static int
start_small(void **state)
{
	(void)state;
	return start_with(small_segments);
}

/* Names that are as long as they may be, until there is no room for more. */
static unsigned
fill(void)
{
	char local[65];
	unsigned n = 0;

	for (; !post.refusals; n++) {
		snprintf(local, sizeof(local), "%064u", n);
		post_user(local);
		post_rcpt(local);
	}
	return n;
}

/* What was let in at RCPT has room in a segment, with the largest
 * body that goes there; and each copy counts as memory that it takes. */
static void
many_recipients_fit_a_record(void **state)
{
	unsigned n = fill();

	(void)state;
	assert_true(n > 400);
	assert_int_equal(post.env.targets->n, n);
	post.replies = 0;
	post_submit(NULL, post.options.inline_size);
	assert_true(rig.deliver->backlog > post.options.inline_size + n * 400);
	turn();
	assert_int_equal(post.replies, 1);
	assert_true(all_is_settled());
	assert_int_equal(rig.deliver->backlog, 0);
	assert_int_equal(scratch_files("mail"), n);
}

/* Notes and filters add to a record behind RCPT. */
static void
a_record_that_has_grown_is_refused(void **state)
{
	(void)state;
	post.options.segment = 2 * BODY; /* of which half is a little less */
	post_submit(NULL, BODY);
	turn();
	assert_int_equal(post.refusals, 1);
	assert_string_equal(post.reply, "452 4.3.1");
	assert_true(all_is_settled());
	post.options.segment += 2 * 4096;
	post_submit(NULL, BODY);
	turn();
	assert_int_equal(post.replies, 1);
	assert_true(all_is_settled());
	assert_int_equal(scratch_files("mail"), 1);
}

/* Wherever it stands: one that is cancelled goes on, unless it waits for
 * memory; one that is abandoned does not; and nobody hears of either. */
static void
who_leaves_in_any_state(void **state)
{
	static const struct {
		enum delivery_state in;
		size_t size;
		enum ask_end end;
		bool delivered;
	} all[] = {{DELIVERY_SEALING, FILED, ASK_GO_ON, true},
	    {DELIVERY_SEALING, FILED, ASK_ABANDON, false},
	    {DELIVERY_PARKED, BODY, ASK_GO_ON, false},
	    {DELIVERY_PARKED, BODY, ASK_ABANDON, false},
	    {DELIVERY_PARKED, FILED, ASK_GO_ON, false},
	    {DELIVERY_COMMITTING, BODY, ASK_GO_ON, true},
	    {DELIVERY_COMMITTING, BODY, ASK_ABANDON, false},
	    {DELIVERY_COMMITTING, FILED, ASK_GO_ON, true},
	    {DELIVERY_COMMITTING, FILED, ASK_ABANDON, false}};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t full = all[i].in == DELIVERY_PARKED ? BACKLOG_MAX : 0;
		struct ask **a;

		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		rig.deliver->backlog += full;
		if (all[i].in == DELIVERY_COMMITTING)
			rig_hold(RIG_COMMITS);
		a = post_submit(NULL, all[i].size);
		if (all[i].in != DELIVERY_SEALING)
			turn(); /* up to there */
		assert_int_equal(count(all[i].in), 1);
		ask_cancel(a, all[i].end);
		rig_go_on();
		rig_pass(100);
		rig.deliver->backlog -= full;
		assert_true(all_is_settled());
		assert_int_equal(post.replies + post.refusals, 0);
		assert_int_equal(scratch_files("mail"), all[i].delivered);
		assert_int_equal(bodies(), 0);
		assert_int_equal(rig.deliver->backlog, 0);
	}
}

/* FAULT F13: nor of one whose file cannot be had on disk. */
static void
a_body_that_cannot_be_sealed(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error;
		const char *reply;
	} all[] = {{"fsync", 1, EIO, "451 4.3.0"},
	    {"fsync", 2, EIO, "451 4.3.0"}, {"fsync", 1, EDQUOT, "452 4.2.2"},
	    {"pwrite", 1, ENOSPC, "452 4.3.1"}};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		turn(); /* the first segment is there */
		sys_fail(all[i].call, all[i].nth, all[i].error);
		post_submit(NULL, FILED);
		turn();
		assert_true(sys_failed());
		assert_string_equal(post.reply, all[i].reply);
		assert_true(all_is_settled());
		assert_int_equal(bodies(), 0);
		assert_int_equal(scratch_files("mail"), 0);
		post_submit(NULL, 4 * FILED);
		turn();
		assert_string_equal(post.reply, "");
		assert_true(all_is_settled());
		assert_int_equal(scratch_files("mail"), 1);
	}
}

/* --- room --- */

static void
small_journal(struct deliver_options *o)
{
	o->size = 3 * o->inline_size;
}

static int
start_small_journal(void **state)
{
	(void)state;
	return start_with(small_journal);
}

/* What is beside the journal takes no room in it but for its record. */
static void
what_is_reserved(void **state)
{
	uint64_t each = deliver_size_unknown(rig.deliver);

	(void)state;
	assert_int_equal(each, post.options.inline_size);
	assert_null(deliver_reserve(rig.deliver, 10 * each));
	assert_null(deliver_reserve(rig.deliver, each));
	assert_null(deliver_reserve(rig.deliver, each));
	assert_string_equal(deliver_reserve(rig.deliver, 1)->status, "4.3.1");
	deliver_release(rig.deliver, 10 * each);
	assert_null(deliver_reserve(rig.deliver, each));
	assert_non_null(deliver_reserve(rig.deliver, 1));
}

/* Two roots, each with mailboxes enough to use up its half. */
#define BOXES 8

static void
two_roots(struct deliver_options *o)
{
	struct mail_domain *net;
	char local[8];

	o->held = 4096;
	assert_null(recipients_add_domain(o->recipients, "example.net",
	    scratch_maildir("more/%u"), &net));
	for (unsigned i = 0; i < BOXES; i++) {
		snprintf(local, sizeof(local), "u%u", i);
		post_user(local);
		assert_null(recipients_add_user(o->recipients, net, local));
	}
}

static int
start_two_roots(void **state)
{
	(void)state;
	return start_with(two_roots);
}

static void
too_much_is_held(void **state)
{
	char local[8], path[32];

	(void)state;
	scratch_mkdir("mail/example.org");
	for (unsigned i = 0; i < BOXES; i++) {
		snprintf(local, sizeof(local), "u%u", i);
		snprintf(path, sizeof(path), "mail/example.org/%s", local);
		scratch_touch(path);
		snprintf(path, sizeof(path), "more/%s", local);
		scratch_touch(path);
		post_ask(local, "example.org");
		post_ask(local, "example.net");
	}
	assert_null(deliver_reserve(rig.deliver, 1));
	post_submit(NULL, BODY);
	rig_pass(200);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_string_equal(deliver_reserve(rig.deliver, 1)->text,
	    "No room for held mail, which waits for mailboxes that take none");
	assert_int_equal(rename("mail/example.org", "mail/away"), 0);
	rig_pass(5000);
	assert_null(deliver_reserve(rig.deliver, 1));
}

static void
on_broken(void *ctx)
{
	++*(unsigned *)ctx;
}

/* FAULT F7: then no mail is taken any more. */
static void
a_journal_that_is_broken(void **state)
{
	unsigned broken = 0;

	(void)state;
	deliver_on_broken(rig.deliver, on_broken, &broken);
	turn();
	sys_fail("fdatasync", 0, EIO);
	for (unsigned i = 1; i < 5; i++) {
		post_submit(NULL, BODY);
		turn();
		assert_int_equal(post.refusals, i);
		assert_string_equal(post.reply, "451 4.3.0");
	}
	assert_int_equal(broken, 1);
	assert_int_equal(scratch_files("mail"), 0);
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
	    T(what_is_not_held_keeps_nobody),
	    cmocka_unit_test_setup_teardown(many_recipients_fit_a_record,
		start_small, finish),
	    T(a_record_that_has_grown_is_refused),
	    T(who_leaves_in_any_state),
	    T(a_body_that_cannot_be_sealed),
	    cmocka_unit_test_setup_teardown(what_is_reserved,
		start_small_journal, finish),
	    cmocka_unit_test_setup_teardown(too_much_is_held, start_two_roots,
		finish),
	    T(a_journal_that_is_broken),
	    cmocka_unit_test_setup_teardown(who_is_held_takes_no_more,
		start_without_looks, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
