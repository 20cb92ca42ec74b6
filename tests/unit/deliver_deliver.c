/*
 * Deliveries through the whole room, without a journal: what is in the files,
 * what is synced before what, and what becomes of a failure at any step.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "deliver/deliver_state.h"
#include "deliver/look.h"
#include "io/log.h"
#include "rig.h"
#include "scratch.h"

/* --- system calls that are counted and fail: these stand before libc's --- */

static struct {
	int error;             /* of the call number fail_at; 0: none */
	bool lasting;          /* and of all behind it */
	unsigned fail_at;      /* counted over all that can fail */
	atomic_uint calls;     /* fsync, renames and writev */
	char synced[256];      /* the file in tmp that was synced last */
	atomic_bool too_early; /* one was renamed that was not */
	atomic_bool unsynced;  /* a rename that no fsync of new/ followed yet */
	atomic_uint settled;   /* directories */
} sys;

static bool
fails(void)
{
	unsigned n = ++sys.calls;

	if (!sys.error || n < sys.fail_at || (n > sys.fail_at && !sys.lasting))
		return false;
	errno = sys.error;
	return true;
}

static const char *
path_of(int fd)
{
	static _Thread_local char path[512];
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	return path;
}

static bool
is_new(const char *path)
{
	size_t n = strlen(path);

	return n > 4 && !strcmp(path + n - 4, "/new");
}

int
fsync(int fd)
{
	const char *path = path_of(fd);

	if (fails())
		return -1;
	if (strstr(path, "/tmp/1"))
		snprintf(sys.synced, sizeof(sys.synced), "%s",
		    strrchr(path, '/') + 1);
	if (is_new(path)) {
		sys.unsynced = false;
		sys.settled++;
	}
	return (int)syscall(SYS_fsync, fd);
}

int
renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
	if (fails())
		return -1;
	if (strcmp(old, sys.synced) != 0)
		sys.too_early = true;
	sys.unsynced = true;
	return (int)syscall(SYS_renameat2, from, old, to, name, flags);
}

/* Only held mail gets its name by this one. */
int
renameat(int from, const char *old, int to, const char *name)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_renameat2, from, old, to, name, 0);
}

/* Taken back. */
int
unlinkat(int fd, const char *name, int flags)
{
	if (is_new(path_of(fd)))
		sys.unsynced = false;
	return (int)syscall(SYS_unlinkat, fd, name, flags);
}

/* Where a test wants a delivery to stand still: at writev number `at`. */
static struct {
	atomic_uint at;   /* 0: at none */
	atomic_bool each; /* or at each */
	atomic_uint writes;
	atomic_uint standing;
	sem_t go_on;
} hold;

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	if (++hold.writes == hold.at || hold.each) {
		hold.standing++;
		while (sem_wait(&hold.go_on) && errno == EINTR)
			;
	}
	if (fails())
		return -1;
	return syscall(SYS_writev, fd, iov, n);
}

/* --- the log: the last event, and how many there were of each --- */

static struct {
	unsigned delivered, undelivered, abandoned, held, lookup_failed;
	char mailbox[256];
	char error[64];
} logged;

enum log_level
log_level(void)
{
	return LOG_INFO;
}

/* The runner's process has none. */
void
log_open(enum log_to to, enum log_format format, enum log_level level)
{
	(void)to;
	(void)format;
	(void)level;
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	(void)level;
	logged.delivered += !strcmp(event, "delivered");
	logged.undelivered += !strcmp(event, "undelivered");
	logged.abandoned += !strcmp(event, "abandoned");
	logged.held += !strcmp(event, "held");
	logged.lookup_failed += !strcmp(event, "lookup-failed");
	if (!strncmp(event, "root-", 5)) /* at any time */
		return;
	logged.mailbox[0] = '\0';
	logged.error[0] = '\0';
	for (; fields->key; fields++) {
		if (!strcmp(fields->key, "mailbox") && fields->v.str)
			snprintf(logged.mailbox, sizeof(logged.mailbox), "%s",
			    fields->v.str);
		if (!strcmp(fields->key, "error") && fields->v.str)
			snprintf(logged.error, sizeof(logged.error), "%s",
			    fields->type == LOG_TYPE_ERRNO
				? strerror(fields->v.err)
				: fields->v.str);
	}
}

static unsigned threads = 1;
static bool batched; /* one copy each, and one behind the other */

/* Before anybody hears yes, everything is on disk; in a batch the next one may
 * be on its way by then. */
static void
heard(const struct smtp_reply *r)
{
	assert_true(r || threads > 1 ||
		    (batched ? sys.settled > post.replies
			     : !sys.unsynced && !sys.too_early));
}

static unsigned
standing(void)
{
	return hold.standing;
}

static int
start(void **state)
{
	char user[16];

	(void)state;
	if (post_setup("mail/%d/%u/.%t"))
		return -1;
	memset(&sys, 0, sizeof(sys));
	memset(&hold, 0, sizeof(hold));
	if (sem_init(&hold.go_on, 0, 0))
		return -1;
	memset(&logged, 0, sizeof(logged));
	for (int i = 0; i < 300; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		post_user(user);
	}
	post.options.journal = false;
	rig.threads = threads;
	rig.standing = standing;
	post_open();
	post.heard = heard;
	return 0;
}

static int
finish(void **state)
{
	hold.at = 0; /* nobody stands still for ever */
	hold.each = false;
	for (unsigned i = 0; i < 64; i++)
		sem_post(&hold.go_on);
	return post_finish(state);
}

/* What can be done is done. */
static void
turn(void)
{
	rig_pass(1);
}

/* What can be done is done, and so many deliveries stand still. */
static void
stands(unsigned n)
{
	turn();
	assert_int_equal(hold.standing, n);
}

static void
go_on(void)
{
	hold.standing--;
	sem_post(&hold.go_on);
}

static void
rcpts(int n)
{
	char local[16];

	for (int i = 0; i < n; i++) {
		snprintf(local, sizeof(local), "u%d", i);
		post_rcpt(local);
		assert_string_equal(post.reply, "");
	}
	post.replies = 0;
}

static void
send(const char *data, size_t n)
{
	post.replies = post.refusals = 0;
	post_submit(data, n);
	turn();
	assert_int_equal(post.replies + post.refusals, 1);
	assert_int_equal(deliver_pending(rig.deliver), 0);
}

/* --- what is in the file --- */

/* Our lines, as they must be, up to the date. */
static const char top[] =
    "Return-Path: <s@example.com>\n"
    "Delivered-To: U0@example.org\n"
    "Received: from client.example.com ([192.0.2.1])\n"
    "\tby mx.example.org with ESMTP id 0123456789ABCDEF.1\n"
    "\tfor <U0@example.org>;\n\t";

static void
test_one(void **state)
{
	static const char text[] = "Subject: x\r\n\r\nhello\r\n";
	static const char want[] = "Subject: x\n\nhello\n";
	const char *path, *name;
	char expected[128];
	struct buf b;
	long long when;
	int n = 0;

	(void)state;
	post.env.client = ipaddr_v4((const uint8_t[]){192, 0, 2, 1});
	post_rcpt("U0");
	send(text, sizeof(text) - 1);
	assert_string_equal(post.reply, "");
	path = scratch_only("mail/example.org/u0/new");
	assert_int_equal(scratch_mode(path), 0600);
	assert_int_equal(scratch_count("mail/example.org/u0/tmp"), 0);
	b = scratch_read(path);
	assert_memory_equal(b.data, top, sizeof(top) - 1);
	assert_memory_equal(b.data + b.len - sizeof(want) + 1, want,
	    sizeof(want) - 1);
	/* nothing between our last line and theirs */
	assert_ptr_equal(memchr(b.data + sizeof(top), '\n', b.len),
	    b.data + b.len - sizeof(want));
	name = strrchr(path, '/') + 1;
	assert_int_equal(sscanf(name, "%lld%n", &when, &n), 1);
	assert_true(when > 1600000000);
	snprintf(expected, sizeof(expected),
	    ".0123456789ABCDEF.1_0.mx.example.org,S=%zu", b.len);
	assert_string_equal(name + n, expected);
	buf_free(&b);
	assert_int_equal(logged.delivered, 1);
	assert_string_equal(logged.mailbox, "example.org/u0");
	assert_int_equal(scratch_files("spool"), 0);
}

static char *
make_text(size_t n)
{
	char *text = malloc(n);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(i * i >> 7);
	return text;
}

/* The file's end is the body, its length its name's S=. */
static void
assert_body(const char *dir, const char *data, size_t n)
{
	const char *path = scratch_only(dir);
	struct buf b = scratch_read(path);

	assert_true(b.len > n);
	assert_true(span_equal((struct span){b.data + b.len - n, n},
	    (struct span){data, n}));
	assert_int_equal(strtoull(strstr(path, ",S=") + 3, NULL, 10), b.len);
	buf_free(&b);
}

/* A filed body goes to all. */
static void
test_large(void **state)
{
	size_t n = 2000000, k = 0;
	char *text = make_text(n);
	char dir[64];

	(void)state;
	for (size_t i = 0; i < n; i++) /* no CR: what goes in comes out */
		text[k++] = text[i] == '\r' ? 'x' : text[i];
	rcpts(10);
	send(text, n);
	assert_string_equal(post.reply, "");
	for (int i = 0; i < 10; i++) {
		snprintf(dir, sizeof(dir), "mail/example.org/u%d/new", i);
		assert_body(dir, text, n);
	}
	assert_int_equal(logged.delivered, 10);
	free(text);
}

/* More targets than there may be descriptors. */
static void
test_many(void **state)
{
	struct rlimit old, few;
	char *text = make_text(100000);

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	rcpts(300);
	few = old;
	few.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	send(text, 100000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_string_equal(post.reply, "");
	assert_int_equal(scratch_files("mail"), 300);
	assert_int_equal(logged.delivered, 300);
	free(text);
}

/* No descriptor is left behind, whether it went well or not. */
static void
test_descriptors(void **state)
{
	unsigned before;

	(void)state;
	rcpts(70); /* as many as are kept open */
	send("x", 1);
	assert_string_equal(post.reply, "");
	before = scratch_count("/proc/self/fd");
	rcpts(70);
	send("x", 1);
	assert_string_equal(post.reply, "");
	sys.error = EIO;
	sys.lasting = true;
	sys.fail_at = sys.calls + 100;
	send("x", 1);
	assert_string_equal(post.reply, "451 4.3.0");
	assert_true(scratch_count("/proc/self/fd") <= before);
}

/* --- failures --- */

static void
restart(void **state, int targets, int error, bool lasting, unsigned at)
{
	finish(state);
	assert_int_equal(start(state), 0);
	rcpts(targets);
	sys.calls = 0;
	sys.error = error;
	sys.lasting = lasting;
	sys.fail_at = at;
	send("x\r\n", 3);
}

/* The call of every number fails once, until none is left to fail: what it
 * was for is held, and all else is where it belongs. */
static void
one_fails(void **state, int targets, int error)
{
	unsigned at = 1;

	for (;; at++) {
		restart(state, targets, error, false, at);
		assert_string_equal(post.reply, "");
		assert_int_equal(logged.undelivered, 0);
		if (sys.calls < at)
			break;
		assert_int_equal(logged.held, 1);
		assert_string_equal(logged.error, maildir_error(error));
		assert_memory_equal(logged.mailbox, "example.org/u", 13);
		assert_int_equal(logged.delivered, targets - 1);
		assert_int_equal(scratch_files("mail"), targets - 1);
		assert_int_equal(scratch_count("spool/held"), 1);
	}
	/* at least: writing and syncing it, renaming it and syncing new/ */
	assert_true(at > 4 * (unsigned)targets);
	assert_int_equal(scratch_files("mail"), targets);
	assert_int_equal(scratch_count("spool/held"), 0);
}

/* All behind it fail as well: what was placed before it stays, nothing else
 * is anywhere, and nobody hears 250. */
static void
all_fail(void **state, int targets, int error)
{
	unsigned at = 1;

	for (;; at++) {
		restart(state, targets, error, true, at);
		if (sys.calls < at)
			break;
		assert_string_equal(post.reply, "451 4.3.0");
		assert_int_equal(logged.undelivered, 1);
		assert_true(logged.delivered < (unsigned)targets);
		assert_int_equal(scratch_files("mail"), logged.delivered);
		assert_int_equal(scratch_count("spool/held"), 0);
	}
	assert_string_equal(post.reply, "");
}

static void
test_failures(void **state)
{
	one_fails(state, 3, EIO);
	all_fail(state, 3, EIO);
}

static void
test_no_space(void **state)
{
	one_fails(state, 1, ENOSPC);
	all_fail(state, 1, ENOSPC);
}

static void
test_quota(void **state)
{
	one_fails(state, 2, EDQUOT);
	all_fail(state, 2, EDQUOT);
}

static void
test_failures_of_many(void **state)
{
	one_fails(state, 12, EIO);
}

/* A body in a file has its file in held/, too; or has not. */
static void
test_failures_of_large(void **state)
{
	char *text = make_text(SPOOL_MEMORY + 1000);

	for (unsigned at = 1; at < 40; at++) {
		restart(state, 2, EIO, false, 0);
		sys.error = EIO;
		sys.lasting = at % 2;
		sys.fail_at = sys.calls + at / 2;
		send(text, SPOOL_MEMORY + 1000);
		assert_true(!post.reply[0] || sys.lasting);
		assert_int_equal(scratch_count("spool/held"),
		    !post.reply[0] && sys.calls >= sys.fail_at ? 2 : 0);
		assert_int_equal(scratch_files("mail"), logged.delivered);
	}
	assert_string_equal(post.reply, "");
	free(text);
}

/* A mailbox takes nothing, and held/ neither from that call on: whoever hears
 * 451 must not find it there later. */
static void
nothing_is_held(void **state, const char *text, size_t n, unsigned calls)
{
	for (unsigned at = 1; at <= calls + 1; at++) {
		finish(state);
		assert_int_equal(start(state), 0);
		scratch_mkdir("mail/example.org");
		scratch_touch("mail/example.org/u0");
		rcpts(1);
		sys.lasting = true;
		sys.error = EIO;
		sys.fail_at = sys.calls + at;
		send(text, n);
		assert_string_equal(post.reply, at > calls ? "" : "451 4.3.0");
		assert_int_equal(scratch_count("spool/held"), at <= calls ? 0
							      : calls > 3 ? 2
									  : 1);
	}
}

static void
test_nothing_is_held(void **state)
{
	char *text = make_text(SPOOL_MEMORY + 1000);

	/* the file, its name and held/ itself; for a body the first and last */
	nothing_is_held(state, "x", 1, 3);
	nothing_is_held(state, text, SPOOL_MEMORY + 1000, 5);
	free(text);
}

static void
test_mailbox_is_a_file(void **state)
{
	(void)state;
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u2");
	rcpts(4);
	send("x", 1);
	assert_string_equal(post.reply, "");
	assert_string_equal(logged.mailbox, "example.org/u2");
	assert_string_equal(logged.error, maildir_error(ENOTDIR));
	assert_int_equal(logged.delivered, 3);
	assert_int_equal(logged.held, 1);
	assert_int_equal(scratch_files("mail"), 4);
	assert_int_equal(scratch_count("spool/held"), 1);
	/* and the next one for it waits */
	send("y", 1);
	assert_string_equal(post.reply, "450 4.2.1");
	assert_int_equal(scratch_files("mail"), 4);
}

static void
test_mailbox_is_a_link(void **state)
{
	(void)state;
	scratch_mkdir("out");
	scratch_mkdir("mail/example.org");
	assert_int_equal(symlink("../../out", "mail/example.org/u1"), 0);
	rcpts(2);
	send("x", 1);
	assert_string_equal(post.reply, "");
	assert_string_equal(logged.error, maildir_error(ELOOP));
	assert_int_equal(scratch_count("out"), 0);
	assert_int_equal(scratch_files("mail"), 1);
	assert_int_equal(scratch_count("spool/held"), 1);
}

/* What is put into a root that is another one when all is written. */
static void
replaced(void **state, bool gone, bool seen)
{
	finish(state);
	assert_int_equal(start(state), 0);
	rcpts(1);
	send("x", 1); /* behind the first look */
	hold.at = 2;
	post_submit("y", 1);
	stands(1);
	assert_int_equal(rename("mail", "old"), 0);
	if (!gone)
		scratch_mkdir("mail");
	if (seen)
		deliver_look(rig.deliver);
	go_on();
	turn();
	assert_string_equal(post.reply, "");
	assert_string_equal(logged.error, maildir_error(ESTALE));
	assert_int_equal(scratch_count("spool/held"), 1);
}

/* FAULT B7: nobody finds it there, and so it is held, whoever sees it first. */
static void
test_root_is_replaced(void **state)
{
	replaced(state, false, false);
	replaced(state, false, true);
	replaced(state, true, false);
	replaced(state, true, true);
}

/* The spool's own disk is full: the reply says so, and no mailbox is made. */
static void
test_failed_spool(void **state)
{
	struct rlimit old, none;
	char *text = make_text(200000);

	(void)state;
	rcpts(1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	send(text, 200000);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_string_equal(post.reply, "451 4.3.0");
	assert_string_equal(logged.error, maildir_error(EMFILE));
	assert_string_equal(logged.mailbox, "");
	assert_int_equal(scratch_count("mail"), 0);
	free(text);
}

/* --- silence --- */

static void
test_cancel(void **state)
{
	struct ask **id;

	(void)state;
	rcpts(2);
	rig_hold(RIG_JOBS);
	id = post_submit("x", 1);
	assert_int_equal(deliver_pending(rig.deliver), 1);
	/* the transaction is over; the message goes on */
	envelope_reset(&post.env);
	ask_cancel(id, ASK_GO_ON);
	assert_null(*id);
	ask_cancel(id, ASK_GO_ON);
	assert_int_equal(deliver_pending(rig.deliver), 1);
	rig_go_on();
	turn();
	assert_int_equal(post.replies, 0);
	assert_int_equal(scratch_files("mail"), 2);
	assert_int_equal(logged.delivered, 2);
	assert_int_equal(deliver_pending(rig.deliver), 0);
}

static void
test_abandon(void **state)
{
	struct ask **id, **other;

	(void)state;
	rcpts(2);
	rig_hold(RIG_JOBS);
	id = post_submit("x", 1);
	other = post_submit("y", 1);
	ask_cancel(id, ASK_ABANDON);
	assert_null(*id);
	assert_non_null(*other);
	rig_go_on();
	turn();
	assert_int_equal(post.replies, 1);
	assert_string_equal(post.reply, "");
	assert_int_equal(scratch_files("mail"), 2);
	assert_int_equal(logged.abandoned, 1);
	assert_int_equal(logged.delivered, 2);
	assert_int_equal(logged.undelivered, 0);
}

/* It is being written: too late, unless its mailbox does not take it. */
static void
test_abandon_writing(void **state)
{
	struct ask **id;

	(void)state;
	rcpts(1);
	for (unsigned failing = 0; failing < 2; failing++) {
		hold.at = hold.writes + 1;
		id = post_submit("x", 1);
		stands(1);
		ask_cancel(id, ASK_ABANDON);
		sys.error = failing ? EIO : 0;
		sys.fail_at = sys.calls + 1;
		go_on();
		turn();
		assert_int_equal(logged.delivered, 1);
		assert_int_equal(logged.abandoned, failing);
		assert_int_equal(deliver_pending(rig.deliver), 0);
	}
	assert_int_equal(post.replies, 0);
	assert_int_equal(scratch_files("mail"), 1);
	assert_int_equal(scratch_count("spool/held"), 0);
}

static unsigned
count(enum delivery_state s)
{
	return rig.deliver->lists[s].n;
}

/* Sixteen in a batch at most, and each is told when it is placed itself. */
static void
test_batch(void **state)
{
	(void)state;
	rcpts(1);
	batched = true;
	sys.settled = 0;
	hold.at = 1;
	post_submit("x", 1);
	stands(1);
	for (unsigned i = 0; i < 20; i++)
		post_submit("x", 1);
	hold.at = 1 + 16;
	go_on();
	stands(1);
	assert_int_equal(post.replies, 1 + 15);
	assert_int_equal(count(DELIVERY_PLACING), 1);
	assert_int_equal(count(DELIVERY_QUEUED), 4);
	go_on();
	turn();
	batched = false;
	assert_int_equal(post.replies, 21);
	assert_int_equal(scratch_files("mail"), 21);
}

static int
start_threads(void **state)
{
	threads = 3;
	return start(state);
}

static int
finish_threads(void **state)
{
	threads = 1;
	return finish(state);
}

/* As many batches at once as there are threads, and to each its part. */
static void
test_threads(void **state)
{
	(void)state;
	rcpts(1);
	hold.each = true;
	for (unsigned i = 0; i < 6; i++)
		post_submit("x", 1);
	stands(3);
	assert_int_equal(count(DELIVERY_PLACING), 3);
	assert_int_equal(count(DELIVERY_QUEUED), 3);
	go_on();
	stands(3);
	assert_int_equal(post.replies, 1);
	assert_int_equal(count(DELIVERY_PLACING), 3);
	assert_int_equal(count(DELIVERY_QUEUED), 2);
	hold.each = false;
	for (unsigned i = 0; i < 3; i++)
		go_on();
	turn();
	assert_int_equal(post.replies, 6);
}

/* The worker leaves with a message in the queue: nothing leaks or hangs. */
static void
test_jobs_freed(void **state)
{
	(void)state;
	rcpts(1);
	rig_hold(RIG_JOBS);
	post_submit("x", 1);
	post_submit("y", 1);
	rig_stop();
	assert_int_equal(post.replies, 0);
}

static void
test_same_message_twice(void **state)
{
	(void)state;
	rcpts(1);
	send("x", 1);
	assert_string_equal(post.reply, "");
	send("x", 1);
	assert_string_equal(post.reply, "");
	assert_int_equal(scratch_count("mail/example.org/u0/new"), 2);
}

/* --- recipients, space, start --- */

static void
test_rcpt(void **state)
{
	(void)state;
	post_rcpt("nobody");
	assert_string_equal(post.reply, "550 5.1.1");
	assert_null(*post_ask("u0", "example.com"));
	assert_string_equal(post.reply, "550 5.7.1");
	assert_null(post.env.targets);
	/* on a thread, because of the folder */
	post_rcpt("u0+list");
	assert_string_equal(post.reply, "");
	assert_string_equal(post.env.targets->first->path, "example.org/u0");
	assert_string_equal(post.env.targets->first->address,
	    "u0+list@example.org");
	assert_int_equal(deliver_pending(rig.deliver), 0);
}

/* The transaction ends while its recipient is looked up. */
static void
test_rcpt_cancelled(void **state)
{
	struct ask **id;

	(void)state;
	rig_hold(RIG_JOBS);
	id = post_ask("u0+x", "example.org");
	assert_non_null(*id);
	envelope_reset(&post.env);
	ask_cancel(id, ASK_GO_ON);
	assert_null(*id);
	rig_go_on();
	turn();
	assert_int_equal(post.replies, 0);
	assert_null(post.env.targets);
}

static void
test_rcpt_again(void **state)
{
	(void)state;
	assert_null(recipients_users_from(post.options.recipients, post.org,
	    scratch_path("from")));
	assert_int_equal(symlink("from", "from"), 0);
	post_rcpt("someone");
	assert_string_equal(post.reply, "451 4.3.0");
	assert_int_equal(logged.lookup_failed, 1);
	assert_string_equal(logged.error, strerror(ELOOP));
}

static void
test_size_max(void **state)
{
	static const char *const names[] = {"any.org", "large.org", "small.org",
	    "other.org"};
	static const unsigned own[] = {0, 1000, 10, 100};
	static const unsigned all[] = {0, 1000, 10, 10};

	(void)state;
	assert_int_equal(deliver_size_max(&post.env), 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct mail_domain *d = NULL;

		assert_null(recipients_add_domain(post.options.recipients,
		    names[i], "maildir:/m/%d/%u", &d));
		assert_null(
		    recipients_add_user(post.options.recipients, d, "u"));
		recipients_limit_size(d, own[i]);
		post_ask("u", names[i]);
		assert_int_equal(deliver_size_max(&post.env), all[i]);
	}
}

static void
test_space(void **state)
{
	(void)state;
	assert_null(deliver_reserve(rig.deliver, 1));
	assert_null(deliver_reserve(rig.deliver, 0));
	assert_non_null(deliver_reserve(rig.deliver, UINT64_MAX));
}

static void
test_start_faults(void **state)
{
	const char *what = NULL;
	struct deliver_options o = post.options;

	(void)state;
	o.spool = scratch_path("missing");
	assert_null(deliver_new(&o, &rig.loop, rig.jobs, &what));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(what, o.spool);
	assert_int_equal(symlink(".", "spool2"), 0);
	scratch_touch("tmp");
	o.spool = scratch_path("spool2");
	assert_null(deliver_new(&o, &rig.loop, rig.jobs, &what));
	assert_int_equal(errno, ENOTDIR);
	assert_string_equal(what, o.spool);
	assert_int_equal(rmdir("mail"), 0);
	assert_null(deliver_new(&post.options, &rig.loop, rig.jobs, &what));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(what, scratch_path("mail"));
}

/* Of a program on trial: nothing is begun, so that an older one finds nothing
 * that it does not know; and no message is taken. */
static void
test_dry(void **state)
{
	const char *what = NULL;
	struct deliver_options o = post.options;
	struct deliver *d;

	(void)state;
	scratch_mkdir("spool2");
	o.spool = scratch_path("spool2");
	o.journal = o.dry = true;
	d = deliver_new(&o, &rig.loop, rig.jobs, &what);
	assert_non_null(d);
	assert_null(what);
	assert_non_null(deliver_reserve(d, 1));
	assert_true(deliver_is_empty(d));
	deliver_wind_up(d);
	deliver_free(&d);
	assert_int_equal(scratch_count("spool2"), 1); /* tmp */
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_one),
	    T(test_large),
	    T(test_many),
	    T(test_descriptors),
	    T(test_failures),
	    T(test_no_space),
	    T(test_quota),
	    T(test_failures_of_many),
	    T(test_mailbox_is_a_file),
	    T(test_mailbox_is_a_link),
	    T(test_failures_of_large),
	    T(test_nothing_is_held),
	    T(test_root_is_replaced),
	    T(test_failed_spool),
	    T(test_cancel),
	    T(test_abandon),
	    T(test_abandon_writing),
	    T(test_batch),
	    cmocka_unit_test_setup_teardown(test_threads, start_threads,
		finish_threads),
	    T(test_jobs_freed),
	    T(test_same_message_twice),
	    T(test_rcpt),
	    T(test_rcpt_cancelled),
	    T(test_rcpt_again),
	    T(test_size_max),
	    T(test_space),
	    T(test_start_faults),
	    T(test_dry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
