/*
 * Messages into mailboxes: what is on disk, and when; what is there already;
 * and that a failure leaves nothing behind and touches no other copy.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dest/destination.h"
#include "scratch.h"
#include "sys.h"

#define COPIES 20 /* more than are kept open */

static time_t ahead; /* seconds, of every clock */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += ahead;
	return r;
}

static struct arena arena;
static struct destination *dest;
static struct place_boxes *boxes;
static unsigned descriptors;

/* --- one message for the mailboxes u0, u1, ...; its files are named n --- */

static struct message m;
static struct message_copy copies[COPIES];
static char paths[COPIES][8], lines[COPIES][16];

static void
letter(unsigned ncopies)
{
	m.ncopies = ncopies;
	m.headed = copies;
	for (unsigned i = 0; i < ncopies; i++) {
		snprintf(paths[i], sizeof(paths[i]), "u%u", i);
		snprintf(lines[i], sizeof(lines[i]), "To: u%u\n", i);
		copies[i] = (struct message_copy){.dest = dest,
		    .path = paths[i],
		    .name = "n",
		    .delivered_to = span_str(lines[i])};
		copies[i].size = m.return_path.len + strlen(lines[i]) +
				 m.received.len + m.body.filed - m.body.from +
				 m.body.tail.len;
	}
}

/* So much of it is in the file "body", behind the lines of the first copy. */
static void
set_body(const char *text, size_t filed)
{
	static const char head[] = "From: s\nTo: u0\nReceived: x\n";

	if (m.body.fd >= 0)
		close(m.body.fd);
	m.body = (struct spool_content){.fd = -1, .tail = span_str(text)};
	if (!filed)
		return;
	m.body.fd = open("body", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	m.body.from = strlen(head);
	m.body.filed = m.body.from + filed;
	assert_int_equal(write(m.body.fd, head, m.body.from), m.body.from);
	assert_int_equal(write(m.body.fd, text, filed), filed);
	span_skip(&m.body.tail, filed);
}

static int
start(void **state)
{
	descriptors = scratch_count("/proc/self/fd");
	if (scratch_setup(state))
		return -1;
	m = (struct message){.copies = copies, .dirfd = -1, .body.fd = -1};
	buf_append_str(&m.return_path, "From: s\n");
	buf_append_str(&m.received, "Received: x\n");
	set_body("a body\n", 0);
	scratch_mkdir("mail");
	dest = destination_new(&arena, scratch_path("mail"));
	letter(1);
	boxes = place_boxes_new();
	assert_int_equal(maildir_root_open(&dest->root), 0);
	if (dest->root.sync < 0) /* whatever file system the tests run on */
		dest->root.sync = dup(dest->root.fd);
	sys_reset();
	return 0;
}

static int
finish(void **state)
{
	ahead = 0;
	sys_reset();
	place_boxes_free(&boxes);
	maildir_root_close(&dest->root);
	arena_reset(&arena);
	set_body("", 0);
	if (m.dirfd >= 0)
		close(m.dirfd);
	message_free(&m);
	assert_int_equal(scratch_count("/proc/self/fd"), descriptors);
	return scratch_teardown(state);
}

/* The error of the first copy. */
static int
place(enum place_how how)
{
	sys_reset();
	place_message(boxes, &m, how);
	return copies[0].error;
}

static const char *
in_box(unsigned i, const char *rel)
{
	static char path[512];

	snprintf(path, sizeof(path), "mail/u%u/%s", i, rel);
	return path;
}

static void
assert_holds(const char *path, const struct buf *want)
{
	struct buf b = scratch_read(path);

	assert_int_equal(b.len, want->len);
	assert_memory_equal(b.data, want->data, want->len);
	assert_int_equal(scratch_mode(path), 0600);
	buf_free(&b);
}

/* Copy i lies there, whole, and nothing else is in the mailbox. */
static void
assert_at(unsigned i, const char *rel)
{
	struct buf want = {0};

	buf_printf(&want, "From: s\nTo: u%u\nReceived: x\n", i);
	if (m.body.filed) {
		struct buf all = scratch_read("body");

		buf_append(&want, all.data + m.body.from,
		    m.body.filed - m.body.from);
		buf_free(&all);
	}
	buf_append_span(&want, m.body.tail);
	assert_holds(in_box(i, rel), &want);
	buf_free(&want);
	assert_int_equal(scratch_files(in_box(i, "")), 1);
}

static void
empty(unsigned i)
{
	assert_int_equal(unlink(in_box(i, "new/n")), 0);
	assert_int_equal(scratch_files(in_box(i, "")), 0);
}

static void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static ino_t
inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* --- a new file --- */

/* The next checkpoint syncs it; or else it and its directory are synced. */
static void
test_synced(void **state)
{
	static const char moved[] = "rename mail/u0/tmp/n mail/u0/new/n\n";
	static const char synced[] = "sync mail/u0/tmp/n\n"
				     "rename mail/u0/tmp/n mail/u0/new/n\n"
				     "sync mail/u0/new\n";

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	assert_at(0, "new/n");
	empty(0);
	assert_int_equal(place(PLACE_NEW), 0);
	assert_string_equal(sys_log(), moved);
	empty(0);
	assert_int_equal(place(PLACE_SYNCED), 0);
	assert_at(0, "new/n");
	assert_string_equal(sys_log(), synced);
	empty(0);
	dest->root.each = true; /* its syncfs() is not to be trusted */
	assert_int_equal(place(PLACE_NEW), 0);
	assert_string_equal(sys_log(), synced);
	empty(0);
	dest->root.each = false;
	dest->root
	    .dev++; /* the mailbox is on another file system than its root */
	assert_int_equal(place(PLACE_NEW), 0);
	assert_string_equal(sys_log(), synced);
}

/* In memory, in a file, and both; for two. */
static void
test_bodies(void **state)
{
	(void)state;
	for (size_t filed = 0; filed <= 8; filed += 4) {
		set_body("a\nb\nc\nd\n", filed);
		letter(2);
		assert_int_equal(place(PLACE_NEW), 0);
		for (unsigned i = 0; i < 2; i++) {
			assert_int_equal(copies[i].error, 0);
			assert_at(i, "new/n");
			empty(i);
		}
	}
}

/* A sealed body becomes the first copy's file, where it can. */
static void
test_link(void **state)
{
	(void)state;
	set_body("a body\n", 7);
	letter(2);
	m.link = "body";
	m.dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		sys_reset();
		if (i)
			sys_fail("linkat", 1, EXDEV);
		place_message(boxes, &m, PLACE_NEW);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(copies[k].error, 0);
			assert_at(k, "new/n");
			assert_int_equal(inode("body") ==
					     inode(in_box(k, "new/n")),
			    !i && !k);
		}
		empty(0);
		empty(1);
	}
	assert_int_equal(place(PLACE_SYNCED), 0);
	assert_non_null(strstr(sys_log(), "link body mail/u0/new/n\n"
					  "sync mail/u0/new\n"));
}

/* Whose lines are on top of it may be any copy, or none. */
static void
test_link_of_whom(void **state)
{
	const struct message_copy *const whose[] = {NULL, &copies[0],
	    &copies[1]};

	(void)state;
	set_body("a body\n", 7);
	letter(2);
	m.link = "body";
	m.dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 3; i++) {
		m.headed = whose[i];
		place_message(boxes, &m, PLACE_NEW);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(copies[k].error, 0);
			assert_int_equal(inode("body") ==
					     inode(in_box(k, "new/n")),
			    i == k + 1);
		}
		empty(0);
		empty(1);
	}
}

/* What is for a route has no mailbox, and is not placed. */
static void
test_remote(void **state)
{
	(void)state;
	letter(2);
	copies[0].path = NULL;
	copies[0].to = "u0";
	assert_int_equal(place(PLACE_NEW), EOPNOTSUPP);
	assert_int_equal(copies[1].error, 0);
	assert_int_equal(scratch_count("mail"), 1);
}

/* A name that is there is somebody's mail. */
static void
test_never_over_a_file(void **state)
{
	const struct buf other = {.data = (char[]){"other\n"}, .len = 6};

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	for (int i = 0; i < 3; i++) {
		write_file(in_box(0, "new/n"), "other\n");
		sys_reset();
		if (i == 1) /* NFS knows no flags for a rename */
			sys_fail("renameat2", 1, EINVAL);
		if (i == 2) {
			m.link = "body";
			m.dirfd = open(".", O_RDONLY | O_CLOEXEC);
		}
		place_message(boxes, &m, PLACE_NEW);
		assert_int_equal(copies[0].error, EEXIST);
		assert_holds(in_box(0, "new/n"), &other);
		assert_int_equal(scratch_files(in_box(0, "")), 1);
	}
}

/* Nor is one in tmp, and no link that lies in wait there is followed. */
static void
test_never_over_a_tmp(void **state)
{
	const struct buf other = {.data = (char[]){"other\n"}, .len = 6};

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	write_file("mail/u0/tmp/n", "other\n");
	assert_int_equal(place(PLACE_NEW), EEXIST);
	assert_holds("mail/u0/tmp/n", &other);
	assert_int_equal(unlink("mail/u0/tmp/n"), 0);
	assert_int_equal(symlink("../../../target", "mail/u0/tmp/n"), 0);
	assert_int_equal(place(PLACE_NEW), EEXIST);
	assert_false(scratch_exists("target"));
	assert_int_equal(scratch_files("mail/u0"), 0);
}

static void
test_without_renameat2(void **state)
{
	static const int errors[] = {EINVAL, ENOSYS};

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	for (int i = 0; i < 2; i++) {
		empty(0);
		sys_reset();
		sys_fail("renameat2", 1, errors[i]);
		place_message(boxes, &m, PLACE_SYNCED);
		assert_int_equal(copies[0].error, 0);
		assert_at(0, "new/n");
		assert_string_equal(sys_log(),
		    "sync mail/u0/tmp/n\n"
		    "link mail/u0/tmp/n mail/u0/new/n\n"
		    "unlink mail/u0/tmp/n\n"
		    "sync mail/u0/new\n");
	}
}

/* --- failures --- */

static void
test_errors(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		size_t filed;
		int error;
	} all[] = {
	    {"openat", 1, 0, EMFILE},
	    {"writev", 1, 0, ENOSPC},
	    {"writev", 1, 4, EDQUOT},
	    {"pread", 1, 4, EIO},
	    {"writev", 2, 4, ENOSPC},
	    {"writev", 3, 4, ENOSPC},
	    {"fsync", 1, 0, EIO},
	    {"close", 1, 0, EDQUOT},
	    {"renameat2", 1, 0, EIO},
	};

	(void)state;
	letter(2);
	assert_int_equal(place(PLACE_NEW), 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (i)
			assert_int_equal(scratch_files(in_box(0, "")), 0);
		else
			empty(0);
		empty(1);
		set_body("a\nb\nc\nd\n", all[i].filed);
		letter(2);
		sys_reset();
		sys_fail(all[i].call, all[i].nth, all[i].error);
		place_message(boxes, &m, PLACE_SYNCED);
		assert_int_equal(copies[0].error, all[i].error);
		assert_int_equal(copies[1].error, 0);
		assert_at(1, "new/n");
	}
	/* what is perhaps not on disk may be refused: it does not stay */
	empty(1);
	sys_reset();
	sys_fail("fsync", 2, EIO);
	place_message(boxes, &m, PLACE_SYNCED);
	assert_int_equal(copies[0].error, EIO);
	assert_int_equal(scratch_files(in_box(0, "")), 0);
	/* a close that was interrupted has closed it all the same */
	empty(1);
	sys_reset();
	sys_fail("close", 1, EINTR);
	place_message(boxes, &m, PLACE_NEW);
	assert_int_equal(copies[0].error, 0);
	assert_at(0, "new/n");
}

static void
test_no_mailbox(void **state)
{
	(void)state;
	letter(2);
	scratch_touch("mail/u0");
	assert_int_equal(place(PLACE_NEW), ENOTDIR);
	assert_int_equal(copies[1].error, 0);
	assert_at(1, "new/n");
	assert_int_equal(unlink("mail/u0"), 0);
	assert_int_equal(symlink("u1", "mail/u0"), 0);
	assert_int_equal(place(PLACE_AGAIN), ELOOP);
	assert_int_equal(unlink("mail/u0"), 0);
	/* it was opened, and then cannot be looked at */
	letter(1);
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	place_boxes_free(&boxes);
	boxes = place_boxes_new();
	sys_reset();
	sys_fail("fstat", 2, EIO);
	place_message(boxes, &m, PLACE_NEW);
	assert_int_equal(copies[0].error, EIO);
	assert_int_equal(place(PLACE_NEW), 0);
	assert_at(0, "new/n");
}

/* FAULT A5: the reserve of a file system is not written to. */
static void
test_reserve(void **state)
{
	(void)state;
	place_reserve(boxes, 100);
	assert_int_equal(place(PLACE_NEW), ENOSPC);
	assert_int_equal(scratch_files("mail"), 0);
}

/* FAULT B7: where the path of the root leads to nothing, nor do we go. */
static void
test_root_gone(void **state)
{
	(void)state;
	dest->root.gone = true;
	assert_int_equal(place(PLACE_NEW), ENOENT);
	assert_int_equal(scratch_count("mail"), 0);
	dest->root.gone = false;
	assert_int_equal(place(PLACE_NEW), 0);
}

/* --- mailboxes that are kept open --- */

static void
test_many_mailboxes(void **state)
{
	(void)state;
	letter(COPIES);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(place(PLACE_NEW), 0);
		for (unsigned i = 0; i < COPIES; i++) {
			assert_int_equal(copies[i].error, 0);
			assert_at(i, "new/n");
			empty(i);
		}
	}
}

/* Two of one path, below two roots. */
static void
test_two_roots(void **state)
{
	struct destination *other =
	    destination_new(&arena, scratch_path("other"));

	(void)state;
	scratch_mkdir("other");
	assert_int_equal(maildir_root_open(&other->root), 0);
	for (int i = 0; i < 2; i++) {
		letter(2);
		copies[1].dest = other;
		copies[1].path = copies[0].path;
		copies[1].name = i ? "n1" : "n";
		copies[0].name = copies[1].name;
		assert_int_equal(place(PLACE_NEW), 0);
		assert_int_equal(copies[1].error, 0);
	}
	assert_int_equal(scratch_files("mail/u0/new"), 2);
	assert_int_equal(scratch_files("other/u0/new"), 2);
	place_boxes_free(&boxes); /* the root is open as long as they are */
	boxes = place_boxes_new();
	maildir_root_close(&other->root);
}

/* Moved away, or put in another's place, a moment ago: seen at once. */
static void
test_mailbox_replaced(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	assert_int_equal(rename("mail/u0", "away"), 0);
	assert_int_equal(place(PLACE_NEW), 0);
	assert_at(0, "new/n");
	assert_int_equal(scratch_files("away"), 1);
	assert_int_equal(rename("mail/u0", "mine"), 0);
	assert_int_equal(rename("away", "mail/u0"), 0);
	empty(0);
	assert_int_equal(place(PLACE_NEW), 0);
	assert_at(0, "new/n");
}

/* What is inside it is as it was for a second, unless it is gone. */
static void
test_inside_replaced(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	assert_int_equal(rmdir("mail/u0/new"), 0);
	assert_int_equal(rmdir("mail/u0/tmp"), 0);
	assert_int_equal(place(PLACE_NEW), 0);
	assert_at(0, "new/n");
	assert_int_equal(rename("mail/u0/new", "mail/u0/old"), 0);
	scratch_mkdir("mail/u0/new");
	ahead = 2;
	assert_int_equal(place(PLACE_NEW), 0);
	assert_true(scratch_exists("mail/u0/new/n"));
	assert_int_equal(scratch_files("mail/u0/old"), 1);
}

/* --- what may be there already --- */

static const char *const places[] = {"new/n", "cur/n", "cur/n:2,RS"};
static const char *const folders[] = {"new", "cur", "cur"};

/* The same octets under the name: not touched, and on disk if it must be. */
static void
same_is_left(const char *rel, const char *folder)
{
	char want[128];
	ino_t was;

	assert_int_equal(place(PLACE_NEW), 0);
	assert_int_equal(rename("mail/u0/new/n", in_box(0, rel)), 0);
	was = inode(in_box(0, rel));
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_string_equal(sys_log(), "");
	dest->root.each = true;
	assert_int_equal(place(PLACE_AGAIN), 0);
	snprintf(want, sizeof(want), "sync mail/u0/%s\nsync mail/u0/%s\n", rel,
	    folder);
	assert_string_equal(sys_log(), want);
	dest->root.each = false;
	assert_at(0, rel);
	assert_int_equal(inode(in_box(0, rel)), was);
	/* when a sync has failed, what it says is no proof */
	assert_int_equal(place(PLACE_REWRITE), 0);
	assert_at(0, rel);
	assert_int_not_equal(inode(in_box(0, rel)), was);
	snprintf(want, sizeof(want),
	    "sync mail/u0/tmp/n.%d\n"
	    "rename mail/u0/tmp/n.%d mail/u0/%s\n"
	    "sync mail/u0/%s\n",
	    gettid(), gettid(), rel, folder);
	assert_string_equal(sys_log(), want);
	assert_int_equal(unlink(in_box(0, rel)), 0);
}

static void
test_again_same(void **state)
{
	(void)state;
	for (size_t filed = 0; filed <= 8; filed += 4) {
		set_body("a\nb\nc\nd\n", filed);
		letter(1);
		for (int i = 0; i < 3; i++)
			same_is_left(places[i], folders[i]);
	}
}

static void
is_replaced(const char *rel)
{
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, rel);
	assert_int_equal(unlink(in_box(0, rel)), 0);
}

/* A name is no proof: what has other octets is written over. */
static void
test_again_other(void **state)
{
	static const char longer[] =
	    "From: s\nTo: u0\nReceived: x\na\nb\nc\nd\n\n";
	char whole[] = "From: s\nTo: u0\nReceived: x\na\nb\nc\nd\n";

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	for (size_t filed = 0; filed <= 8; filed += 4) {
		set_body("a\nb\nc\nd\n", filed);
		letter(1);
		for (size_t at = 0; whole[at]; at++) {
			const char *rel = places[at % 3];

			whole[at] ^= 1;
			write_file(in_box(0, rel), whole);
			is_replaced(rel);
			whole[at] ^= 1;
		}
		write_file(in_box(0, "new/n"), "");
		is_replaced("new/n");
		write_file(in_box(0, "new/n"), longer);
		is_replaced("new/n");
		whole[sizeof(whole) - 2] = '\0';
		write_file(in_box(0, "cur/n:2,"), whole);
		is_replaced("cur/n:2,");
		whole[sizeof(whole) - 2] = '\n';
	}
	assert_int_equal(mkfifo("mail/u0/new/n", 0600), 0);
	is_replaced("new/n");
}

/* Beyond what is compared at once, from a file and from memory. */
static void
test_again_large(void **state)
{
	const size_t size = 200000;
	char *text = malloc(size + 1);
	int fd;

	(void)state;
	assert_non_null(text);
	memset(text, 'a', size);
	text[size] = '\0';
	for (size_t filed = 0; filed <= size; filed += size) {
		set_body(text, filed);
		letter(1);
		same_is_left("new/n", "new");
		assert_int_equal(place(PLACE_NEW), 0);
		fd = open("mail/u0/new/n", O_WRONLY);
		assert_int_equal(pwrite(fd, "b", 1, (off_t)size - 1), 1);
		close(fd);
		is_replaced("new/n");
	}
	free(text);
}

/* Not there, or but half: it is placed, and nothing is left in tmp. */
static void
test_again_missing(void **state)
{
	char mine[64];

	(void)state;
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "new/n");
	empty(0);
	snprintf(mine, sizeof(mine), "tmp/n.%d", gettid());
	write_file(in_box(0, mine), "half");
	write_file(in_box(0, "tmp/n"), "half");
	/* others, or none at all */
	write_file(in_box(0, "cur/n1:2,S"), "n1");
	write_file(in_box(0, "cur/m:n"), "m");
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_int_equal(scratch_files("mail/u0/cur"), 2);
	assert_int_equal(unlink("mail/u0/cur/n1:2,S"), 0);
	assert_int_equal(unlink("mail/u0/cur/m:n"), 0);
	assert_at(0, "new/n");
	empty(0);
	assert_int_equal(rmdir("mail/u0/cur"), 0);
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "new/n");
}

/* What cannot be known is not "missing": no second copy, nothing is lost. */
static void
test_again_errors(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		const char *at;
		int error;
	} all[] = {
	    {"unlinkat", 2, "new/n", EACCES},
	    {"openat", 1, "new/n", EMFILE},     /* the file in new */
	    {"openat", 2, "new/n", EMFILE},     /* new */
	    {"fstat", 1, "cur/n:2,S", EIO},     /* cur, before it is listed */
	    {"openat", 2, "cur/n:2,S", ENFILE}, /* the listing */
	    {"fstat", 2, "cur/n:2,S", EIO},     /* cur, afterwards */
	    {"openat", 3, "cur/n:2,S", EMFILE}, /* the file in cur */
	    {"openat", 3, "new/n", EMFILE},     /* to sync it */
	};

	(void)state;
	dest->root.each = true;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		place_boxes_free(&boxes);
		boxes = place_boxes_new();
		assert_int_equal(place(PLACE_NEW), 0);
		assert_int_equal(rename("mail/u0/new/n", in_box(0, all[i].at)),
		    0);
		sys_reset();
		sys_fail(all[i].call, all[i].nth, all[i].error);
		place_message(boxes, &m, PLACE_AGAIN);
		assert_int_equal(copies[0].error, all[i].error);
		assert_at(0, all[i].at);
		assert_int_equal(unlink(in_box(0, all[i].at)), 0);
	}
	/* moved by a reader while it was synced: what matters is who has it */
	assert_int_equal(place(PLACE_NEW), 0);
	sys_fail("openat", 3, ENOENT);
	place_message(boxes, &m, PLACE_AGAIN);
	assert_int_equal(copies[0].error, 0);
	empty(0);
	assert_int_equal(rename("mail/u0/cur", "mail/u0/old"), 0);
	assert_int_equal(symlink("old", "mail/u0/cur"), 0);
	assert_int_equal(place(PLACE_AGAIN), ELOOP);
	assert_int_equal(scratch_files("mail"), 0);
}

/* Nobody is to find it and to trust the next sync. */
static void
test_again_unsynced(void **state)
{
	static const struct {
		enum place_how how;
		unsigned nth;
	} all[] = {
	    {PLACE_AGAIN, 1}, /* the file */
	    {PLACE_AGAIN, 2}, /* its directory */
	    {PLACE_REWRITE, 2},
	};

	(void)state;
	dest->root.each = true;
	for (size_t i = 0; i < 3 * sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(place(PLACE_NEW), 0);
		assert_int_equal(rename("mail/u0/new/n",
				     in_box(0, places[i % 3])),
		    0);
		sys_reset();
		sys_fail("fsync", all[i / 3].nth, EIO);
		place_message(boxes, &m, all[i / 3].how);
		assert_int_equal(copies[0].error, EIO);
		assert_int_equal(scratch_files("mail/u0"), 0);
		assert_int_equal(place(PLACE_AGAIN), 0);
		assert_at(0, "new/n");
		empty(0);
	}
}

/* What is to be replaced stays until it is. */
static void
test_again_not_replaced(void **state)
{
	const struct buf other = {.data = (char[]){"other\n"}, .len = 6};
	static const struct {
		const char *call;
		int error;
	} all[] = {
	    {"writev", ENOSPC},
	    {"fsync", EIO},
	    {"renameat", EIO},
	};

	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	write_file("mail/u0/new/n", "other\n");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sys_reset();
		sys_fail(all[i].call, 1, all[i].error);
		place_message(boxes, &m, PLACE_REWRITE);
		assert_int_equal(copies[0].error, all[i].error);
		assert_holds("mail/u0/new/n", &other);
		assert_int_equal(scratch_files("mail/u0"), 1);
	}
	assert_int_equal(unlink("mail/u0/new/n"), 0);
	scratch_mkdir("mail/u0/new/n");
	assert_int_equal(place(PLACE_AGAIN), EISDIR);
	assert_int_equal(scratch_files("mail/u0"), 0);
}

/* --- while a reader is at work --- */

/* Long ago nothing changed in cur: a listing may be trusted from now on. */
static void
rest(void)
{
	const struct timespec t[2] = {{.tv_sec = 1e9}, {.tv_sec = 1e9}};

	assert_int_equal(utimensat(AT_FDCWD, "mail/u0/cur", t, 0), 0);
}

/* What was listed counts until cur changes, and then no more. */
static void
test_listing_is_kept(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	rest();
	assert_int_equal(place(PLACE_AGAIN), 0);
	empty(0);
	sys_reset();
	sys_fail("fstat", 2, EIO); /* of a second listing */
	place_message(boxes, &m, PLACE_AGAIN);
	assert_int_equal(copies[0].error, 0);
	assert_int_equal(rename("mail/u0/new/n", "mail/u0/cur/n:2,S"), 0);
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "cur/n:2,S");
	rest();
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_int_equal(rename("mail/u0/cur/n:2,S", "mail/u0/cur/n:2,RS"), 0);
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "cur/n:2,RS");
	/* deleted: one more copy is what may happen */
	assert_int_equal(unlink("mail/u0/cur/n:2,RS"), 0);
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "new/n");
}

static const char *renamed; /* what a reader does before a listing ends */
static bool same_tick;      /* and no clock has seen it */

struct dirent *
readdir(DIR *d)
{
	struct dirent *(*real)(DIR *);
	struct timespec t[2];
	struct dirent *e;
	struct stat st;

	*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	e = real(d);
	if (!renamed || !e || strncmp(e->d_name, "n:", 2) != 0)
		return e;
	/* the place of its new name was read before */
	assert_int_equal(fstat(dirfd(d), &st), 0);
	assert_int_equal(renameat(dirfd(d), e->d_name, dirfd(d), renamed), 0);
	t[0] = t[1] = st.st_mtim;
	if (same_tick)
		assert_int_equal(futimens(dirfd(d), t), 0);
	renamed = NULL;
	return real(d);
}

/* A name that was in neither half of a listing is not missing. */
static void
test_renamed_while_listed(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	assert_int_equal(rename("mail/u0/new/n", "mail/u0/cur/n:2,S"), 0);
	rest();
	renamed = "n:2,RS";
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_null(renamed);
	assert_at(0, "cur/n:2,RS");
	/* a time that is almost now proves nothing */
	place_boxes_free(&boxes);
	boxes = place_boxes_new();
	ahead = -60;
	same_tick = true;
	renamed = "n:2,FRS";
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_null(renamed);
	assert_at(0, "cur/n:2,FRS");
	same_tick = false;
}

/* Where cur never rests, what several listings lack is missing. */
static void
test_never_quiet(void **state)
{
	(void)state;
	assert_int_equal(place(PLACE_NEW), 0);
	empty(0);
	ahead = -60;
	assert_int_equal(place(PLACE_AGAIN), 0);
	assert_at(0, "new/n");
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_synced),
	    T(test_bodies),
	    T(test_link),
	    T(test_link_of_whom),
	    T(test_remote),
	    T(test_never_over_a_file),
	    T(test_never_over_a_tmp),
	    T(test_without_renameat2),
	    T(test_errors),
	    T(test_no_mailbox),
	    T(test_reserve),
	    T(test_root_gone),
	    T(test_many_mailboxes),
	    T(test_two_roots),
	    T(test_mailbox_replaced),
	    T(test_inside_replaced),
	    T(test_again_same),
	    T(test_again_other),
	    T(test_again_large),
	    T(test_again_missing),
	    T(test_again_errors),
	    T(test_again_unsynced),
	    T(test_again_not_replaced),
	    T(test_listing_is_kept),
	    T(test_renamed_while_listed),
	    T(test_never_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
