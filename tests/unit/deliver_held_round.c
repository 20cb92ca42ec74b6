/*
 * Rounds of held mail: what is tried when, what a worker that died leaves,
 * what counts against the limit. The clocks are ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/le.h"
#include "deliver/held_round.h"
#include "dest/destination.h"
#include "journal/segment.h"
#include "mail/message.h"
#include "scratch.h"

#define MINUTE (60 * 1000)
#define DAY    ((int64_t)24 * 60 * MINUTE)
#define LIMIT  (1 << 20)

/* --- clocks that can be put on: this stands before libc's --- */

static int64_t booted, walled; /* ms */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t ms = clock == CLOCK_BOOTTIME ? booted : walled;
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_BOOTTIME)
		*ts = (struct timespec){0};
	else if (clock != CLOCK_REALTIME)
		return r;
	ts->tv_sec += ms / 1000;
	ts->tv_nsec = ms % 1000 * 1000000;
	return r;
}

/* --- a file system on which syncfs is all --- */

static void (*at_syncfs)(void);
static int syncfs_error, fsync_error; /* of the next one */

int
fstatfs(int fd, struct statfs *fs)
{
	int r = (int)syscall(SYS_fstatfs, fd, fs);

	fs->f_type = EXT4_SUPER_MAGIC;
	return r;
}

static int
fails(int *error)
{
	errno = *error;
	*error = 0;
	return errno ? -1 : 0;
}

int
syncfs(int fd)
{
	(void)fd;
	if (at_syncfs)
		at_syncfs();
	at_syncfs = NULL;
	return fails(&syncfs_error);
}

int
fsync(int fd)
{
	(void)fd;
	return fails(&fsync_error);
}

/* --- what others do just before a lock is had --- */

static void (*at_flock)(void);

int
flock(int fd, int how)
{
	if (at_flock)
		at_flock();
	at_flock = NULL;
	return (int)syscall(SYS_flock, fd, how);
}

/* --- and while a file is read --- */

static void (*at_pread)(void);

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	void (*fn)(void) = at_pread;

	at_pread = NULL;
	if (fn)
		fn();
	return syscall(SYS_pread64, fd, to, n, at);
}

/* --- a worker's memory, and a message --- */

static struct crc32c crc;
static struct held_options options;
static struct held_round ours;
static struct destination root;

static struct held_round
new_round(void)
{
	return (struct held_round){.o = &options,
	    .crc = &crc,
	    .dirfd = ours.dirfd,
	    .damaged = ours.damaged};
}

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	booted = 100 * MINUTE;
	walled = 0;
	scratch_mkdir("held");
	scratch_mkdir("damaged");
	scratch_mkdir("mail");
	scratch_mkdir("failed");
	crc32c_init(&crc);
	options = (struct held_options){.limit = LIMIT,
	    .expire = (uint64_t)(5 * DAY),
	    .failed = strdup(scratch_path("failed"))};
	root = (struct destination){.text = strdup(scratch_path("mail"))};
	ours.dirfd = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ours.damaged = open("damaged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ours = new_round();
	return ours.dirfd < 0;
}

static int
finish(void **state)
{
	held_round_free(&ours);
	close(ours.dirfd);
	close(ours.damaged);
	free((char *)(uintptr_t)options.failed);
	free((char *)(uintptr_t)root.text);
	return scratch_teardown(state);
}

/* Held for u0, u1... below this root, because of this error. */
static void
hold(const char *id, const struct destination *r, unsigned copies, int error,
    struct span body)
{
	struct message_copy c[32] = {{0}};
	char path[32][8], name[32][32];
	struct message m = {.body = {.fd = -1, .tail = body},
	    .sender = "",
	    .client = "",
	    .helo = "",
	    .login = "",
	    .copies = c,
	    .ncopies = copies};

	snprintf(m.id, sizeof(m.id), "%s", id);
	for (unsigned i = 0; i < copies; i++) {
		snprintf(path[i], sizeof(path[i]), "u%u", i);
		snprintf(name[i], sizeof(name[i]), "1.%s_%u.mx,S=1", id, i);
		c[i] = (struct message_copy){.dest = r,
		    .path = path[i],
		    .address = path[i],
		    .name = name[i],
		    .note = "",
		    .error = error};
	}
	assert_int_equal(held_file_write(&crc, ours.dirfd, &m, false, NULL), 0);
}

/* Some kernels tell no two times within a few ms apart. */
static void
make_old(const char *file)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void
go_round(struct held_round *p)
{
	held_boxes_free(&p->boxes);
	held_boxes_free(&p->roots);
	held_events_free(&p->events);
	held_round_run(p);
}

/* Of the only file there is; its offset is in the form that is on disk. */
static uint64_t
block(int number)
{
	struct buf file = scratch_read(scratch_only("held"));
	uint64_t v = le_get(file.data + file.len - HELD_BLOCK + 8 * number, 8);

	buf_free(&file);
	return v;
}
#define ATTEMPTS block(0)
#define AGE      block(1)
#define LAST     block(2)
#define ERROR    block(3)

static bool
is_refused(const struct held_round *p, const char *path, int error)
{
	const struct held_box *b = held_box_find(p->boxes, root.text, path);

	return b && b->error == error;
}

/* --- when --- */

/* FAULT D5, F11: no jump of the wall clock gives up mail, or makes it wait. */
static void
the_wall_clock_decides_nothing(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 1);
	walled = 50 * 365 * DAY; /* from 1970 to now */
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(0, scratch_count("failed/new"));
	for (unsigned i = 2; i < 5; i++) {
		walled = -walled;
		booted += 2000;
		go_round(&ours);
		assert_int_equal(ATTEMPTS, i);
		assert_int_equal(AGE, (i - 1) * 2000);
	}
	assert_int_equal(0, scratch_count("failed/new"));
}

/* FAULT D5: it waits for half of its age, 2 s to 15 min. */
static void
the_wait_grows_with_the_age(void **state)
{
	int64_t waited = 0, wait;

	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	for (unsigned i = 1; i < 30; i++) {
		wait = waited / 2 < 2000 ? 2000 : waited / 2;
		wait = wait > 15 * MINUTE ? 15 * MINUTE : wait;
		booted += wait - 1;
		go_round(&ours);
		assert_int_equal(ATTEMPTS, i);
		booted += 1;
		go_round(&ours);
		assert_int_equal(ATTEMPTS, i + 1);
		waited += wait;
		assert_int_equal(AGE, waited);
	}
}

/* FAULT D5: a machine that was off for a year has tried nothing meanwhile. */
static void
a_new_boot_is_an_attempt_and_no_age(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted = 1000;
	walled = 365 * DAY;
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	assert_int_equal(AGE, 0);
	assert_int_equal(LAST, 1000);
	booted += 365 * DAY; /* as one that slept: a wait at most */
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 3);
	assert_int_equal(AGE, 15 * MINUTE);
}

/* FAULT D5: its age is what `expire` is compared with. */
static void
it_is_given_up_at_its_age(void **state)
{
	(void)state;
	options.expire = 5000;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted += 4999;
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	assert_int_equal(0, scratch_count("failed/new"));
	booted += 1;
	go_round(&ours);
	assert_int_equal(1, scratch_count("failed/new"));
	assert_int_equal(0, scratch_count("held"));
	assert_null(ours.boxes);
}

/* What `smtpd held` does to the only file. */
static void
set_by_hand(int64_t age)
{
	struct held_file f;
	struct held_block b;

	assert_int_equal(held_file_look(&f, &crc, ours.dirfd,
			     scratch_only("held") + 5),
	    0);
	b = held_block_read(f.fd, f.block_at);
	b.last = 0;
	if (age)
		b.age = age;
	assert_int_equal(held_block_write(f.fd, f.block_at, &b, NULL), 0);
	held_file_close(&f);
	make_old(scratch_only("held")); /* it was not: it has changed */
}

static void
what_is_asked_for_by_hand_is_tried_now(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted += 10 * MINUTE;
	go_round(&ours);
	booted += 1000;
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	set_by_hand(0);
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 3);
	assert_int_equal(AGE, 10 * MINUTE);
}

/* Its mailbox would take it; but somebody does not want that. */
static void
what_is_given_up_by_hand_is_not_tried(void **state)
{
	(void)state;
	hold("A.1", &root, 2, EDQUOT, SPAN_LIT("x\n"));
	set_by_hand(HELD_AGE_MAX);
	go_round(&ours);
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(scratch_count("failed/new"), 2);
	assert_int_equal(scratch_count("held"), 0);
	assert_int_equal(STAILQ_FIRST(&ours.events)->fate, HELD_FAILED);
	assert_int_equal(STAILQ_FIRST(&ours.events)->error, EDQUOT);
}

/* Nor later, when failed takes it again. */
static void
what_is_given_up_stays_so(void **state)
{
	(void)state;
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	set_by_hand(HELD_AGE_MAX);
	assert_int_equal(rmdir("failed"), 0);
	scratch_touch("failed");
	for (unsigned i = 2; i < 5; i++) {
		go_round(&ours);
		assert_int_equal(ATTEMPTS, i);
		assert_int_equal(AGE, HELD_AGE_MAX);
		booted += 20 * MINUTE;
	}
	assert_int_equal(unlink("failed"), 0);
	scratch_mkdir("failed");
	go_round(&ours);
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(scratch_count("failed/new"), 1);
	assert_int_equal(scratch_count("held"), 0);
}

/* Each worker's looks are to see it, however long they take. */
static void
a_wish_of_a_tool_stays(void **state)
{
	(void)state;
	scratch_touch("held/" HELD_NOW);
	scratch_touch("held/.new");
	for (int i = 0; i < 3; i++)
		go_round(&ours);
	assert_true(scratch_exists("held/" HELD_NOW));
	assert_false(scratch_exists("held/.new"));
}

static void
cut_behind_its_record(const char *name)
{
	struct buf file = scratch_read(name);
	const char *head = file.data + RECORD_FIRST;
	uint64_t size = RECORD_FIRST + RECORD_HEAD + le_get(head + 24, 4) +
			le_get(head + 32, 8);

	buf_free(&file);
	assert_int_equal(truncate(name, (off_t)size), 0);
}

/* FAULT D5: a file of a version without a block is one never tried. */
static void
one_of_the_last_version_is_tried_at_once(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	cut_behind_its_record(scratch_only("held"));
	go_round(&ours);
	assert_true(is_refused(&ours, "u0", ENOTDIR));
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(AGE, 0);
	assert_int_equal(LAST, booted);
	assert_int_equal(ERROR, ENOTDIR);
	unlink("mail/u0");
	booted += 2000;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(0, scratch_count("held"));
}

/* FAULT D5: numbers that no clock ever said are no block. */
static void
a_block_of_nonsense_is_none(void **state)
{
	struct stat st;
	char bad[HELD_BLOCK];
	int fd;

	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	memset(bad, 0xff, sizeof(bad));
	fd = open(scratch_only("held"), O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(HELD_BLOCK,
	    pwrite(fd, bad, HELD_BLOCK, st.st_size - HELD_BLOCK));
	close(fd);
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(AGE, 0);
	assert_int_equal(0, scratch_count("failed/new"));
}

/* --- what cannot be read --- */

static void
make_newer(const char *name)
{
	struct record_header h;
	char head[HEADER_LEN];
	int fd = open(name, O_RDWR);

	for (off_t at = 0; at <= RECORD_PAGE; at += RECORD_PAGE) {
		assert_int_equal(pread(fd, head, HEADER_LEN, at), HEADER_LEN);
		assert_true(record_header_decode(&crc, 1, head, &h));
		h.version++;
		record_header_encode(&crc, &h, head);
		assert_int_equal(pwrite(fd, head, HEADER_LEN, at), HEADER_LEN);
	}
	close(fd);
}

/* An octet is another one, in a page of the header, in both, in the record. */
static void
one_that_is_damaged_stays(void **state)
{
	static const struct {
		off_t at[2];
		bool good;
	} all[] = {{{16, 16}, true}, {{16, RECORD_PAGE + 16}, false},
	    {{RECORD_FIRST + RECORD_HEAD, RECORD_FIRST + RECORD_HEAD}, false}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct held_round r = new_round();
		int fd;

		hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
		fd = open(scratch_only("held"), O_WRONLY);
		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(pwrite(fd, "?", 1, all[i].at[k]), 1);
		close(fd);
		booted += MINUTE;
		go_round(&r);
		assert_int_equal(r.error, 0);
		assert_int_equal(STAILQ_FIRST(&r.events)->fate,
		    all[i].good ? HELD_DELIVERED : HELD_UNREADABLE);
		assert_int_equal(STAILQ_FIRST(&r.events)->error,
		    all[i].good ? 0 : EBADMSG);
		assert_int_equal(scratch_count("held"), !all[i].good);
		held_round_free(&r);
	}
}

/* Neither is tried; each is named in one round, and is no fault of the disk. */
static void
what_cannot_be_read_is_named_once(void **state)
{
	struct buf was, is;

	(void)state;
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	make_newer(scratch_only("held"));
	was = scratch_read(scratch_only("held"));
	for (int i = 0; i < 3; i++) {
		booted += MINUTE;
		go_round(&ours);
		assert_int_equal(ours.error, 0);
		assert_int_equal(STAILQ_EMPTY(&ours.events), i > 0);
		if (i == 0) {
			assert_int_equal(STAILQ_FIRST(&ours.events)->fate,
			    HELD_NEWER);
			assert_null(
			    STAILQ_NEXT(STAILQ_FIRST(&ours.events), next));
		} else if (i == 1) {
			scratch_touch("held/empty");
			go_round(&ours);
			assert_int_equal(STAILQ_FIRST(&ours.events)->fate,
			    HELD_UNREADABLE);
			assert_string_equal(STAILQ_FIRST(&ours.events)->name,
			    "empty");
			unlink("held/empty");
		}
	}
	is = scratch_read(scratch_only("held"));
	assert_int_equal(is.len, was.len);
	assert_memory_equal(is.data, was.data, was.len);
	assert_int_equal(scratch_files("mail"), 0);
	buf_free(&was);
	buf_free(&is);
}

/* --- who --- */

/* FAULT D5, C7: another worker's attempt is seen, and is not done again. */
static void
what_another_tried_is_known(void **state)
{
	struct held_round other = new_round();

	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	make_old(scratch_only("held"));
	go_round(&ours);
	go_round(&other);
	assert_true(is_refused(&ours, "u0", EDQUOT));
	assert_true(is_refused(&other, "u0", EDQUOT));
	booted += 2000;
	go_round(&other);
	assert_int_equal(ATTEMPTS, 2);
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	assert_true(is_refused(&ours, "u0", ENOTDIR));
	held_round_free(&other);
}

/* Also where the kernel tells no two times apart, or while it is at it. */
static void
what_another_tries_is_left_to_it(void **state)
{
	struct held_round other = new_round();
	int fd;

	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	make_old(scratch_only("held"));
	go_round(&ours);
	go_round(&other);
	booted += 2000;
	go_round(&other);
	make_old(scratch_only("held"));
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	fd = open(scratch_only("held"), O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 2);
	close(fd);
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 3);
	held_round_free(&other);
}

static void
replace_file(void)
{
	at_flock = NULL;
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
}

/* What has the lock of a file without a name must not take the other's. */
static void
one_that_was_replaced_waits_for_the_next_round(void **state)
{
	(void)state;
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	booted += MINUTE;
	at_flock = replace_file;
	go_round(&ours);
	assert_int_equal(0, scratch_count("mail"));
	assert_int_equal(1, scratch_count("held"));
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(0, scratch_count("held"));
}

static char removed[HELD_NAME_MAX];

static void
remove_all(void)
{
	char file[sizeof(removed) + 16];

	assert_int_equal(unlinkat(ours.dirfd, removed, 0), 0);
	snprintf(file, sizeof(file), "%s" HELD_BODY, removed);
	assert_int_equal(unlinkat(ours.dirfd, file, 0), 0);
}

/* By hand, at any time: that is no fault of a disk. */
static void
one_that_is_removed_meanwhile_is_no_fault(void **state)
{
	struct message_copy c = {.dest = &root,
	    .path = "u0",
	    .address = "u0",
	    .name = "1.A.1_0.mx,S=1",
	    .note = "",
	    .error = EACCES};
	struct message m = {.id = "A.1",
	    .sender = "",
	    .client = "",
	    .helo = "",
	    .login = "",
	    .copies = &c,
	    .ncopies = 1,
	    .dirfd = AT_FDCWD,
	    .link = "body"};

	(void)state;
	held_file_name(&crc, &m, removed);
	m.body.fd = open("body", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(held_file_write(&crc, ours.dirfd, &m, false,
				     NULL),
		    0);
		if (i)
			go_round(&ours); /* it is known */
		booted += MINUTE;
		at_pread = remove_all;
		go_round(&ours);
		assert_true(STAILQ_EMPTY(&ours.events));
		assert_int_equal(ours.messages, 0);
		assert_null(ours.boxes);
	}
	close(m.body.fd);
}

static void
make_record(void)
{
	scratch_touch("held/a");
}

static void
a_body_whose_record_came_just_now_stays(void **state)
{
	(void)state;
	scratch_touch("held/a.body");
	go_round(&ours);
	at_flock = make_record;
	go_round(&ours);
	assert_true(scratch_exists("held/a.body"));
}

/* FAULT D5: a file with fewer copies is as old as the one before. */
static void
fewer_copies_keep_the_age(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	scratch_touch("mail/u1");
	hold("A.1", &root, 2, EACCES, SPAN_LIT("x\n"));
	booted += 3 * MINUTE;
	go_round(&ours);
	unlink("mail/u0");
	booted += 15 * MINUTE;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(1, scratch_count("held"));
	assert_int_equal(ATTEMPTS, 3);
	assert_int_equal(AGE, 18 * MINUTE);
	assert_int_equal(ERROR, ENOTDIR);
	go_round(&ours);
	assert_int_equal(ATTEMPTS, 3);
	assert_true(is_refused(&ours, "u1", ENOTDIR));
	assert_null(held_box_find(ours.boxes, root.text, "u0"));
}

/* Replay holds again what is held: it is no younger for that. */
static void
what_is_held_again_keeps_its_age(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted += 3 * MINUTE;
	go_round(&ours);
	booted += MINUTE;
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	assert_int_equal(ATTEMPTS, 3);
	assert_int_equal(AGE, 4 * MINUTE);
	assert_int_equal(LAST, booted);
	assert_int_equal(ERROR, EDQUOT);
}

/* A sync that failed is not forgotten: not with fewer copies, nor when they
 * are held again. */
static void
a_doubt_stays(void **state)
{
	(void)state;
	scratch_touch("mail/u0");
	scratch_touch("mail/u1");
	hold("A.1", &root, 2, EACCES, SPAN_LIT("x\n"));
	assert_int_equal(chmod(scratch_only("held"), 0700), 0);
	hold("A.1", &root, 2, EACCES, SPAN_LIT("x\n"));
	assert_int_equal(scratch_mode(scratch_only("held")), 0700);
	unlink("mail/u0");
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(scratch_mode(scratch_only("held")), 0700);
}

/* What is there and was synced is left as it is; else it is written anew. */
static void
a_doubt_is_written_anew(void **state)
{
	struct stat was, is;

	(void)state;
	for (int i = 0; i < 3; i++) {
		hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
		if (i == 2)
			assert_int_equal(chmod(scratch_only("held"), 0700), 0);
		booted += MINUTE;
		go_round(&ours);
		assert_int_equal(0, scratch_count("held"));
		assert_int_equal(stat(scratch_only("mail/u0/new"), &is), 0);
		if (i)
			assert_int_equal(is.st_ino == was.st_ino, i == 1);
		was = is;
	}
}

static void
a_failed_sync_is_made_good(void **state)
{
	(void)state;
	scratch_touch("mail/u1");
	hold("A.1", &root, 2, EACCES, SPAN_LIT("x\n"));
	booted += MINUTE;
	syncfs_error = EIO;
	go_round(&ours);
	assert_int_equal(syncfs_error, 0);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(1, scratch_count("held"));
	assert_int_equal(scratch_mode(scratch_only("held")), 0700);
	unlink("mail/u1");
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u1/new"));
	assert_int_equal(0, scratch_count("held"));
}

static void
fail_next_fsync(void)
{
	fsync_error = EIO;
}

/* Without its doubt on disk it counts as delivered to nobody. */
static void
a_doubt_that_is_not_on_disk_delivers_nothing(void **state)
{
	struct stat was, is;

	(void)state;
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted += MINUTE;
	syncfs_error = EIO;
	at_syncfs = fail_next_fsync;
	go_round(&ours);
	assert_true(is_refused(&ours, "u0", EIO));
	assert_int_equal(1, scratch_count("held"));
	assert_int_equal(stat(scratch_only("mail/u0/new"), &was), 0);
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(0, scratch_count("held"));
	assert_int_equal(stat(scratch_only("mail/u0/new"), &is), 0);
	assert_int_not_equal(is.st_ino, was.st_ino);
}

/* The file as it was says still what is to be done. */
static void
what_is_left_cannot_be_written(void **state)
{
	(void)state;
	scratch_touch("mail/u1");
	hold("A.1", &root, 2, EACCES, SPAN_LIT("x\n"));
	for (unsigned i = 2; i < 4; i++) {
		booted += MINUTE;
		at_syncfs = i == 2 ? fail_next_fsync : NULL;
		go_round(&ours);
		assert_int_equal(ours.error, i == 2 ? EIO : 0);
		assert_int_equal(1, scratch_count("mail/u0/new"));
		assert_int_equal(1, scratch_count("held"));
		assert_int_equal(ATTEMPTS, i);
	}
	assert_null(held_box_find(ours.boxes, root.text, "u0"));
	assert_true(is_refused(&ours, "u1", ENOTDIR));
}

static void
replace_root(void)
{
	assert_int_equal(rename("mail", "old"), 0);
	scratch_mkdir("mail");
}

/* FAULT B7: what went to where nobody looks any more was not delivered. */
static void
a_root_that_moves_meanwhile_gets_it_again(void **state)
{
	(void)state;
	hold("A.1", &root, 1, EACCES, SPAN_LIT("x\n"));
	booted += MINUTE;
	at_syncfs = replace_root;
	go_round(&ours);
	assert_true(is_refused(&ours, "u0", ESTALE));
	assert_int_equal(1, scratch_count("old/u0/new"));
	assert_int_equal(0, scratch_files("mail"));
	booted += MINUTE;
	go_round(&ours);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(0, scratch_count("held"));
}

/* Not while anybody makes them, nor a body that is a journal's, too. */
static void
half_made_files_go_when_nobody_makes_them(void **state)
{
	static const char *const kept[] = {"held/.made", "held/a.body",
	    "held/b.body", "held/c.body"};
	int made, body;

	(void)state;
	scratch_touch("held/.gone");
	scratch_touch("held/gone.body");
	for (unsigned i = 0; i < 4; i++)
		scratch_touch(kept[i]);
	made = open(kept[0], O_RDONLY);
	body = open(kept[1], O_RDONLY);
	assert_int_equal(flock(made, LOCK_EX), 0);
	assert_int_equal(flock(body, LOCK_SH), 0);
	assert_int_equal(link(kept[2], "journal.body"), 0);
	go_round(&ours); /* its maker may not have the lock yet */
	assert_int_equal(6, scratch_files("held"));
	scratch_touch("held/c"); /* that one's record came */
	for (int i = 0; i < 3; i++)
		go_round(&ours);
	for (unsigned i = 0; i < 4; i++)
		assert_true(scratch_exists(kept[i]));
	assert_int_equal(5, scratch_files("held"));
	close(made);
	close(body);
	unlink("journal.body");
	go_round(&ours);
	assert_int_equal(2, scratch_files("held"));
}

/* FAULT B3: a FIFO, a link, a folder or a file larger than any neither keeps
 * the round waiting nor stays in its way; the body of one goes with it. */
static void
things_that_are_no_mail(void **state)
{
	int fd;

	(void)state;
	scratch_mkdir("held/folder");
	assert_int_equal(mkfifo("held/fifo", 0600), 0);
	assert_int_equal(symlink("/dev/zero", "held/link"), 0);
	scratch_touch("held/giant.body");
	fd = open("held/giant", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)SEGMENT_MAX + 1), 0);
	close(fd);
	go_round(&ours);
	assert_int_equal(scratch_count("held"), 0);
	assert_int_equal(scratch_count("damaged"), 5);
}

/* --- how much --- */

/* FAULT A4: one mailbox is a sixteenth of the limit, one root a half. */
static void
nobody_uses_up_the_limit_alone(void **state)
{
	static char body[3 * LIMIT];
	struct destination second = {.text = strdup(scratch_path("more"))};

	(void)state;
	memset(body, 'x', sizeof(body));
	hold("A.1", &root, 1, EACCES, (struct span){body, sizeof(body)});
	go_round(&ours);
	assert_int_equal(ours.size, LIMIT / 16);
	hold("A.2", &root, 16, EACCES, (struct span){body, sizeof(body)});
	go_round(&ours);
	assert_int_equal(HASH_COUNT(ours.boxes), 16);
	assert_int_equal(ours.size, LIMIT / 2);
	hold("A.3", &second, 3, EACCES, (struct span){body, sizeof(body)});
	go_round(&ours);
	assert_int_equal(ours.size, LIMIT / 2 + 3 * (LIMIT / 16));
	hold("A.4", &second, 8, EACCES, (struct span){body, sizeof(body)});
	go_round(&ours);
	assert_int_equal(ours.size, LIMIT);
	assert_int_equal(HASH_COUNT(ours.roots), 2);
	free((char *)(uintptr_t)second.text);
}

/* FAULT A4: what waits for several is each one's part. */
static void
octets_are_counted_once(void **state)
{
	static char body[30000];

	(void)state;
	memset(body, 'x', sizeof(body));
	hold("A.1", &root, 4, EACCES, (struct span){body, sizeof(body)});
	go_round(&ours);
	assert_true(ours.size > sizeof(body));
	assert_true(ours.size < sizeof(body) + 12000);
}

/* Whoever sends it looks after it; no mailbox is shut because of it. */
static void
what_waits_for_a_route_is_left_alone(void **state)
{
	const struct destination route = {.text = "route:out"};
	struct message_copy c = {.dest = &route,
	    .to = "u0@example.net",
	    .address = "u0@example.org",
	    .name = "1.A.1_0.mx,S=1",
	    .note = "451 4.4.1 down",
	    .error = EAGAIN};
	struct message m = {.id = "A.1",
	    .body = {.fd = -1, .tail = SPAN_LIT("x\n")},
	    .sender = "",
	    .client = "",
	    .helo = "",
	    .login = "",
	    .copies = &c,
	    .ncopies = 1};

	(void)state;
	assert_int_equal(held_file_write(&crc, ours.dirfd, &m, false, NULL), 0);
	assert_int_equal(ATTEMPTS, 1);
	for (int i = 0; i < 3; i++) {
		go_round(&ours);
		assert_null(ours.boxes);
		assert_int_equal(ours.messages, 1);
		assert_true(ours.octets > RECORD_FIRST);
		assert_int_equal(ATTEMPTS, 1);
		assert_int_equal(scratch_count("failed/new"), 0);
		booted += 4 * DAY;
	}
	assert_int_equal(unlink(scratch_only("held")), 0);
	go_round(&ours);
	assert_int_equal(ours.messages, 0);
}

#define ROUND(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    ROUND(the_wall_clock_decides_nothing),
	    ROUND(the_wait_grows_with_the_age),
	    ROUND(a_new_boot_is_an_attempt_and_no_age),
	    ROUND(it_is_given_up_at_its_age),
	    ROUND(what_is_asked_for_by_hand_is_tried_now),
	    ROUND(what_is_given_up_by_hand_is_not_tried),
	    ROUND(what_is_given_up_stays_so),
	    ROUND(a_wish_of_a_tool_stays),
	    ROUND(one_of_the_last_version_is_tried_at_once),
	    ROUND(a_block_of_nonsense_is_none),
	    ROUND(one_that_is_damaged_stays),
	    ROUND(what_cannot_be_read_is_named_once),
	    ROUND(what_another_tried_is_known),
	    ROUND(what_another_tries_is_left_to_it),
	    ROUND(one_that_was_replaced_waits_for_the_next_round),
	    ROUND(one_that_is_removed_meanwhile_is_no_fault),
	    ROUND(a_body_whose_record_came_just_now_stays),
	    ROUND(fewer_copies_keep_the_age),
	    ROUND(what_is_held_again_keeps_its_age),
	    ROUND(a_doubt_stays),
	    ROUND(a_doubt_is_written_anew),
	    ROUND(a_failed_sync_is_made_good),
	    ROUND(a_doubt_that_is_not_on_disk_delivers_nothing),
	    ROUND(what_is_left_cannot_be_written),
	    ROUND(a_root_that_moves_meanwhile_gets_it_again),
	    ROUND(half_made_files_go_when_nobody_makes_them),
	    ROUND(things_that_are_no_mail),
	    ROUND(nobody_uses_up_the_limit_alone),
	    ROUND(octets_are_counted_once),
	    ROUND(what_waits_for_a_route_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
