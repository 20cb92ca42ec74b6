/*
 * A held file for a route: when it is due, and what a worker leaves behind that
 * dies at any call while it writes down what came of it.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/held_claim.h"
#include "dest/destination.h"
#include "io/clock.h"
#include "journal/journal_dir.h"
#include "letters.h"
#include "scratch.h"
#include "sys.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define EXPIRE (5 * 24 * 60 * MINUTE)
#define COPIES 3
#define FILED  5000

static struct crc32c crc;
static struct destination root;
static struct held_claim how;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	sys_reset();
	crc32c_init(&crc);
	scratch_mkdir("held");
	scratch_mkdir("failed");
	root = (struct destination){.text = "/mail"};
	how = (struct held_claim){.crc = &crc,
	    .held = open("held", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    .expire = EXPIRE,
	    .failed = strdup(scratch_path("failed"))};
	return how.held < 0;
}

static int
finish(void **state)
{
	sys_reset();
	close(how.held);
	free((char *)(uintptr_t)how.failed);
	return scratch_teardown(state);
}

/* For a route, as KEEPING does it. */
static void
hold(bool filed)
{
	static const struct destination to = {.text = "route:out"};
	struct message m;
	int fd = -1;

	letter_init(&m, &root, 1, COPIES, 100);
	for (unsigned i = 0; i < COPIES; i++) {
		m.copies[i].dest = &to;
		m.copies[i].to = m.copies[i].address;
		m.copies[i].path = NULL;
		m.copies[i].error = EAGAIN;
		m.copies[i].note = "451 4.4.1 Away";
	}
	if (filed) {
		fd = open("body", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(ftruncate(fd, FILED), 0);
		m.body.fd = fd;
		m.body.filed = FILED;
		m.dirfd = AT_FDCWD;
		m.link = "body";
	}
	assert_int_equal(held_file_write(&crc, how.held, &m, false, NULL), 0);
	if (filed) {
		close(fd);
		assert_int_equal(unlink("body"), 0);
	}
	letter_free(&m);
}

/* --- when --- */

static void
when_it_is_due(void **state)
{
	static const char name[] = "0123456789ABCDEF.7-00000000";
	const int64_t last = 1000000;
	int64_t more = crc32c(&crc, 0, span_str(name)) & 255;
	const struct {
		int64_t age, last, now, since;
		bool away, due;
	} all[] = {{0, 0, last, 0, false, true}, {0, 0, last, 0, true, true},
	    {0, last + 1, last, 0, false, true}, /* the machine began anew */
	    {0, last + 1, last, 0, true, true},
	    {0, last, last + 1999 + 2000 * more / 1024, 0, false, false},
	    {0, last, last + 2000 + 2000 * more / 1024, 0, false, true},
	    {8000, last, last + 3999 + 4000 * more / 1024, 0, false, false},
	    {8000, last, last + 4000 + 4000 * more / 1024, 0, false, true},
	    {60 * MINUTE, last, last + 15 * MINUTE, 0, false, !more},
	    {60 * MINUTE, last, last + 19 * MINUTE, 0, false, true},
	    {0, last, last + 15 * MINUTE - 1, 0, true, false},
	    {0, last, last + 15 * MINUTE, 0, true, true},
	    {0, last, last + 1, last, false, false},
	    {0, last, last + 1, last + 1, false, true},
	    {0, last, last + 1, last + 1, true, false},
	    {EXPIRE - 1, last, last, 0, false, false},
	    {EXPIRE - 1, last, last + 1, 0, false, true},
	    {EXPIRE - 1, last, last + 1, 0, true, true}};

	(void)state;
	assert_true(more > 0);
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const struct held_block b = {.age = all[i].age,
		    .last = all[i].last};

		how.since = all[i].since;
		how.away = all[i].away;
		if (held_claim_is_due(&how, name, &b, all[i].now) == all[i].due)
			continue;
		print_error("row %u\n", i);
		fail();
	}
}

/* --- what is left behind --- */

static char names[4][HELD_NAME_MAX];
static unsigned nnames;

static int
note_name(void *ctx, const char *name)
{
	size_t n = strlen(name);

	(void)ctx;
	if (name[0] == '.' || !strcmp(name + n - 5, HELD_BODY))
		return 0;
	assert_true(nnames < 4);
	strcpy(names[nnames++], name);
	return 0;
}

static void
find_names(void)
{
	nnames = 0;
	assert_int_equal(journal_dir_each(how.held, note_name, NULL), 0);
}

/* Each copy has this fate, by its number. What went wrong, or 0. */
static int
try_to_send(const char *name, const enum fate fates[COPIES])
{
	struct held_claim c = how;

	c.since = INT64_MAX;
	c.name = strdup(name);
	held_claim_take(&c);
	assert_int_equal(c.state, HELD_CLAIM_ASK);
	assert_false(c.expired);
	for (unsigned i = 0; i < c.file.m.ncopies; i++) {
		struct message_copy *copy = &c.file.m.copies[i];

		copy->fate = fates[copy->to[1] - '0'];
		copy->error = copy->fate == FATE_TAKEN ? 0 : EAGAIN;
		copy->note = copy->error ? "550 5.1.1 Nobody" : "";
	}
	held_claim_settle(&c);
	held_claim_free(&c);
	return c.error;
}

static void
send_file(const char *name, const enum fate fates[COPIES])
{
	assert_int_equal(try_to_send(name, fates), 0);
}

/* Is it, whole, in one of these files? */
static bool
is_held(unsigned copy, bool filed)
{
	bool found = false;

	for (unsigned i = 0; i < nnames; i++) {
		struct held_file f;

		assert_int_equal(held_file_open(&f, &crc, how.held, names[i],
				     0),
		    0);
		assert_int_equal(f.m.body.filed, filed ? FILED : 0);
		for (unsigned k = 0; k < f.m.ncopies; k++)
			found |= f.m.copies[k].to[1] - '0' == (int)copy;
		held_file_close(&f);
	}
	return found;
}

/* False: it came to its end. */
static bool
die_at(unsigned nth)
{
	static const enum fate first[] = {FATE_TAKEN, FATE_AGAIN, FATE_REFUSED};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		sys_die(nth);
		send_file(names[0], first);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 7;
}

/* Nobody is lost; who is refused is in failed once; and all of it ends. */
static void
who_dies_loses_nothing(void **state)
{
	static const enum fate then[] = {FATE_TAKEN, FATE_TAKEN, FATE_REFUSED};
	bool died = true;
	unsigned nth;

	for (nth = 0; nth < 200; nth++) {
		bool filed = nth & 1;

		assert_int_equal(finish(state), 0);
		assert_int_equal(start(state), 0);
		hold(filed);
		find_names();
		assert_int_equal(nnames, 1);
		died = die_at(1 + nth / 2);
		find_names();
		assert_int_equal(nnames, 1);
		assert_true(is_held(1, filed));
		assert_true(
		    is_held(2, filed) || scratch_count("failed/new") == 1);
		for (unsigned i = 0; i < nnames; i++)
			send_file(names[i], then);
		find_names();
		assert_int_equal(nnames, 0);
		assert_int_equal(scratch_count("failed/new"), 1);
		if (!died && filed)
			break;
	}
	assert_false(died);
	assert_true(nth > 20);
}

/* There is never a file for what is left beside the one for all. */
static void
in_this_order(void **state)
{
	static const enum fate fates[] = {FATE_TAKEN, FATE_AGAIN, FATE_TAKEN};
	const char *written, *made, *synced;
	char name[HELD_NAME_MAX], to[128];

	(void)state;
	hold(false);
	find_names();
	strcpy(name, names[0]);
	sys_reset();
	send_file(name, fates);
	written = strstr(sys_log(), "sync held/.");
	made = strstr(sys_log(), "rename held/.");
	synced = strstr(sys_log(), "sync held\n");
	snprintf(to, sizeof(to), " held/%s\n", name);
	assert_true(written && made && synced);
	assert_true(written < made && made < synced);
	assert_non_null(strstr(made, to));
	assert_null(strstr(made, "unlink"));
	find_names();
	assert_int_equal(nnames, 1);
	assert_string_equal(names[0], name);
	assert_false(is_held(0, false) || is_held(2, false));
	assert_true(is_held(1, false));
}

/* What was not synced is there all the same. */
static void
not_synced(void **state)
{
	static const enum fate fates[] = {FATE_TAKEN, FATE_AGAIN, FATE_TAKEN};

	(void)state;
	hold(false);
	find_names();
	sys_fail("fsync", 2, EIO); /* the first is the file's */
	assert_int_equal(try_to_send(names[0], fates), EIO);
	assert_true(sys_failed());
	find_names();
	assert_int_equal(nnames, 1);
	assert_true(is_held(1, false));
}

/* Of two who take it one has it. */
static void
one_has_it(void **state)
{
	struct held_claim a = how, b = how;

	(void)state;
	hold(false);
	find_names();
	a.since = b.since = INT64_MAX;
	a.name = strdup(names[0]);
	b.name = strdup(names[0]);
	held_claim_take(&a);
	held_claim_take(&b);
	assert_int_equal(a.state, HELD_CLAIM_ASK);
	assert_int_equal(b.state, HELD_CLAIM_NOT);
	held_claim_free(&a);
	held_claim_take(&b);
	assert_int_equal(b.state, HELD_CLAIM_ASK);
	held_claim_free(&b);
}

/* What has a mailbox is the rounds'. */
static void
what_is_not_for_a_route(void **state)
{
	struct held_claim c = how;
	struct message m;

	(void)state;
	letter_init(&m, &root, 1, 1, 100);
	m.copies[0].error = EACCES;
	assert_int_equal(held_file_write(&crc, how.held, &m, false, NULL), 0);
	letter_free(&m);
	find_names();
	c.since = INT64_MAX;
	c.name = strdup(names[0]);
	held_claim_take(&c);
	assert_int_equal(c.state, HELD_CLAIM_NOT);
	held_claim_free(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(when_it_is_due),
	    T(who_dies_loses_nothing),
	    T(in_this_order),
	    T(not_synced),
	    T(one_has_it),
	    T(what_is_not_for_a_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
