/*
 * Deliveries through the whole room: what is in the files, what is synced
 * before what, and that a failure at any step leaves nothing behind.
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

#include "deliver/deliver.h"
#include "io/log.h"
#include "scratch.h"

/* --- system calls that are counted and fail: these stand before libc's --- */

static struct {
	int error;         /* of the call number fail_at; 0: none */
	unsigned fail_at;  /* counted over all that can fail */
	atomic_uint calls; /* fsync, rename and writev */
	atomic_uint reads;
	atomic_bool renamed;   /* since the start */
	atomic_bool too_early; /* a file in tmp was synced after a rename */
	atomic_bool unsynced;  /* a rename that no fsync of new/ followed yet */
} sys;

static bool
fails(void)
{
	if (++sys.calls != sys.fail_at || !sys.error)
		return false;
	errno = sys.error;
	return true;
}

int
fsync(int fd)
{
	char link[32], path[512];
	ssize_t n;

	if (fails())
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (strstr(path, "/tmp/1") && sys.renamed)
		sys.too_early = true;
	if (n > 4 && !strcmp(path + n - 4, "/new"))
		sys.unsynced = false;
	return (int)syscall(SYS_fsync, fd);
}

int
renameat2(int from, const char *old, int to, const char *name, unsigned flags)
{
	if (fails())
		return -1;
	sys.renamed = sys.unsynced = true;
	return (int)syscall(SYS_renameat2, from, old, to, name, flags);
}

/* Where a test wants a delivery to stand still: see test_abandon_writing. */
static struct {
	atomic_bool wanted;
	sem_t reached, go_on;
} hold;

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	if (fails())
		return -1;
	if (hold.wanted) {
		sem_post(&hold.reached);
		sem_wait(&hold.go_on);
	}
	return syscall(SYS_writev, fd, iov, n);
}

ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	sys.reads++;
	return syscall(SYS_pread64, fd, to, n, at);
}

/* --- the log: the last event, and how many there were of each --- */

static struct {
	unsigned delivered, undelivered, abandoned, lookup_failed;
	char mailbox[256];
	char error[64];
} logged;

enum log_level
log_level(void)
{
	return LOG_INFO;
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields)
{
	(void)level;
	logged.delivered += !strcmp(event, "delivered");
	logged.undelivered += !strcmp(event, "undelivered");
	logged.abandoned += !strcmp(event, "abandoned");
	logged.lookup_failed += !strcmp(event, "lookup-failed");
	logged.mailbox[0] = '\0';
	logged.error[0] = '\0';
	for (; fields->key; fields++) {
		if (!strcmp(fields->key, "mailbox") && fields->v.str)
			snprintf(logged.mailbox, sizeof(logged.mailbox), "%s",
			    fields->v.str);
		if (!strcmp(fields->key, "error"))
			snprintf(logged.error, sizeof(logged.error), "%s",
			    fields->type == LOG_TYPE_ERRNO
				? strerror(fields->v.err)
				: fields->v.str);
	}
}

/* --- a worker in small --- */

static struct loop loop;
static struct jobs *jobs;
static struct deliver *deliver;
static struct deliver_options options;
static struct mail_domain *org;
static struct envelope env;
static sem_t gate;
static unsigned replies;
static char reply[256]; /* "" is yes */

static void
make_recipients(void)
{
	struct recipients_options o = {.delimiter = '+',
	    .fold = true,
	    .targets = 1000};
	char user[16];

	options.recipients = recipients_new(&o);
	assert_null(recipients_add_domain(options.recipients, "example.org",
	    scratch_path("mail/%d/%u/.%t"), &org));
	for (int i = 0; i < 300; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		assert_null(recipients_add_user(options.recipients, org, user));
	}
}

static int
start(void **state)
{
	struct maildir_root *root;
	const char *what = NULL;

	if (scratch_setup(state))
		return -1;
	memset(&sys, 0, sizeof(sys));
	memset(&logged, 0, sizeof(logged));
	replies = 0;
	scratch_mkdir("spool");
	make_recipients();
	options.hostname = "mx.example.org";
	options.spool = strdup(scratch_path("spool"));
	options.reserve = 0;
	root = recipients_root(options.recipients, 0);
	scratch_mkdirs(root->path);
	if (loop_init(&loop) || sem_init(&gate, 0, 0))
		return -1;
	jobs = jobs_new(&loop, 1);
	deliver = deliver_new(&options, &loop, jobs, &what);
	env = (struct envelope){.session = "0123456789ABCDEF", .port = 25};
	envelope_set_helo(&env, SPAN_LIT("client.example.com"), true);
	env.serial = 1;
	env.sender = (struct smtp_path){.local = "s", .domain = "example.com"};
	return deliver && !what ? 0 : -1;
}

static int
finish(void **state)
{
	jobs_free(&jobs);
	deliver_free(&deliver);
	loop_free(&loop);
	sem_destroy(&gate);
	envelope_free(&env);
	recipients_free(&options.recipients);
	free((char *)(uintptr_t)options.spool);
	return scratch_teardown(state);
}

static void
turn(void)
{
	loop.stop = 0;
	assert_int_equal(loop_run(&loop), 0);
}

static void
on_reply(void *ctx, const struct smtp_reply *r, const char *error)
{
	(void)error;
	assert_ptr_equal(ctx, &replies);
	/* before anybody hears yes, everything is on disk */
	assert_true(r || !sys.unsynced);
	replies++;
	snprintf(reply, sizeof(reply), "%u %s", r ? r->code : 0,
	    r ? r->status : "");
	if (!r)
		reply[0] = '\0';
	loop_stop(&loop);
}

static void
gate_run(struct job *job)
{
	(void)job;
	while (sem_wait(&gate) && errno == EINTR)
		;
}

static void
gate_free(struct job *job)
{
	free(job);
}

static void
gate_done(struct job *job, void *ctx)
{
	(void)job;
	if (ctx)
		loop_stop(&loop);
}

/* What is submitted behind it waits for a sem_post(). */
static void
close_gate(bool stop)
{
	struct job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->run = gate_run;
	job->free = gate_free;
	jobs_submit(jobs, job, gate_done, stop ? job : NULL);
}

/* Until all that was submitted before has come back. */
static void
settle(void)
{
	close_gate(true);
	sem_post(&gate);
	turn();
}

static void
rcpt(const char *local)
{
	struct smtp_path p = {.domain = "example.org"};
	unsigned before = replies;
	uint64_t id;

	p.local = arena_dup(&env.arena, span_str(local));
	id = deliver_rcpt(deliver, &env, &p, on_reply, &replies);
	assert_int_equal(id == 0, replies == before + 1);
	if (id)
		turn();
	assert_int_equal(replies, before + 1);
	if (!reply[0])
		envelope_add_rcpt(&env, &p);
}

static void
rcpts(int n)
{
	char local[16];

	for (int i = 0; i < n; i++) {
		snprintf(local, sizeof(local), "u%d", i);
		rcpt(local);
		assert_string_equal(reply, "");
	}
	replies = 0;
}

static void
stop_loop(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

static struct spool *
body(const char *data, size_t n)
{
	struct spool *s = deliver_spool(deliver, &env);

	spool_on_room(s, stop_loop, NULL);
	for (size_t at = 0, piece; at < n; at += piece) {
		piece = n - at < 65536 ? n - at : 65536;
		if (!spool_write(s, (struct span){data + at, piece}))
			turn();
	}
	return s;
}

static uint64_t
submit(const char *data, size_t n)
{
	struct spool *s = body(data, n);
	uint64_t id = deliver_message(deliver, &env, &s, on_reply, &replies);

	assert_null(s);
	assert_true(id != 0);
	assert_int_equal(replies, 0);
	return id;
}

static void
send(const char *data, size_t n)
{
	replies = 0;
	submit(data, n);
	turn();
	assert_int_equal(replies, 1);
	assert_int_equal(deliver_pending(deliver), 0);
}

static void
assert_nothing_left(void)
{
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(scratch_files("spool"), 0);
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
	env.client = ipaddr_v4((const uint8_t[]){192, 0, 2, 1});
	rcpt("U0");
	send(text, sizeof(text) - 1);
	assert_string_equal(reply, "");
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

/* A filed body goes to all, and is read once. */
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
	assert_string_equal(reply, "");
	for (int i = 0; i < 10; i++) {
		snprintf(dir, sizeof(dir), "mail/example.org/u%d/new", i);
		assert_body(dir, text, n);
	}
	assert_true(sys.reads <= n / 65536 + 1);
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
	assert_string_equal(reply, "");
	assert_int_equal(scratch_files("mail"), 300);
	assert_int_equal(logged.delivered, 300);
	assert_false(sys.too_early);
	free(text);
}

/* No descriptor is left behind, whether it went well or not. */
static void
test_descriptors(void **state)
{
	unsigned before = scratch_count("/proc/self/fd");

	(void)state;
	rcpts(3);
	send("x", 1);
	assert_string_equal(reply, "");
	rcpts(70);
	env.serial++;
	send("x", 1);
	assert_string_equal(reply, "");
	sys.error = EIO;
	sys.fail_at = sys.calls + 100;
	env.serial++;
	send("x", 1);
	assert_string_equal(reply, "451 4.3.0");
	assert_int_equal(scratch_count("/proc/self/fd"), before);
}

/* --- failures --- */

/* The call of every number fails once, until none is left to fail. */
static void
fail_everywhere(int targets, int error, const char *expected)
{
	unsigned failed = 0;

	rcpts(targets);
	for (;;) {
		memset(&sys, 0, sizeof(sys));
		sys.error = error;
		sys.fail_at = failed + 1;
		env.serial++;
		send("x\r\n", 3);
		assert_false(sys.too_early);
		if (!reply[0])
			break;
		failed++;
		assert_string_equal(reply, expected);
		assert_string_equal(logged.error, maildir_error(error));
		assert_memory_equal(logged.mailbox, "example.org/u", 13);
		assert_nothing_left();
	}
	/* at least: writing and syncing it, renaming it and syncing new/ */
	assert_true(failed >= 4 * (unsigned)targets);
	assert_int_equal(logged.undelivered, failed);
	assert_int_equal(scratch_files("mail"), targets);
}

static void
test_failures(void **state)
{
	(void)state;
	fail_everywhere(3, EIO, "451 4.3.0");
}

static void
test_no_space(void **state)
{
	(void)state;
	fail_everywhere(1, ENOSPC, "452 4.3.1");
}

static void
test_quota(void **state)
{
	(void)state;
	fail_everywhere(2, EDQUOT, "452 4.2.2");
}

static void
test_failures_of_many(void **state)
{
	(void)state;
	fail_everywhere(70, EIO, "451 4.3.0");
}

static void
test_mailbox_is_a_file(void **state)
{
	(void)state;
	scratch_mkdir("mail/example.org");
	scratch_touch("mail/example.org/u2");
	rcpts(4);
	send("x", 1);
	assert_string_equal(reply, "451 4.3.0");
	assert_string_equal(logged.mailbox, "example.org/u2");
	assert_string_equal(logged.error, maildir_error(ENOTDIR));
	assert_int_equal(logged.delivered, 0);
	assert_int_equal(scratch_files("mail"), 1);
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
	assert_string_equal(reply, "451 4.3.0");
	assert_string_equal(logged.error, maildir_error(ELOOP));
	assert_int_equal(scratch_count("out"), 0);
	assert_nothing_left();
}

/* The spool's own disk is full: the reply says so, and no mailbox is made. */
static void
test_failed_spool(void **state)
{
	struct spool *s;
	struct rlimit old, none;
	char *text = make_text(200000);

	(void)state;
	rcpts(1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	s = body(text, 200000);
	deliver_message(deliver, &env, &s, on_reply, &replies);
	turn();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_string_equal(reply, "451 4.3.0");
	assert_string_equal(logged.error, maildir_error(EMFILE));
	assert_string_equal(logged.mailbox, "");
	assert_int_equal(scratch_count("mail"), 0);
	free(text);
}

/* --- silence --- */

static void
test_cancel(void **state)
{
	uint64_t id;

	(void)state;
	rcpts(2);
	close_gate(false);
	id = submit("x", 1);
	assert_int_equal(deliver_pending(deliver), 1);
	/* the transaction is over; the message goes on */
	envelope_reset(&env);
	deliver_cancel(deliver, &id);
	assert_int_equal(id, 0);
	deliver_cancel(deliver, &id);
	assert_int_equal(deliver_pending(deliver), 1);
	sem_post(&gate);
	settle();
	assert_int_equal(replies, 0);
	assert_int_equal(scratch_files("mail"), 2);
	assert_int_equal(logged.delivered, 2);
	assert_int_equal(deliver_pending(deliver), 0);
}

static void
test_abandon(void **state)
{
	uint64_t id, other;

	(void)state;
	rcpts(2);
	close_gate(false);
	id = submit("x", 1);
	env.serial++;
	other = submit("y", 1);
	deliver_abandon(deliver, &id);
	assert_int_equal(id, 0);
	assert_true(other != 0);
	sem_post(&gate);
	turn();
	assert_int_equal(replies, 1);
	assert_string_equal(reply, "");
	assert_int_equal(scratch_files("mail"), 2);
	assert_int_equal(logged.abandoned, 1);
	assert_int_equal(logged.delivered, 2);
	assert_int_equal(logged.undelivered, 0);
}

/* Its files are being written, and none of them has been published. */
static void
test_abandon_writing(void **state)
{
	uint64_t id;

	(void)state;
	rcpts(1);
	assert_int_equal(sem_init(&hold.reached, 0, 0), 0);
	assert_int_equal(sem_init(&hold.go_on, 0, 0), 0);
	hold.wanted = true;
	id = submit("x", 1);
	sem_wait(&hold.reached);
	deliver_abandon(deliver, &id);
	sem_post(&hold.go_on);
	settle();
	hold.wanted = false;
	assert_int_equal(replies, 0);
	assert_int_equal(logged.abandoned, 1);
	assert_nothing_left();
}

/* The worker leaves with a message in the queue: nothing leaks or hangs. */
static void
test_jobs_freed(void **state)
{
	(void)state;
	rcpts(1);
	close_gate(false);
	submit("x", 1);
	submit("y", 1);
	sem_post(&gate);
	jobs_free(&jobs);
	assert_int_equal(replies, 0);
	assert_int_equal(deliver_pending(deliver), 0);
}

/* The same while its body is on the way to the spool's disk. */
static void
test_jobs_freed_spooling(void **state)
{
	char *text = make_text(SPOOL_MEMORY + 1000);
	uint64_t id;

	(void)state;
	rcpts(1);
	close_gate(false);
	submit(text, SPOOL_MEMORY + 1000);
	id = submit(text, SPOOL_MEMORY + 1000);
	deliver_cancel(deliver, &id);
	assert_int_equal(deliver_pending(deliver), 2);
	free(text);
	sem_post(&gate);
	jobs_free(&jobs);
	deliver_free(&deliver);
	assert_int_equal(replies, 0);
	assert_int_equal(scratch_files("mail"), 0);
}

/* An abandoned message whose body was still being written. */
static void
test_abandon_spooling(void **state)
{
	char *text = make_text(SPOOL_MEMORY + 1000);
	uint64_t id;

	(void)state;
	rcpts(1);
	close_gate(false);
	id = submit(text, SPOOL_MEMORY + 1000);
	free(text);
	deliver_abandon(deliver, &id);
	sem_post(&gate);
	settle();
	settle(); /* the delivery was submitted by the first turn */
	assert_int_equal(replies, 0);
	assert_int_equal(logged.abandoned, 1);
	assert_int_equal(deliver_pending(deliver), 0);
	assert_nothing_left();
}

static void
test_same_message_twice(void **state)
{
	(void)state;
	rcpts(1);
	send("x", 1);
	assert_string_equal(reply, "");
	env.serial++;
	send("x", 1);
	assert_string_equal(reply, "");
	assert_int_equal(scratch_count("mail/example.org/u0/new"), 2);
}

/* --- recipients, space, start --- */

static void
test_rcpt(void **state)
{
	struct smtp_path p = {.local = "u0", .domain = "example.com"};
	uint64_t id;

	(void)state;
	rcpt("nobody");
	assert_string_equal(reply, "550 5.1.1");
	id = deliver_rcpt(deliver, &env, &p, on_reply, &replies);
	assert_int_equal(id, 0);
	assert_string_equal(reply, "550 5.7.1");
	assert_null(env.targets);
	/* on a thread, because of the folder */
	rcpt("u0+list");
	assert_string_equal(reply, "");
	assert_string_equal(env.targets->first->path, "example.org/u0");
	assert_string_equal(env.targets->first->address, "u0+list@example.org");
	assert_int_equal(deliver_pending(deliver), 0);
}

/* The transaction ends while its recipient is looked up. */
static void
test_rcpt_cancelled(void **state)
{
	struct smtp_path p = {.domain = "example.org"};
	uint64_t id;

	(void)state;
	close_gate(false);
	p.local = arena_dup(&env.arena, SPAN_LIT("u0+x"));
	id = deliver_rcpt(deliver, &env, &p, on_reply, &replies);
	assert_true(id != 0);
	envelope_reset(&env);
	deliver_cancel(deliver, &id);
	assert_int_equal(id, 0);
	sem_post(&gate);
	settle();
	assert_int_equal(replies, 0);
	assert_null(env.targets);
}

static void
test_rcpt_again(void **state)
{
	(void)state;
	assert_null(recipients_users_from(options.recipients, org,
	    scratch_path("from")));
	assert_int_equal(symlink("from", "from"), 0);
	rcpt("someone");
	assert_string_equal(reply, "451 4.3.0");
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
	struct smtp_path p = {.local = "u"};

	(void)state;
	assert_int_equal(deliver_size_max(&env), 0);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		struct mail_domain *d = NULL;

		assert_null(recipients_add_domain(options.recipients, names[i],
		    "/m/%d/%u", &d));
		assert_null(recipients_add_user(options.recipients, d, "u"));
		recipients_limit_size(d, own[i]);
		p.domain = names[i];
		deliver_rcpt(deliver, &env, &p, on_reply, &replies);
		assert_int_equal(deliver_size_max(&env), all[i]);
	}
}

static void
test_space(void **state)
{
	(void)state;
	assert_null(deliver_reserve(deliver, 1));
	assert_null(deliver_reserve(deliver, 0));
	assert_non_null(deliver_reserve(deliver, UINT64_MAX));
}

static void
test_start_faults(void **state)
{
	const char *what = NULL;
	struct deliver_options o = options;

	(void)state;
	o.spool = scratch_path("missing");
	assert_null(deliver_new(&o, &loop, jobs, &what));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(what, o.spool);
	assert_int_equal(symlink(".", "spool2"), 0);
	scratch_touch("tmp");
	o.spool = scratch_path("spool2");
	assert_null(deliver_new(&o, &loop, jobs, &what));
	assert_int_equal(errno, ENOTDIR);
	assert_string_equal(what, o.spool);
	assert_int_equal(rmdir("mail"), 0);
	assert_null(deliver_new(&options, &loop, jobs, &what));
	assert_int_equal(errno, ENOENT);
	assert_string_equal(what, scratch_path("mail"));
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
	    T(test_failed_spool),
	    T(test_cancel),
	    T(test_abandon),
	    T(test_abandon_writing),
	    T(test_jobs_freed),
	    T(test_jobs_freed_spooling),
	    T(test_abandon_spooling),
	    T(test_same_message_twice),
	    T(test_rcpt),
	    T(test_rcpt_cancelled),
	    T(test_rcpt_again),
	    T(test_size_max),
	    T(test_space),
	    T(test_start_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
