/*
 * What is counted of sessions: as often as it was said, and under the numbers
 * that were said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log_catch.h"
#include "sessions_rig.h"

#define RIGHT  "AGFsaWNlAHNlY3JldA==" /* alice, secret */
#define WRONG  "AGFsaWNlAFNlY3JldA==" /* alice, Secret */
#define SECOND 1000

static int
setup(void **state)
{
	log_forget();
	return sessions_setup(state);
}

static uint64_t
replied(unsigned code, uint32_t status)
{
	struct shared_reply_count r[SHARED_REPLIES];
	unsigned n = shared_replies(rig.shared, r);

	for (unsigned i = 0; i < n; i++)
		if (r[i].code == code && r[i].status == status)
			return r[i].n;
	return 0;
}

/* How many were observed. */
static int64_t
observed(enum shared_counter first)
{
	int64_t n = 0;

	for (unsigned i = 0; i <= COUNTER_SECONDS_BOUNDS; i++)
		n += counted(first + i);
	return n;
}

static void
begin(struct client *c)
{
	asks(c, "MAIL FROM:<x@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
}

static void
messages(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("");
	client_data(c = client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(observed(SHARED_GREETING), 1);
	client_say(c, "x\r\n.\r\n");
	hears(c, "250 2.6.0 ");
	assert_int_equal(counted(SHARED_MESSAGES), 1);
	assert_int_equal(counted(SHARED_MESSAGE_BYTES), 3);
	assert_int_equal(counted(SHARED_RECIPIENTS), 1);
	assert_int_equal(observed(SHARED_MESSAGE), 1);
	/* refused by the engine, which asks nobody */
	begin(c);
	asks(c, "DATA", "354 ");
	client_say(c, "a\nb\r\n.\r\n");
	hears(c, "550 5.6.0 ");
	assert_int_equal(counted(SHARED_MESSAGES_REFUSED), 1);
	assert_int_equal(replied(550, SHARED_STATUS(5, 6, 0)), 1);
	/* in chunks, the last of which asks nothing */
	begin(c);
	client_say(c, "BDAT 3\r\na\nb");
	hears(c, "250 ");
	asks(c, "BDAT 0 LAST", "550 5.6.0 ");
	assert_int_equal(counted(SHARED_MESSAGES_REFUSED), 2);
	/* what is no message */
	begin(c);
	client_say(c, "BDAT 3\r\na\r\n");
	hears(c, "250 ");
	client_say(c, "RSET\r\nMAIL FROM:<x\r\nDATA\r\n");
	hears(c, "250 2.0.0 ");
	hears(c, "501 5.1.7 ");
	hears(c, "503 5.5.1 ");
	assert_int_equal(counted(SHARED_MESSAGES_REFUSED), 2);
	assert_int_equal(counted(SHARED_MESSAGES_DEFERRED), 0);
	assert_int_equal(counted(SHARED_MESSAGES), 1);
	assert_int_equal(counted(SHARED_MESSAGE_BYTES), 3);
	assert_int_equal(observed(SHARED_MESSAGE), 1);
}

static void
recipients(void **state)
{
	struct client *c;

	(void)state;
	sessions_open("");
	client_hello(c = client_new(PORT_MX, "192.0.2.1"));
	asks(c, "MAIL FROM: <x@[1.2.3.4]>", "250 ");
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	asks(c, "RCPT TO:<alice@example.net>", "550 5.7.1 ");
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "RCPT TO:<bob@example.org>", "250 ");
	assert_int_equal(counted(SHARED_RECIPIENTS), 2);
	assert_int_equal(counted(SHARED_RECIPIENTS_REFUSED), 3);
	assert_int_equal(counted(SHARED_RECIPIENTS_DEFERRED), 0);
	assert_int_equal(replied(550, SHARED_STATUS(5, 1, 1)), 2);
	assert_int_equal(replied(550, SHARED_STATUS(5, 7, 1)), 1);
	asks(c, "DATA", "354 ");
	asks(c, "\r\nx\r\n.", "250 2.6.0 ");
	assert_int_equal(counted(SHARED_QUIRKS), 1);
	assert_int_equal(counted(SHARED_QUIRKS_LONG_LINE), 0);
	assert_int_equal(counted(SHARED_QUIRKS_NAME), 0);
	rig_pass(SECOND);
	assert_int_equal(counted(SHARED_MAILDIR), 2);
	assert_int_equal(observed(SHARED_MAILDIR_TIME), 1);
	assert_int_equal(observed(SHARED_COMMIT), 1);
	assert_int_equal(counted(SHARED_BATCH), 1);
}

static void
logins(void **state)
{
	struct client *c, *bad;

	(void)state;
	sessions_open("");
	c = client_in_tls("192.0.2.1");
	assert_int_equal(counted(SHARED_TLS), 1);
	assert_int_equal(counted(SHARED_TLS_OLD), 0);
	asks(c, "AUTH NONSENSE", "504 ");
	asks(c, "AUTH PLAIN " WRONG, "");
	rig_pass(SECOND);
	hears(c, "535 ");
	asks(c, "AUTH PLAIN !", "501 ");
	asks(c, "AUTH LOGIN", "334 ");
	asks(c, "*", "501 ");
	asks(c, "AUTH PLAIN " RIGHT, "235 ");
	assert_int_equal(counted(SHARED_AUTH_PLAIN), 1);
	assert_int_equal(counted(SHARED_AUTH_PLAIN_WRONG), 1);
	assert_int_equal(counted(SHARED_AUTH_UNKNOWN), 1);
	assert_int_equal(counted(SHARED_AUTH_LOGIN), 0);
	bad = client_new(PORT_SMTPS, "192.0.2.1");
	client_say(bad, "QUIT\r\n");
	hears(bad, "554 ");
	assert_int_equal(counted(SHARED_TLS_FAILED), 1);
	assert_int_equal(replied(554, SHARED_STATUS(5, 7, 0)), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(messages, setup, sessions_teardown),
	    cmocka_unit_test_setup_teardown(recipients, setup,
		sessions_teardown),
	    cmocka_unit_test_setup_teardown(logins, setup, sessions_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
