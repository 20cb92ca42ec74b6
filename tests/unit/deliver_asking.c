/*
 * Messages for routes: who is asked, when and in which order, what the client
 * hears, and what is where afterwards. Nobody is at the other end: a test says
 * what they answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/held_file.h"
#include "io/clock.h"
#include "log_catch.h"
#include "rig.h"
#include "routes_rig.h"
#include "scratch.h"

#define BODY  1000
#define FILED 300000 /* more than the journal takes */

enum { WEB, RUN, BOX, OUT };

static int
finish(void **state)
{
	int r = routes_finish(state);

	log_forget();
	return r;
}

/* --- what the client hears, and who has it --- */

/* Route by route: what it answers; "" or NULL: it is no recipient. A capital H
 * in front: it holds. */
struct row {
	bool local;
	const char *says[ROUTES];
	const char *reply;
	unsigned asked, mail, held, failed;
};

static void
try_row(const struct row *r, size_t size)
{
	unsigned asked = 0;
	char to[16];

	if (r->local)
		routes_local();
	for (unsigned i = 0; i < ROUTES; i++) {
		const char *says = r->says[i] ? r->says[i] : "";

		routes[i].route.hold = *says == 'H';
		says += *says == 'H';
		for (unsigned k = 0; says[k]; k++) {
			snprintf(to, sizeof(to), "%c%u@x", says[k], k);
			routes_rcpt(i, to);
		}
	}
	post_submit(NULL, size);
	for (unsigned i = 0; i < ROUTES; i++) {
		rig_pass(0);
		if (!routes[i].parcel)
			continue;
		assert_false(deliver_is_empty(rig.deliver));
		assert_int_equal(deliver_pending(rig.deliver), 1);
		assert_int_equal(routes_count(DELIVERY_ASKING), 1);
		assert_int_equal(post.replies + post.refusals, 0);
		routes_answer(i, r->says[i] + (*r->says[i] == 'H'));
		asked++;
	}
	rig_pass(0);
	assert_int_equal(post.replies + post.refusals, 1);
	assert_string_equal(post.reply, r->reply);
	assert_int_equal(asked, r->asked);
	routes_settle();
	assert_int_equal(routes_mail(), r->mail);
	assert_int_equal(routes_files("spool/held/[!.]*[!y]"), r->held);
	assert_int_equal(scratch_count("failed/new"), r->failed);
}

static const struct row rows[] = {
    {true, {[BOX] = "t"}, "", 1, 1, 0, 0},
    {true, {[BOX] = "r", [OUT] = "t"}, "550 5.1.1", 1, 0, 0, 0},
    {true, {[BOX] = "d", [OUT] = "t"}, "451 4.4.1", 1, 0, 0, 0},
    {true, {[BOX] = "Hd", [OUT] = "t"}, "", 2, 1, 1, 0},
    {true, {[BOX] = "t", [OUT] = "r"}, "", 2, 1, 0, 1},
    {true, {[BOX] = "t", [OUT] = "a"}, "", 2, 1, 1, 0},
    {false, {[BOX] = "ta"}, "", 1, 0, 1, 0},
    {false, {[BOX] = "rn"}, "550 5.1.1", 1, 0, 0, 0},
    {false, {[BOX] = "ad"}, "450 4.2.1", 1, 0, 0, 0},
    {false, {[BOX] = "l"}, "451 4.4.2", 1, 0, 0, 0},
    {false, {[BOX] = "t"}, "", 1, 0, 0, 0},
    {false, {[BOX] = "n"}, "451 4.3.0", 1, 0, 0, 0},
    {false, {[WEB] = "t", [RUN] = "t", [BOX] = "t"}, "", 3, 0, 0, 0},
    {false, {[WEB] = "Hd", [RUN] = "Hl", [OUT] = "Ha"}, "", 3, 0, 3, 0},
    {true, {[WEB] = "Hd", [RUN] = "Ha", [OUT] = "r"}, "550 5.1.1", 3, 0, 0, 0},
    {false, {[WEB] = "t", [RUN] = "rr", [OUT] = "l"}, "", 3, 0, 1, 2},
    {false, {[WEB] = "tr"}, "", 1, 0, 0, 1},
    {true, {NULL}, "", 0, 1, 0, 0},
};

/* Bodies in memory, and in files. */
static void
what_is_where(void **state)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]) * 2; i++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(routes_setup(state), 0);
		try_row(&rows[i / 2], i % 2 ? FILED : BODY);
	}
}

/* Behind a look, each of them, once. */
static void
all_are_tried_now_by_hand(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		if (i == 1)
			scratch_touch("spool/held/" HELD_NOW);
		held_look(rig.deliver->held);
		rig_pass(0);
		for (unsigned k = 0; k < ROUTES; k++)
			assert_int_equal(routes[k].again, i && k);
	}
}

/* Half of what may be held is for one route at most: then it is as if it had
 * no hold, but what another has taken is kept all the same. */
static void
what_is_held_of_one(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		routes_rcpt(BOX, "a@b");
		post_submit(NULL, FILED);
		rig_pass(0);
		routes_answer(BOX, "d");
		rig_pass(0); /* it is there */
		held_look(rig.deliver->held);
		rig_pass(0);
		assert_string_equal(post.reply, i < 2 ? "" : "451 4.4.1");
	}
	assert_int_equal(routes_files("spool/held/*[!y]"), 2);
	routes_rcpt(WEB, "a@w");
	post_submit(NULL, BODY);
	routes_answer(WEB, "d");
	routes_answer(BOX, "d");
	rig_pass(0);
	assert_string_equal(post.reply, "451 4.4.1");
	post_submit(NULL, BODY);
	routes_answer(WEB, "t");
	routes_answer(BOX, "d");
	rig_pass(0);
	assert_string_equal(post.reply, "");
	assert_int_equal(routes_files("spool/held/*[!y]"), 3);
	routes_settle();
}

/* --- what is said of it --- */

static void
what_is_logged(void **state)
{
	static const struct row all = {true,
	    {[WEB] = "tl", [RUN] = "r", [BOX] = "Hd", [OUT] = "t"}, "", 4, 1, 2,
	    1};
	const char *who = "message=" POST_ID ".1 from=s@example.com rcpt=";
	char part[256];

	(void)state;
	try_row(&all, BODY);
	snprintf(part, sizeof(part), "%st0@x route=web ms=0 size=", who);
	assert_int_equal(logged("delivered", part), 1);
	snprintf(part, sizeof(part), "%su@example.org mailbox=example.org/u ",
	    who);
	assert_int_equal(logged("delivered", part), 1);
	assert_int_equal(logged("delivered", "="), 3);
	snprintf(part, sizeof(part),
	    "%sl1@x route=web reply=451 4.4.2 Silent\n", who);
	assert_int_equal(logged("unanswered", part), 1);
	assert_int_equal(logged("held", part), 1);
	snprintf(part, sizeof(part),
	    "%sr0@x route=run reply=550 5.1.1 Nobody\n", who);
	assert_int_equal(logged("refused-late", part), 1);
	snprintf(part, sizeof(part), "%sd0@x route=box reply=451 4.4.1 Away\n",
	    who);
	assert_int_equal(logged("held", part), 1);
	assert_int_equal(logged("duplicate-likely", "="), 0);
	assert_int_equal(logged("remote-refused", "="), 0);
	assert_int_equal(logged("remote-deferred", "="), 0);
	assert_int_equal(counted(SHARED_LMTP), 2);
	assert_int_equal(counted(SHARED_LMTP_HELD), 2);
	assert_int_equal(counted(SHARED_LMTP_LATE), 1);
	assert_int_equal(counted(SHARED_LMTP_LOST), 1);
	assert_int_equal(counted(SHARED_MAILDIR), 1);
	assert_int_equal(counted(SHARED_FAILED), 1);
}

static void
what_is_logged_of_a_no(void **state)
{
	static const struct row all = {true, {[WEB] = "Hd", [RUN] = "ar"},
	    "450 4.2.1", 2, 0, 0, 0};

	(void)state;
	post.env.sender = (struct smtp_path){.local = "", .domain = ""};
	try_row(&all, BODY);
	assert_int_equal(logged("remote-deferred",
			     "from=<> rcpt=d0@x route=web reply=451 4.4.1 "
			     "Away\n"),
	    1);
	assert_int_equal(logged("remote-deferred", "rcpt=a0@x route=run"), 1);
	assert_int_equal(logged("remote-refused", "rcpt=r1@x route=run"), 1);
	assert_int_equal(logged("undelivered", "="), 0);
	assert_int_equal(logged("held", "="), 0);
	assert_int_equal(counted(SHARED_LMTP_HELD), 0);
}

/* Its lines say why, and its name how large it is. */
static void
what_failed_looks_like(void **state)
{
	static const struct row late = {false, {[WEB] = "t", [OUT] = "r"}, "",
	    2, 0, 0, 1};
	static const char top[] = "Return-Path: <s@example.com>\n"
				  "X-Smtpd-Failed: r0@x: 550 5.1.1 Nobody\n"
				  "Delivered-To: r0@x\nReceived: ";
	const char *sizes[] = {NULL, NULL};

	for (unsigned i = 0; i < 2; i++) {
		struct buf file;
		char size[32];

		assert_int_equal(finish(state), 0);
		assert_int_equal(routes_setup(state), 0);
		try_row(&late, i ? FILED : BODY);
		sizes[i] = scratch_only("failed/new");
		file = scratch_read(sizes[i]);
		assert_memory_equal(file.data, top, sizeof(top) - 1);
		snprintf(size, sizeof(size), ",S=%zu", file.len);
		assert_non_null(strstr(sizes[i], size));
		buf_free(&file);
	}
}

/* --- the order, and the parcels --- */

static void
who_is_asked_when(void **state)
{
	(void)state;
	routes_rcpt(OUT, "a@o");
	routes_rcpt(BOX, "a@b");
	routes_local();
	routes_rcpt(OUT, "b@o");
	routes_rcpt(BOX, "b@b");
	routes_rcpt(OUT, "c@o");
	routes_rcpt(WEB, "a@w");
	post_submit(NULL, BODY);
	assert_int_equal(rig.deliver->unplaced.files, 1); /* the local one */
	assert_string_equal(routes[WEB].to, "a@w ");
	assert_true(routes[WEB].parcel->whole);
	assert_string_equal(routes[WEB].parcel->m->id, POST_ID ".1");
	routes_answer(WEB, "t");
	assert_string_equal(routes[BOX].to, "a@b b@b ");
	assert_false(routes[BOX].parcel->whole);
	routes_answer(BOX, "tt");
	assert_string_equal(routes[OUT].to, "a@o b@o ");
	assert_int_equal(post.replies, 0);
	assert_int_equal(routes_mail(), 0);
	routes_answer(OUT, "tt");
	assert_string_equal(routes[OUT].to, "a@o b@o c@o ");
	assert_int_equal(post.replies, 0);
	routes_answer(OUT, "t");
	rig_pass(0);
	assert_int_equal(post.replies, 1);
	routes_settle();
	assert_int_equal(routes_mail(), 1);
}

/* Of one kind, or of two that are asked at a time: as they are configured. */
static void
who_of_equals_is_asked(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUTES; i++)
		routes[i].kind.order = 1;
	for (unsigned i = 0; i < ROUTES; i++)
		routes_rcpt(i, "a@x");
	post_submit(NULL, BODY);
	for (unsigned i = ROUTES; i--;)
		routes_answer(i, "t");
	rig_pass(0);
	assert_int_equal(post.replies, 1);
	routes_settle();
}

/* As long as nobody has it, kept or not. */
static void
who_gets_all_or_nothing(void **state)
{
	(void)state;
	routes_rcpt(BOX, "a@b");
	routes_rcpt(OUT, "a@o");
	post_submit(NULL, BODY);
	routes_answer(BOX, "d");
	assert_true(routes[OUT].parcel->whole);
	routes_answer(OUT, "r");
	rig_pass(0);
	assert_string_equal(post.reply, "550 5.1.1");
	routes_settle();
}

/* --- time --- */

static void
how_long_each_has(void **state)
{
	int64_t now = clock_now();

	(void)state;
	routes[BOX].route.timeout = 60000;
	routes_rcpt(WEB, "a@w");
	routes_rcpt(BOX, "a@b");
	routes_rcpt(OUT, "a@o");
	post_submit(NULL, BODY);
	assert_int_equal(routes[WEB].parcel->deadline, now + 100000);
	assert_int_equal(routes[WEB].parcel->dot_by, now + 70000);
	rig_pass(5000);
	routes_answer(WEB, "t");
	assert_int_equal(routes[BOX].parcel->deadline, now + 65000);
	assert_int_equal(routes[BOX].parcel->dot_by, now + 65000);
	rig_pass(64999);
	routes_answer(BOX, "t");
	assert_int_equal(routes[OUT].parcel->deadline, now + 110000);
	assert_int_equal(routes[OUT].parcel->dot_by, now + 70000);
	routes_answer(OUT, "t");
	rig_pass(0);
	assert_int_equal(post.replies, 1);
	routes_settle();
}

static void
who_comes_too_late(void **state)
{
	static const char said[] = "451 4.4.1 No time was left";
	struct buf file;
	const char *at;

	(void)state;
	routes_rcpt(BOX, "a@b");
	routes_rcpt(OUT, "a@o");
	post_submit(NULL, BODY);
	rig_pass(70000);
	routes_answer(BOX, "t");
	rig_pass(0);
	assert_int_equal(routes[OUT].asked, 0);
	assert_int_equal(post.replies, 1); /* somebody has it: it is kept */
	routes_settle();
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_int_equal(logged("held", "reply=451 4.4.1 No time was left"), 1);
	/* its file says so, in the record and behind it */
	file = scratch_read(scratch_only("spool/held"));
	at = memmem(file.data, file.len, said, strlen(said));
	assert_non_null(at);
	assert_non_null(memmem(at + 1, file.len - (size_t)(at + 1 - file.data),
	    said, strlen(said)));
	buf_free(&file);
}

/* It waits for memory first, and then for its file. */
static void
who_was_parked_too_long(void **state)
{
	for (unsigned hold = 0; hold < 2; hold++) {
		assert_int_equal(finish(state), 0);
		assert_int_equal(routes_start(hold), 0);
		routes_local();
		routes_rcpt(BOX, "a@b");
		rig.deliver->backlog += BACKLOG_MAX;
		post_submit(NULL, BODY);
		assert_int_equal(routes_count(DELIVERY_PARKED), 1);
		rig_pass(69999);
		delivery_refuse_parked(rig.deliver, false);
		assert_int_equal(routes_count(DELIVERY_PARKED), 1);
		rig_pass(1);
		delivery_refuse_parked(rig.deliver, false);
		rig_pass(0);
		assert_int_equal(routes[BOX].asked, 0);
		assert_string_equal(post.reply, hold ? "" : "451 4.4.1");
		rig.deliver->backlog -= BACKLOG_MAX;
		routes_settle();
		assert_int_equal(routes_mail(), hold);
		assert_int_equal(scratch_count("spool/held"), hold);
	}
}

/* Mail for others alone takes no room that mailboxes wait for; and whoever
 * waited for that is asked when there is some. */
static void
who_is_not_parked(void **state)
{
	(void)state;
	rig.deliver->backlog += BACKLOG_MAX;
	routes_rcpt(BOX, "a@b");
	post_submit(NULL, BODY);
	assert_int_equal(routes_count(DELIVERY_ASKING), 1);
	routes_answer(BOX, "t");
	assert_int_equal(post.replies, 1);
	routes_local();
	post_submit(NULL, BODY);
	assert_int_equal(routes_count(DELIVERY_PARKED), 1);
	routes_rcpt(OUT, "a@o");
	rig.deliver->backlog -= BACKLOG_MAX;
	deliver_wind_up(rig.deliver); /* refuses what is all there is */
	rig_pass(0);
	assert_int_equal(post.refusals, 1);
	routes_settle();
}

#define T(f)  cmocka_unit_test_setup_teardown(f, routes_setup, finish)
#define TH(f) cmocka_unit_test_setup_teardown(f, routes_setup_hold, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_where),
	    TH(what_is_held_of_one),
	    TH(all_are_tried_now_by_hand),
	    T(what_is_logged),
	    T(what_is_logged_of_a_no),
	    T(what_failed_looks_like),
	    T(who_is_asked_when),
	    T(who_of_equals_is_asked),
	    TH(who_gets_all_or_nothing),
	    T(how_long_each_has),
	    T(who_comes_too_late),
	    T(who_was_parked_too_long),
	    T(who_is_not_parked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
