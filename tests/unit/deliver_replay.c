/*
 * Segments that were torn, cut short, flipped, mixed up and forged: each
 * record that is intact is delivered, and nothing else ever is.
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/replay.h"
#include "journal/attempts.h"
#include "journal/journal_dir.h"
#include "journal/recovery_run.h"
#include "letters.h"
#include "scratch.h"

#define LETTERS 12
#define SIZE    (1 << 20)

static struct crc32c crc;
static struct maildir_root root;
static int dir, held;
static struct segment *segment;
static struct message letters[LETTERS];
static uint64_t offsets[LETTERS];
static atomic_bool stop;
static unsigned naside; /* files that recover() has put aside */

static int
start(void **state)
{

	if (scratch_setup(state))
		return -1;
	crc32c_init(&crc);
	scratch_mkdir("j");
	scratch_mkdir("held");
	root = (struct maildir_root){.path = strdup(scratch_path("mail")),
	    .fd = -1,
	    .sync = -1};
	scratch_mkdirs(root.path);
	dir = open(scratch_path("j"), O_RDONLY | O_DIRECTORY);
	held = open(scratch_path("held"), O_RDONLY | O_DIRECTORY);
	segment = segment_create(&crc, dir, "00000001.log", SIZE);
	assert_non_null(segment);
	assert_int_equal(segment_begin(segment), 0);
	for (unsigned i = 0; i < LETTERS; i++) {
		letter_init(&letters[i], &root, i, 1 + i % 3, 100 + 900 * i);
		offsets[i] = letter_commit(segment, &letters[i]);
	}
	return 0;
}

static int
finish(void **state)
{
	for (unsigned i = 0; i < LETTERS; i++)
		letter_free(&letters[i]);
	segment_free(&segment);
	close(dir);
	close(held);
	free(root.path);
	stop = false;
	return scratch_teardown(state);
}

static struct replay
run(enum place_how how)
{
	struct replay r;

	replay_init(&r, &crc, dir, held, how);
	assert_int_equal(replay_range(&r, segment->fd, segment->header.nonce,
			     segment->header.done, SIZE),
	    0);
	assert_int_equal(replay_sync(&r), 0);
	replay_free(&r);
	return r;
}

/* All letters but these are there, once each. */
static void
assert_there(unsigned from, unsigned to)
{
	for (unsigned i = 0; i < LETTERS; i++)
		assert_int_equal(letter_count(&root, &letters[i]),
		    i >= from && i < to ? 0 : letters[i].ncopies);
}

static void
flip(uint64_t at)
{
	char c;

	assert_int_equal(pread(segment->fd, &c, 1, (off_t)at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(segment->fd, &c, 1, (off_t)at), 1);
}

static void
all_are_delivered_once(void **state)
{
	struct replay r;

	(void)state;
	r = run(PLACE_AGAIN);
	assert_int_equal(r.damaged, 0);
	assert_int_equal(r.placed, 24);
	assert_there(0, 0);
	for (int i = 0; i < 3; i++) {
		r = run(i ? PLACE_REWRITE : PLACE_AGAIN);
		assert_int_equal(r.placed, 24);
		assert_there(0, 0);
	}
}

static void
nothing_below_done(void **state)
{
	(void)state;
	assert_int_equal(segment_write_done(segment, offsets[5]), 0);
	run(PLACE_AGAIN);
	assert_there(0, 5);
}

/* Any octet of a record, its head or its body: that one alone is missing. */
static void
a_flipped_bit(void **state)
{
	uint64_t in[] = {0, 7, 8, 15, 16, 19, 20, 23, 24, 27, 28, 32, 39, 40,
	    60, 150, 400, 1000};
	struct replay r;

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		flip(offsets[4] + in[i]);
		r = run(PLACE_AGAIN);
		/* without its nonce it is of another use; it is not the last */
		assert_int_equal(r.damaged, in[i] >= 8);
		assert_false(r.torn);
		assert_there(4, 5);
		flip(offsets[4] + in[i]);
	}
	assert_int_equal(run(PLACE_AGAIN).damaged, 0);
	assert_there(0, 0);
}

static void
a_page_of_zeros(void **state)
{
	static const char zeros[4096];

	(void)state;
	assert_int_equal(pwrite(segment->fd, zeros, sizeof(zeros),
			     (off_t)offsets[7]),
	    sizeof(zeros));
	run(PLACE_AGAIN);
	assert_there(7, 8);
}

/* The end of a commit never came to the disk; what is there is stale. */
static void
a_torn_tail(void **state)
{
	char stale[512];
	struct replay r;

	(void)state;
	memset(stale, 'x', sizeof(stale));
	assert_int_equal(pwrite(segment->fd, stale, sizeof(stale),
			     (off_t)offsets[LETTERS - 1] + 4096),
	    sizeof(stale));
	r = run(PLACE_AGAIN);
	assert_int_equal(r.damaged, 0);
	assert_true(r.torn);
	assert_there(LETTERS - 1, LETTERS);
}

/* Records of others, or of ours at another place, prove nothing. */
static void
moved_records(void **state)
{
	char *all = malloc(SIZE);
	size_t n = (size_t)(offsets[5] - offsets[4]);

	(void)state;
	assert_int_equal(pread(segment->fd, all, SIZE, 0), SIZE);
	/* a copy of one in the place of the next */
	assert_int_equal(pwrite(segment->fd, all + offsets[4], n,
			     (off_t)offsets[5]),
	    (ssize_t)n);
	run(PLACE_AGAIN);
	assert_there(5, 6);
	free(all);
}

static void
the_last_use_of_the_file(void **state)
{
	struct message late;

	(void)state;
	assert_int_equal(segment_begin(segment), 0);
	letter_init(&late, &root, 99, 1, 5000);
	letter_commit(segment, &late);
	assert_int_equal(run(PLACE_AGAIN).damaged, 0);
	assert_int_equal(letter_count(&root, &late), 1);
	assert_there(0, LETTERS);
	letter_free(&late);
}

/* A body that holds a record, whole, aligned, and of the right offset. */
static void
a_forged_record(void **state)
{
	struct message good, bad;
	struct buf record = {0}, body = {0};
	uint64_t at = segment->end + 1024;

	(void)state;
	letter_init(&bad, &root, 666, 1, 100);
	letter_init(&good, &root, 100, 1, 10);
	record_encode(&record, &bad, NULL);
	/* what a stranger cannot know is the nonce: 0 and all of the rest */
	for (uint64_t nonce = 0; nonce < 64; nonce++) {
		memset(buf_reserve(&body, 512), 'x', 512);
		body.len += 512;
		record_seal(&crc, &record, bad.body.tail, nonce, at);
		buf_append_span(&body, buf_span(&record));
		buf_append_span(&body, bad.body.tail);
		memset(buf_reserve(&body, 512), 'x', 512);
		body.len = (body.len + 511) / 512 * 512;
	}
	free((char *)(uintptr_t)good.body.tail.ptr);
	good.body.tail = buf_span(&body);
	letter_commit(segment, &good);
	/* and the record that it is in is damaged, so that all is searched */
	flip(segment->end - 4096);
	run(PLACE_AGAIN);
	assert_int_equal(letter_count(&root, &bad), 0);
	assert_there(0, 0);
	good.body.tail.ptr = NULL;
	letter_free(&good);
	letter_free(&bad);
	buf_free(&record);
	buf_free(&body);
}

static void
spoil(struct message *m, const char *data, size_t n, const char *to)
{
	char from[512], path[512];
	const struct message_copy *c = &m->copies[0];
	int fd;

	snprintf(from, sizeof(from), "%s/%s/new/%s", root.path, c->path,
	    c->name);
	if (data) {
		fd = open(from, O_WRONLY | O_TRUNC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, data, n), (ssize_t)n);
		close(fd);
	}
	if (!to)
		return;
	snprintf(path, sizeof(path), "%s/%s/cur/%s%s", root.path, c->path,
	    c->name, to);
	assert_int_equal(rename(from, path), 0);
}

/* A name in the Maildir is not proof; a reader's flags are kept. */
static void
what_is_there_is_compared(void **state)
{
	char path[512];

	(void)state;
	run(PLACE_AGAIN);
	spoil(&letters[0], "", 0, NULL);
	spoil(&letters[1], "short", 5, ":2,S");
	spoil(&letters[2], NULL, 0, ":2,RS");
	spoil(&letters[3], NULL, 0, "");
	run(PLACE_AGAIN);
	assert_there(0, 0);
	snprintf(path, sizeof(path), "%s/u0/cur/%s:2,S", root.path,
	    letters[1].copies[0].name);
	assert_int_equal(access(path, F_OK), 0);
}

static void
a_leftover_in_tmp(void **state)
{
	char path[512];
	int fd;

	(void)state;
	run(PLACE_AGAIN);
	snprintf(path, sizeof(path), "%s/u0/new/%s", root.path,
	    letters[0].copies[0].name);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/u0/tmp/%s", root.path,
	    letters[0].copies[0].name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	run(PLACE_AGAIN);
	assert_there(0, 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* --- a whole journal --- */

static struct recovery_result
recover(void)
{
	struct recovery_dirs dirs = {0};
	struct recovery_result x;
	char to[512];

	if (!scratch_exists("journal"))
		scratch_mkdir("journal");
	if (!scratch_exists("damaged"))
		scratch_mkdir("damaged");
	snprintf(to, sizeof(to), "%s",
	    scratch_path("journal/0123456789ABCDEF"));
	if (scratch_exists("j"))
		assert_int_equal(rename(scratch_path("j"), to), 0);
	dirs.root = open(scratch_path("journal"), O_RDONLY | O_DIRECTORY);
	dirs.damaged = open(scratch_path("damaged"), O_RDONLY | O_DIRECTORY);
	dirs.held = held;
	recovery_run(&dirs, &crc, "", &stop, &x);
	naside = 0;
	for (size_t at = 0; at < x.aside.len; naside++)
		at += strlen(x.aside.data + at) + 1;
	buf_free(&x.aside);
	close(dirs.root);
	close(dirs.damaged);
	return x;
}

static void
a_journal_is_read_back_and_removed(void **state)
{
	struct recovery_result x = recover();

	(void)state;
	assert_string_equal(x.name, "0123456789ABCDEF");
	assert_int_equal(x.error, 0);
	assert_int_equal(x.placed, 24);
	assert_there(0, 0);
	assert_int_equal(scratch_count(scratch_path("journal")), 0);
	assert_int_equal(scratch_count(scratch_path("damaged")), 0);
}

/* A worker that leaves does not stay for it; the next one goes on. */
static void
stopped_on_the_way(void **state)
{
	struct recovery_result x;

	(void)state;
	stop = true;
	x = recover();
	assert_int_equal(x.error, ECANCELED);
	assert_there(0, LETTERS);
	stop = false;
	x = recover();
	assert_int_equal(x.error, 0);
	assert_there(0, 0);
}

/* Either header will do. */
static void
one_header_is_enough(void **state)
{
	struct recovery_result x;

	(void)state;
	flip(16);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.damaged, 0);
	assert_there(0, 0);
}

/* A kill during a commit is no damage: nothing is put aside for a look. */
static void
a_torn_tail_is_recovered(void **state)
{
	struct recovery_result x;

	(void)state;
	flip((size_t)offsets[LETTERS - 1] + 100);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(x.damaged, 0);
	assert_true(x.torn);
	assert_int_equal(scratch_count(scratch_path("damaged")), 0);
	assert_there(LETTERS - 1, LETTERS);
}

static void
without_a_header(void **state)
{
	struct recovery_result x;

	(void)state;
	flip(16);
	flip(4096 + 40);
	x = recover();
	assert_int_equal(x.damaged, 1);
	assert_there(0, LETTERS);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

static void
cut_short(void **state)
{
	struct recovery_result x;

	(void)state;
	assert_int_equal(ftruncate(segment->fd, (off_t)offsets[8] + 100), 0);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_true(x.damaged >= 1);
	assert_there(8, LETTERS);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

/* FAULT F1: neither its mailbox nor held/ takes it: the journal keeps it. */
static void
nobody_takes_it(void **state)
{
	struct recovery_result x;

	(void)state;
	scratch_touch("mail/u0");
	assert_int_equal(rmdir("held"), 0);
	x = recover();
	assert_int_equal(x.error, EIO);
	assert_int_equal(x.held_back, 0);
	assert_int_equal(scratch_count("journal"), 1);
	assert_int_equal(unlink("mail/u0"), 0);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_there(0, 0);
	assert_int_equal(scratch_count("journal"), 0);
}

/* Somebody holds it: hands off. */
static void
a_journal_with_an_owner(void **state)
{
	char to[512];
	struct recovery_result x;
	struct journal_dir d;
	int fd;

	(void)state;
	scratch_mkdir("journal");
	fd = open(scratch_path("journal"), O_RDONLY | O_DIRECTORY);
	assert_int_equal(journal_dir_make(fd, &d), 0);
	snprintf(to, sizeof(to), "%s/%s/00000001.log", scratch_path("journal"),
	    d.name);
	assert_int_equal(rename(scratch_path("j/00000001.log"), to), 0);
	assert_int_equal(rmdir(scratch_path("j")), 0);
	x = recover();
	assert_string_equal(x.name, "");
	assert_there(0, LETTERS);
	journal_dir_close(&d); /* as when its process ends */
	x = recover();
	assert_int_equal(x.placed, 24);
	assert_there(0, 0);
	close(fd);
}

/* Whoever read this record died, again and again. */
static void
ended_there(unsigned i, unsigned times)
{
	struct attempts a;

	for (unsigned n = 0; n < times; n++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", 8192));
		assert_true(attempts_begin(&a, "00000001.log", offsets[i]));
		attempts_close(&a);
	}
}

static void
a_record_that_ends_its_readers(void **state)
{
	struct recovery_result x;

	(void)state;
	ended_there(6, ATTEMPTS_MAX);
	x = recover();
	assert_int_equal(x.left_out, 1);
	assert_there(6, 7);
	assert_int_equal(access(scratch_path(
				    "journal/quarantine-0123456789ABCDEF"),
			     F_OK),
	    0);
	x = recover();
	assert_string_equal(x.name, "");
}

/* Killed here and there, or not inside a record: no fault of the journal. */
static void
readers_that_were_killed(void **state)
{
	struct recovery_result x;
	struct attempts a;

	(void)state;
	for (unsigned i = 0; i < LETTERS; i++)
		ended_there(i, ATTEMPTS_MAX - 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", offsets[3]));
		attempts_rest(&a);
		attempts_close(&a);
	}
	x = recover();
	assert_int_equal(x.left_out, 0);
	assert_there(0, 0);
}

static void
a_version_of_the_future(void **state)
{
	char head[HEADER_LEN];
	struct record_header h = segment->header;
	struct recovery_result x;
	int fd;

	(void)state;
	h.version = RECORD_VERSION + 1;
	h.turn += 2;
	record_header_encode(&crc, &h, head);
	assert_int_equal(pwrite(segment->fd, head, sizeof(head), 0),
	    HEADER_LEN);
	x = recover();
	assert_int_equal(x.error, EPROTO);
	assert_there(0, LETTERS);
	fd = open(scratch_path("journal"), O_RDONLY | O_DIRECTORY);
	assert_int_equal(recovery_version(&crc, fd, "0123456789ABCDEF"),
	    RECORD_VERSION + 1);
	close(fd);
}

/* FAULT B3: what is none of our files neither stops the reading nor stays. */
static void
things_that_are_no_segments(void **state)
{
	struct recovery_result x;
	int fd;

	(void)state;
	assert_int_equal(mkfifoat(dir, "00000002.log", 0600), 0);
	assert_int_equal(symlinkat("/dev/zero", dir, "00000003.log"), 0);
	assert_int_equal(mkdirat(dir, "00000004.log", 0700), 0);
	assert_int_equal(mkdirat(dir, "folder", 0700), 0);
	assert_int_equal(mkfifoat(dir, "attempts", 0600), 0);
	assert_int_equal(mkfifoat(dir, "doubt", 0600), 0);
	fd = openat(dir, "00000005.log", O_WRONLY | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, (off_t)SEGMENT_MAX + 1), 0);
	close(fd);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	assert_int_equal(recovery_version(&crc, fd, "j"), RECORD_VERSION);
	close(fd);
	x = recover();
	assert_int_equal(x.error, 0);
	assert_int_equal(naside, 6);
	assert_int_equal(scratch_count(scratch_path("damaged")), 6);
	assert_int_equal(scratch_count(scratch_path("journal")), 0);
	assert_there(0, 0);
}

/* FAULT B3: a FIFO in the place of the note neither waits nor takes it. */
static void
a_doubt_that_is_no_file(void **state)
{
	struct journal_dir d = {.fd = dir};

	(void)state;
	assert_int_equal(mkfifoat(dir, "doubt", 0600), 0);
	assert_int_equal(journal_dir_doubt(&d), 0);
	assert_true(journal_dir_doubted(&d));
}

/* FAULT B3: an end before the first record is counted, too. */
static void
a_segment_that_ends_its_readers(void **state)
{
	struct recovery_result x;
	struct attempts a;

	(void)state;
	for (unsigned n = 0; n < ATTEMPTS_MAX; n++) {
		assert_int_equal(attempts_open(&a, dir), 0);
		assert_true(attempts_begin(&a, "00000001.log", 0));
		attempts_close(&a);
	}
	x = recover();
	assert_int_equal(x.left_out, 1);
	assert_there(0, LETTERS);
	assert_int_equal(access(scratch_path(
				    "journal/quarantine-0123456789ABCDEF"),
			     F_OK),
	    0);
}

static void
write_headers(const struct record_header *h)
{
	char head[HEADER_LEN];

	record_header_encode(&crc, h, head);
	for (off_t at = 0; at <= RECORD_PAGE; at += RECORD_PAGE)
		assert_int_equal(pwrite(segment->fd, head, sizeof(head), at),
		    HEADER_LEN);
}

/* FAULT B3: a header whose numbers cannot be is no header, and no way to
 * pass over what is behind it. */
static void
numbers_of_a_header(void **state)
{
	const uint64_t done[] = {0, RECORD_FIRST - 512, RECORD_FIRST + 1,
	    SIZE + 512, UINT64_MAX};
	struct record_header h = segment->header;
	char head[HEADER_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		h.done = done[i];
		record_header_encode(&crc, &h, head);
		assert_false(record_header_decode(&crc, head, &h));
	}
	write_headers(&h);
	assert_int_equal(recover().damaged, 1);
	assert_int_equal(scratch_count(scratch_path("damaged")), 1);
}

static bool
decodes(struct message *m, const char *file)
{
	struct buf b = {0};
	struct record r;
	struct replay roots;
	struct message read;
	const char *body;
	bool ok;

	record_encode(&b, m, file);
	record_seal(&crc, &b, m->body.tail, 1, 0);
	buf_append_span(&b, m->body.tail);
	assert_true(record_decode(&crc, buf_span(&b), 1, 0, &r));
	replay_init(&roots, &crc, dir, held, PLACE_AGAIN);
	ok = record_message(&r, replay_root, &roots, &read, &body);
	if (ok)
		message_free(&read);
	replay_free(&roots);
	buf_free(&b);
	return ok;
}

/* FAULT B3: each number of a record is bounded where it is decoded. */
static void
numbers_of_a_record(void **state)
{
	struct message *m = &letters[0];
	struct message bad = *m;

	(void)state;
	assert_true(decodes(m, NULL));
	bad.when = INT64_MAX / 100;
	assert_false(decodes(&bad, NULL));
	bad.when = -1;
	assert_false(decodes(&bad, NULL));
	bad = *m;
	bad.body.filed = RECORD_BODY_MAX;
	assert_true(decodes(&bad, "body"));
	bad.body.filed++;
	assert_false(decodes(&bad, "body"));
	bad = *m;
	strcpy(bad.id, "../x");
	assert_false(decodes(&bad, NULL));
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(all_are_delivered_once),
	    T(nothing_below_done),
	    T(a_flipped_bit),
	    T(a_page_of_zeros),
	    T(a_torn_tail),
	    T(a_torn_tail_is_recovered),
	    T(moved_records),
	    T(the_last_use_of_the_file),
	    T(a_forged_record),
	    T(what_is_there_is_compared),
	    T(a_leftover_in_tmp),
	    T(a_journal_is_read_back_and_removed),
	    T(stopped_on_the_way),
	    T(one_header_is_enough),
	    T(without_a_header),
	    T(cut_short),
	    T(nobody_takes_it),
	    T(a_journal_with_an_owner),
	    T(a_record_that_ends_its_readers),
	    T(readers_that_were_killed),
	    T(a_version_of_the_future),
	    T(things_that_are_no_segments),
	    T(a_doubt_that_is_no_file),
	    T(a_segment_that_ends_its_readers),
	    T(numbers_of_a_header),
	    T(numbers_of_a_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
