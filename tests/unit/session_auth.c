/*
 * AUTH between the client and policy: yes, no, a challenge, given up, and
 * whoever leaves or waits too long in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "session/session.h"
#include "sessions_rig.h"

#define RIGHT   "AGFsaWNlAHNlY3JldA==" /* alice, secret */
#define WRONG   "AGFsaWNlAFNlY3JldA==" /* alice, Secret */
#define SECOND  1000
#define VERDICT (120 * SECOND)
#define DELAY   500 /* of the first failure of an address */
#define NEW     "mail/example.org/alice/new"

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	sessions_open("");
	return 0;
}

/* No exchange is left of this one, the only session. */
static bool
is_tidy(void)
{
	return !sessions.list->ask && !sessions.list->smtp.sasl.len;
}

static void
yes(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");
	struct buf file;

	(void)state;
	asks(c, "AUTH PLAIN " RIGHT, "235 2.7.0 Welcome");
	assert_true(is_tidy());
	assert_int_equal(logged("logged-in", "client=192.0.2.1 login=alice\n"),
	    1);
	assert_int_equal(logged("refused", ""), 0);
	asks(c, "AUTH PLAIN " RIGHT, "503 ");
	asks(c, "MAIL FROM:<bob@example.org>", "553 5.7.1 ");
	asks(c, "MAIL FROM:<alice@example.org>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	asks(c, "\r\nx\r\n.", "250 2.6.0 ");
	rig_pass(SECOND);
	file = scratch_read(scratch_only(NEW));
	buf_append(&file, "", 1);
	assert_non_null(strstr(file.data, "with ESMTPSA "));
	buf_free(&file);
}

/* It comes late; and only this refusal is one of a login. */
static void
no(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	client_say(c, "AUTH PLAIN " WRONG "\r\nMAIL FROM:<>\r\n");
	rig_pass(DELAY - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "535 5.7.8 Wrong user or password");
	hears(c, "530 ");
	assert_true(is_tidy());
	assert_int_equal(logged("refused",
			     "command=AUTH helo=client.example.com "
			     "mechanism=PLAIN login=alice\n"),
	    1);
	assert_int_equal(logged("refused", ""), 2);
	assert_int_equal(logged("refused", "mechanism="), 1);
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
}

/* Nobody waits longer for what was guessed from elsewhere. */
static void
no_from_two_addresses(void **state)
{
	struct client *one = client_in_tls("192.0.2.1");
	struct client *other = client_in_tls("192.0.2.2");

	(void)state;
	client_say(one, "AUTH PLAIN " WRONG "\r\n");
	rig_pass(0);
	client_say(other, "AUTH PLAIN " WRONG "\r\n");
	rig_pass(DELAY);
	hears(one, "535 ");
	hears(other, "535 ");
}

/* But for the twentieth guess at a login, wherever it comes from. */
static void
no_from_everywhere(void **state)
{
	struct client *c[20];
	char address[16];

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(address, sizeof(address), "192.0.2.%u", i);
		c[i] = client_in_tls(address);
		client_say(c[i], "AUTH PLAIN " WRONG "\r\n");
		rig_pass(0);
	}
	rig_pass(DELAY - 1);
	hears_nothing(c[0]);
	rig_pass(1);
	for (unsigned i = 0; i < 19; i++)
		hears(c[i], "535 ");
	rig_pass(DELAY - 1);
	hears_nothing(c[19]);
	rig_pass(1);
	hears(c[19], "535 ");
}

static void
challenges(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH LOGIN", "334 VXNlcm5hbWU6\r\n");
	asks(c, "YWxpY2U=", "334 UGFzc3dvcmQ6\r\n");
	/* the client's turn, and the time of a command for it */
	rig_pass(300 * SECOND - 1);
	hears_nothing(c);
	asks(c, "c2VjcmV0", "235 ");
	assert_true(is_tidy());
}

/* An empty message is not none. */
static void
empty_messages(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH PLAIN", "334 \r\n");
	asks(c, RIGHT, "235 ");
	c = client_in_tls("192.0.2.2");
	asks(c, "AUTH PLAIN =", "501 5.5.2 ");
	asks(c, "AUTH PLAIN YQ==", "501 5.5.2 ");
	assert_int_equal(logged("refused", "mechanism=PLAIN"), 2);
	assert_true(is_tidy());
}

static void
unknown(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH CRAM-MD5", "504 5.5.4 No such mechanism here");
	assert_int_equal(logged("refused", "mechanism=CRAM-MD5\n"), 1);
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
}

static void
given_up(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH LOGIN", "334 ");
	assert_false(is_tidy());
	asks(c, "*", "501 5.7.0 Given up");
	assert_true(is_tidy());
	asks(c, "AUTH LOGIN YWxpY2U=", "334 ");
	asks(c, "no base64", "501 5.5.2 ");
	assert_true(is_tidy());
	/* and at once begun anew, with another still known to policy */
	client_say(c, "AUTH LOGIN\r\n*\r\nAUTH PLAIN " RIGHT "\r\n");
	hears(c, "334 ");
	hears(c, "501 5.7.0 ");
	hears(c, "235 ");
	assert_true(is_tidy());
}

static void
too_many_at_once(void **state)
{
	struct client *c[19];

	(void)state;
	for (unsigned i = 0; i < 19; i++)
		c[i] = client_in_tls("192.0.2.1");
	rig_hold(RIG_JOBS);
	for (unsigned i = 0; i < 19; i++)
		client_say(c[i], "AUTH PLAIN " RIGHT "\r\n");
	hears(c[18], "454 4.7.0 Too many logins from your address at once");
	hears_nothing(c[0]);
	hears_nothing(c[17]);
	rig_go_on();
	for (unsigned i = 0; i < 18; i++)
		hears(c[i], "235 ");
}

/* Judged, and not told yet: the turn is over when it would have been. */
static void
gone_before_a_no(void **state)
{
	const struct smtp_reply *reply = SMTP_REPLY(421, "4.3.2", "Going down");
	struct client *c[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		c[i] = client_in_tls("192.0.2.1");
	client_say(c[0], "AUTH PLAIN " WRONG "\r\n");
	client_say(c[1], "AUTH PLAIN " WRONG "\r\n");
	rig_pass(0);
	session_hangup(sessions.list, reply);
	session_hangup(sessions.list->next, reply);
	client_say(c[2], "AUTH PLAIN " RIGHT "\r\n");
	rig_pass(DELAY - 1);
	hears_nothing(c[2]);
	rig_pass(1);
	hears(c[2], "235 ");
}

static void
nobody_to_ask(void **state)
{
	struct client *c = client_new(PORT_SUBMISSION, "192.0.2.1");

	(void)state;
	auth_free(&sessions.auth);
	client_leave(c);
	c = client_in_tls("192.0.2.1");
	asks(c, "AUTH PLAIN " RIGHT, "502 ");
}

/* Dovecot, which offers PLAIN, and goes when it is asked. */
static void
whoever_knows_goes(void **state)
{
	struct auth_options o = {.mechanisms = AUTH_PLAIN};
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "dovecot"};
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct client *c;

	(void)state;
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	auth_free(&sessions.auth);
	o.dovecot = a.sun_path;
	sessions.auth = auth_new(&o, &rig.loop, rig.jobs, rig.shared);
	rig_pass(0);
	fd = accept(l, NULL, NULL);
	close(l);
	assert_true(dprintf(fd, "VERSION\t1\t2\nMECH\tPLAIN\nSPID\t7\n"
				"CUID\t1\nCOOKIE\tabc\nDONE\n") > 0);
	c = client_in_tls("192.0.2.1");
	client_say(c, "AUTH PLAIN " RIGHT "\r\n");
	hears_nothing(c);
	close(fd);
	hears(c, "454 4.7.0 Nobody can log in now");
	assert_true(is_tidy());
	asks(c, "AUTH PLAIN " RIGHT, "454 4.7.0 ");
	client_leave(c);
	rig_pass(0);
	auth_free(&sessions.auth);
}

/* --- who leaves, or waits --- */

static void
leaving_while_it_is_hashed(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	rig_hold(RIG_JOBS);
	client_say(c, "AUTH PLAIN " RIGHT "\r\n");
	rig_pass(0);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 1);
	rig_go_on();
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(emptied, 1);
	assert_int_equal(logged("left", "commands=4"), 1);
	assert_int_equal(logged("lost", ""), 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

static void
leaving_at_a_challenge(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH LOGIN", "334 ");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("left", "phase=command"), 1);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

static void
hashed_for_too_long(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	client_say(c, "AUTH PLAIN " WRONG "\r\n");
	rig_pass(DELAY);
	hears(c, "535 ");
	rig_hold(RIG_JOBS);
	client_say(c, "AUTH PLAIN " RIGHT "\r\n");
	rig_pass(VERDICT - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "451 4.4.1 It takes too long, try later");
	assert_true(is_tidy());
	/* who it was, policy would have said */
	assert_int_equal(logged("refused", "reply=451 4.4.1 "), 1);
	assert_int_equal(logged("refused", "mechanism="), 1);
	rig_go_on(); /* a late yes is nobody's */
	hears_nothing(c);
	assert_int_equal(logged("logged-in", ""), 0);
	asks(c, "MAIL FROM:<>", "530 ");
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
}

static void
going_down(void **state)
{
	struct client *hashed = client_in_tls("192.0.2.1");
	struct client *asked = client_in_tls("192.0.2.2");

	(void)state;
	asks(asked, "AUTH LOGIN", "334 ");
	rig_hold(RIG_JOBS);
	client_say(hashed, "AUTH PLAIN " RIGHT "\r\n");
	rig_pass(0);
	sessions_hangup(&sessions);
	hears(hashed, "421 4.3.2 Going down, come back soon");
	hears(asked, "421 4.3.2 Going down, come back soon");
	hears_end(hashed);
	hears_end(asked);
	rig_go_on();
	rig_pass(2 * SECOND);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("logged-in", ""), 0);
}

/* What is freed with an exchange in flight: policy asserts it has none. */
static void
freed(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "AUTH LOGIN", "334 ");
	c = client_in_tls("192.0.2.1");
	rig_hold(RIG_JOBS);
	client_say(c, "AUTH PLAIN " RIGHT "\r\n");
	rig_pass(0);
	sessions_free(&sessions);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	rig_go_on();
	rig_pass(0);
	assert_int_equal(logged("logged-in", ""), 0);
}

/* --- secrets --- */

static bool
is_kept(const char *secret)
{
	/* what one read takes, and a line before it */
	return memmem(sessions.pool->data, STREAM_KEEP_MAX + STREAM_READ_MAX,
		   secret, strlen(secret)) != NULL;
}

static void
secrets_are_wiped(void **state)
{
	struct client *c = client_in_tls("192.0.2.1");

	(void)state;
	asks(c, "NOOP public", "250 ");
	assert_true(is_kept("public"));
	asks(c, "AUTH LOGIN YWxpY2U=", "334 ");
	assert_false(is_kept("YWxpY2U="));
	client_say(c, "c2VjcmV0\r\nNOOP ");
	rig_pass(0);
	assert_false(is_kept("c2VjcmV0"));
	hears(c, "235 ");
	asks(c, "behind", "250 ");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(yes),
	    T(no),
	    T(no_from_two_addresses),
	    T(no_from_everywhere),
	    T(challenges),
	    T(empty_messages),
	    T(unknown),
	    T(given_up),
	    T(too_many_at_once),
	    T(gone_before_a_no),
	    T(nobody_to_ask),
	    T(whoever_knows_goes),
	    T(leaving_while_it_is_hashed),
	    T(leaving_at_a_challenge),
	    T(hashed_for_too_long),
	    T(going_down),
	    T(freed),
	    T(secrets_are_wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
