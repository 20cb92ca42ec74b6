/*
 * A session at the door: what it asks, when, and what becomes of the answers.
 * Here the door is the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "sessions_rig.h"

#define NOBODY 99
#define HELLO  "EHLO client.example.com\r\nMAIL FROM:<s@example.com>\r\n"

struct door {
	struct ask ask;
	door_fn *fn; /* a question waits */
	void *ctx;
	door_observed_fn *tell;
	void *tell_ctx;
	struct door_subject subject;
};

static struct door the_door;
static unsigned doors_open, asked[POLICY_MESSAGE + 1], begun, took, resets;
static enum policy_stage refused, later;
static bool tells, allowed;
static unsigned early;
static const char *client_name;

static const struct verdict no = {.kind = VERDICT_REJECT,
    .code = 550,
    .status = "5.7.1",
    .said = "Not you",
    .at = {"smtpd.conf", 7},
    .value = "a value"};
static const struct verdict no_greeting = {.kind = VERDICT_DEFER,
    .code = 554,
    .text = "Not you"};
static const struct verdict found = {.kind = VERDICT_REJECT,
    .observed = true,
    .value = "odd"};

/* --- instead of policy's --- */

bool
door_config_is_on(const struct door_config *c)
{
	(void)c;
	return true;
}

static void
on_cancel(struct ask *a, enum ask_end end)
{
	(void)end;
	((struct door *)a)->fn = NULL;
}

struct door *
door_new(const struct doors *all, const struct door_subject *s)
{
	assert_ptr_equal(all, sessions.doors);
	assert_string_equal(s->hostname, "mx.example.org");
	assert_int_not_equal(s->env->client.family, IP_NONE);
	doors_open++;
	the_door = (struct door){.ask = {on_cancel}, .subject = *s};
	return &the_door;
}

void
door_free(struct door **d)
{
	doors_open -= *d != NULL;
	if (*d)
		assert_null((*d)->fn);
	*d = NULL;
}

void
door_begin(struct door *d)
{
	assert_non_null(d->subject.env->helo);
	begun++;
}

struct ask *
door_ask(struct door *d, enum policy_stage stage, const struct smtp_path *rcpt,
    const struct verdict **r, door_fn *fn, void *ctx)
{
	assert_null(d->fn);
	assert_int_equal(rcpt != NULL, stage == POLICY_RCPT);
	asked[stage]++;
	if (tells && stage == POLICY_RCPT)
		d->tell(d->tell_ctx, "second", &found);
	*r = NULL;
	if (stage == later) {
		d->fn = fn;
		d->ctx = ctx;
		return &d->ask;
	}
	if (stage == refused)
		*r = stage == POLICY_CONNECT ? &no_greeting : &no;
	return NULL;
}

void
door_spoke_early(struct door *d)
{
	(void)d;
	early++;
}

bool
door_allows_session(const struct door *d)
{
	(void)d;
	return allowed;
}

void
door_took_rcpt(struct door *d)
{
	(void)d;
	took++;
}

void
door_reset(struct door *d)
{
	(void)d;
	resets++;
}

struct smtp_reply
verdict_reply(const struct verdict *v)
{
	return (
	    struct smtp_reply){v->code, v->status, v->text ? v->text : v->said};
}

void
door_trail(const struct door *d, struct buf *out)
{
	(void)d;
	buf_append_str(out, "first pass default\nsecond reject default");
}

void
door_on_observed(struct door *d, door_observed_fn *fn, void *ctx)
{
	d->tell = fn;
	d->tell_ctx = ctx;
}

const char *
door_client_name(const struct door *d)
{
	assert_ptr_equal(d, &the_door);
	return client_name;
}

const char *
door_said(const struct door *d)
{
	(void)d;
	return "first";
}

/* --- the tests --- */

static void
answers(const struct verdict *v)
{
	door_fn *fn = the_door.fn;

	assert_non_null(fn);
	the_door.fn = NULL;
	fn(the_door.ctx, v);
}

static int
begin(void **state, const char *more)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	refused = later = NOBODY;
	for (unsigned i = 0; i <= POLICY_MESSAGE; i++)
		asked[i] = 0;
	begun = took = resets = early = 0;
	tells = allowed = false;
	client_name = NULL;
	sessions_open(more);
	return 0;
}

static int
setup(void **state)
{
	return begin(state, "");
}

static int
setup_pause(void **state)
{
	return begin(state, "checks { pregreet-wait = 5s }\n"
			    "client \"10.0.0.7\" { proxy = yes }");
}

static int
teardown(void **state)
{
	int r = sessions_teardown(state);

	assert_int_equal(doors_open, 0);
	return r;
}

/* Once at each stage but the last, and told what becomes of a recipient. */
static void
yes(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	assert_int_equal(begun, 0);
	client_rcpt(c);
	assert_true(begun > 0);
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	assert_int_equal(took, 1);
	resets = 0;
	asks(c, "DATA", "354 ");
	asks(c, "x", "");
	assert_int_equal(resets, 0);
	asks(c, ".", "250 2.6.0 ");
	assert_true(resets > 0);
	for (unsigned i = 0; i < POLICY_MESSAGE; i++)
		assert_int_equal(asked[i], i == POLICY_RCPT ? 2 : 1);
	assert_int_equal(asked[POLICY_MESSAGE], 0);
	assert_int_equal(logged("passed",
			     "checks=first pass default;second reject"),
	    2);
}

static void
no_to_a_client(void **state)
{
	struct client *c;

	(void)state;
	refused = POLICY_CONNECT;
	c = client_new(PORT_MX, "192.0.2.1");
	hears(c, "554 Not you [");
	asks(c, "EHLO client.example.com", "503 ");
	assert_int_equal(begun, 0);
	asks(c, "QUIT", "221 ");
	hears_end(c);
	assert_int_equal(logged("refused", "check=first at=default"), 1);
	assert_int_equal(logged("refused", ""), 1);
}

/* It takes nobody's place, and stays for five seconds whatever it says. */
static void
no_to_a_client_that_stays(void **state)
{
	struct client *c;

	(void)state;
	refused = POLICY_CONNECT;
	c = client_new(PORT_MX, "192.0.2.1");
	hears(c, "554 Not you [");
	assert_int_equal(counted(SHARED_SESSIONS), 0);
	assert_int_equal(counted(SHARED_REFUSING), 1);
	rig_pass(4000);
	asks(c, "NOOP", "503 ");
	rig_pass(999);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "421 4.4.2 This session took too long");
	hears_end(c);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(counted(SHARED_REFUSING), 0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("left", "phase=refused"), 1);
}

/* Eight of an address wait for their QUIT; more are sent away at once. */
static void
no_to_many_clients(void **state)
{
	struct client *c;

	(void)state;
	refused = POLICY_CONNECT;
	for (int i = 0; i < 9; i++) {
		c = client_new(PORT_MX, "192.0.2.1");
		hears(c, "554 Not you [");
	}
	rig_pass(1);
	hears(c, "421 4.4.2 ");
	hears_end(c);
	rig_pass(0);
	assert_int_equal(counted(SHARED_REFUSING), 8);
	assert_int_equal(sessions.count, 8);
	refused = POLICY_MESSAGE;
	c = client_new(PORT_MX, "192.0.2.1");
	hears(c, "220 ");
	assert_int_equal(counted(SHARED_SESSIONS), 1);
}

static void
no_to_a_client_before_the_handshake(void **state)
{
	struct client *c;

	(void)state;
	refused = POLICY_CONNECT;
	c = client_new(PORT_SMTPS, "192.0.2.1");
	hears_end(c);
}

static void
no_to_a_sender(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_MAIL;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "550 5.7.1 Not you [");
	assert_int_equal(reserved(), 0);
	assert_int_equal(logged("refused",
			     "check=first value=a value at=smtpd.conf:7"),
	    1);
}

/* Before delivery: nothing of it is in the transaction. */
static void
no_to_a_recipient(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_RCPT;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.7.1 Not you [");
	asks(c, "RCPT TO:<bob@example.org>", "550 5.7.1 Not you [");
	refused = NOBODY;
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	asks(c, "DATA", "354 ");
	asks(c, "x\r\n.", "250 2.6.0 ");
	assert_int_equal(took, 1);
	assert_int_equal(logged("refused", "rcpt=bob@example.org"), 1);
	rig_pass(1000);
	assert_int_equal(scratch_files("mail"), 1);
}

/* To DATA, to the first BDAT, whose octets are no commands, and to the next. */
static void
no_to_a_body(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_DATA;
	client_rcpt(c);
	asks(c, "DATA", "550 5.7.1 Not you [");
	client_say(c, "BDAT 6\r\nQUIT\r\nBDAT 1 LAST\r\nx");
	hears(c, "550 5.7.1 Not you [");
	hears(c, "550 5.7.1 Not you [");
	refused = NOBODY;
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
}

/* As it is known when the body comes, and no later. */
static void
the_name_is_in_received(void **state)
{
	static const char with[] = "from client.example.com (mx.test [192.0.2.";
	static const char without[] = "from client.example.com ([192.0.2.";
	struct client *c = client_new(PORT_MX, "192.0.2.1");
	struct buf mail;

	(void)state;
	for (unsigned known = 0; known < 2; known++) {
		client_rcpt(c);
		client_name = known ? "mx.test" : NULL;
		asks(c, "DATA", "354 ");
		client_name = known ? NULL : "mx.test";
		asks(c, "x\r\n.", "250 2.6.0 ");
		rig_pass(1000);
		mail = scratch_read(scratch_only("mail/example.org/alice/new"));
		assert_non_null(
		    memmem(mail.data, mail.len, known ? with : without,
			(known ? sizeof(with) : sizeof(without)) - 1));
		buf_free(&mail);
		assert_int_equal(unlink(scratch_only(
				     "mail/example.org/alice/new")),
		    0);
		client_leave(c);
		c = client_new(PORT_MX, "192.0.2.1");
	}
}

/* --- what is answered later --- */

static void
a_yes_later(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	later = POLICY_RCPT;
	client_say(c, HELLO "RCPT TO:<alice@example.org>\r\n"
			    "RCPT TO:<bob@example.org>\r\nDATA\r\n");
	hears(c, "220 ");
	hears(c, "250 ");
	hears(c, "250 ");
	hears_nothing(c);
	answers(NULL);
	hears(c, "250 2.1.5 ");
	answers(NULL);
	hears(c, "250 2.1.5 ");
	hears(c, "354 ");
	asks(c, "x\r\n.", "250 2.6.0 ");
	assert_int_equal(asked[POLICY_RCPT], 2);
	rig_pass(1000);
	assert_int_equal(scratch_files("mail"), 2);
}

/* Where delivery needs a thread, too. */
static void
a_yes_to_what_is_looked_up(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	scratch_mkdirs(scratch_path("live/carol"));
	later = POLICY_RCPT;
	client_say(c, HELLO "RCPT TO:<carol@example.org>\r\nNOOP\r\n");
	hears(c, "220 ");
	hears(c, "250 ");
	hears(c, "250 ");
	hears_nothing(c);
	answers(NULL);
	hears(c, "250 2.1.5 ");
	hears(c, "250 2.0.0 ");
}

static void
a_no_later(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	later = POLICY_RCPT;
	client_say(c, HELLO "RCPT TO:<alice@example.org>\r\nDATA\r\nRSET\r\n");
	hears(c, "220 ");
	hears(c, "250 ");
	hears(c, "250 ");
	hears_nothing(c);
	answers(&no);
	hears(c, "550 5.7.1 Not you [");
	hears(c, "554 5.5.1 ");
	hears(c, "250 2.0.0 ");
	assert_int_equal(logged("refused",
			     "check=first value=a value at=smtpd.conf:7"),
	    1);
	assert_int_equal(took, 0);
}

static void
a_sender_and_a_body_later(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	later = POLICY_MAIL;
	client_hello(c);
	client_say(c, "MAIL FROM:<s@example.com>\r\n");
	hears_nothing(c);
	later = POLICY_DATA;
	answers(NULL);
	hears(c, "250 2.1.0 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
	client_say(c, "BDAT 3 LAST\r\nx\r\n");
	hears_nothing(c);
	answers(NULL);
	hears(c, "250 2.6.0 ");
}

/* --- what is never answered --- */

static void
wait_for_rcpt(struct client *c)
{
	later = POLICY_RCPT;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	client_say(c, "RCPT TO:<alice@example.org>\r\n");
	hears_nothing(c);
	assert_non_null(the_door.fn);
}

static void
two_minutes_are_too_long(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	wait_for_rcpt(c);
	rig_pass(120 * 1000);
	hears(c, "451 4.4.1 ");
	assert_null(the_door.fn);
	/* that is no check's no */
	assert_int_equal(logged("refused", "check="), 0);
	later = NOBODY;
	asks(c, "RCPT TO:<alice@example.org>", "250 ");
}

static void
whoever_leaves_is_not_waited_for(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	wait_for_rcpt(c);
	sessions_hangup(&sessions);
	assert_null(the_door.fn);
	hears(c, "421 4.3.2 ");
	client_leave(c);
	rig_pass(5000);
	assert_int_equal(emptied, 1);
	assert_int_equal(doors_open, 0);
}

/* --- the pause before the greeting --- */

#define SECOND 1000
#define DAY    (24 * 3600 * SECOND)

static void
waits(struct client *c)
{
	rig_pass(5 * SECOND - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "220 ");
}

static void
who_has_waited_is_greeted_at_once(void **state)
{
	(void)state;
	waits(client_new(PORT_MX, "192.0.2.1"));
	hears(client_new(PORT_MX, "192.0.2.1"), "220 ");
	waits(client_new(PORT_MX, "192.0.2.2"));
	rig_pass(DAY);
	waits(client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(early, 0);
}

static void
who_speaks_first_is_marked(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_say(c, "EHLO client.example.com\r\n");
	waits(c);
	hears(c, "250 ");
	assert_int_equal(early, 1);
	/* and has waited for nothing */
	waits(client_new(PORT_MX, "192.0.2.1"));
	assert_int_equal(early, 1);
}

static void
not_everybody_waits(void **state)
{
	struct client *c = client_new(PORT_MX, "10.0.0.7");

	(void)state;
	hears(client_new(PORT_SUBMISSION, "192.0.2.1"), "220 ");
	assert_true(client_secure(client_new(PORT_SMTPS, "192.0.2.1")));
	allowed = true;
	hears(client_new(PORT_MX, "192.0.2.1"), "220 ");
	allowed = false;
	client_say(c, "PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n");
	hears(c, "220 ");
	waits(client_new(PORT_MX, "192.0.2.1"));
}

/* Who waits is let off, and has not waited. */
static void
there_is_no_time_under_pressure(void **state)
{
	const struct limits_config few = {.sessions = 3, .per_address = 9};
	struct client *c[3];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		c[i] = client_new(PORT_MX, "192.0.2.1");
	rig_pass(SECOND);
	hears_nothing(c[0]);
	sessions.policy.limits.conf = &few;
	c[2] = client_new(PORT_MX, "192.0.2.1");
	rig_pass(1);
	for (unsigned i = 0; i < 3; i++)
		hears(c[i], "220 ");
	assert_int_equal(early, 0);
	sessions.policy.limits.conf = &sessions.conf->limits;
	client_leave(c[0]);
	client_leave(c[1]);
	rig_pass(0);
	client_new(PORT_MX, "192.0.2.2"); /* which finds that it is over */
	waits(client_new(PORT_MX, "192.0.2.1"));
}

static void
a_pause_ends_with_the_session(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");
	struct client *other = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	rig_pass(SECOND);
	client_leave(c);
	rig_pass(SECOND);
	sessions_hangup(&sessions);
	hears(other, "421 4.3.2 ");
	hears_end(other);
	client_leave(other);
	rig_pass(5 * SECOND);
	assert_int_equal(emptied, 1);
}

/* --- the log --- */

static void
what_is_observed_is_told(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	tells = true;
	client_rcpt(c);
	assert_int_equal(logged("observed",
			     "client=192.0.2.1 check=second value=odd "
			     "at=default helo=client.example.com "
			     "from=s@example.com rcpt=alice@example.org\n"),
	    1);
	/* a few of them */
	for (unsigned i = 0; i < 100; i++)
		asks(c, "RCPT TO:<bob@example.org>", "250 ");
	assert_int_equal(logged("observed", "check=second"), 10);
	asks(c, "DATA", "354 ");
	asks(c, ".", "250 2.6.0 ");
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<bob@example.org>", "250 ");
	assert_int_equal(logged("observed", "check=second"), 11);
}

/* Another no is not a check's. */
static void
the_next_no_has_another_reason(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	refused = POLICY_RCPT;
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 ");
	asks(c, "RCPT TO:<alice@example.org>", "550 5.7.1 ");
	refused = NOBODY;
	asks(c, "RCPT TO:<nobody@example.org>", "550 5.1.1 ");
	asks(c, "BAD", "500 ");
	assert_int_equal(logged("refused", "check="), 1);
	assert_int_equal(logged("refused", ""), 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define P(f) cmocka_unit_test_setup_teardown(f, setup_pause, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(yes),
	    T(no_to_a_client),
	    T(no_to_a_client_that_stays),
	    T(no_to_many_clients),
	    T(no_to_a_client_before_the_handshake),
	    T(no_to_a_sender),
	    T(no_to_a_recipient),
	    T(no_to_a_body),
	    T(the_name_is_in_received),
	    T(a_yes_later),
	    T(a_yes_to_what_is_looked_up),
	    T(a_no_later),
	    T(a_sender_and_a_body_later),
	    T(two_minutes_are_too_long),
	    T(whoever_leaves_is_not_waited_for),
	    P(who_has_waited_is_greeted_at_once),
	    P(who_speaks_first_is_marked),
	    P(not_everybody_waits),
	    P(there_is_no_time_under_pressure),
	    P(a_pause_ends_with_the_session),
	    T(what_is_observed_is_told),
	    T(the_next_no_has_another_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
