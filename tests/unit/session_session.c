/*
 * A session from its greeting to its end: what the client reads, what is in
 * the Maildir, and what stays of it when the client leaves.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "sessions_rig.h"

#define NEW   "mail/example.org/alice/new"
#define LARGE 300000 /* more than a spool has in memory */

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

static struct client *
connected(void)
{
	sessions_open("");
	return client_new(PORT_MX, "192.0.2.1");
}

static unsigned
descriptors(void)
{
	return scratch_count("/proc/self/fd");
}

/* --- mail --- */

static void
a_message(void **state)
{
	struct client *c = connected();
	struct buf file;

	(void)state;
	client_data(c);
	assert_int_equal(counted(SHARED_SESSIONS), 1);
	client_say(c, "Subject: x\r\n\r\n..\r\n.\r\n");
	hears(c, "250 2.6.0 ");
	asks(c, "QUIT", "221 2.0.0 Bye");
	hears_end(c);
	client_leave(c);
	rig_pass(1000);
	file = scratch_read(scratch_only(NEW));
	buf_append(&file, "", 1);
	assert_non_null(strstr(file.data, "\n\tby mx.example.org with ESMTP "));
	assert_non_null(strstr(file.data, "+0000\nSubject: x\n\n.\n"));
	buf_free(&file);
	assert_int_equal(logged("connect", "client=192.0.2.1 port=54321"), 1);
	assert_int_equal(logged("accepted",
			     "from=s@example.com rcpt=alice@example.org "
			     "recipients=1 size=17"),
	    1);
	assert_int_equal(logged("left", "phase=command seconds=0 commands=6"),
	    1);
	assert_int_equal(counted(SHARED_CONNECTIONS), 1);
	assert_int_equal(counted(SHARED_MESSAGES), 1);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	assert_int_equal(emptied, 1);
}

static void
all_in_one_go(void **state)
{
	struct client *c = connected();

	(void)state;
	client_say(c,
	    "EHLO x.example\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n"
	    "RCPT TO:<nobody@example.org>\r\nRCPT TO:<x@example.net>\r\n"
	    "DATA\r\n\r\n.\r\nQUIT\r\n");
	hears(c, "220 ");
	hears(c, "250 LIMITS ");
	hears(c, "250 2.1.0 ");
	hears(c, "250 2.1.5 ");
	hears(c, "550 5.1.1 ");
	hears(c, "550 5.7.1 ");
	hears(c, "354 ");
	hears(c, "250 2.6.0 ");
	hears(c, "221 ");
	hears_end(c);
	assert_int_equal(logged("accepted",
			     "from=<> rcpt=bob@example.org recipients=1"),
	    1);
	assert_int_equal(logged("refused",
			     "from=<> rcpt=nobody@example.org recipients=1"),
	    1);
}

/* What is large has a file without a name, for as long as it is wanted. */
static void
forgotten_bodies(void **state)
{
	struct client *c = connected();
	unsigned before;

	(void)state;
	client_rcpt(c);
	assert_true(reserved() > 0);
	before = descriptors();
	client_say(c, "BDAT 300000\r\n");
	assert_int_equal(client_pour(c, lines(LARGE)), LARGE);
	hears(c, "250 2.0.0 ");
	assert_true(descriptors() > before);
	asks(c, "RSET", "250 ");
	rig_pass(0);
	assert_int_equal(descriptors(), before);
	assert_int_equal(reserved(), 0);
	/* and where the next one comes in one go with its end */
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	client_say(c, "BDAT 300007\r\n");
	assert_int_equal(client_pour(c, lines(LARGE)), LARGE);
	assert_true(descriptors() > before);
	client_say(c,
	    "first\r\nRSET\r\n"
	    "MAIL FROM:<s@example.com>\r\nRCPT TO:<alice@example.org>\r\n"
	    "BDAT 8\r\nsecond\r\n");
	for (unsigned i = 0; i < 5; i++)
		hears(c, "250 2.");
	assert_int_equal(descriptors(), before);
	asks(c, "BDAT 0 LAST", "250 2.6.0 ");
	assert_int_equal(logged("accepted", "size=8"), 1);
}

/* Room that was kept is given back, also where all of it comes at once. */
static void
forgotten_senders(void **state)
{
	struct client *c = connected();

	(void)state;
	client_hello(c);
	client_say(c, "MAIL FROM:<s@example.com>\r\nRSET\r\n"
		      "MAIL FROM:<s@example.com>\r\nRSET\r\n");
	for (unsigned i = 0; i < 4; i++)
		hears(c, "250 2.");
	assert_int_equal(reserved(), 0);
}

static void
a_body_that_is_too_large(void **state)
{
	struct client *c;
	unsigned before;

	(void)state;
	sessions_open("message-size = 200K");
	c = client_new(PORT_MX, "192.0.2.1");
	client_data(c);
	before = descriptors();
	assert_int_equal(client_pour(c, lines(LARGE)), LARGE);
	client_say(c, "\r\n.\r\n");
	hears(c, "552 5.3.4 ");
	rig_pass(0);
	assert_int_equal(descriptors(), before);
	asks(c, "NOOP", "250 ");
	assert_int_equal(scratch_files("mail"), 0);
}

static void
what_a_domain_takes(void **state)
{
	char more[256];
	struct client *c;

	(void)state;
	snprintf(more, sizeof(more),
	    "domain \"example.net\" { users = { \"alice\" }\n"
	    "aliases = { \"postmaster: alice\", \"abuse: alice\" }\n"
	    "deliver = \"maildir:%s/%%d/%%u\" message-size = 64K }\n",
	    scratch_path("mail"));
	sessions_open(more);
	c = client_new(PORT_MX, "192.0.2.1");
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.net>", "250 ");
	asks(c, "DATA", "354 ");
	client_pour(c, lines(70000));
	asks(c, "\r\n.", "552 5.3.4 ");
	asks(c, "MAIL FROM:<s@example.com> SIZE=70000", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	client_pour(c, lines(70000));
	asks(c, "\r\n.", "250 ");
}

static void
no_room(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("message-size = 1T");
	c = client_new(PORT_MX, "192.0.2.1");
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com> SIZE=900000000000", "452 4.3.1 ");
	assert_int_equal(reserved(), 0);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
}

static void
what_cannot_be_stored(void **state)
{
	struct client *c = connected();

	(void)state;
	client_data(c);
	assert_int_equal(rename("spool", "away"), 0);
	client_say(c, "x\r\n.\r\n");
	hears(c, "451 4.3.0 ");
	assert_int_equal(rename("away", "spool"), 0);
	assert_int_equal(counted(SHARED_MESSAGES_DEFERRED), 1);
	assert_int_equal(counted(SHARED_MESSAGES), 0);
	assert_int_equal(logged("refused",
			     "command=DATA helo=client.example.com "
			     "from=s@example.com rcpt=alice@example.org "),
	    1);
	assert_int_equal(logged("refused", "error="), 1);
	assert_int_equal(logged("accepted", ""), 0);
	assert_int_equal(scratch_files("mail"), 0);
	/* an error is that answer's alone */
	asks(c, "BAD", "500 ");
	asks(c, "MAIL FROM:<s@example.com>", "452 4.3.1 ");
	rig_pass(1000);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	assert_int_equal(logged("refused", "error="), 1);
}

/* Before libc's: where the client has connected to. */
int
getsockname(int fd, struct sockaddr *to, socklen_t *len)
{
	struct sockaddr_in a = {.sin_family = AF_INET};

	(void)fd;
	a.sin_addr.s_addr = htonl(0xc0000219); /* 192.0.2.25 */
	memcpy(to, &a, sizeof(a));
	*len = sizeof(a);
	return 0;
}

static void
an_address_literal(void **state)
{
	struct client *c = connected();

	(void)state;
	client_hello(c);
	asks(c, "MAIL FROM:<>", "250 ");
	asks(c, "RCPT TO:<postmaster@[192.0.2.25]>", "250 2.1.5 ");
	asks(c, "RCPT TO:<postmaster@[192.0.2.26]>", "550 5.7.1 ");
}

/* Who is in a directory is looked up there, on a thread. */
static void
a_lookup(void **state)
{
	struct client *c = connected();

	(void)state;
	scratch_mkdir("live/carol");
	client_rcpt(c);
	rig_hold(RIG_JOBS);
	client_say(c, "RCPT TO:<carol@example.org>\r\n"
		      "RCPT TO:<dave@example.org>\r\n");
	hears_nothing(c);
	rig_go_on();
	hears(c, "250 2.1.5 ");
	hears(c, "550 5.1.1 ");
	assert_int_equal(logged("refused",
			     "command=RCPT helo=client.example.com "
			     "from=s@example.com rcpt=dave@example.org "),
	    1);
	asks(c, "RSET", "250 ");
}

/* --- a disk that is slow --- */

static void
a_spool_that_is_full(void **state)
{
	struct client *c = connected();
	struct span body = lines(LINES_MAX);
	size_t taken;
	struct buf file, stored = {0};

	(void)state;
	for (size_t i = 0; i < body.len; i++)
		if (body.ptr[i] != '\r')
			buf_append(&stored, body.ptr + i, 1);
	client_data(c);
	rig_hold(RIG_JOBS);
	taken = client_pour(c, body);
	assert_true(taken < LINES_MAX);
	hears_nothing(c);
	rig_go_on();
	span_skip(&body, taken);
	assert_int_equal(client_pour(c, body), body.len);
	asks(c, ".", "250 2.6.0 ");
	rig_pass(1000);
	file = scratch_read(scratch_only(NEW));
	assert_true(file.len > stored.len);
	assert_memory_equal(file.data + file.len - stored.len, stored.data,
	    stored.len);
	buf_free(&stored);
	buf_free(&file);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_message),
	    T(all_in_one_go),
	    T(forgotten_bodies),
	    T(forgotten_senders),
	    T(a_body_that_is_too_large),
	    T(what_a_domain_takes),
	    T(no_room),
	    T(what_cannot_be_stored),
	    T(an_address_literal),
	    T(a_lookup),
	    T(a_spool_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
