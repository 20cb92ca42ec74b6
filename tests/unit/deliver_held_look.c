/*
 * Looks at held mail: what waits for which route, how it was tried, and how
 * often files are read for that.
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
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/held_look.h"
#include "dest/destination.h"
#include "letters.h"
#include "scratch.h"

static struct crc32c crc;
static struct held_look look;
static struct destination root;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	scratch_mkdir("held");
	crc32c_init(&crc);
	root = (struct destination){.text = "/mail"};
	look = (struct held_look){.crc = &crc,
	    .dirfd = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	return look.dirfd < 0;
}

static int
finish(void **state)
{
	held_look_free(&look);
	close(look.dirfd);
	return scratch_teardown(state);
}

static const struct held_route *
go_look(const char *route)
{
	held_routes_free(&look.routes);
	held_look_run(&look);
	return held_route_find(look.routes, route);
}

/* Message n, for this route; NULL: for a mailbox. */
static void
hold(unsigned n, const char *route, size_t size)
{
	const struct destination to = {.text = route};
	struct message_copy *c;
	struct message m;

	letter_init(&m, &root, n, 1, size);
	c = &m.copies[0];
	c->error = EAGAIN;
	if (route) {
		c->dest = &to;
		c->path = NULL;
		c->to = "x@example.net";
	}
	assert_int_equal(held_file_write(&crc, look.dirfd, &m, false, NULL), 0);
	letter_free(&m);
}

/* The name in held/ of what waits at this place. */
static const char *
path_of(const struct held_route *r, unsigned i)
{
	static char path[256];

	snprintf(path, sizeof(path), "held/%s", r->files[i].name);
	return path;
}

/* Its only file says that it was tried at this time. */
static void
try_at(const struct held_route *r, int64_t last)
{
	struct held_block b = r->files[0].block;
	const struct timespec then[2] = {{.tv_sec = last}, {.tv_sec = last}};
	const char *path = path_of(r, 0);
	struct held_file f;

	assert_int_equal(held_file_open(&f, &crc, look.dirfd, path + 5, 0), 0);
	b.attempts++;
	b.last = last;
	assert_int_equal(held_block_write(f.fd, f.block_at, &b, "451 down"), 0);
	held_file_close(&f);
	/* some file systems tell no two times within a few ms apart */
	assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* Each in its list, from the oldest on. */
static void
each_route_has_its_own(void **state)
{
	const struct held_route *r;
	char begin[32];

	(void)state;
	for (unsigned i = 1; i <= 40; i++) {
		unsigned n = i * 7 % 41; /* in no order */

		hold(10 + n, n % 2 ? "route:a" : "lmtp:/run/x", 100);
	}
	hold(1, NULL, 100);
	assert_null(go_look("route:b"));
	for (unsigned i = 0; i < 2; i++) {
		r = held_route_find(look.routes, i ? "route:a" : "lmtp:/run/x");
		assert_non_null(r);
		assert_int_equal(r->n, 20);
		for (unsigned k = 0; k < 20; k++) {
			snprintf(begin, sizeof(begin), "0123456789ABCDEF.%u-",
			    12 + 2 * k - i);
			assert_memory_equal(r->files[k].name, begin,
			    strlen(begin));
			assert_int_equal(r->files[k].block.attempts, 1);
			assert_int_equal(r->files[k].block.error, EAGAIN);
			assert_true(r->files[k].size > RECORD_FIRST);
		}
	}
	assert_int_equal(HASH_COUNT(look.routes), 2);
}

static void
what_is_gone_is_forgotten(void **state)
{
	const struct held_route *r;

	(void)state;
	hold(1, "route:a", 100);
	hold(2, "route:a", 100);
	r = go_look("route:a");
	assert_int_equal(r->n, 2);
	assert_int_equal(unlink(path_of(r, 0)), 0);
	assert_int_equal(go_look("route:a")->n, 1);
	assert_int_equal(unlink(path_of(go_look("route:a"), 0)), 0);
	assert_null(go_look("route:a"));
	assert_null(look.known);
}

/* By another worker, or by hand. */
static void
what_was_tried_is_known(void **state)
{
	const struct held_route *r;

	(void)state;
	hold(1, "route:a", 100);
	r = go_look("route:a");
	try_at(r, 1000);
	r = go_look("route:a");
	assert_int_equal(r->files[0].block.attempts, 2);
	assert_int_equal(r->files[0].block.last, 1000);
	try_at(r, 2000);
	assert_int_equal(go_look("route:a")->files[0].block.last, 2000);
}

/* And once more when they have changed, or it is asked for. */
static void
files_are_read_once(void **state)
{
	struct held_route *r;
	struct stat st;
	int fd;

	(void)state;
	hold(1, "route:a", 100);
	hold(2, NULL, 100);
	go_look("route:a");
	r = look.routes;
	assert_int_equal(stat(path_of(r, 0), &st), 0);
	/* nobody may know that by now nothing of it makes sense */
	fd = open(path_of(r, 0), O_WRONLY);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(futimens(fd, (const struct timespec[2]){st.st_atim,
					  st.st_mtim}),
	    0);
	close(fd);
	assert_int_equal(go_look("route:a")->files[0].block.attempts, 1);
	/* but when it is asked for */
	scratch_touch("held/" HELD_NOW);
	assert_int_equal(go_look("route:a")->files[0].block.attempts, 0);
}

static void
touch_now(time_t when)
{
	const struct timespec then[2] = {{.tv_sec = when}, {.tv_sec = when}};

	if (!scratch_exists("held/" HELD_NOW))
		scratch_touch("held/" HELD_NOW);
	assert_int_equal(utimensat(AT_FDCWD, "held/" HELD_NOW, then, 0), 0);
}

/* One touch is one time; who began behind it reads all in any case. */
static void
now_is_said_once(void **state)
{
	(void)state;
	touch_now(1000);
	go_look("");
	assert_false(look.again);
	go_look("");
	assert_false(look.again);
	touch_now(2000);
	go_look("");
	assert_true(look.again);
	go_look("");
	assert_false(look.again);
	assert_int_equal(unlink("held/" HELD_NOW), 0);
	go_look("");
	assert_false(look.again);
	touch_now(3000);
	go_look("");
	assert_true(look.again);
}

/* A round says what it is. */
static void
what_cannot_be_read_is_not_seen(void **state)
{
	(void)state;
	hold(1, "route:a", 100);
	assert_int_equal(chdir("held"), 0);
	scratch_touch("damaged");
	scratch_touch("x.body");
	scratch_mkdir("folder");
	assert_int_equal(symlink("damaged", "link"), 0);
	assert_int_equal(chdir(".."), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(go_look("route:a")->n, 1);
	assert_int_equal(HASH_COUNT(look.routes), 1);
}

/* Its body, in a file of its own, counts as well. */
static void
a_body_counts(void **state)
{
	static const struct destination to = {.text = "route:b"};
	struct message m;

	(void)state;
	letter_init(&m, &root, 2, 1, 0);
	m.copies[0].dest = &to;
	m.copies[0].path = NULL;
	m.copies[0].to = "x";
	m.copies[0].error = EAGAIN;
	m.body.fd = open("body", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	m.body.filed = 1000;
	m.dirfd = AT_FDCWD;
	m.link = "body";
	assert_int_equal(ftruncate(m.body.fd, 1000), 0);
	assert_int_equal(held_file_write(&crc, look.dirfd, &m, false, NULL), 0);
	close(m.body.fd);
	letter_free(&m);
	assert_int_equal(go_look("route:b")->n, 1);
	assert_true(look.routes->size > RECORD_FIRST + 1000);
}

/* FAULT A4: one route keeps no mail from all others. */
static void
half_is_for_one(void **state)
{
	uint64_t one;

	(void)state;
	hold(1, "route:a", 100);
	one = go_look("route:a")->size;
	assert_int_equal(held_routes_count(look.routes, 10 * one), one);
	assert_int_equal(held_routes_count(look.routes, one), one / 2);
	hold(2, "route:b", 100);
	hold(3, "route:b", 100);
	go_look("");
	assert_int_equal(held_routes_count(look.routes, 10 * one), 3 * one);
	assert_int_equal(held_routes_count(look.routes, 2 * one), 2 * one);
	assert_int_equal(held_routes_count(NULL, one), 0);
}

#define LOOK(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    LOOK(each_route_has_its_own),
	    LOOK(what_is_gone_is_forgotten),
	    LOOK(what_was_tried_is_known),
	    LOOK(files_are_read_once),
	    LOOK(now_is_said_once),
	    LOOK(what_cannot_be_read_is_not_seen),
	    LOOK(a_body_counts),
	    LOOK(half_is_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
