/*
 * Policy's no at each stage: what the client reads, and what is left of it.
 * Here policy is the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "sessions_rig.h"

#define NOBODY 99
#define LARGE  100000 /* more than one block of a spool */

static enum policy_stage refused;
static unsigned asked[POLICY_MESSAGE + 1];

/* Instead of policy's. */
const struct smtp_reply *
policy_ask(const struct policy *p, enum policy_stage stage,
    const struct policy_subject *s)
{
	asked[stage]++;
	assert_ptr_equal(p, &sessions.policy);
	if (stage == POLICY_CONNECT)
		assert_null(limits_client(&p->limits, s->ask, s->place));
	if (stage >= POLICY_MAIL)
		assert_string_equal(s->env->sender.local, "s");
	if (stage == POLICY_MESSAGE)
		assert_int_equal(s->env->nrcpts, 1);
	if (stage != refused)
		return NULL;
	return stage == POLICY_CONNECT ? SMTP_REPLY(421, "4.7.0", "Not you")
				       : SMTP_REPLY(550, "5.7.1", "Not you");
}

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	refused = NOBODY;
	for (unsigned i = 0; i <= POLICY_MESSAGE; i++)
		asked[i] = 0;
	sessions_open("");
	return 0;
}

/* At each stage once, and of two recipients each. */
static void
yes(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_rcpt(c);
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	asks(c, "DATA", "354 ");
	asks(c, "x\r\n.", "250 2.6.0 ");
	for (unsigned i = 0; i <= POLICY_MESSAGE; i++)
		assert_int_equal(asked[i], i == POLICY_RCPT ? 2 : 1);
}

static void
no_to_a_client(void **state)
{
	struct client *c;

	(void)state;
	refused = POLICY_CONNECT;
	c = client_new(PORT_MX, "192.0.2.1");
	hears(c, "421 4.7.0 Not you");
	hears_end(c);
	assert_int_equal(logged("refused", "reply=421 4.7.0 Not you"), 1);
}

static void
no_to_a_sender(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_MAIL;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "550 5.7.1 Not you");
	assert_int_equal(reserved(), 0);
	asks(c, "RCPT TO:<alice@example.org>", "503 ");
	assert_int_equal(asked[POLICY_RCPT], 0);
}

static void
no_to_a_recipient(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_RCPT;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "550 5.7.1 Not you");
	asks(c, "DATA", "554 5.5.1 ");
	refused = NOBODY;
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
}

static void
no_to_a_body(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_DATA;
	client_rcpt(c);
	asks(c, "DATA", "550 5.7.1 Not you");
	asks(c, "BDAT 3 LAST\r\nx", "550 5.7.1 Not you");
	assert_int_equal(asked[POLICY_MESSAGE], 0);
	rig_pass(1000);
	assert_int_equal(scratch_files("mail"), 0);
}

/* Asked when all of it is there, and before anybody has it. */
static void
no_to_a_message(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_MESSAGE;
	client_data(c);
	asks(c, "x\r\n.", "550 5.7.1 Not you");
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	rig_hold(RIG_JOBS);
	assert_int_equal(client_pour(c, lines(LARGE)), LARGE);
	client_say(c, ".\r\n");
	hears_nothing(c);
	assert_int_equal(asked[POLICY_MESSAGE], 1);
	rig_go_on();
	hears(c, "550 5.7.1 Not you");
	assert_int_equal(asked[POLICY_MESSAGE], 2);
	asks(c, "QUIT", "221 ");
	rig_pass(1000);
	assert_int_equal(scratch_files("mail"), 0);
	assert_int_equal(logged("refused", "reply=550 5.7.1 Not you"), 2);
	assert_int_equal(logged("accepted", ""), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(yes),
	    T(no_to_a_client),
	    T(no_to_a_sender),
	    T(no_to_a_recipient),
	    T(no_to_a_body),
	    T(no_to_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
