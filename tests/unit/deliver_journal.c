/*
 * The journal by itself: commits, checkpoints, and what a sync that failed
 * once has touched. Mailboxes are filled by hand, at the wrong moment.
 */
#include <errno.h>
#include <fcntl.h>
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
#include "dest/place.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "letters.h"
#include "scratch.h"

/* --- system calls that fail: these stand before libc's --- */

static atomic_int syncfs_fails, fdatasync_fails;
static atomic_uint syncs;

int
syncfs(int fd)
{
	syncs++;
	if (syncfs_fails > 0 && syncfs_fails--) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_syncfs, fd);
}

int
fdatasync(int fd)
{
	if (fdatasync_fails > 0 && fdatasync_fails--) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* --- a worker in small --- */

static struct loop loop;
static struct jobs *aside;
static struct journal *journal;
static struct journal_options options;
static struct maildir_root *root;
static struct mail_domain *org;
static int spool;
static unsigned answers, broken, looks;
static int last_error;

static void
on_broken(void *ctx)
{
	(void)ctx;
	broken++;
}

static void
on_tick(void *ctx)
{
	(void)ctx;
}

/* As the owner does. */
static void
on_look(void *ctx)
{
	(void)ctx;
	looks++;
	if (maildir_root_changed(root)) {
		(void)maildir_root_renew(root);
		journal_doubt(journal);
	}
}

static int
start(void **state)
{
	struct recipients_options o = {.fold = true, .targets = 1000};

	if (scratch_setup(state))
		return -1;
	syncfs_fails = fdatasync_fails = 0;
	syncs = answers = broken = looks = 0;
	scratch_mkdir("spool");
	spool = open(scratch_path("spool"), O_RDONLY | O_DIRECTORY);
	options =
	    (struct journal_options){.spool = strdup(scratch_path("spool")),
		.segment = 1 << 20,
		.checkpoint = 3600 * 1000,
		.recipients = recipients_new(&o),
		.broken = on_broken,
		.look = on_look,
		.tick = on_tick};
	assert_null(recipients_add_domain(options.recipients, "example.org",
	    scratch_path("mail/%u"), &org));
	root = recipients_root(options.recipients, 0);
	scratch_mkdirs(root->path);
	assert_int_equal(maildir_root_open(root), 0);
	assert_int_equal(loop_init(&loop), 0);
	aside = jobs_new(&loop, 4);
	journal = journal_new(&options, spool, &loop, aside);
	return aside && journal ? 0 : -1;
}

static int
finish(void **state)
{
	jobs_free(&aside);
	journal_free(&journal);
	loop_free(&loop);
	recipients_free(&options.recipients);
	free((char *)(uintptr_t)options.spool);
	close(spool);
	return scratch_teardown(state);
}

static void
stop(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

static void
turn(void)
{
	struct loop_event *t = loop_timer(&loop, stop, NULL);

	loop_timer_set(t, 2);
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
	loop_event_free(&t);
}

static void
on_done(struct journal_entry *e, int error)
{
	(void)e;
	last_error = error;
	answers++;
}

struct letter {
	struct message m;
	struct journal_entry e;
};

static void
commit(struct letter *l, unsigned n)
{
	unsigned before = answers;

	memset(l, 0, sizeof(*l));
	letter_init(&l->m, root, n, 1, 3000);
	record_encode(&l->e.record, &l->m, NULL);
	l->e.body = l->m.body.tail;
	l->e.done = on_done;
	journal_commit(journal, &l->e);
	for (int i = 0; i < 5000 && answers == before; i++)
		turn();
	assert_int_equal(answers, before + 1);
	buf_free(&l->e.record);
}

static void
place(struct letter *l)
{
	struct place_boxes *b = place_boxes_new();

	place_message(b, &l->m, PLACE_NEW);
	assert_int_equal(l->m.copies[0].error, 0);
	place_boxes_free(&b);
}

/* As when the kernel could not write its pages and let them go. */
static void
lose_octets(const struct letter *l)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/u0/new/%s", root->path,
	    l->m.copies[0].name);
	assert_int_equal(truncate(path, 0), 0);
}

static void
settle(void)
{
	for (int i = 0; i < 5000 && !journal_settled(journal); i++)
		turn();
	assert_true(journal_settled(journal));
}

static void
finished_records_are_passed(void **state)
{
	struct letter a, b;

	(void)state;
	commit(&a, 0);
	commit(&b, 1);
	place(&a);
	place(&b);
	settle();
	assert_int_equal(syncs, 0); /* nothing is finished */
	assert_true(journal_size(journal) > 6000);
	journal_finish(journal, &b.e);
	settle();
	assert_true(journal_size(journal) > 6000); /* not before the first */
	journal_finish(journal, &a.e);
	settle();
	assert_int_equal(journal_size(journal), 0);
	if (root->sync >= 0)
		assert_true(syncs > 0);
	letter_free(&a.m);
	letter_free(&b.m);
}

/* The sync succeeds the second time, and proves nothing by it. */
static void
what_a_failed_sync_has_touched(void **state)
{
	struct letter a, b, c;

	(void)state;
	if (root->sync < 0) {
		print_message("skip: syncfs is not trusted here\n");
		skip();
	}
	commit(&a, 0);
	commit(&b, 1);
	place(&a);
	place(&b); /* while it runs, as it were: finished after it */
	lose_octets(&a);
	lose_octets(&b);
	journal_finish(journal, &a.e);
	syncfs_fails = 1;
	settle();
	assert_int_equal(syncfs_fails, 0);
	assert_int_equal(letter_count(root, &a.m), 1);
	journal_finish(journal, &b.e);
	settle();
	assert_int_equal(letter_count(root, &b.m), 1);
	/* what comes later is not in doubt, and not written twice */
	commit(&c, 2);
	place(&c);
	journal_finish(journal, &c.e);
	settle();
	assert_int_equal(letter_count(root, &c.m), 1);
	assert_int_equal(journal_size(journal), 0);
	letter_free(&a.m);
	letter_free(&b.m);
	letter_free(&c.m);
}

/* A client that was told no gets no mail by a rewrite. */
static void
dropped_is_not_rewritten(void **state)
{
	struct letter a, b;

	(void)state;
	commit(&a, 0);
	commit(&b, 1);
	journal_drop(journal, &a.e);
	place(&b);
	lose_octets(&b);
	journal_finish(journal, &b.e);
	syncfs_fails = 1;
	settle();
	if (root->sync >= 0) {
		assert_int_equal(letter_count(root, &a.m), 0);
		assert_int_equal(letter_count(root, &b.m), 1);
	}
	letter_free(&a.m);
	letter_free(&b.m);
}

/* FAULT B7: placed, and then the root was moved away with it: it is placed
 * again, whether the checkpoint saw it first or somebody else. */
static void
a_root_is_replaced(void **state)
{
	struct letter a, b, c;

	(void)state;
	commit(&a, 0);
	place(&a);
	journal_finish(journal, &a.e);
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	settle();
	assert_int_equal(looks, 1);
	assert_int_equal(letter_count(root, &a.m), 1);
	commit(&b, 1);
	place(&b);
	journal_finish(journal, &b.e);
	assert_int_equal(rename("mail", "older"), 0);
	scratch_mkdir("mail");
	on_look(NULL);
	settle();
	assert_int_equal(looks, 2);
	assert_int_equal(letter_count(root, &b.m), 1);
	/* what comes later goes there by itself, and is written once */
	commit(&c, 2);
	place(&c);
	journal_finish(journal, &c.e);
	settle();
	assert_int_equal(letter_count(root, &c.m), 1);
	assert_int_equal(journal_size(journal), 0);
	assert_int_equal(looks, 2);
	letter_free(&a.m);
	letter_free(&b.m);
	letter_free(&c.m);
}

/* FAULT B7: what was placed in a root that is gone by now is held. */
static void
a_root_is_gone(void **state)
{
	struct letter a;

	(void)state;
	commit(&a, 0);
	place(&a);
	journal_finish(journal, &a.e);
	assert_int_equal(rename("mail", "old"), 0);
	settle();
	assert_int_equal(looks, 1);
	assert_true(root->gone);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_int_equal(journal_size(journal), 0);
	letter_free(&a.m);
}

/* FAULT B7: nothing is committed to a spool that nobody would find; and no
 * file is given up for it. */
static void
a_spool_is_replaced(void **state)
{
	struct letter a, b, c;

	(void)state;
	commit(&a, 0);
	assert_int_equal(rename("spool", "old"), 0);
	commit(&b, 1);
	assert_int_equal(last_error, ESTALE);
	assert_int_equal(looks, 1);
	scratch_mkdir("spool");
	letter_free(&b.m);
	commit(&b, 1);
	assert_int_equal(last_error, ESTALE);
	assert_int_equal(rmdir("spool"), 0);
	assert_int_equal(rename("old", "spool"), 0);
	commit(&c, 2);
	assert_int_equal(last_error, 0);
	assert_int_equal(broken, 0);
	assert_false(journal_entry_at_risk(&a.e));
	place(&a);
	place(&c);
	journal_finish(journal, &a.e);
	journal_finish(journal, &c.e);
	settle();
	assert_int_equal(journal_size(journal), 0);
	letter_free(&a.m);
	letter_free(&b.m);
	letter_free(&c.m);
}

static void
one_failure_costs_one_batch(void **state)
{
	struct letter a, b, c;

	(void)state;
	commit(&a, 0);
	assert_int_equal(last_error, 0);
	fdatasync_fails = 1;
	commit(&b, 1);
	assert_int_equal(last_error, EIO);
	assert_true(journal_entry_at_risk(&a.e));
	commit(&c, 2);
	assert_int_equal(last_error, 0);
	assert_int_equal(broken, 0);
	place(&a);
	place(&c);
	journal_finish(journal, &a.e);
	journal_finish(journal, &c.e);
	settle();
	assert_int_equal(scratch_count("spool/damaged"), 1);
	letter_free(&a.m);
	letter_free(&b.m);
	letter_free(&c.m);
}

static void
two_in_a_row_are_the_end(void **state)
{
	struct letter a, b, c;

	(void)state;
	commit(&a, 0);
	fdatasync_fails = 1;
	commit(&b, 1);
	assert_int_equal(last_error, EIO);
	fdatasync_fails = 2; /* the next file's header, or its commit */
	commit(&c, 2);
	assert_int_equal(last_error, EIO);
	assert_int_equal(broken, 1);
	letter_free(&a.m);
	letter_free(&b.m);
	letter_free(&c.m);
}

/* FAULT F7: and what went well in between makes them two first ones. */
static void
failures_now_and_then(void **state)
{
	struct letter l[9];

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		fdatasync_fails = i % 2;
		commit(&l[i], i);
		assert_int_equal(last_error, i % 2 ? EIO : 0);
	}
	assert_int_equal(broken, 0);
	for (unsigned i = 0; i < 9; i++)
		letter_free(&l[i].m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(finished_records_are_passed),
	    T(what_a_failed_sync_has_touched),
	    T(dropped_is_not_rewritten),
	    T(a_root_is_replaced),
	    T(a_root_is_gone),
	    T(a_spool_is_replaced),
	    T(one_failure_costs_one_batch),
	    T(two_in_a_row_are_the_end),
	    T(failures_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
