/*
 * Rounds of held mail: what is tried when, what a worker that died leaves,
 * what counts against the limit. The clocks are ours.
 */
#include <errno.h>
#include <fcntl.h>
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/le.h"
#include "deliver/held_pass.h"
#include "journal/segment.h"
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

/* --- a worker's memory, and a message --- */

static struct crc32c crc;
static struct held_options options;
static struct held_pass pass;
static struct maildir_root root;

static struct held_pass
new_pass(void)
{
	return (struct held_pass){.o = &options,
	    .crc = &crc,
	    .dirfd = pass.dirfd,
	    .damaged = pass.damaged};
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
	root = (struct maildir_root){.path = strdup(scratch_path("mail"))};
	pass.dirfd = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pass.damaged = open("damaged", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pass = new_pass();
	return pass.dirfd < 0;
}

static int
finish(void **state)
{
	held_pass_free(&pass);
	close(pass.dirfd);
	close(pass.damaged);
	free((char *)(uintptr_t)options.failed);
	free(root.path);
	return scratch_teardown(state);
}

/* Held for u0, u1... below this root, because of this error. */
static void
hold(const char *id, const struct maildir_root *r, unsigned copies, int error,
    struct span body)
{
	struct message_copy c[32] = {{0}};
	char path[32][8], name[32][32];
	struct message m = {.body = {.fd = -1, .tail = body},
	    .copies = c,
	    .ncopies = copies};

	snprintf(m.id, sizeof(m.id), "%s", id);
	for (unsigned i = 0; i < copies; i++) {
		snprintf(path[i], sizeof(path[i]), "u%u", i);
		snprintf(name[i], sizeof(name[i]), "1.%s_%u.mx,S=1", id, i);
		c[i] = (struct message_copy){.root = r,
		    .path = path[i],
		    .address = path[i],
		    .name = name[i],
		    .error = error};
	}
	assert_int_equal(held_write(&crc, pass.dirfd, &m, NULL), 0);
}

/* Some kernels tell no two times within a few ms apart. */
static void
make_old(const char *file)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void
look(struct held_pass *p)
{
	held_boxes_free(&p->boxes);
	held_boxes_free(&p->roots);
	held_pass_free_events(p);
	held_pass_run(p);
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
is_refused(const struct held_pass *p, const char *path, int error)
{
	const struct held_box *b = held_box_find(p->boxes, root.path, path);

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
	look(&pass);
	assert_int_equal(ATTEMPTS, 1);
	walled = 50 * 365 * DAY; /* from 1970 to now */
	look(&pass);
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(0, scratch_count("failed/new"));
	for (unsigned i = 2; i < 5; i++) {
		walled = -walled;
		booted += 2000;
		look(&pass);
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
		look(&pass);
		assert_int_equal(ATTEMPTS, i);
		booted += 1;
		look(&pass);
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
	look(&pass);
	assert_int_equal(ATTEMPTS, 2);
	assert_int_equal(AGE, 0);
	assert_int_equal(LAST, 1000);
	booted += 365 * DAY; /* as one that slept: a wait at most */
	look(&pass);
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
	look(&pass);
	assert_int_equal(ATTEMPTS, 2);
	assert_int_equal(0, scratch_count("failed/new"));
	booted += 1;
	look(&pass);
	assert_int_equal(1, scratch_count("failed/new"));
	assert_int_equal(0, scratch_count("held"));
	assert_null(pass.boxes);
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
	look(&pass);
	assert_true(is_refused(&pass, "u0", ENOTDIR));
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(AGE, 0);
	assert_int_equal(LAST, booted);
	assert_int_equal(ERROR, ENOTDIR);
	unlink("mail/u0");
	booted += 2000;
	look(&pass);
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
	look(&pass);
	assert_int_equal(ATTEMPTS, 1);
	assert_int_equal(AGE, 0);
	assert_int_equal(0, scratch_count("failed/new"));
}

/* --- who --- */

/* FAULT D5, C7: another worker's attempt is seen, and is not done again. */
static void
what_another_tried_is_known(void **state)
{
	struct held_pass other = new_pass();

	(void)state;
	scratch_touch("mail/u0");
	hold("A.1", &root, 1, EDQUOT, SPAN_LIT("x\n"));
	make_old(scratch_only("held"));
	look(&pass);
	look(&other);
	assert_true(is_refused(&pass, "u0", EDQUOT));
	assert_true(is_refused(&other, "u0", EDQUOT));
	booted += 2000;
	look(&other);
	assert_int_equal(ATTEMPTS, 2);
	look(&pass);
	assert_int_equal(ATTEMPTS, 2);
	assert_true(is_refused(&pass, "u0", ENOTDIR));
	held_pass_free(&other);
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
	look(&pass);
	unlink("mail/u0");
	booted += 15 * MINUTE;
	look(&pass);
	assert_int_equal(1, scratch_count("mail/u0/new"));
	assert_int_equal(1, scratch_count("held"));
	assert_int_equal(ATTEMPTS, 3);
	assert_int_equal(AGE, 18 * MINUTE);
	assert_int_equal(ERROR, ENOTDIR);
	look(&pass);
	assert_int_equal(ATTEMPTS, 3);
	assert_true(is_refused(&pass, "u1", ENOTDIR));
	assert_null(held_box_find(pass.boxes, root.path, "u0"));
}

static void
half_made_files_go_when_nobody_makes_them(void **state)
{
	int fd;

	(void)state;
	scratch_touch("held/.made-1");
	scratch_touch("held/.made-2");
	scratch_touch("held/alone.body");
	fd = open("held/.made-2", O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	look(&pass); /* its maker may not have the lock yet */
	assert_int_equal(3, scratch_files("held"));
	look(&pass);
	assert_false(scratch_exists("held/.made-1"));
	assert_true(scratch_exists("held/.made-2"));
	/* its record may be about to come, from a journal of long ago */
	assert_true(scratch_exists("held/alone.body"));
	close(fd);
}

/* FAULT B3: a FIFO, a link, a folder or a file larger than any neither keeps
 * the look waiting nor stays in its way; the body of one goes with it. */
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
	look(&pass);
	assert_int_equal(scratch_count("held"), 0);
	assert_int_equal(scratch_count("damaged"), 5);
}

/* --- how much --- */

/* FAULT A4: one mailbox is a sixteenth of the limit, one root a half. */
static void
nobody_uses_up_the_limit_alone(void **state)
{
	static char body[3 * LIMIT];
	struct maildir_root second = {.path = strdup(scratch_path("more"))};

	(void)state;
	memset(body, 'x', sizeof(body));
	hold("A.1", &root, 1, EACCES, (struct span){body, sizeof(body)});
	look(&pass);
	assert_int_equal(pass.size, LIMIT / 16);
	hold("A.2", &root, 16, EACCES, (struct span){body, sizeof(body)});
	look(&pass);
	assert_int_equal(HASH_COUNT(pass.boxes), 16);
	assert_int_equal(pass.size, LIMIT / 2);
	hold("A.3", &second, 3, EACCES, (struct span){body, sizeof(body)});
	look(&pass);
	assert_int_equal(pass.size, LIMIT / 2 + 3 * (LIMIT / 16));
	hold("A.4", &second, 8, EACCES, (struct span){body, sizeof(body)});
	look(&pass);
	assert_int_equal(pass.size, LIMIT);
	assert_int_equal(HASH_COUNT(pass.roots), 2);
	free(second.path);
}

/* FAULT A4: what waits for several is each one's part. */
static void
octets_are_counted_once(void **state)
{
	static char body[30000];

	(void)state;
	memset(body, 'x', sizeof(body));
	hold("A.1", &root, 4, EACCES, (struct span){body, sizeof(body)});
	look(&pass);
	assert_true(pass.size > sizeof(body));
	assert_true(pass.size < sizeof(body) + 12000);
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
	    ROUND(one_of_the_last_version_is_tried_at_once),
	    ROUND(a_block_of_nonsense_is_none),
	    ROUND(what_another_tried_is_known),
	    ROUND(fewer_copies_keep_the_age),
	    ROUND(half_made_files_go_when_nobody_makes_them),
	    ROUND(things_that_are_no_mail),
	    ROUND(nobody_uses_up_the_limit_alone),
	    ROUND(octets_are_counted_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
