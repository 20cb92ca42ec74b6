/*
 * Held mail as a table: why a mailbox takes nothing, at which call its worker
 * dies, where the body is, and what becomes of the mailbox. Each cell ends with
 * the message in each mailbox once, and nothing left.
 *
 * A worker redoes a record until it is passed, and then goes through what is
 * held. It dies by losing its descriptors and all that it knew; another one
 * takes over where that was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "deliver/held_round.h"
#include "deliver/message_record.h"
#include "deliver/redo.h"
#include "letters.h"
#include "scratch.h"

static jmp_buf grave;

#define SYS_DISK  0
#define SYS_LOG   0
#define SYS_DIE() longjmp(grave, 1)
#include "sys.h"

#define MINUTE  (60 * 1000)
#define BODY    3000
#define JOURNAL "journal/0.body"
#define PASSED  "journal/passed"

/* --- what stands before libc's, beside sys.h --- */

static int64_t booted; /* ms */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (clock != CLOCK_BOOTTIME)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	ts->tv_sec = booted / 1000;
	ts->tv_nsec = booted % 1000 * 1000000;
	return 0;
}

static bool died;

/* Another worker is another process. */
pid_t
gettid(void)
{
	return died ? 2 : 1;
}

/* --- causes --- */

static struct destination root, more;
static struct message m; /* its body in memory */

static void
a_file(void)
{
	scratch_touch("mail/u0");
}

static void
no_file(void)
{
	unlink("mail/u0");
}

static void
a_link(void)
{
	assert_int_equal(symlink("/tmp", "mail/u0"), 0);
}

static void
no_root(void)
{
	assert_int_equal(rename("mail", "mail.away"), 0);
}

static void
its_root(void)
{
	(void)rename("mail.away", "mail");
}

static const char *
there(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "mail/u0/new/%s", m.copies[0].name);
	return path;
}

static void
a_folder(void)
{
	scratch_mkdirs(there());
}

static void
no_folder(void)
{
	rmdir(there());
}

static const struct cause {
	int error;
	void (*spoil)(void);
	void (*mend)(void);
	const char *call; /* else each of these fails below mail */
} causes[] = {
    {ENOTDIR, a_file, no_file, NULL},
    {ELOOP, a_link, no_file, NULL},
    {ENOENT, no_root, its_root, NULL},
    {EISDIR, a_folder, no_folder, NULL},
    {EACCES, NULL, NULL, "openat"},
    {ENOSPC, NULL, NULL, "writev"},
    {EDQUOT, NULL, NULL, "writev"},
    {EROFS, NULL, NULL, "mkdirat"},
    {EIO, NULL, NULL, "renameat2"},
};
#define CAUSES (sizeof(causes) / sizeof(causes[0]))

/* --- cells --- */

static struct cell {
	const struct cause *cause;
	bool filed;    /* the body has a file of its own */
	bool give_up;  /* nobody mends the first mailbox */
	unsigned dies; /* at which call; 0: never */
} cell;

static void
expect(bool good, const char *what)
{
	if (good)
		return;
	print_error("%s, %s, %s, dies at call %u: not %s\n",
	    strerrorname_np(cell.cause->error), cell.filed ? "file" : "inline",
	    cell.give_up ? "given up" : "mended", cell.dies, what);
	_exit(1);
}

static struct crc32c crc;
static struct held_options options;
static int held, damaged, journal;

static int
open_folder(const char *name)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	return fd;
}

static void
open_all(void)
{
	held = open_folder("held");
	damaged = open_folder("damaged");
	journal = open_folder("journal");
}

static struct buf
file_octets(void)
{
	struct buf b = {0};

	buf_append_span(&b, buf_span(&m.return_path));
	buf_append_span(&b, m.copies[0].delivered_to);
	buf_append_span(&b, buf_span(&m.received));
	buf_append_span(&b, m.body.tail);
	return b;
}

static void
write_file(void)
{
	struct buf b = file_octets();
	int fd = open(JOURNAL, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_int_equal(pwrite(fd, b.data, b.len, 0), b.len);
	close(fd);
	buf_free(&b);
}

static void
start(void)
{
	static const char *const folders[] = {"held", "damaged", "journal",
	    "mail", "more", "failed"};

	assert_int_equal(scratch_setup(NULL), 0);
	sys_reset();
	booted = 100 * MINUTE;
	for (unsigned i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		scratch_mkdir(folders[i]);
	open_all();
	root = (struct destination){.text = strdup(scratch_path("mail"))};
	more = (struct destination){.text = strdup(scratch_path("more"))};
	options = (struct held_options){.limit = 1 << 20,
	    .expire = UINT64_MAX,
	    .failed = strdup(scratch_path("failed"))};
	letter_init(&m, &root, 0, 2, BODY);
	m.copies[1].dest = &more;
	if (cell.filed)
		write_file();
	scratch_touch("more/u1");
	if (cell.cause->spoil)
		cell.cause->spoil();
	if (!cell.cause->call)
		return;
	/* in a mailbox: a root that cannot be opened is gone, whatever the
	 * cause */
	sys_fail_below(cell.cause->error == EACCES ? "mail/" : "mail");
	sys_fail(cell.cause->call, 0, cell.cause->error);
	sys_fail("linkat", 0, cell.cause->error);
}

static void
finish(void)
{
	letter_free(&m);
	free((char *)(uintptr_t)root.text);
	free((char *)(uintptr_t)more.text);
	free((char *)(uintptr_t)options.failed);
	close(held);
	close(damaged);
	close(journal);
	assert_int_equal(scratch_teardown(NULL), 0);
}

/* --- a worker --- */

static void
redo_record(void)
{
	struct redo *redo = redo_new(held, 0);
	struct journal_owner owner = redo_owner(redo);
	struct redo_count n = {0};
	struct message f = m;
	struct buf b = {0}, octets = file_octets();
	struct record r;

	if (cell.filed) {
		f.body.filed = octets.len;
		f.body.from = octets.len - BODY;
		f.body.tail = (struct span){NULL, 0};
	}
	message_record_encode(&b, &f, cell.filed ? "0.body" : NULL);
	record_seal(&crc, &b, f.body.tail, 1, 0);
	buf_append_span(&b, f.body.tail);
	assert_true(record_decode(&crc, buf_span(&b), 1, 0, &r));
	expect(!owner.redo(owner.ctx, owner.version, journal, &r, REDO_AGAIN,
		   &n),
	    "placed or held");
	expect(!owner.sync(owner.ctx), "synced");
	expect(n.placed + n.held == 2, "each placed or held");
	buf_free(&b);
	buf_free(&octets);
	redo_free(&redo);
}

static void
go_rounds(struct held_round *r, unsigned n)
{
	const struct held_box *b;

	while (n--) {
		booted += MINUTE;
		held_boxes_free(&r->boxes);
		held_boxes_free(&r->roots);
		held_events_free(&r->events);
		held_round_run(r);
		expect(!r->error, "a round");
		b = held_box_find(r->boxes, root.text, "u0");
		expect(!b || b->error == cell.cause->error, "the cause");
	}
}

/* The second mailbox takes its mail before the first, or `failed`, does. */
static void
work(void)
{
	struct held_round r = {.o = &options,
	    .crc = &crc,
	    .dirfd = held,
	    .damaged = damaged};

	if (!scratch_exists(PASSED)) {
		redo_record();
		assert_int_equal(mkdirat(AT_FDCWD, PASSED, 0700), 0);
	}
	if (cell.filed)
		(void)unlinkat(AT_FDCWD, JOURNAL, 0);
	go_rounds(&r, 1);
	unlink("more/u1");
	go_rounds(&r, 1);
	if (cell.give_up)
		options.expire = 1;
	else if (cell.cause->mend)
		cell.cause->mend();
	else
		sys_fail_below("nowhere");
	go_rounds(&r, 3);
	held_round_free(&r);
}

static void
check(void)
{
	struct buf text;

	if (cell.cause->mend)
		cell.cause->mend();
	expect(!scratch_files("held"), "held/ empty");
	expect(!scratch_files("journal"), "the journal empty");
	expect(!scratch_files("damaged"), "undamaged");
	expect(letter_count(&more, &m) == 1, "in the second once");
	expect(letter_count(&root, &m) == !cell.give_up, "in the first once");
	expect(scratch_count("failed/new") == cell.give_up, "in failed once");
	if (!cell.give_up)
		return;
	text = scratch_read(scratch_only("failed/new"));
	expect(text.len > BODY &&
		   !memcmp(text.data + text.len - BODY, m.body.tail.ptr, BODY),
	    "whole");
	buf_free(&text);
}

/* What it has allocated nobody will free, and whoever asks is told so. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return died;
}

static void
work_until(unsigned dies)
{
	if (!setjmp(grave)) {
		sys_die(dies);
		work();
		expect(false, "dead there");
	}
	died = true;
	close_range((unsigned)held, ~0u, 0);
	open_all();
}

/* How many calls there were that it can die at; dies == 0: it does not. */
static unsigned
run_until(unsigned dies)
{
	cell.dies = dies;
	died = false;
	start();
	if (dies)
		work_until(dies);
	sys_die(0);
	work();
	check();
	finish();
	return sys_changes;
}

/* A cause, mended or given up, with the body here or there. */
#define ROWS (CAUSES * 3)

static unsigned
run_row(unsigned row)
{
	bool give_up = row % 3 == 2;

	cell = (struct cell){&causes[row / 3], give_up ? row & 1 : row % 3,
	    give_up, 0};
	return run_until(0);
}

static void
die_in_row(unsigned row)
{
	unsigned calls = run_row(row);

	expect(calls > 20, "long enough");
	for (unsigned dies = 1; dies <= calls; dies++)
		run_until(dies);
}

/* Without a death, nor a leak. */
static void
nobody_dies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS; i++)
		run_row(i);
}

/* As many rows at a time as there are processors. */
static void
each_message_is_in_its_mailbox_once(void **state)
{
	const unsigned most = (unsigned)get_nprocs();
	int status;

	(void)state;
	fflush(NULL);
	for (unsigned i = 0; i < ROWS + most; i++) {
		if (i >= most) {
			assert_true(wait(&status) > 0);
			assert_int_equal(status, 0);
		}
		if (i < ROWS && !fork()) {
			die_in_row(i);
			exit(0);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_dies),
	    cmocka_unit_test(each_message_is_in_its_mailbox_once),
	};

	crc32c_init(&crc);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
