/*
 * What must be on disk, and in which order, before a message counts as held;
 * and what is there when that fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>

#include <cmocka.h>

#include "deliver/held_file.h"
#include "letters.h"
#include "scratch.h"
#include "sys.h"

static struct crc32c crc;
static struct destination root;
static struct message m;
static int held, dir;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	sys_reset();
	crc32c_init(&crc);
	scratch_mkdir("held");
	scratch_mkdir("journal");
	held = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = open("journal", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	root = (struct destination){.text = strdup(scratch_path("mail"))};
	letter_init(&m, &root, 0, 1, 100);
	m.copies[0].error = EDQUOT;
	return held < 0 || dir < 0;
}

static int
finish(void **state)
{
	letter_free(&m);
	free((char *)(uintptr_t)root.text);
	close(held);
	close(dir);
	return scratch_teardown(state);
}

/* Its body is in a file of the journal, and open. */
static struct message
filed(void)
{
	struct message f = m;

	f.body.fd = open("journal/b", O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_true(f.body.fd >= 0);
	f.body.tail = (struct span){NULL, 0};
	f.dirfd = dir;
	f.link = "b";
	return f;
}

/* FAULT F12: the file, its name, and the folder that the name is in. */
static void
each_step_is_synced(void **state)
{
	struct message f = filed();
	char want[512], name[64];

	(void)state;
	sys_reset();
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	snprintf(name, sizeof(name), "%s", scratch_only("held") + 5);
	snprintf(want, sizeof(want),
	    "sync held/.%s-%d\nrename held/.%s-%d held/%s\nsync held\n", name,
	    getpid(), name, getpid(), name);
	assert_string_equal(sys_log(), want);
	sys_reset();
	assert_int_equal(held_file_write(&crc, held, &f, false, NULL), 0);
	snprintf(want, sizeof(want),
	    "link journal/b held/%s.body\nsync held/.%s-%d\n"
	    "rename held/.%s-%d held/%s\nsync held\n",
	    name, name, getpid(), name, getpid(), name);
	assert_string_equal(sys_log(), want);
	close(f.body.fd);
}

/* Nothing of it has the name, and its body stays as long as it is open. */
static void
what_fails_is_not_held(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
	} all[] = {
	    {"linkat", 1}, {"openat", 2}, /* the first looks for an older one */
	    {"pwrite", 1}, {"pwrite", 2}, {"pwrite", 3}, {"fsync", 1},
	    {"renameat", 1},
	    {"fsync", 2}, /* what may not be on disk does not stay, either */
	};
	struct message f = filed();
	int fd;

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sys_reset();
		sys_fail(all[i].call, all[i].nth, EIO);
		errno = 0;
		assert_int_equal(held_file_write(&crc, held, &f, false, NULL),
		    -1);
		assert_int_equal(errno, EIO);
		assert_int_equal(scratch_files("held"), i > 0);
	}
	assert_int_equal(held_file_write(&crc, held, &f, false, NULL), 0);
	fd = open("journal/b", O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(f.body.fd);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
}

/* What is there by this name is read for its age, and may be anything. */
static void
what_has_the_name_is_replaced(void **state)
{
	struct held_file f;
	char name[64];

	(void)state;
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	snprintf(name, sizeof(name), "%s", scratch_only("held"));
	assert_int_equal(truncate(name, 100), 0);
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	assert_int_equal(held_file_open(&f, &crc, held, name + 5, 0), 0);
	assert_int_equal(held_block_read(f.fd, f.block_at).attempts, 1);
	assert_int_equal(held_block_read(f.fd, f.block_at).error, EDQUOT);
	assert_string_equal(f.m.id, m.id);
	assert_int_equal(f.m.ncopies, 1);
	held_file_close(&f);
}

static void
make_remote(struct message_copy *c, const struct destination *route)
{
	c->dest = route;
	c->path = NULL;
	c->to = "x@example.net";
	c->note = "451 4.4.1 down";
	c->error = EAGAIN;
}

/* Of all that is told to a route, and what it said. */
static void
what_waits_for_a_route(void **state)
{
	static const struct destination route = {.text = "lmtp:/run/x"};
	char reason[HELD_REASON_MAX];
	struct held_file f;

	(void)state;
	make_remote(&m.copies[0], &route);
	m.utf8 = true;
	m.wire = 102;
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	assert_int_equal(held_file_open(&f, &crc, held,
			     scratch_only("held") + 5, 0),
	    0);
	assert_int_equal(f.m.ncopies, 1);
	assert_string_equal(f.m.copies[0].to, "x@example.net");
	assert_string_equal(f.m.copies[0].dest->text, "lmtp:/run/x");
	assert_string_equal(f.m.copies[0].name, m.copies[0].name);
	assert_string_equal(f.m.sender, "s@example.com");
	assert_string_equal(f.m.helo, "x");
	assert_true(f.m.utf8);
	assert_int_equal(f.m.wire, 102);
	held_block_reason(f.fd, f.block_at, reason);
	assert_string_equal(reason, "451 4.4.1 down");
	held_file_close(&f);
}

/* Of any length, in a file that ends anywhere. */
static void
a_reason_has_an_end(void **state)
{
	char reason[HELD_REASON_MAX], x[HELD_BLOCK];
	int fd = open("x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	(void)state;
	held_block_reason(fd, 0, reason);
	assert_string_equal(reason, "");
	memset(x, 'x', sizeof(x));
	assert_int_equal(pwrite(fd, x, sizeof(x), 0), sizeof(x));
	held_block_reason(fd, 0, reason);
	assert_int_equal(strlen(reason), sizeof(reason) - 1);
	/* it is a line of a header for whoever gives up */
	assert_int_equal(pwrite(fd, "450 x\nTo: y", 12, 32), 12);
	held_block_reason(fd, 0, reason);
	assert_string_equal(reason, "");
	close(fd);
}

/* Who looks does not touch what may hang; nor make it. */
static void
a_look_opens_no_root(void **state)
{
	struct held_file f;
	const char *name;

	(void)state;
	scratch_mkdir("mail");
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	name = scratch_only("held") + 5;
	assert_int_equal(held_file_look(&f, &crc, held, name), 0);
	assert_string_equal(f.m.copies[0].dest->text, root.text);
	assert_true(f.m.copies[0].dest->root.gone);
	held_file_close(&f);
	assert_int_equal(held_file_open(&f, &crc, held, name, 0), 0);
	assert_false(f.m.copies[0].dest->root.gone);
	held_file_close(&f);
}

/* While another works on it, and when that made another one of it. */
static void
one_works_on_a_file(void **state)
{
	int fd[2];
	const char *name;

	(void)state;
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	name = scratch_only("held") + 5;
	for (int i = 0; i < 2; i++)
		fd[i] = openat(held, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(held_file_lock(fd[0], held, name), 0);
	assert_int_equal(held_file_lock(fd[1], held, name), -1);
	assert_int_equal(errno, EBUSY);
	close(fd[0]);
	assert_int_equal(held_file_write(&crc, held, &m, false, NULL), 0);
	assert_int_equal(held_file_lock(fd[1], held, name), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(unlinkat(held, name, 0), 0);
	assert_int_equal(held_file_lock(fd[1], held, name), -1);
	assert_int_equal(errno, ENOENT);
	close(fd[1]);
}

static void
names_of_records(void **state)
{
	(void)state;
	assert_true(held_name_is_record("0123456789ABCDEF.1-01234567"));
	assert_true(held_name_is_record("body"));
	assert_true(held_name_is_record("x.body.y"));
	assert_false(held_name_is_record("0123456789ABCDEF.1-01234567.body"));
	assert_false(held_name_is_record(HELD_BODY));
	assert_false(held_name_is_record(".x"));
}

/* One of a route in vain is not to keep a mailbox, or another route, waiting.
 */
static void
a_file_has_one_way(void **state)
{
	static const struct destination routes[] = {{.text = "route:a"},
	    {.text = "route:a"}, {.text = "route:b"}};
	struct held_file f;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		letter_free(&m);
		letter_init(&m, &root, i, 2, 100);
		m.copies[0].error = m.copies[1].error = EAGAIN;
		if (i)
			make_remote(&m.copies[0], &routes[0]);
		if (i > 1)
			make_remote(&m.copies[1], &routes[i - 1]);
		assert_int_equal(held_file_write(&crc, held, &m, false, NULL),
		    0);
		assert_int_equal(held_file_open(&f, &crc, held,
				     scratch_only("held") + 5, 0),
		    i % 2 ? -1 : 0);
		if (i % 2)
			assert_int_equal(errno, EBADMSG);
		else
			held_file_close(&f);
		assert_int_equal(unlink(scratch_only("held")), 0);
	}
}

#define FILE_TEST(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    FILE_TEST(each_step_is_synced),
	    FILE_TEST(what_fails_is_not_held),
	    FILE_TEST(what_has_the_name_is_replaced),
	    FILE_TEST(what_waits_for_a_route),
	    FILE_TEST(a_reason_has_an_end),
	    FILE_TEST(a_look_opens_no_root),
	    FILE_TEST(one_works_on_a_file),
	    FILE_TEST(names_of_records),
	    FILE_TEST(a_file_has_one_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
