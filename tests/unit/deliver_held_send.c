/*
 * Held mail that is sent to its routes: when, in what order, by whom, and what
 * becomes of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/held_look.h"
#include "deliver/held_send_state.h"
#include "io/clock.h"
#include "log_catch.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"
#include "sys.h"

#define BODY   1000
#define FILED  300000 /* more than the journal takes */
#define MINUTE (60 * 1000)
#define BOX    2    /* the route that most tests are about */
#define DUE    2500 /* ms, and each file has had its first wait */

static struct crc32c crc;

static int
start(void **state)
{
	(void)state;
	sys_reset();
	log_forget();
	crc32c_init(&crc);
	return routes_start(true);
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

/* Files of held/, each as one. */
static unsigned
held(void)
{
	return routes_files("spool/held/*[!y]");
}

/* The next message is for others. */
static void
targets_forget(void)
{
	post.env.targets = NULL; /* its arena's */
}

/* A message for so many at that route, which is away just then. */
static void
keep(unsigned n, size_t size)
{
	static const char *const to[] = {"a@a", "b@b", "c@c"};
	unsigned asked = routes[BOX].asked;

	targets_forget();
	for (unsigned i = 0; i < n; i++)
		routes_rcpt(BOX, to[i]);
	post.replies = 0;
	post_submit(NULL, size);
	rig_pass(0);
	while (routes[BOX].parcel) {
		routes_answer(BOX, routes[BOX].parcel->n == 2 ? "dd" : "d");
		rig_pass(0);
	}
	assert_int_equal(post.replies, 1);
	routes[BOX].asked = asked;
	routes[BOX].to[0] = '\0';
}

static void
look(void)
{
	held_look(rig.deliver->held);
	rig_pass(0);
}

static void
look_after(int64_t ms)
{
	rig_pass(ms);
	look();
}

/* The nth file, from the oldest on. */
static const char *
path_of(unsigned n)
{
	static char path[256];
	glob_t found;

	assert_int_equal(glob("spool/held/*[!y]", 0, NULL, &found), 0);
	assert_true(n < found.gl_pathc);
	snprintf(path, sizeof(path), "%s", found.gl_pathv[n]);
	globfree(&found);
	return path;
}

/* What it says of how it was tried, and of whom it is for. */
static struct held_block
block(unsigned n, char to[64])
{
	const char *path = path_of(n);
	int dir = open("spool/held", O_RDONLY | O_DIRECTORY);
	struct held_block b;
	struct held_file f;

	assert_int_equal(held_file_open(&f, &crc, dir, path + 11, 0), 0);
	b = held_block_read(f.fd, f.block_at);
	to[0] = '\0';
	for (unsigned i = 0; i < f.m.ncopies; i++) {
		strcat(to, f.m.copies[i].to);
		strcat(to, " ");
	}
	held_file_close(&f);
	close(dir);
	return b;
}

/* Of the only file. */
static const char *
reason(void)
{
	static char text[HELD_REASON_MAX];
	int dir = open("spool/held", O_RDONLY | O_DIRECTORY);
	struct held_file f;

	assert_int_equal(held_file_look(&f, &crc, dir,
			     path_of(0) + strlen("spool/held/")),
	    0);
	held_block_reason(f.fd, f.block_at, text);
	held_file_close(&f);
	close(dir);
	return text;
}

static void
assert_in_failed(unsigned n, const char *line)
{
	char all[4096] = "";
	glob_t found;
	int fd;

	assert_int_equal(scratch_count("failed/new"), n);
	if (!n)
		return;
	assert_int_equal(glob("failed/new/*", 0, NULL, &found), 0);
	fd = open(found.gl_pathv[0], O_RDONLY);
	assert_true(read(fd, all, sizeof(all) - 1) > 0);
	close(fd);
	globfree(&found);
	assert_non_null(strstr(all, line));
}

/* --- what comes of it --- */

static void
it_is_sent_when_it_is_due(void **state)
{
	const struct routes_one *r = &routes[BOX];

	(void)state;
	keep(1, BODY);
	look_after(1900);
	assert_int_equal(r->asked, 0);
	look_after(DUE - 1900);
	assert_int_equal(r->asked, 1);
	assert_string_equal(r->to, "a@a ");
	assert_false(r->parcel->whole);
	assert_true(r->parcel->held);
	assert_int_equal(r->parcel->dot_by, clock_now() + 10 * MINUTE);
	assert_int_equal(r->parcel->deadline, clock_now() + 20 * MINUTE);
	assert_string_equal(r->parcel->m->sender, "s@example.com");
	assert_false(deliver_is_empty(rig.deliver));
	look_after(DUE);
	assert_int_equal(r->asked, 1); /* it is under way */
	routes_answer(BOX, "t");
	assert_false(deliver_is_empty(rig.deliver));
	assert_int_equal(logged("delivered",
			     "from=s@example.com rcpt=a@a route=box ms=2500 "
			     "size="),
	    1);
	assert_int_equal(counted(SHARED_LMTP), 1);
	routes_settle();
	assert_int_equal(scratch_count("spool/held"), 0);
}

static void
a_refusal_is_for_the_postmaster(void **state)
{
	(void)state;
	keep(1, BODY);
	look_after(DUE);
	routes_answer(BOX, "r");
	routes_settle();
	assert_int_equal(scratch_count("spool/held"), 0);
	assert_in_failed(1, "X-Smtpd-Failed: a@a: 550 5.1.1 Nobody\n");
	assert_int_equal(logged("refused-late",
			     "rcpt=a@a route=box reply=550 5.1.1 Nobody\n"),
	    1);
	assert_int_equal(counted(SHARED_LMTP_LATE), 1);
	assert_int_equal(counted(SHARED_FAILED), 1);
}

/* What cannot be put there is held all the same. */
static void
a_refusal_that_has_no_place(void **state)
{
	char to[64];

	(void)state;
	keep(1, BODY);
	assert_int_equal(rmdir("failed/new") | rmdir("failed/tmp"), -1);
	assert_int_equal(rmdir("failed"), 0);
	scratch_touch("failed");
	look_after(DUE);
	routes_answer(BOX, "r");
	routes_settle();
	assert_int_equal(held(), 1);
	assert_int_equal(block(0, to).attempts, 2);
	assert_int_equal(logged("refused-late", ""), 0);
	assert_int_equal(logged("held", "reply=550 5.1.1 Nobody\n"), 1);
}

/* And longer and longer. */
static void
not_now_is_tried_later(void **state)
{
	struct held_block b;
	char to[64];

	(void)state;
	keep(1, BODY);
	look_after(DUE);
	routes_answer(BOX, "a");
	rig_pass(0);
	b = block(0, to);
	assert_int_equal(b.attempts, 2);
	assert_int_equal(b.age, DUE);
	assert_int_equal(b.last, clock_boot());
	assert_int_equal(logged("held", "route=box reply=450 4.2.1 Busy\n"), 1);
	look_after(1900);
	assert_int_equal(routes[BOX].asked, 1);
	look_after(600);
	assert_int_equal(routes[BOX].asked, 2);
	routes_answer(BOX, "l");
	rig_pass(0);
	assert_int_equal(logged("unanswered", "reply=451 4.4.2 Silent\n"), 1);
	assert_int_equal(counted(SHARED_LMTP_LOST), 1);
	assert_int_equal(block(0, to).age, 2 * DUE);
	/* half of five seconds, and a little more */
	look_after(2490);
	assert_int_equal(routes[BOX].asked, 2);
	look_after(650);
	assert_int_equal(routes[BOX].asked, 3);
	routes_answer(BOX, "t");
	routes_settle();
	assert_int_equal(held(), 0);
}

static void
what_is_taken_in_part(void **state)
{
	static const size_t sizes[] = {BODY, FILED};
	char to[64];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		keep(2, sizes[i]);
		look_after(DUE);
		routes_answer(BOX, "ta");
		rig_pass(0);
		assert_int_equal(held(), 1);
		assert_int_equal(scratch_count("spool/held"), i + 1);
		assert_int_equal(block(0, to).attempts, 2);
		assert_string_equal(to, "b@b ");
		routes[BOX].to[0] = '\0';
		look_after(DUE);
		assert_string_equal(routes[BOX].to, "b@b ");
		routes_answer(BOX, "t");
		routes_settle();
		assert_int_equal(scratch_count("spool/held"), 0);
	}
	assert_int_equal(counted(SHARED_LMTP), 4);
}

/* Of three, two at a time; and whoever is refused keeps nobody. */
static void
one_parcel_after_the_other(void **state)
{
	char to[64];

	(void)state;
	keep(3, BODY);
	look_after(DUE);
	assert_string_equal(routes[BOX].to, "a@a b@b ");
	routes_answer(BOX, "rd");
	assert_string_equal(routes[BOX].to, "a@a b@b c@c ");
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_in_failed(1, "X-Smtpd-Failed: a@a: 550 5.1.1 Nobody\n");
	assert_int_equal(block(0, to).attempts, 2);
	assert_string_equal(to, "b@b ");
}

/* What one parcel found away is not asked for by the next. */
static void
a_route_that_goes_away_in_between(void **state)
{
	char to[64];

	(void)state;
	keep(3, BODY);
	look_after(DUE);
	routes[BOX].away = true;
	routes_answer(BOX, "td");
	rig_pass(0);
	assert_int_equal(routes[BOX].asked, 1);
	block(0, to);
	assert_string_equal(to, "b@b c@c ");
}

/* --- in what order --- */

static void
the_oldest_goes_first(void **state)
{
	(void)state;
	for (unsigned i = 1; i < 4; i++)
		keep(i, BODY);
	look_after(DUE);
	assert_int_equal(routes[BOX].asked, 1);
	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(routes[BOX].parcel->n, i < 2 ? 1 : 2);
		routes_answer(BOX, i < 2 ? "t" : "tt");
		if (i == 3)
			routes_answer(BOX, "t");
		rig_pass(0);
	}
	assert_string_equal(routes[BOX].to, "a@a a@a b@b a@a b@b c@c ");
	routes_settle();
	assert_int_equal(held(), 0);
}

static void
routes_do_not_wait_for_each_other(void **state)
{
	(void)state;
	keep(1, BODY);
	targets_forget();
	routes_rcpt(1, "x@x");
	post_submit(NULL, BODY);
	rig_pass(0);
	routes_answer(1, "d");
	look_after(DUE);
	assert_non_null(routes[BOX].parcel);
	assert_non_null(routes[1].parcel);
	routes_answer(1, "t");
	routes_answer(BOX, "t");
	routes_settle();
	assert_int_equal(held(), 0);
}

/* All that it has is for what is fresh. */
static void
what_is_fresh_goes_first(void **state)
{
	(void)state;
	routes[BOX].route.connections = 1;
	keep(1, BODY);
	targets_forget();
	routes_rcpt(BOX, "f@f");
	post_submit(NULL, BODY);
	look_after(DUE);
	look();
	assert_string_equal(routes[BOX].to, "f@f ");
	routes_answer(BOX, "t");
	rig_pass(0);
	look();
	assert_string_equal(routes[BOX].to, "f@f a@a ");
	routes_answer(BOX, "t");
	routes_settle();
}

/* Too much waits for it in memory already; and what is sent counts, too. */
static void
what_waits_is_counted(void **state)
{
	struct carriers *c = &rig.deliver->carriers;
	const struct route *r = &routes[BOX].route;

	(void)state;
	keep(1, BODY);
	carriers_add(c, r, WAITING_MAX / 2);
	look_after(DUE);
	assert_int_equal(routes[BOX].asked, 0);
	carriers_take(c, r, WAITING_MAX / 2);
	look();
	assert_int_equal(routes[BOX].asked, 1);
	assert_int_equal(c->waiting, BODY);
	routes_answer(BOX, "t");
	routes_settle();
}

/* --- whose it is --- */

static void
what_is_gone_is_skipped(void **state)
{
	(void)state;
	for (unsigned i = 1; i < 4; i++)
		keep(i, BODY);
	look_after(DUE);
	assert_int_equal(unlink(path_of(1)), 0);
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_string_equal(routes[BOX].to, "a@a a@a b@b ");
	assert_int_equal(unlink(path_of(0)), 0); /* what is under way, too */
	routes_answer(BOX, "aa");
	routes_answer(BOX, "t");
	routes_settle();
	assert_int_equal(logged("held-failed", ""), 0);
}

static void
what_another_has_is_left_to_him(void **state)
{
	char to[64];
	int fd;

	(void)state;
	keep(1, BODY);
	fd = open(path_of(0), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	look_after(DUE);
	assert_int_equal(routes[BOX].asked, 0);
	close(fd);
	assert_int_equal(block(0, to).attempts, 1);
	look();
	assert_int_equal(routes[BOX].asked, 1);
	fd = open(path_of(0), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(fd);
	routes_answer(BOX, "t");
	routes_settle();
}

/* By whom it was tried behind the look. */
static void
what_another_has_tried(void **state)
{
	const int64_t later = 3 * MINUTE;
	int dir = open("spool/held", O_RDONLY | O_DIRECTORY);
	struct held_block b = {.attempts = 5, .age = 6 * MINUTE};
	struct held_file f;

	(void)state;
	keep(1, BODY);
	keep(2, BODY);
	look_after(DUE);
	b.last = clock_boot();
	assert_int_equal(held_file_look(&f, &crc, dir,
			     path_of(1) + strlen("spool/held/")),
	    0);
	assert_int_equal(held_block_write(f.fd, f.block_at, &b, "x"), 0);
	held_file_close(&f);
	close(dir);
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_int_equal(routes[BOX].asked, 1);
	look_after(later * 5 / 4);
	assert_int_equal(routes[BOX].asked, 2);
	routes_answer(BOX, "tt");
	routes_settle();
}

static unsigned
at(const char *what)
{
	const char *found = strstr(sys_log(), what);

	assert_non_null(found);
	return (unsigned)(found - sys_log());
}

/* What is sent, and what has failed, does not come back with the power. */
static void
what_is_gone_is_synced(void **state)
{
	char gone[300];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		keep(1, BODY);
		snprintf(gone, sizeof(gone), "unlink %s\n", path_of(0));
		sys_reset();
		routes[BOX].away = i;
		for (unsigned k = 0; k < 5 && held(); k++) {
			look_after(i ? 15 * MINUTE : DUE);
			if (!i)
				routes_answer(BOX, "t");
			rig_pass(0);
		}
		assert_true(at(gone) < at("sync spool/held\n"));
	}
}

/* --- while it is away --- */

static void
who_is_away_is_not_asked(void **state)
{
	struct held_block b;
	char to[64];

	(void)state;
	keep(1, BODY);
	routes[BOX].away = true;
	look_after(14 * MINUTE);
	assert_int_equal(block(0, to).age, 0);
	look_after(MINUTE);
	b = block(0, to);
	assert_int_equal(b.age, 15 * MINUTE);
	assert_int_equal(b.last, clock_boot());
	assert_int_equal(b.attempts, 1);
	look_after(MINUTE);
	assert_int_equal(block(0, to).age, 15 * MINUTE);
	assert_int_equal(routes[BOX].asked, 0);
	assert_int_equal(logged("held", ""), 1);
	/* at once, although it would be due in ten minutes */
	routes[BOX].away = false;
	look();
	assert_int_equal(routes[BOX].asked, 1);
	routes_answer(BOX, "a");
	rig_pass(0);
	look();
	assert_int_equal(routes[BOX].asked, 1); /* once */
}

static void
who_stays_away_for_too_long(void **state)
{
	(void)state;
	keep(2, BODY);
	routes[BOX].away = true;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(held(), 1);
		look_after(15 * MINUTE);
	}
	assert_int_equal(held(), 0);
	assert_int_equal(routes[BOX].asked, 0);
	assert_in_failed(2, ": 451 4.4.1 Away\n");
	assert_int_equal(logged("failed", "route=box reply=451 4.4.1 Away\n"),
	    2);
	assert_int_equal(counted(SHARED_FAILED), 2);
}

static void
the_last_time(void **state)
{
	(void)state;
	keep(1, BODY);
	for (unsigned i = 0; i < 4; i++) {
		assert_in_failed(0, NULL);
		look_after(19 * MINUTE);
		assert_int_equal(routes[BOX].asked, i + 1);
		routes_answer(BOX, "a");
		rig_pass(0);
	}
	routes_settle();
	assert_int_equal(held(), 0);
	assert_in_failed(1, "X-Smtpd-Failed: a@a: 450 4.2.1 Busy\n");
	assert_int_equal(logged("failed", "route=box reply=450 4.2.1 Busy\n"),
	    1);
}

/* By hand, the first file: it is to be tried now; age: or given up. */
static void
set_by_hand(int64_t age)
{
	struct held_file f;
	struct held_block b;
	int dir = open("spool/held", O_RDONLY | O_DIRECTORY);

	assert_int_equal(held_file_look(&f, &crc, dir, path_of(0) + 11), 0);
	b = held_block_read(f.fd, f.block_at);
	b.last = 0;
	if (age)
		b.age = age;
	assert_int_equal(held_block_write(f.fd, f.block_at, &b,
			     "451 4.4.1 Then"),
	    0);
	held_file_close(&f);
	close(dir);
	scratch_touch("spool/held/" HELD_NOW);
}

static void
what_is_given_up_is_not_tried(void **state)
{
	(void)state;
	routes_rcpt(BOX, "a@a");
	post_submit(NULL, BODY);
	rig_pass(0);
	routes_answer(BOX, "a");
	rig_pass(0);
	set_by_hand(HELD_AGE_MAX);
	look();
	assert_int_equal(routes[BOX].asked, 1);
	assert_in_failed(1, "X-Smtpd-Failed: a@a: 451 4.4.1 Then\n");
}

/* That, and nothing else. */
static void
what_is_wanted_now(void **state)
{
	(void)state;
	keep(1, BODY);
	keep(1, BODY);
	look();
	assert_int_equal(routes[BOX].asked, 0);
	set_by_hand(0);
	look_after(1);
	assert_int_equal(routes[BOX].asked, 1);
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_int_equal(routes[BOX].asked, 1);
	assert_int_equal(held(), 1);
	routes_settle();
}

/* --- routes of no configuration --- */

static void
no_route_of_this_name(void **state)
{
	static const struct {
		const char *text, *shown;
	} all[] = {{"route:gone", "route=gone held=1 help="},
	    {"https://a.example/x?secret",
		"route=https://a.example held=1 help="},
	    {"pipe:/bin/x secret", "route=pipe:/bin/x held=1 help="},
	    {"lmtp:/run/x", "route=lmtp:/run/x held=1 help="},
	    {"smtp:nonsense", "route=smtp held=1 help="}};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		routes[BOX].dest.text = all[i].text;
		keep(1, BODY);
		for (unsigned k = 0; k < 4; k++) {
			look();
			assert_int_equal(held(), 1);
			look_after(15 * MINUTE);
		}
		assert_int_equal(logged("route-missing", all[i].shown), 1);
		assert_int_equal(logged("route-missing", ""), 1);
		assert_int_equal(held(), 0);
		assert_int_equal(routes[BOX].asked, 0);
		assert_in_failed(1,
		    "X-Smtpd-Failed: a@a: no route of this name\n");
		assert_int_equal(logged("failed",
				     "reply=no route of this name\n"),
		    1);
	}
}

static void
no_routes_of_these_names(void **state)
{
	(void)state;
	routes[BOX].dest.text = "route:b";
	keep(1, BODY);
	look();
	routes[BOX].dest.text = "route:a";
	keep(1, BODY);
	look();
	look();
	assert_int_equal(logged("route-missing", "route=a "), 1);
	assert_int_equal(logged("route-missing", "route=b "), 1);
}

/* Of all workers of a generation one says so. */
static void
it_is_said_once(void **state)
{
	static const unsigned slots[] = {0, 1, SHARED_WORKERS,
	    SHARED_WORKERS + 1};

	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		rig.deliver->counts.slot = slots[i];
		routes[BOX].dest.text = "route:gone";
		keep(1, BODY);
		look_after(15 * MINUTE);
		assert_int_equal(logged("route-missing", ""), !(i & 1));
		assert_non_null(rig.deliver->sends->missing);
	}
}

/* It waits, and goes when there is one again. */
static void
a_route_that_comes_back(void **state)
{
	(void)state;
	routes[BOX].dest.text = "route:later";
	keep(1, BODY);
	look_after(DUE);
	assert_int_equal(logged("route-missing", ""), 1);
	routes[BOX].route.text = "route:later";
	rig.deliver->sends->lanes[routes[BOX].route.number].dest.text =
	    "route:later";
	look();
	assert_int_equal(routes[BOX].asked, 1);
	routes_answer(BOX, "t");
	routes_settle();
	assert_int_equal(held(), 0);
}

/* FAULT A4: half of held is one route's; then its mail is refused. */
static void
a_route_that_has_its_half(void **state)
{
	(void)state;
	keep(1, FILED);
	keep(1, FILED);
	look();
	assert_true(held_route_full(rig.deliver->held, "route:box"));
	targets_forget();
	routes_rcpt(BOX, "a@a");
	post_submit(NULL, BODY);
	rig_pass(0);
	routes_answer(BOX, "d");
	rig_pass(0);
	assert_int_equal(post.refusals, 1);
	assert_string_equal(post.reply, "451 4.4.1");
	assert_int_equal(held(), 2);
	routes[BOX].away = true;
	look();
	/* others are not full; nor is it, to what it takes */
	routes_rcpt(3, "b@b");
	post_submit(NULL, BODY);
	rig_pass(0);
	routes_answer(BOX, "t");
	routes_answer(3, "d");
	rig_pass(0);
	assert_string_equal(post.reply, "");
	assert_int_equal(held(), 3);
}

/* And at RCPT, as long as it is away. */
static void
a_full_route_takes_no_recipients(void **state)
{
	static char login[] = "u";

	(void)state;
	rig.deliver->lookups.smarthost = &routes[BOX].dest;
	for (unsigned i = 0; i < 4; i++) {
		bool away = i & 1, full = i & 2;

		if (i == 2) {
			keep(1, FILED);
			keep(1, FILED);
			look();
		}
		routes[BOX].away = away;
		post.env.login = login;
		post_ask("x", "example.net");
		assert_string_equal(post.reply,
		    away && full ? "451 4.4.1" : "");
		post.env.login = NULL;
	}
}

/* --- the end --- */

static void
nothing_is_begun(void *ctx)
{
	(void)ctx;
	assert_true(deliver_is_empty(rig.deliver));
}

static void
on_judged_idle(void)
{
	loop_defer(&rig.loop, nothing_is_begun, NULL);
}

static void
who_leaves_begins_nothing(void **state)
{
	(void)state;
	keep(1, BODY);
	routes_settle(); /* its journal is empty */
	deliver_drain(rig.deliver, false);
	rig_pass(DUE);
	routes[BOX].judged = on_judged_idle;
	look();
	assert_int_equal(routes[BOX].asked, 0);
	routes[BOX].judged = NULL;
	routes_settle();
	assert_int_equal(held(), 1);
}

static bool leaves;

/* By now a thread has the file, and nobody was told that it has. */
static void
change(void *ctx)
{
	(void)ctx;
	assert_false(deliver_is_empty(rig.deliver));
	if (leaves)
		deliver_drain(rig.deliver, false);
	else
		routes[BOX].away = true;
}

static void
on_judged(void)
{
	routes[BOX].judged = NULL;
	loop_defer(&rig.loop, change, NULL);
}

/* Or whose route goes away: nothing was tried. */
static void
who_leaves_with_a_file_in_hand(void **state)
{
	char to[64];

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		leaves = i;
		keep(1, BODY);
		rig_pass(DUE);
		routes[BOX].judged = on_judged;
		look();
		assert_null(routes[BOX].judged);
		assert_int_equal(routes[BOX].asked, 0);
		routes_settle();
		assert_int_equal(block(0, to).attempts, 1);
	}
}

static void
who_leaves_drops_what_is_not_handed_over(void **state)
{
	char to[64];

	(void)state;
	keep(1, BODY);
	look_after(DUE);
	deliver_drain(rig.deliver, false);
	assert_int_equal(routes[BOX].cancelled, 1);
	routes_settle();
	assert_int_equal(held(), 1);
	assert_int_equal(block(0, to).attempts, 1);
}

static void
who_leaves_waits_for_an_answer(void **state)
{
	(void)state;
	keep(1, BODY);
	look_after(DUE);
	routes[BOX].parcel->handed = true;
	deliver_drain(rig.deliver, false);
	assert_int_equal(routes[BOX].cancelled, 0);
	rig_pass(MINUTE);
	assert_false(deliver_is_empty(rig.deliver));
	routes_answer(BOX, "t");
	routes_settle();
	assert_int_equal(held(), 0);
}

static void
who_leaves_does_not_wait_for_ever(void **state)
{
	char to[64];

	(void)state;
	keep(1, BODY);
	look_after(DUE);
	routes[BOX].parcel->handed = true;
	deliver_drain(rig.deliver, false);
	deliver_drain(rig.deliver, true);
	assert_int_equal(routes[BOX].cancelled, 1);
	routes_settle();
	assert_int_equal(held(), 1);
	assert_int_equal(block(0, to).attempts, 2);
}

/* What the first parcel took is not sent again. */
static void
who_leaves_in_the_middle(void **state)
{
	char to[64];

	(void)state;
	keep(3, BODY);
	look_after(DUE);
	routes[BOX].parcel->handed = true;
	routes_answer(BOX, "tt");
	deliver_drain(rig.deliver, false);
	assert_int_equal(routes[BOX].cancelled, 1);
	routes_settle();
	assert_int_equal(held(), 1);
	block(0, to);
	assert_string_equal(to, "c@c ");
}

static void
who_leaves_asks_no_more(void **state)
{
	char to[64];

	(void)state;
	keep(3, BODY);
	look_after(DUE);
	routes[BOX].parcel->handed = true;
	deliver_drain(rig.deliver, false);
	routes_answer(BOX, "tt");
	routes_settle();
	assert_int_equal(routes[BOX].asked, 1);
	block(0, to);
	assert_string_equal(to, "c@c ");
}

/* finish() looks at what stays behind: nothing. */
static void
who_is_killed_in_the_middle(void **state)
{
	(void)state;
	keep(1, BODY);
	look_after(DUE);
	assert_non_null(routes[BOX].parcel);
}

/* --- the disk --- */

/* It is not tried again at once, although others have a part of it. */
static void
what_cannot_be_written(void **state)
{
	char to[64];

	(void)state;
	keep(2, BODY);
	look_after(DUE);
	sys_fail("renameat", 1, ENOSPC);
	routes_answer(BOX, "ta");
	rig_pass(0);
	assert_true(sys_failed());
	assert_int_equal(logged("held-failed",
			     "route=box error=No space left on device"),
	    1);
	assert_int_equal(logged("held-failed", "message="), 1);
	assert_int_equal(block(0, to).attempts, 2);
	assert_string_equal(to, "a@a b@b ");
	assert_string_equal(reason(), "450 4.2.1 Busy");
	look();
	assert_int_equal(routes[BOX].asked, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(it_is_sent_when_it_is_due),
	    T(a_refusal_is_for_the_postmaster),
	    T(a_refusal_that_has_no_place),
	    T(not_now_is_tried_later),
	    T(what_is_taken_in_part),
	    T(one_parcel_after_the_other),
	    T(a_route_that_goes_away_in_between),
	    T(the_oldest_goes_first),
	    T(routes_do_not_wait_for_each_other),
	    T(what_is_fresh_goes_first),
	    T(what_waits_is_counted),
	    T(what_is_gone_is_skipped),
	    T(what_another_has_is_left_to_him),
	    T(what_another_has_tried),
	    T(what_is_gone_is_synced),
	    T(who_is_away_is_not_asked),
	    T(who_stays_away_for_too_long),
	    T(the_last_time),
	    T(what_is_given_up_is_not_tried),
	    T(what_is_wanted_now),
	    T(no_route_of_this_name),
	    T(no_routes_of_these_names),
	    T(it_is_said_once),
	    T(a_route_that_comes_back),
	    T(a_route_that_has_its_half),
	    T(a_full_route_takes_no_recipients),
	    T(who_leaves_begins_nothing),
	    T(who_leaves_with_a_file_in_hand),
	    T(who_leaves_drops_what_is_not_handed_over),
	    T(who_leaves_waits_for_an_answer),
	    T(who_leaves_does_not_wait_for_ever),
	    T(who_leaves_in_the_middle),
	    T(who_leaves_asks_no_more),
	    T(who_is_killed_in_the_middle),
	    T(what_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
