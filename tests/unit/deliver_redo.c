/*
 * Records redone in real mailboxes: what is there by now, what a sync that
 * failed has touched, roots that come and go. Under a real jrig.journal, whose
 * mailboxes are filled by hand, at the wrong moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/message_record.h"
#include "deliver/redo.h"
#include "deliver/roots.h"
#include "dest/place.h"
#include "jrig.h"
#include "letters.h"
#include "rcpt/recipients.h"
#include "scratch.h"

/* --- a system call that fails: these stand before libc's --- */

/* Whatever the file system is that the tests are on, its syncfs is trusted. */
int
fstatfs(int fd, struct statfs *fs)
{
	int r = (int)syscall(SYS_fstatfs, fd, fs);

	fs->f_type = EXT4_SUPER_MAGIC;
	return r;
}

static atomic_int syncfs_fails;
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

/* --- records --- */

static struct crc32c crc;
static struct redo *redo;
static struct journal_owner owner;
static struct destination *root;
static struct mail_domain *org;
static struct recipients *recipients;
static int spool, held, dir;

static int
start(void **state)
{
	struct recipients_options o = {.fold = true, .targets = 1000};

	if (scratch_setup(state))
		return -1;
	syncfs_fails = 0;
	syncs = 0;
	crc32c_init(&crc);
	scratch_mkdirs("spool/held");
	scratch_mkdirs("spool/j");
	spool = open("spool", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	held = open("spool/held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = open("spool/j", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	recipients = recipients_new(&o);
	assert_null(recipients_add_domain(recipients, "example.org",
	    scratch_maildir("mail/%u"), &org));
	root = recipients_place(recipients, 0);
	scratch_mkdirs(root->text);
	assert_int_equal(maildir_root_open(&root->root), 0);
	redo = redo_new(held, 0);
	owner = redo_owner(redo);
	return 0;
}

static int
finish(void **state)
{
	redo_free(&redo);
	recipients_free(&recipients);
	close(spool);
	close(held);
	close(dir);
	return scratch_teardown(state);
}

/* Its record, read back. file: of its body, or NULL. */
static int
redo_as(struct message *m, const char *file, enum redo_how how,
    struct redo_count *n)
{
	struct buf b = {0};
	struct record r;
	int result;

	message_record_encode(&b, m, file);
	record_seal(&crc, &b, m->body.tail, 1, 0);
	buf_append_span(&b, m->body.tail);
	assert_true(record_decode(&crc, buf_span(&b), 1, 0, &r));
	result = owner.redo(owner.ctx, owner.version, dir, &r, how, n);
	buf_free(&b);
	return result;
}

static struct redo_count
redone(struct message *m, enum redo_how how)
{
	struct redo_count n = {0};

	assert_int_equal(redo_as(m, NULL, how, &n), 0);
	assert_int_equal(owner.sync(owner.ctx), 0);
	return n;
}

static ino_t
inode_of(const struct message *m)
{
	struct stat st;
	char path[512];

	snprintf(path, sizeof(path), "%s/u0/new/%s", root->text,
	    m->copies[0].name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Whole or not, a file that is to be written anew is another one. */
static void
all_are_there_once(void **state)
{
	struct message m;
	ino_t was = 0;

	(void)state;
	letter_init(&m, root, 1, 3, 5000);
	for (int i = 0; i < 4; i++) {
		struct redo_count n =
		    redone(&m, i > 1 ? REDO_REWRITE : REDO_AGAIN);

		if (i)
			assert_int_equal(inode_of(&m) == was, i == 1);
		was = inode_of(&m);
		assert_int_equal(n.placed, 3);
		assert_int_equal(n.held + n.lost + n.damaged, 0);
		assert_int_equal(letter_count(root, &m), 3);
	}
	letter_free(&m);
}

/* It would be sent again each time: only in a held file it has its place. */
static void
a_copy_of_a_route_is_damage(void **state)
{
	static const struct destination route = {.text = "route:out"};
	struct redo_count n = {0};
	struct message m;

	(void)state;
	letter_init(&m, root, 1, 2, 100);
	m.copies[1].dest = &route;
	m.copies[1].path = NULL;
	m.copies[1].to = "u1@example.net";
	assert_int_equal(redo_as(&m, NULL, REDO_AGAIN, &n), 0);
	assert_int_equal(n.damaged, 1);
	assert_int_equal(n.placed + n.held + n.lost, 0);
	assert_int_equal(scratch_count("mail"), 0);
	letter_free(&m);
}

/* Its route did not want it, and others had it by then. */
static void
what_has_failed_says_why(void **state)
{
	struct message m;
	struct buf file;
	char name[512];

	(void)state;
	letter_init(&m, root, 1, 2, 100);
	message_copy_fail(&m, &m.copies[1], root, "552 5.2.2 full");
	assert_int_equal(redone(&m, REDO_AGAIN).placed, 2);
	assert_int_equal(letter_count(root, &m), 2);
	snprintf(name, sizeof(name), "%s/new/%s", root->text, m.copies[1].name);
	file = scratch_read(name);
	buf_append(&file, "", 1);
	assert_non_null(strstr(file.data,
	    "\nX-Smtpd-Failed: u1@example.org: 552 5.2.2 full\n"
	    "Delivered-To: u1@example.org\n"));
	buf_free(&file);
	letter_free(&m);
}

static void
spoil(struct message *m, const char *data, size_t n, const char *to)
{
	char from[512], path[512];
	const struct message_copy *c = &m->copies[0];
	int fd;

	snprintf(from, sizeof(from), "%s/%s/new/%s", root->text, c->path,
	    c->name);
	if (data) {
		fd = open(from, O_WRONLY | O_TRUNC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, data, n), (ssize_t)n);
		close(fd);
	}
	if (!to)
		return;
	snprintf(path, sizeof(path), "%s/%s/cur/%s%s", root->text, c->path,
	    c->name, to);
	assert_int_equal(rename(from, path), 0);
}

/* A name in the Maildir is not proof; a reader's flags are kept. */
static void
what_is_there_is_compared(void **state)
{
	struct message m[4];
	char path[512];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		letter_init(&m[i], root, i, 1 + i % 3, 100 + 900 * i);
		redone(&m[i], REDO_AGAIN);
	}
	spoil(&m[0], "", 0, NULL);
	spoil(&m[1], "short", 5, ":2,S");
	spoil(&m[2], NULL, 0, ":2,RS");
	spoil(&m[3], NULL, 0, "");
	for (unsigned i = 0; i < 4; i++) {
		redone(&m[i], REDO_AGAIN);
		assert_int_equal(letter_count(root, &m[i]), m[i].ncopies);
	}
	snprintf(path, sizeof(path), "%s/u0/cur/%s:2,S", root->text,
	    m[1].copies[0].name);
	assert_int_equal(access(path, F_OK), 0);
	for (unsigned i = 0; i < 4; i++)
		letter_free(&m[i]);
}

static void
a_leftover_in_tmp(void **state)
{
	struct message m;
	char path[512];
	int fd;

	(void)state;
	letter_init(&m, root, 0, 1, 100);
	redone(&m, REDO_AGAIN);
	snprintf(path, sizeof(path), "%s/u0/new/%s", root->text,
	    m.copies[0].name);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/u0/tmp/%s", root->text,
	    m.copies[0].name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	redone(&m, REDO_AGAIN);
	assert_int_equal(letter_count(root, &m), 1);
	assert_int_equal(access(path, F_OK), -1);
	letter_free(&m);
}

/* FAULT F1: what its mailbox does not take is held, and what is not even held
 * may be another time. */
static void
nobody_takes_it(void **state)
{
	struct redo_count n = {0};
	struct message m;

	(void)state;
	letter_init(&m, root, 0, 2, 100);
	scratch_touch("mail/u0");
	assert_int_equal(rmdir("spool/held"), 0);
	assert_int_equal(redo_as(&m, NULL, REDO_AGAIN, &n), -1);
	assert_int_equal(n.placed, 1);
	assert_int_equal(n.held, 0);
	assert_int_equal(n.lost, 1);
	close(held);
	scratch_mkdir("spool/held");
	assert_int_equal(open("spool/held", O_RDONLY | O_DIRECTORY), held);
	n = redone(&m, REDO_AGAIN);
	assert_int_equal(n.held, 1);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_int_equal(unlink("mail/u0"), 0);
	redone(&m, REDO_AGAIN);
	assert_int_equal(letter_count(root, &m), 2);
	letter_free(&m);
}

/* What a sync that failed has touched is held as such: it is still there, and
 * whoever tries it next must not take it for delivered. */
static void
a_doubt_is_held_with_it(void **state)
{
	char tmp[512];
	struct message m;

	(void)state;
	letter_init(&m, root, 0, 1, 100);
	redone(&m, REDO_AGAIN);
	snprintf(tmp, sizeof(tmp), "mail/u0/tmp/%s.%d", m.copies[0].name,
	    gettid());
	scratch_mkdir(tmp); /* so that nothing is written there */
	assert_int_equal(redone(&m, REDO_REWRITE).held, 1);
	assert_int_equal(scratch_mode(scratch_only("spool/held")), 0700);
	assert_int_equal(unlink(scratch_only("spool/held")), 0);
	spoil(&m, "", 0, NULL);
	assert_int_equal(redone(&m, REDO_AGAIN).held, 1);
	assert_int_equal(scratch_mode(scratch_only("spool/held")), 0600);
	letter_free(&m);
}

/* Of another kind, or cut short: nobody can tell what it says. */
static void
no_record_of_ours(void **state)
{
	struct redo_count n = {0};
	struct message m;
	struct buf b = {0};
	struct record r;

	(void)state;
	letter_init(&m, root, 0, 1, 100);
	message_record_encode(&b, &m, NULL);
	record_seal(&crc, &b, m.body.tail, 1, 0);
	buf_append_span(&b, m.body.tail);
	assert_true(record_decode(&crc, buf_span(&b), 1, 0, &r));
	r.type++;
	assert_int_equal(owner.redo(owner.ctx, owner.version, dir, &r,
			     REDO_AGAIN, &n),
	    0);
	assert_int_equal(n.damaged, 1);
	r.type--;
	while (r.envelope.len--)
		assert_int_equal(owner.redo(owner.ctx, owner.version, dir, &r,
				     REDO_AGAIN, &n),
		    0);
	assert_true(n.damaged > 100);
	assert_int_equal(n.placed + n.held + n.lost, 0);
	assert_int_equal(scratch_files("mail"), 0);
	buf_free(&b);
	letter_free(&m);
}

/* A body that is gone, or no file, will not come back; one that cannot be
 * opened now may. */
static void
bodies_of_their_own(void **state)
{
	struct redo_count n = {0};
	struct rlimit was, none;
	struct message m;
	int fd;

	(void)state;
	letter_init(&m, root, 0, 1, 0);
	m.body.filed = 5;
	m.copies[0].size += 5;
	assert_int_equal(redo_as(&m, "body", REDO_AGAIN, &n), 0);
	assert_int_equal(n.damaged, 1);
	assert_int_equal(mkfifoat(dir, "body", 0600), 0);
	assert_int_equal(redo_as(&m, "body", REDO_AGAIN, &n), 0);
	assert_int_equal(n.damaged, 2);
	assert_int_equal(unlinkat(dir, "body", 0), 0);
	fd = openat(dir, "body", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "body\n", 5), 5);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){0, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(redo_as(&m, "body", REDO_AGAIN, &n), -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(n.lost, 1);
	assert_int_equal(redo_as(&m, "body", REDO_AGAIN, &n), 0);
	assert_int_equal(n.placed, 1);
	assert_int_equal(n.damaged, 2);
	assert_int_equal(scratch_count("mail/u0/new"), 1);
	letter_free(&m);
}

/* Both the failure of a sync and a root that is not where it was are told
 * once; the next time that root is opened anew. */
static void
syncs_that_fail(void **state)
{
	struct redo_count n = {0};
	struct message m;

	(void)state;
	letter_init(&m, root, 0, 1, 100);
	assert_int_equal(redo_as(&m, NULL, REDO_AGAIN, &n), 0);
	syncfs_fails = 1;
	assert_int_equal(owner.sync(owner.ctx), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(redo_as(&m, NULL, REDO_AGAIN, &n), 0);
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	assert_int_equal(owner.sync(owner.ctx), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(letter_count(root, &m), 0);
	redone(&m, REDO_REWRITE);
	assert_int_equal(letter_count(root, &m), 1);
	letter_free(&m);
}

/* What its threads place in is synced, each file system once; and where a
 * sync says nothing, each file was. */
static void
each_file_system_once(void **state)
{
	struct mail_domain *net;
	struct destination *second;

	(void)state;
	scratch_mkdir("more");
	assert_null(recipients_add_domain(recipients, "example.net",
	    scratch_maildir("more/%u"), &net));
	second = recipients_place(recipients, 1);
	assert_int_equal(maildir_root_open(&second->root), 0);
	assert_int_equal(roots_sync_live(recipients), 0);
	assert_int_equal(syncs, 1);
	second->root.dev++; /* another one */
	assert_int_equal(roots_sync_live(recipients), 0);
	assert_int_equal(syncs, 3);
	second->root.dev--;
	root->root.each = true;
	assert_int_equal(roots_sync_live(recipients), 0);
	assert_int_equal(syncs, 4);
}

/* One that was missing is found when it is there, without a sync. */
static void
a_root_comes_back(void **state)
{
	struct redo_count n = {0};
	struct message m;

	(void)state;
	letter_init(&m, root, 0, 1, 100);
	assert_int_equal(rmdir("mail"), 0);
	assert_int_equal(redo_as(&m, NULL, REDO_AGAIN, &n), 0);
	assert_int_equal(n.held, 1);
	scratch_mkdir("mail");
	redone(&m, REDO_AGAIN);
	assert_int_equal(letter_count(root, &m), 1);
	letter_free(&m);
}

/* --- under a journal --- */

static unsigned looks;

/* As the owner does. */
static void
on_look(void *ctx)
{
	(void)ctx;
	looks++;
	if (maildir_root_changed(&root->root)) {
		(void)maildir_root_renew(&root->root);
		journal_doubt(jrig.journal);
	}
}

static int
sync_live(void *ctx)
{
	return roots_sync_live(ctx);
}

static int
start_journal(void **state)
{
	struct journal_options o = {.sync = sync_live, .look = on_look};

	if (start(state))
		return -1;
	looks = 0;
	o.owner = owner;
	o.ctx = recipients;
	jrig_open(&o, spool);
	return 0;
}

static int
finish_journal(void **state)
{
	assert_int_equal(jrig.broken, 0);
	jrig_close();
	return finish(state);
}

struct letter {
	struct message m;
	struct journal_entry e;
};

static void
commit(struct letter *l, unsigned n)
{
	memset(l, 0, sizeof(*l));
	letter_init(&l->m, root, n, 1, 3000);
	message_record_encode(&l->e.record, &l->m, NULL);
	l->e.body = l->m.body.tail;
	jrig_commit(&l->e);
	assert_int_equal(jrig.error, 0);
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

	snprintf(path, sizeof(path), "%s/u0/new/%s", root->text,
	    l->m.copies[0].name);
	assert_int_equal(truncate(path, 0), 0);
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
	jrig_settle();
	assert_int_equal(syncs, 0); /* nothing is finished */
	assert_true(journal_size(jrig.journal) > 6000);
	journal_finish(jrig.journal, &b.e);
	jrig_settle();
	assert_true(
	    journal_size(jrig.journal) > 6000); /* not before the first */
	journal_finish(jrig.journal, &a.e);
	jrig_settle();
	assert_int_equal(journal_size(jrig.journal), 0);
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
	commit(&a, 0);
	commit(&b, 1);
	place(&a);
	place(&b); /* while it runs, as it were: finished after it */
	lose_octets(&a);
	lose_octets(&b);
	journal_finish(jrig.journal, &a.e);
	syncfs_fails = 1;
	jrig_settle();
	assert_int_equal(syncfs_fails, 0);
	assert_int_equal(letter_count(root, &a.m), 1);
	journal_finish(jrig.journal, &b.e);
	jrig_settle();
	assert_int_equal(letter_count(root, &b.m), 1);
	/* what comes later is not in doubt, and not written twice */
	commit(&c, 2);
	place(&c);
	journal_finish(jrig.journal, &c.e);
	jrig_settle();
	assert_int_equal(letter_count(root, &c.m), 1);
	assert_int_equal(journal_size(jrig.journal), 0);
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
	journal_drop(jrig.journal, &a.e);
	place(&b);
	lose_octets(&b);
	journal_finish(jrig.journal, &b.e);
	syncfs_fails = 1;
	jrig_settle();
	assert_int_equal(letter_count(root, &a.m), 0);
	assert_int_equal(letter_count(root, &b.m), 1);
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
	journal_finish(jrig.journal, &a.e);
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
	jrig_settle();
	assert_int_equal(looks, 1);
	assert_int_equal(letter_count(root, &a.m), 1);
	commit(&b, 1);
	place(&b);
	journal_finish(jrig.journal, &b.e);
	assert_int_equal(rename("mail", "older"), 0);
	scratch_mkdir("mail");
	on_look(NULL);
	jrig_settle();
	assert_int_equal(looks, 2);
	assert_int_equal(letter_count(root, &b.m), 1);
	/* what comes later goes there by itself, and is written once */
	commit(&c, 2);
	place(&c);
	journal_finish(jrig.journal, &c.e);
	jrig_settle();
	assert_int_equal(letter_count(root, &c.m), 1);
	assert_int_equal(journal_size(jrig.journal), 0);
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
	journal_finish(jrig.journal, &a.e);
	assert_int_equal(rename("mail", "old"), 0);
	jrig_settle();
	assert_int_equal(looks, 1);
	assert_true(root->root.gone);
	assert_int_equal(scratch_count("spool/held"), 1);
	assert_int_equal(journal_size(jrig.journal), 0);
	letter_free(&a.m);
}

/* A root is open once, however many records name it. */
static void
a_root_is_found_again(void **state)
{
	struct roots roots;
	const struct destination *first;

	(void)state;
	roots_init(&roots, 0);
	first = roots_find(&roots, root->text);
	assert_true(first->root.fd >= 0);
	assert_ptr_equal(roots_find(&roots, root->text), first);
	assert_ptr_not_equal(roots_find(&roots, "/nowhere"), first);
	assert_true(roots_find(&roots, "/nowhere")->root.gone);
	assert_int_equal(roots.n, 2);
	roots_free(&roots);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)
#define J(f) cmocka_unit_test_setup_teardown(f, start_journal, finish_journal)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_root_is_found_again),
	    T(all_are_there_once),
	    T(a_copy_of_a_route_is_damage),
	    T(what_has_failed_says_why),
	    T(what_is_there_is_compared),
	    T(a_leftover_in_tmp),
	    T(nobody_takes_it),
	    T(a_doubt_is_held_with_it),
	    T(no_record_of_ours),
	    T(bodies_of_their_own),
	    T(syncs_that_fail),
	    T(each_file_system_once),
	    T(a_root_comes_back),
	    J(finished_records_are_passed),
	    J(what_a_failed_sync_has_touched),
	    J(dropped_is_not_rewritten),
	    J(a_root_is_replaced),
	    J(a_root_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
