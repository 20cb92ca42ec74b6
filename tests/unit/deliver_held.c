/*
 * The loop's side of held mail: what is known at once and what a round brings
 * back, what is logged of it, when it is full.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/held.h"
#include "deliver/held_look.h"
#include "deliver/message_record.h"
#include "fake_clock.h"
#include "journal/record.h"
#include "letters.h"
#include "log_catch.h"
#include "scratch.h"

#define MINUTE (60 * 1000)
#define LIMIT  (1 << 20)

static struct loop loop;
static struct jobs *aside;
static struct held *held;
static struct shared_slot counts;
static struct held_options options;
static struct destination root;
static int spool;

static bool
is_busy(void)
{
	return jobs_pending(aside);
}

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	log_forget();
	clock_stop(&loop, is_busy);
	scratch_mkdir("mail");
	scratch_mkdir("spool");
	spool = open("spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root = (struct destination){.text = strdup(scratch_path("mail"))};
	options = (struct held_options){.limit = LIMIT,
	    .expire = 10 * MINUTE,
	    .failed = strdup(scratch_path("failed")),
	    .counts = &counts};
	counts = (struct shared_slot){shared_new(), 1};
	scratch_mkdir("failed");
	if (loop_init(&loop) < 0)
		return -1;
	aside = jobs_new(&loop, 2);
	held = held_new(&options, spool, aside);
	return !held;
}

static int
finish(void **state)
{
	jobs_free(&aside);
	held_free(&held);
	loop_free(&loop);
	clock_go();
	close(spool);
	free((char *)(uintptr_t)root.text);
	free((char *)(uintptr_t)options.failed);
	return scratch_teardown(state);
}

static void
on_held(void *ctx, int error)
{
	*(int *)ctx = error;
}

/* What held_hold() says of it: as many mailboxes, all with this error. */
static int
hold(unsigned number, unsigned copies, size_t size, int error)
{
	struct message m;
	int result = -1;

	letter_init(&m, &root, number, copies, size);
	for (unsigned i = 0; i < copies; i++)
		m.copies[i].error = error;
	held_hold(held, &m, on_held, &result);
	clock_pass(0);
	if (!result)
		held_note(held, &m);
	letter_free(&m);
	return result;
}

static void
go_round(void)
{
	clock_pass(MINUTE);
	held_tick(held);
	held_tick(held); /* one at a time */
	clock_pass(0);
}

static int
why(const char *path)
{
	int error = -1;

	return held_has(held, root.text, path, &error) ? error : -1;
}

static void
a_mailbox_is_shut_until_it_took_its_mail(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	assert_false(held_any(held));
	assert_int_equal(hold(0, 1, 100, EDQUOT), 0);
	assert_true(held_any(held));
	assert_int_equal(why("u0"), EDQUOT);
	assert_int_equal(why("u1"), -1);
	held_tick(held);
	assert_int_equal(why("u0"), EDQUOT); /* while the round is under way */
	clock_pass(0);
	go_round();
	go_round();
	assert_int_equal(shared_largest(counts.shared, SHARED_HELD), 1);
	assert_true(shared_largest(counts.shared, SHARED_HELD_BYTES) > 100);
	assert_int_equal(why("u0"), ENOTDIR);
	assert_int_equal(logged("delivered", ""), 0);
	unlink("mail/u0");
	go_round();
	assert_int_equal(why("u0"), -1);
	assert_false(held_any(held));
	assert_int_equal(shared_largest(counts.shared, SHARED_HELD), 0);
	assert_int_equal(shared_largest(counts.shared, SHARED_HELD_BYTES), 0);
	assert_int_equal(shared_total(counts.shared, SHARED_MAILDIR), 1);
	assert_int_equal(logged("delivered",
			     " message=0123456789ABCDEF.0 "
			     "rcpt=u0@example.org mailbox=u0\n"),
	    1);
}

static void
what_nobody_takes_has_failed(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	assert_int_equal(hold(0, 1, 100, EDQUOT), 0);
	for (int i = 0; i < 20; i++)
		go_round();
	assert_int_equal(logged("failed", "rcpt=u0@example.org mailbox=u0 "
					  "error=Not a directory\n"),
	    1);
	assert_int_equal(scratch_count("failed/new"), 1);
	assert_int_equal(shared_total(counts.shared, SHARED_FAILED), 1);
	assert_int_equal(shared_total(counts.shared, SHARED_MAILDIR), 0);
	assert_false(held_any(held));
}

/* Each once, and the round is none that failed. */
static void
each_file_that_is_no_mail_is_named(void **state)
{
	struct record_header h = {.version = MESSAGE_RECORD_VERSION + 1};
	char head[HEADER_LEN], page[2 * RECORD_PAGE + 4096] = {0};
	struct crc32c crc;
	int fd = open("spool/held/newer", O_WRONLY | O_CREAT, 0600);

	(void)state;
	crc32c_init(&crc);
	record_header_encode(&crc, &h, head);
	memcpy(page, head, HEADER_LEN);
	memcpy(page + RECORD_PAGE, head, HEADER_LEN);
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	close(fd);
	scratch_touch("spool/held/empty");
	scratch_mkdir("spool/held/folder");
	for (int i = 0; i < 3; i++)
		go_round();
	assert_int_equal(logged("held-version", "held=newer help="), 1);
	assert_int_equal(logged("held-unreadable", "message=empty error="), 1);
	assert_int_equal(logged("set-aside", "held=folder help="), 1);
	assert_int_equal(logged("held-failed", ""), 0);
	assert_int_equal(scratch_count("spool/held"), 2);
	assert_true(scratch_exists("spool/damaged/folder"));
}

static const char *
box(const char *top, unsigned i)
{
	static char path[16];

	snprintf(path, sizeof(path), "%s/u%u", top, i);
	return path;
}

/* FAULT A4: told once, and of what. */
static void
it_is_full_and_has_room_again(void **state)
{
	struct destination mail = root;
	struct held_options small = options;

	(void)state;
	jobs_free(&aside);
	held_free(&held);
	small.limit = 100000;
	aside = jobs_new(&loop, 2);
	held = held_new(&small, spool, aside);
	scratch_mkdir("more");
	for (unsigned i = 0; i < 8; i++) {
		scratch_touch(box("mail", i));
		scratch_touch(box("more", i));
	}
	assert_int_equal(hold(0, 8, 100000, EACCES), 0);
	go_round();
	assert_false(held_full(held));
	root.text = strdup(scratch_path("more"));
	assert_int_equal(hold(1, 8, 100000, EACCES), 0);
	go_round();
	go_round();
	assert_true(held_full(held));
	assert_int_equal(logged("held-full", "limit=100000 routes=0 root=/"),
	    1);
	assert_int_equal(logged("held-full", "mailboxes=8 help="), 1);
	for (unsigned i = 0; i < 8; i++)
		unlink(box("more", i));
	go_round();
	assert_false(held_full(held));
	free((char *)(uintptr_t)root.text);
	root = mail;
}

/* --- what waits for routes --- */

static unsigned looks, agains;

static void
on_look(void *ctx, bool again)
{
	assert_ptr_equal(ctx, &looks);
	looks++;
	agains += again;
}

static void
hold_for(const char *route, unsigned number, size_t size)
{
	const struct destination to = {.text = route};
	struct message m;
	int result = -1;

	letter_init(&m, &root, number, 1, size);
	m.copies[0].dest = &to;
	m.copies[0].path = NULL;
	m.copies[0].to = "x@example.net";
	m.copies[0].error = EAGAIN;
	held_hold(held, &m, on_held, &result);
	clock_pass(0);
	assert_int_equal(result, 0);
	held_note(held, &m);
	letter_free(&m);
}

/* It shuts no mailbox, and whoever sends it is told behind each look. */
static void
what_waits_for_a_route_is_told(void **state)
{
	(void)state;
	looks = agains = 0;
	held_on_look(held, on_look, &looks);
	assert_null(held_routes(held));
	hold_for("route:a", 0, 100);
	assert_false(held_any(held));
	go_round();
	assert_int_equal(looks, 1);
	assert_non_null(held_routes(held));
	assert_int_equal(held_route_find(held_routes(held), "route:a")->n, 1);
	assert_int_equal(shared_largest(counts.shared, SHARED_HELD), 1);
	assert_false(held_any(held));
	hold_for("route:a", 1, 100);
	held_look(held);
	held_look(held); /* behind the one that may have begun too early */
	held_tick(held);
	clock_pass(0);
	assert_int_equal(looks, 3);
	assert_int_equal(agains, 0);
	scratch_touch("spool/held/" HELD_NOW);
	assert_int_equal(held_route_find(held_routes(held), "route:a")->n, 2);
	go_round();
	assert_int_equal(agains, 1);
}

/* FAULT A4: one route, at its half, keeps no mail from all others. */
static void
a_route_is_full_before_the_others(void **state)
{
	struct held_options small = options;

	(void)state;
	jobs_free(&aside);
	held_free(&held);
	small.limit = 100000;
	aside = jobs_new(&loop, 2);
	held = held_new(&small, spool, aside);
	hold_for("route:a", 0, 20000);
	go_round();
	assert_false(held_route_full(held, "route:a"));
	hold_for("route:a", 1, 90000);
	go_round();
	assert_true(held_route_full(held, "route:a"));
	assert_false(held_route_full(held, "route:b"));
	assert_false(held_full(held));
	hold_for("route:b", 2, 90000);
	go_round();
	go_round();
	assert_true(held_full(held));
	assert_int_equal(logged("held-full", "limit=100000 routes=100000"), 1);
}

static void
why_it_cannot_be_held(void **state)
{
	struct rlimit was, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(hold(0, 1, 100, EDQUOT), EMFILE);
	assert_false(held_any(held));
	go_round();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(logged("held-failed", "Too many open files\n"), 1);
	assert_int_equal(hold(0, 1, 100, EDQUOT), 0);
}

static void
without_its_folders_there_is_none(void **state)
{
	struct held *other;

	(void)state;
	assert_int_equal(rename("spool/damaged", "damaged"), 0);
	scratch_touch("spool/damaged");
	other = held_new(&options, spool, aside);
	assert_null(other);
	assert_int_equal(errno, ENOTDIR);
	/* the first of two that it cannot have, not the last */
	assert_int_equal(unlink("spool/damaged"), 0);
	assert_int_equal(rename("spool/held", "held"), 0);
	scratch_touch("spool/held");
	other = held_new(&options, spool, aside);
	assert_null(other);
	assert_int_equal(errno, ENOTDIR);
}

static void
what_a_client_hears(void **state)
{
	(void)state;
	assert_string_equal(held_reply(EDQUOT)->text, "Mailbox full");
	assert_string_equal(held_reply(ENOSPC)->text, "Mailbox full");
	assert_int_equal(held_reply(EACCES)->code, 450);
	assert_int_equal(held_reply(0)->code, 450);
}

#define HELD(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    HELD(a_mailbox_is_shut_until_it_took_its_mail),
	    HELD(what_nobody_takes_has_failed),
	    HELD(each_file_that_is_no_mail_is_named),
	    HELD(it_is_full_and_has_room_again),
	    HELD(what_waits_for_a_route_is_told),
	    HELD(a_route_is_full_before_the_others),
	    HELD(why_it_cannot_be_held),
	    HELD(without_its_folders_there_is_none),
	    cmocka_unit_test(what_a_client_hears),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	log_forget();
	return failed;
}
