/*
 * Messages for routes that come to no good end: whose client leaves, whose
 * disk fails behind another's yes, or of which too many wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/held_file.h"
#include "log_catch.h"
#include "proto/client_reply.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"
#include "sys.h"

#define BODY  1000
#define FILED 300000 /* more than the journal takes */

static const char held[] = "spool/held/*";

/* What is free of all file systems, in percent. */
static _Atomic unsigned available = 100;

int
fstatvfs(int fd, struct statvfs *v)
{
	(void)fd;
	*v = (struct statvfs){.f_frsize = 1 << 20,
	    .f_blocks = 100,
	    .f_bavail = available,
	    .f_files = 100000,
	    .f_favail = 100000};
	return 0;
}

static int
start_with(bool hold)
{
	sys_reset();
	log_forget();
	available = 100;
	return routes_start(hold);
}

static int
start(void **state)
{
	(void)state;
	return start_with(false);
}

static int
finish(void **state)
{
	int r;

	sys_reset();
	r = routes_finish(state);
	log_forget();
	return r;
}

static void
again(void **state, bool hold)
{
	assert_int_equal(finish(state), 0);
	assert_int_equal(start_with(hold), 0);
}

/* One of each, of which the first is away; up to the last one's question. */
static struct ask **
submit_with(bool local, size_t size, const char *second)
{
	struct ask **a;

	if (local)
		routes_local();
	routes_rcpt(0, "a@a");
	routes_rcpt(1, "b@b");
	routes_rcpt(2, "c@c");
	a = post_submit(NULL, size);
	rig_pass(0);
	routes_answer(0, "d");
	routes_answer(1, second);
	assert_non_null(routes[2].parcel);
	return a;
}

static struct ask **
submit(size_t size, const char *second)
{
	return submit_with(true, size, second);
}

static void
assert_nowhere(void)
{
	assert_int_equal(post.replies, 0);
	routes_settle();
	assert_int_equal(routes_mail(), 0);
	assert_int_equal(scratch_count("spool/held"), 0);
	assert_int_equal(scratch_count("failed/new"), 0);
}

/* --- who leaves --- */

/* The client is gone, its mail is not. */
static void
who_leaves_is_delivered(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ask **a;

		again(state, true);
		a = submit(i ? FILED : BODY, "t");
		ask_cancel(a, ASK_GO_ON);
		assert_int_equal(routes[2].cancelled, 0);
		assert_int_equal(routes_count(DELIVERY_ASKING), 1);
		routes_answer(2, "r");
		routes_settle();
		assert_int_equal(post.replies + post.refusals, 0);
		assert_int_equal(routes_mail(), 1);
		assert_int_equal(scratch_count("failed/new"), 1);
		assert_int_equal(routes_files("spool/held/*[!y]"), 1);
		if (i) /* the mailbox has the very file */
			assert_non_null(
			    strstr(sys_log(), ".body mail/example.org/u/new/"));
	}
}

static void
who_leaves_and_is_refused(void **state)
{
	struct ask **a;

	(void)state;
	again(state, true);
	a = submit(BODY, "a");
	ask_cancel(a, ASK_GO_ON);
	routes_answer(2, "r");
	assert_nowhere();
	assert_int_equal(post.refusals, 0);
}

/* Wherever it stands: nothing is kept, and those who have it are named. */
static void
who_gives_up(void **state)
{
	static const enum delivery_state in[] = {DELIVERY_ASKING,
	    DELIVERY_KEEPING, DELIVERY_COMMITTING, DELIVERY_KEEPING};

	for (unsigned i = 0; i < 16; i++) {
		enum delivery_state s = in[i / 4];
		bool taken = i & 1;
		struct ask **a;

		again(state, true);
		if (s == DELIVERY_COMMITTING)
			rig_hold(RIG_COMMITS);
		a = submit_with(i < 12, i & 2 ? FILED : BODY,
		    taken ? "t" : "d");
		if (s != DELIVERY_ASKING)
			routes_answer(2, "l");
		if (s == DELIVERY_COMMITTING) {
			rig_pass(0);
			assert_int_not_equal(routes_files(held), 0);
		}
		assert_int_equal(routes_count(s), 1);
		ask_cancel(a, ASK_ABANDON);
		assert_int_equal(routes[2].cancelled, s == DELIVERY_ASKING);
		if (s == DELIVERY_ASKING)
			assert_int_equal(routes[2].end, ASK_ABANDON);
		rig_go_on();
		assert_nowhere();
		assert_int_equal(post.refusals, 0);
		assert_int_equal(logged("abandoned", "message="), 1);
		assert_int_equal(logged("duplicate-likely", "="), taken);
		assert_int_equal(logged("duplicate-likely",
				     "rcpt=b@b route=run\n"),
		    taken);
	}
}

/* --- records --- */

/* What RCPT counts for a copy is enough, whatever is said behind a yes. */
static void
what_is_refused_late_fits_a_record(void **state)
{
	char why[CLIENT_REPLY_TEXT_MAX + 1] = {0}, to[32];
	const struct smtp_reply reply = {550, "5.999.999", why};
	struct routes_one *r = &routes[1];
	const unsigned n = 40;

	(void)state;
	memset(why, 'x', CLIENT_REPLY_TEXT_MAX);
	routes_rcpt(0, "a@a");
	for (unsigned i = 0; i < n; i++) {
		snprintf(to, sizeof(to), "%u@b", i);
		routes_rcpt(1, to);
	}
	/* of which half may be a record, and that has little beside them */
	post.options.segment = 2 * (BODY + 1000 + post.env.targets->octets +
				       (uint64_t)n * rig.deliver->lookups.each);
	post_submit(NULL, BODY);
	rig_pass(0);
	routes_answer(0, "t");
	while (r->parcel) {
		parcel_fn *told = r->told;

		for (unsigned i = 0; i < r->parcel->n; i++) {
			r->parcel->copies[i]->fate = FATE_REFUSED;
			r->parcel->copies[i]->reply = &reply;
		}
		r->parcel = NULL;
		r->to[0] = '\0';
		told(r->ctx);
	}
	rig_pass(0);
	assert_string_equal(post.reply, "");
	routes_settle();
	assert_int_equal(scratch_count("failed/new"), n);
}

/* --- a disk that fails --- */

/* Checked before anybody is asked. */
static void
what_fails_first(void **state)
{
	routes_local();
	routes_rcpt(3, "a@a");
	available = 0;
	post.options.reserve = 0;
	rig_pass(2000);
	post_submit(NULL, BODY);
	rig_pass(0);
	assert_string_equal(post.reply, "452 4.3.1");
	again(state, false);
	routes_local();
	routes_rcpt(3, "a@a");
	sys_fail("fsync", 1, EIO);
	post_submit(NULL, FILED);
	rig_pass(0);
	assert_true(sys_failed());
	assert_string_equal(post.reply, "451 4.3.0");
	assert_int_equal(routes[3].asked, 0);
	again(state, false);
	routes_rcpt(2, "a@a"); /* what the second does not take may be kept */
	routes_rcpt(3, "b@b");
	sys_fail("fsync", 1, EIO);
	post_submit(NULL, FILED);
	rig_pass(0);
	assert_true(sys_failed());
	assert_string_equal(post.reply, "451 4.3.0");
	assert_int_equal(routes[2].asked, 0);
	again(state, false);
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u");
	routes_local();
	post_submit(NULL, BODY);
	rig_pass(20);
	assert_string_equal(post.reply, "");
	routes_rcpt(3, "a@a");
	post_submit(NULL, BODY);
	rig_pass(0);
	assert_string_equal(post.reply, "450 4.2.1");
	assert_int_equal(routes[3].asked, 0);
}

/* The first file is there when the second is not. */
static void
what_cannot_be_kept(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		again(state, true);
		submit(i & 1 ? FILED : BODY, "t");
		sys_fail("renameat", 2, i & 2 ? ENOSPC : EIO);
		sys_fail_below("spool/held");
		routes_answer(2, "a");
		rig_pass(0);
		assert_true(sys_failed());
		assert_string_equal(post.reply,
		    i & 2 ? "452 4.3.1" : "451 4.3.0");
		assert_int_equal(post.replies, 0);
		assert_int_equal(routes_files("spool/held/*[!y]"), 0);
		routes_settle();
		assert_int_equal(routes_mail(), 0);
		assert_int_equal(logged("duplicate-likely", "rcpt=b@b"), 1);
		assert_int_equal(logged("duplicate-likely", "="), 1);
		assert_int_equal(logged("held", "="), 0);
	}
}

static void
what_cannot_be_committed(void **state)
{
	const char *gone;

	for (unsigned i = 0; i < 2; i++) {
		again(state, true);
		submit(i ? FILED : BODY, "t");
		sys_fail("fdatasync", 0, EIO);
		routes_answer(2, "a");
		rig_pass(0);
		assert_string_equal(post.reply, "451 4.3.0");
		assert_nowhere();
		/* and do not come back with the power */
		gone = strstr(sys_log(), "unlink spool/held/0");
		assert_non_null(gone);
		assert_non_null(strstr(gone, "sync spool/held\n"));
		assert_int_equal(logged("held", "="), 2);
		assert_int_equal(logged("duplicate-likely", "="), 1);
		assert_int_equal(logged("undelivered", "="), 1);
	}
}

/* Good until the next call. */
static const char *
held_name(void)
{
	static char name[256];
	glob_t found;

	assert_int_equal(glob("spool/held/*[!y]", 0, NULL, &found), 0);
	snprintf(name, sizeof(name), "%s", found.gl_pathv[0]);
	globfree(&found);
	return name;
}

/* Somebody has locked the first file: he is sending it. Or he has sent it. */
static void
what_is_on_its_way_stays(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		bool sent = i & 2;
		int fd;

		again(state, true);
		rig_hold(RIG_COMMITS);
		submit(i & 1 ? FILED : BODY, "t");
		routes_answer(2, "t");
		rig_pass(0);
		assert_int_equal(routes_files("spool/held/*[!y]"), 1);
		fd = open(held_name(), O_RDONLY);
		assert_int_not_equal(fd, -1);
		assert_int_equal(flock(fd, LOCK_EX), 0);
		if (sent)
			assert_int_equal(unlink(held_name()), 0);
		sys_fail("fdatasync", 0, EIO);
		rig_go_on();
		rig_pass(0);
		assert_string_equal(post.reply, "451 4.3.0");
		routes_settle();
		assert_int_equal(routes_files("spool/held/*[!y]"), !sent);
		assert_int_equal(logged("duplicate-likely", "="), 3);
		assert_int_equal(logged("duplicate-likely",
				     "rcpt=a@a route=web"),
		    1);
		close(fd);
	}
}

/* The first file's first copy was sent meanwhile. */
static void
what_was_sent_in_part(void **state)
{
	struct held_file f;
	struct crc32c crc;
	int dir;

	crc32c_init(&crc);
	for (unsigned i = 0; i < 2; i++) {
		again(state, true);
		rig_hold(RIG_COMMITS);
		routes_local();
		routes_rcpt(0, "a@a");
		routes_rcpt(0, "b@b");
		post_submit(NULL, i ? FILED : BODY);
		rig_pass(0);
		routes_answer(0, "dd");
		rig_pass(0);
		dir = open("spool/held", O_RDONLY | O_DIRECTORY);
		assert_int_equal(held_file_look(&f, &crc, dir,
				     held_name() + strlen("spool/held/")),
		    0);
		assert_int_equal(f.m.ncopies, 2);
		f.m.copies[1].error = EAGAIN;
		f.m.dirfd = dir;
		f.m.link = *f.body ? f.body : NULL;
		assert_int_equal(held_file_rewrite(&crc, dir,
				     held_name() + strlen("spool/held/"), &f.m,
				     &(struct held_block){0}),
		    0);
		held_file_close(&f);
		close(dir);
		sys_fail("fdatasync", 0, EIO);
		rig_go_on();
		rig_pass(0);
		assert_string_equal(post.reply, "451 4.3.0");
		assert_nowhere();
		assert_int_equal(logged("duplicate-likely", "rcpt=a@a"), 1);
	}
}

/* Nobody here has it: no disk is waited for, and nothing is left there. */
static void
what_passes_through(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		again(state, false);
		routes[3].route.hold = i & 1;
		routes_rcpt(3, "a@a");
		sys_reset();
		post_submit(NULL, i & 2 ? FILED : BODY);
		rig_pass(0);
		routes_answer(3, "t");
		assert_int_equal(post.replies, 1);
		/* what may be held has a name while it waits */
		assert_int_equal(strstr(sys_log(), ".body") != NULL, i == 3);
		assert_int_equal(sys_log()[0] != '\0', i == 3);
		routes_settle();
		assert_int_equal(journal_size(rig.deliver->journal), 0);
	}
}

/* --- too many --- */

static char user[] = "u";

static void
assert_full(void)
{
	struct smtp_path elsewhere = {.local = "a", .domain = "example.net"};

	post.env.login = user;
	post.refusals = 0;
	post_ask(elsewhere.local, elsewhere.domain);
	post.env.login = NULL;
	assert_int_equal(post.refusals, 1);
	assert_string_equal(post.reply, "451 4.3.2");
	post_submit(NULL, BODY);
	rig_pass(0);
	assert_int_equal(post.refusals, 2);
	assert_string_equal(post.reply, "451 4.3.2");
	assert_int_equal(routes[3].asked, 0);
}

static void
too_many_wait(void **state)
{
	struct carriers *c = &rig.deliver->carriers;
	const struct route *r = &routes[3].route;

	(void)state;
	rig.deliver->lookups.smarthost = &routes[3].dest;
	routes_rcpt(3, "a@a");
	carriers_add(c, &routes[2].route, WAITING_MAX - 1);
	assert_false(carriers_full(c, r));
	carriers_add(c, r, 1);
	assert_full();
	carriers_take(c, r, 1);
	carriers_take(c, &routes[2].route, WAITING_MAX - 1);
	carriers_add(c, r, WAITING_MAX / 2);
	assert_false(carriers_full(c, &routes[2].route));
	assert_full();
	carriers_take(c, r, 1);
	post_submit(NULL, BODY);
	assert_int_equal(routes[3].asked, 1);
	assert_true(c->routes[r->number].waiting > WAITING_MAX / 2 + BODY);
	routes_answer(3, "t");
	carriers_take(c, r, WAITING_MAX / 2 - 1);
	routes_settle();
	assert_int_equal(logged("undelivered", "="), 0);
}

/* A worker that has to leave: whatever is on its way is nobody's any more. */
static void
who_is_cut_off(void **state)
{
	static const enum delivery_state in[] = {DELIVERY_ASKING,
	    DELIVERY_KEEPING, DELIVERY_COMMITTING};

	for (unsigned i = 0; i < 3; i++) {
		again(state, true);
		if (i == 2)
			rig_hold(RIG_COMMITS);
		submit(FILED, "t");
		if (i)
			routes_answer(2, "a");
		if (i == 2)
			rig_pass(0);
		assert_int_equal(routes_count(in[i]), 1);
		assert_int_equal(deliver_pending(rig.deliver), 1);
	}
}

static void
who_is_kept_is_waited_for(void **state)
{
	(void)state;
	again(state, true);
	routes_rcpt(0, "a@a");
	post_submit(NULL, BODY);
	routes_answer(0, "d");
	assert_int_equal(routes_count(DELIVERY_KEEPING), 1);
	assert_int_equal(deliver_pending(rig.deliver), 1);
	assert_false(deliver_is_empty(rig.deliver));
	assert_int_equal(post.replies, 0);
	rig_pass(0);
	assert_int_equal(post.replies, 1);
	routes_settle();
}

/* --- relaying --- */

/* Only who logged in, and where there is a smarthost. */
static void
who_may_relay(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		rig.deliver->lookups.smarthost = i & 1 ? &routes[3].dest : NULL;
		post.env.login = i & 2 ? user : NULL;
		post.reply[0] = '\0';
		post_ask("O\"x", "[192.0.2.1]");
		assert_string_equal(post.reply, i == 3 ? "" : "550 5.7.1");
		post_ask("Not.Us", "example.NET");
		assert_string_equal(post.reply, i == 3 ? "" : "550 5.7.1");
		assert_int_equal(post.env.targets != NULL, i == 3);
		post_ask("nobody", "example.org");
		assert_string_equal(post.reply, "550 5.1.1");
	}
	post.env.login = NULL;
	assert_int_equal(post.env.targets->n, 2);
	assert_ptr_equal(post.env.targets->last->dest, &routes[3].dest);
	assert_string_equal(post.env.targets->last->to, "Not.Us@example.NET");
	assert_string_equal(post.env.targets->last->address,
	    "Not.Us@example.NET");
	assert_null(post.env.targets->last->path);
	assert_null(post.env.targets->last->domain);
	assert_string_equal(post.env.targets->first->to,
	    "\"O\\\"x\"@[192.0.2.1]");
	post_submit(NULL, BODY);
	assert_string_equal(routes[3].to,
	    "\"O\\\"x\"@[192.0.2.1] Not.Us@example.NET ");
	routes_answer(3, "tt");
	routes_settle();
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(who_leaves_is_delivered),
	    T(who_leaves_and_is_refused),
	    T(who_gives_up),
	    T(what_fails_first),
	    T(what_cannot_be_kept),
	    T(what_cannot_be_committed),
	    T(what_is_on_its_way_stays),
	    T(what_was_sent_in_part),
	    T(what_is_refused_late_fits_a_record),
	    T(what_passes_through),
	    T(too_many_wait),
	    T(who_is_cut_off),
	    T(who_is_kept_is_waited_for),
	    T(who_may_relay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
