/*
 * A message is made from an envelope and a spool: its lines, the names of its
 * files; and written to many files, its body read once.
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
#include <unistd.h>

#include <cmocka.h>

#include "dest/destination.h"
#include "mail/message.h"
#include "scratch.h"
#include "sys.h"

static struct destination dest;
static const struct message_copy copies[] = {
    {.dest = &dest, .path = "a", .address = "\"a b\"@example.org"},
    {.dest = &dest, .path = "b", .address = "b@example.org"},
};

static struct loop loop;
static struct jobs *jobs;
static int dir;
static struct envelope env;
static struct message m;

static int
start(void **state)
{
	if (scratch_setup(state))
		return -1;
	env = (struct envelope){.session = "0123456789ABCDEF",
	    .serial = 7,
	    .sender = {.local = "s", .domain = "example.com"},
	    .esmtp = true};
	envelope_set_helo(&env, SPAN_LIT("client.example.com"), true);
	dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	sys_reset();
	if (loop_init(&loop) < 0)
		return -1;
	jobs = jobs_new(&loop, 1);
	return jobs ? 0 : -1;
}

static int
finish(void **state)
{
	message_free(&m);
	m = (struct message){0};
	envelope_free(&env);
	jobs_free(&jobs);
	loop_free(&loop);
	close(dir);
	sys_reset();
	return scratch_teardown(state);
}

static void
on_ready(void *ctx)
{
	(void)ctx;
	loop_stop(&loop);
}

static void
head_of_first(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when)
{
	message_head(out, e, copies[0].address, hostname, when);
}

/* memory: what of the body may be there, or it goes to a file. */
static void
make_for(const struct message_copy *all, unsigned n, const char *hostname,
    const char *body, size_t memory)
{
	struct spool *s = spool_new(&(struct spool_options){.jobs = jobs,
	    .dirfd = dir,
	    .memory = memory,
	    .when = 1700000000,
	    .head = head_of_first,
	    .env = &env,
	    .hostname = hostname});

	assert_true(spool_write(s, span_str(body)));
	message_init(&m, &env, &s, hostname, all, n);
	assert_null(s);
	spool_finish(m.spool, on_ready, NULL);
	assert_int_equal(loop_run(&loop), 0);
	message_ready(&m);
}

static void
make(const char *hostname, const char *body, size_t memory)
{
	make_for(copies, 2, hostname, body, memory);
}

/* What stands on top of copy i. */
static struct buf
top(unsigned i)
{
	struct buf b = {0};

	buf_append_span(&b, buf_span(&m.return_path));
	buf_append_span(&b, m.copies[i].delivered_to);
	buf_append_span(&b, buf_span(&m.received));
	return b;
}

static void
test_lines(void **state)
{
	struct buf lines, head = {0};

	(void)state;
	make("mx.example.org", "body\r\n", SPOOL_MEMORY);
	lines = top(0);
	head_of_first(&head, &env, "mx.example.org", 1700000000);
	/* one and the same, for a body that goes to a file by itself */
	assert_true(span_equal(buf_span(&lines), buf_span(&head)));
	buf_append(&lines, "", 1);
	assert_non_null(
	    strstr(lines.data, "Return-Path: <s@example.com>\n"
			       "Delivered-To: \"a b\"@example.org\n"
			       "Received: from client.example.com "));
	assert_non_null(strstr(lines.data, " id 0123456789ABCDEF.7"));
	assert_non_null(strstr(lines.data, "14 Nov 2023 22:13:20"));
	buf_free(&lines);
	buf_free(&head);
	assert_true(span_equal(m.copies[1].delivered_to,
	    SPAN_LIT("Delivered-To: b@example.org\n")));
	assert_string_equal(m.id, "0123456789ABCDEF.7");
	assert_int_equal(m.ncopies, 2);
	assert_ptr_equal(m.copies[1].dest, &dest);
	assert_string_equal(m.copies[1].path, "b");
	assert_string_equal(m.copies[1].address, "b@example.org");
}

/* Of what is to be written, to the octet. */
static void
test_names(void **state)
{
	(void)state;
	make("mx.example.org", "body\r\n", SPOOL_MEMORY);
	for (unsigned i = 0; i < 2; i++) {
		struct buf lines = top(i);
		char name[256];

		assert_int_equal(m.copies[i].size, lines.len + 5);
		snprintf(name, sizeof(name),
		    "1700000000.0123456789ABCDEF.7_%u.mx.example.org,S=%zu", i,
		    lines.len + 5);
		assert_string_equal(m.copies[i].name, name);
		buf_free(&lines);
	}
}

/* All that a route is told of it. */
static void
test_envelope(void **state)
{
	const uint8_t client[] = {192, 0, 2, 1};

	(void)state;
	make("mx.example.org", "one\r\ntwo", SPOOL_MEMORY);
	assert_string_equal(m.sender, "s@example.com");
	assert_string_equal(m.client, "");
	assert_string_equal(m.helo, "client.example.com");
	assert_string_equal(m.login, "");
	assert_false(m.eightbit || m.utf8);
	assert_int_equal(m.wire, 10);
	message_free(&m);
	env.client = ipaddr_v4(client);
	env.sender = (struct smtp_path){.local = "", .domain = ""};
	envelope_set_login(&env, "alice");
	env.eightbit = env.utf8 = true;
	make("mx.example.org", "", SPOOL_MEMORY);
	assert_string_equal(m.sender, "");
	assert_string_equal(m.client, "192.0.2.1");
	assert_string_equal(m.login, "alice");
	assert_true(m.eightbit && m.utf8);
	assert_int_equal(m.wire, 0);
}

/* Those with a path come first; each has a name of its own. */
static void
test_routes(void **state)
{
	const struct message_copy all[] = {
	    {.to = "x@example.net", .address = "x@example.org"},
	    copies[0],
	    {.to = "y@example.net", .address = "y@example.org"},
	    copies[1],
	};
	static const char *const addresses[] = {"\"a b\"@example.org",
	    "b@example.org", "x@example.org", "y@example.org"};

	(void)state;
	make_for(all, 4, "mx.example.org", "body\r\n", 0);
	assert_ptr_equal(m.headed, &m.copies[0]);
	for (unsigned i = 0; i < 4; i++) {
		const struct message_copy *c = &m.copies[i];
		char part[16];

		assert_string_equal(c->address, addresses[i]);
		assert_int_equal(c->path != NULL, i < 2);
		assert_int_equal(c->to != NULL, i >= 2);
		assert_string_equal(c->note, "");
		snprintf(part, sizeof(part), ".7_%u.mx", i);
		assert_non_null(strstr(c->name, part));
	}
	assert_string_equal(m.copies[3].to, "y@example.net");
	message_free(&m);
	make_for(all, 1, "mx.example.org", "body\r\n", SPOOL_MEMORY);
	assert_null(m.headed);
}

/* Its header says why, its name how large it is now. */
static void
test_fail(void **state)
{
	static const char line[] =
	    "X-Smtpd-Failed: b@example.org: 552 5.2.2 full\n"
	    "Delivered-To: b@example.org\n";
	const struct message_copy remote = {.to = "b@example.net",
	    .address = "b@example.org"};
	struct message_copy *c;
	struct buf lines;
	char end[24];

	(void)state;
	for (int local = 0; local < 2; local++) {
		make_for(local ? &copies[1] : &remote, 1, "mx.example.org",
		    "body\r\n", SPOOL_MEMORY);
		c = &m.copies[0];
		assert_int_equal(m.headed != NULL, local);
		message_copy_fail(&m, c, &dest, "552 5.2.2 full");
		assert_null(m.headed);
		assert_ptr_equal(c->dest, &dest);
		assert_string_equal(c->path, ".");
		assert_null(c->to);
		assert_string_equal(c->note, "552 5.2.2 full");
		assert_true(span_equal(c->delivered_to, span_str(line)));
		lines = top(0);
		assert_int_equal(c->size, lines.len + 5);
		snprintf(end, sizeof(end), "org,S=%zu", lines.len + 5);
		assert_non_null(strstr(c->name, end));
		buf_free(&lines);
		message_free(&m);
	}
	m = (struct message){0};
}

/* Of a body in a file, below whose lines it begins. */
static void
test_filed(void **state)
{
	struct buf lines;

	(void)state;
	make("mx.example.org", "body\r\n", 0);
	lines = top(0);
	assert_int_equal(m.body.from, lines.len);
	assert_int_equal(m.body.filed, lines.len + 5);
	assert_int_equal(m.body.tail.len, 0);
	assert_int_equal(m.copies[0].size, lines.len + 5);
	assert_int_equal(m.copies[1].size, lines.len + 5 +
					       m.copies[1].delivered_to.len -
					       m.copies[0].delivered_to.len);
	buf_free(&lines);
}

static void
test_long_hostname(void **state)
{
	char hostname[254];

	(void)state;
	memset(hostname, 'x', 253);
	hostname[253] = '\0';
	env.serial = UINT32_MAX;
	make(hostname, "body\r\n", SPOOL_MEMORY);
	assert_true(strlen(m.copies[1].name) <= 255);
	hostname[160] = '\0';
	assert_non_null(strstr(m.copies[1].name, hostname));
	assert_non_null(strstr(m.copies[1].name, "x,S="));
}

static void
test_failed_copies(void **state)
{
	(void)state;
	make("mx.example.org", "body\r\n", SPOOL_MEMORY);
	assert_int_equal(message_failed_copies(&m), 0);
	m.copies[1].error = EIO;
	assert_int_equal(message_failed_copies(&m), 1);
	m.copies[0].error = ENOSPC;
	assert_int_equal(message_failed_copies(&m), 2);
}

/* --- into files --- */

static int file;
static struct message_copy out = {.delivered_to = SPAN_LIT("D\n")};
static char *large; /* a body */

/* So much of a body is in a file, behind ten octets of something. */
static void
open_files(size_t size, size_t filed)
{
	large = malloc(size);
	assert_non_null(large);
	for (size_t i = 0; i < size; i++)
		large[i] = (char)('a' + i % 23);
	buf_append_str(&m.return_path, "R\n");
	buf_append_str(&m.received, "V\n");
	m.body = (struct spool_content){.fd = -1, .tail = {large, size}};
	if (filed) {
		m.body.fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		m.body.from = 10;
		m.body.filed = 10 + filed;
		assert_int_equal(pwrite(m.body.fd, "0123456789", 10, 0), 10);
		assert_int_equal(pwrite(m.body.fd, large, filed, 10), filed);
		span_skip(&m.body.tail, filed);
	}
	file = open("out", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	sys_reset();
}

static void
close_files(void)
{
	sys_reset();
	close(file);
	if (m.body.fd >= 0)
		close(m.body.fd);
	buf_free(&m.return_path);
	buf_free(&m.received);
	free(large);
}

/* All in memory, all in a file, and both; more than is read at once. */
static void
test_write(void **state)
{
	static const size_t sizes[] = {0, 1, 65536, 200000};
	struct buf b, want = {0};

	(void)state;
	for (int i = 0; i < 12; i++) {
		size_t size = sizes[i / 3];

		open_files(size, size / 2 * (size_t)(i % 3));
		assert_int_equal(message_write(&m, &out, file), 0);
		b = scratch_read("out");
		want.len = 0;
		buf_append_str(&want, "R\nD\nV\n");
		buf_append(&want, large, size);
		assert_true(span_equal(buf_span(&b), buf_span(&want)));
		buf_free(&b);
		close_files();
	}
	buf_free(&want);
}

static void
test_write_errors(void **state)
{
	static const struct {
		const char *call;
		unsigned nth;
		int error;
	} all[] = {
	    {"writev", 1, ENOSPC}, /* the lines */
	    {"writev", 2, EDQUOT}, /* the first block */
	    {"writev", 3, EDQUOT}, /* the second one */
	    {"writev", 4, EIO},    /* the tail */
	    {"pread", 1, EIO},
	    {"pread", 2, EIO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		open_files(100000, 90000);
		sys_fail(all[i].call, all[i].nth, all[i].error);
		assert_int_equal(message_write(&m, &out, file), -1);
		assert_int_equal(errno, all[i].error);
		close_files();
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_lines),
	    T(test_names),
	    T(test_envelope),
	    T(test_routes),
	    T(test_fail),
	    T(test_filed),
	    T(test_long_hostname),
	    T(test_failed_copies),
	    T(test_write),
	    T(test_write_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
