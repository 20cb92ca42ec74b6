/*
 * client: what its caller may do, and what it is told; the dialogues of
 * proto_client_dialogues.c show what is said on the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/client.h"

struct world {
	struct client_options options;
	struct client c;
	struct buf out;
	struct arena arena;
	struct client_rcpt rcpts[2];
	struct client_mail mail;
};

static int
setup(void **state)
{
	static struct world all;
	struct world *w = *state = &all;

	*w = (struct world){.options = {.helo = "mx.example.org"}};
	w->rcpts[0].to = "a@example.org";
	w->rcpts[1].to = "b@example.org";
	w->mail = (struct client_mail){.sender = "",
	    .rcpts = w->rcpts,
	    .n = 2,
	    .arena = &w->arena};
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	buf_free(&w->out);
	arena_reset(&w->arena);
	return 0;
}

/* All of it is taken. */
static enum client_step
hear(struct world *w, const char *s)
{
	struct span in = span_str(s);
	enum client_step step = client_step(&w->c, &in, &w->out);

	assert_int_equal(in.len, 0);
	return step;
}

static void
assert_said(struct world *w, const char *s)
{
	assert_true(span_equal(buf_span(&w->out), span_str(s)));
	w->out.len = 0;
}

static void
greet(struct world *w, const char *ehlo)
{
	client_init(&w->c, &w->options);
	assert_int_equal(hear(w, "220 a\r\n"), CLIENT_NEED_INPUT);
	assert_int_equal(hear(w, ehlo), CLIENT_READY);
	w->out.len = 0;
}

static void
assert_fate(struct world *w, unsigned i, enum fate fate, unsigned code)
{
	const struct smtp_reply *reply = w->rcpts[i].reply;

	assert_int_equal(w->rcpts[i].fate, fate);
	assert_int_equal(reply ? reply->code : 0, code);
}

/* As far as the body of a message to two. */
static void
send_body(struct world *w)
{
	greet(w, "250-a\r\n250 PIPELINING\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	assert_int_equal(hear(w, "250 a\r\n250 b\r\n250 c\r\n354 d\r\n"),
	    CLIENT_NEED_BODY);
	w->out.len = 0;
}

/* --- */

static void
each_wait_has_its_class(void **state)
{
	struct world *w = *state;
	struct client *c = &w->c;

	w->options.tls = CLIENT_TLS_REQUIRED;
	w->options.login = "x";
	w->options.secret = SPAN_LIT("y");
	client_init(c, &w->options);
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	hear(w, "220 a\r\n");
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	hear(w, "250-a\r\n250 STARTTLS\r\n");
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	assert_int_equal(hear(w, "220 a\r\n"), CLIENT_START_TLS);
	assert_int_equal(hear(w, ""), CLIENT_START_TLS);
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	client_secured(c);
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	w->out.len = 0;
	assert_int_equal(hear(w, ""), CLIENT_NEED_INPUT);
	assert_said(w, "EHLO mx.example.org\r\n");
	hear(w, "250-a\r\n250 AUTH LOGIN\r\n");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
		hear(w, "334 a\r\n");
	}
	assert_int_equal(client_waits(c), CLIENT_WAIT_HELLO);
	assert_int_equal(hear(w, "235 a\r\n"), CLIENT_READY);
	assert_int_equal(client_waits(c), CLIENT_WAIT_NOTHING);
	client_begin(c, &w->mail, &w->out);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(client_waits(c), CLIENT_WAIT_COMMAND);
		assert_true(hear(w, i < 3 ? "250 a\r\n" : "354 a\r\n") ==
			    (i < 3 ? CLIENT_NEED_INPUT : CLIENT_NEED_BODY));
	}
	assert_int_equal(client_waits(c), CLIENT_WAIT_BODY);
	client_end(c, &w->out);
	assert_int_equal(client_waits(c), CLIENT_WAIT_DOT);
	assert_int_equal(hear(w, ""), CLIENT_NEED_INPUT);
	assert_int_equal(hear(w, "250 a\r\n"), CLIENT_DONE);
	assert_int_equal(client_waits(c), CLIENT_WAIT_NOTHING);
}

static void
ready_is_said_once(void **state)
{
	struct world *w = *state;

	greet(w, "250 a\r\n");
	assert_int_equal(hear(w, ""), CLIENT_NEED_INPUT);
	assert_int_equal(hear(w, ""), CLIENT_NEED_INPUT);
	assert_null(w->c.broken);
	assert_int_equal(w->c.transactions, 0);
}

static void
done_and_then_ready(void **state)
{
	struct world *w = *state;

	send_body(w);
	assert_int_equal(w->c.transactions, 1);
	assert_false(w->c.dot_sent);
	client_content(&w->c, SPAN_LIT("."), &w->out);
	client_content(&w->c, SPAN_LIT(".\n."), &w->out);
	assert_int_equal(hear(w, ""), CLIENT_NEED_BODY);
	client_end(&w->c, &w->out);
	assert_said(w, "...\r\n..\r\n.\r\n");
	assert_true(w->c.dot_sent);
	assert_int_equal(hear(w, "250 a\r\n"), CLIENT_DONE);
	assert_null(w->c.mail);
	assert_int_equal(hear(w, ""), CLIENT_READY);
	client_begin(&w->c, &w->mail, &w->out);
	assert_int_equal(w->c.transactions, 2);
	assert_false(w->c.dot_sent);
	assert_fate(w, 0, FATE_NONE, 0);
	assert_false(w->rcpts[0].accepted);
}

/* The next message does not begin in the middle of a line. */
static void
each_message_begins_a_line(void **state)
{
	struct world *w = *state;

	send_body(w);
	client_content(&w->c, SPAN_LIT("a"), &w->out);
	client_end(&w->c, &w->out);
	hear(w, "250 a\r\n");
	hear(w, "");
	client_begin(&w->c, &w->mail, &w->out);
	hear(w, "250 a\r\n250 b\r\n250 c\r\n354 d\r\n");
	w->out.len = 0;
	client_content(&w->c, SPAN_LIT(".b"), &w->out);
	client_end(&w->c, &w->out);
	assert_said(w, "..b\r\n.\r\n");
}

static void
half_a_reply_stops_no_body(void **state)
{
	struct world *w = *state;
	struct span in = SPAN_LIT("552-no\r\n55");

	send_body(w);
	assert_int_equal(client_step(&w->c, &in, &w->out), CLIENT_NEED_BODY);
	assert_int_equal(in.len, 2);
	in = SPAN_LIT("552 no\r\n250 what\r\n");
	assert_int_equal(client_step(&w->c, &in, &w->out), CLIENT_DONE);
	assert_fate(w, 0, FATE_REFUSED, 552);
	assert_int_equal(client_step(&w->c, &in, &w->out), CLIENT_BROKEN);
	assert_int_equal(client_step(&w->c, &in, &w->out), CLIENT_BROKEN);
	assert_int_equal(client_waits(&w->c), CLIENT_WAIT_NOTHING);
}

/* --- the end of a connection --- */

static void
lost_before_the_dot(void **state)
{
	struct world *w = *state;

	send_body(w);
	client_lost(&w->c, false);
	assert_fate(w, 0, FATE_AGAIN, 451);
	assert_string_equal(w->rcpts[1].reply->status, "4.4.2");
	assert_null(w->c.mail);
	assert_false(w->c.said_421);
	assert_int_equal(hear(w, ""), CLIENT_BROKEN);
}

static void
lost_behind_the_dot(void **state)
{
	struct world *w = *state;

	send_body(w);
	client_end(&w->c, &w->out);
	client_lost(&w->c, true);
	assert_fate(w, 0, FATE_LOST, 451);
	assert_fate(w, 1, FATE_LOST, 451);
}

static void
nobody_was_there(void **state)
{
	struct world *w = *state;

	greet(w, "250 a\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	client_lost(&w->c, true);
	assert_fate(w, 1, FATE_DOWN, 451);
	assert_string_equal(w->rcpts[1].reply->status, "4.4.1");
}

static void
lost_without_a_transaction(void **state)
{
	struct world *w = *state;

	client_init(&w->c, &w->options);
	client_lost(&w->c, true);
	assert_non_null(w->c.broken);
	assert_int_equal(hear(w, ""), CLIENT_BROKEN);
}

/* Decided is decided, also if it was not told yet. */
static void
lost_when_all_is_decided(void **state)
{
	struct world *w = *state;

	w->mail.wire = 11;
	greet(w, "250-a\r\n250-LIMITS RCPTMAX=1\r\n250 SIZE 10\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	assert_said(w, "");
	client_lost(&w->c, true);
	assert_fate(w, 0, FATE_REFUSED, 552);
	assert_int_equal(hear(w, ""), CLIENT_BROKEN);
}

static void
the_first_reason_stays(void **state)
{
	struct world *w = *state;
	const char *why;

	client_init(&w->c, &w->options);
	assert_int_equal(hear(w, "421 a\r\n"), CLIENT_BROKEN);
	assert_true(w->c.said_421);
	why = w->c.broken;
	client_lost(&w->c, false);
	assert_true(w->c.broken == why);
}

static void
a_421_is_told_with_done(void **state)
{
	struct world *w = *state;

	greet(w, "250 a\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	assert_int_equal(hear(w, "421 a\r\n"), CLIENT_DONE);
	assert_true(w->c.said_421);
	assert_fate(w, 0, FATE_AGAIN, 451);
	assert_int_equal(hear(w, ""), CLIENT_BROKEN);
}

/* --- QUIT --- */

static void
quit_between_transactions(void **state)
{
	struct world *w = *state;

	greet(w, "250 a\r\n");
	client_quit(&w->c, &w->out);
	assert_said(w, "QUIT\r\n");
	client_quit(&w->c, &w->out);
	assert_said(w, "");
	assert_int_equal(hear(w, ""), CLIENT_BROKEN);
}

static void
no_quit_elsewhere(void **state)
{
	struct world *w = *state;

	client_init(&w->c, &w->options);
	client_quit(&w->c, &w->out);
	assert_said(w, "");
	greet(w, "250 a\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	w->out.len = 0;
	client_quit(&w->c, &w->out);
	assert_said(w, "");
	assert_null(w->c.broken);
}

static void
quit_before_ready_was_told(void **state)
{
	struct world *w = *state;

	send_body(w);
	client_end(&w->c, &w->out);
	assert_int_equal(hear(w, "250 a\r\n"), CLIENT_DONE);
	w->out.len = 0;
	client_quit(&w->c, &w->out);
	assert_said(w, "QUIT\r\n");
}

/* --- what is kept --- */

static void
replies_outlive_the_input(void **state)
{
	struct world *w = *state;
	char s[] = "550 5.1.1 no such user\r\n";
	struct span in = span_str(s);

	w->mail.n = 1;
	greet(w, "250 a\r\n");
	client_begin(&w->c, &w->mail, &w->out);
	hear(w, "250 a\r\n");
	assert_int_equal(client_step(&w->c, &in, &w->out), CLIENT_DONE);
	memset(s, 'x', sizeof(s));
	memset(&w->c, 'x', sizeof(w->c));
	assert_string_equal(w->rcpts[0].reply->status, "5.1.1");
	assert_string_equal(w->rcpts[0].reply->text, "no such user");
}

static void
secrets_may_hold_anything(void **state)
{
	struct world *w = *state;

	w->options.implicit = true;
	w->options.login = "x";
	w->options.secret = SPAN_LIT("\0\r\n\xff");
	client_init(&w->c, &w->options);
	hear(w, "220 a\r\n");
	w->out.len = 0;
	hear(w, "250-a\r\n250 AUTH PLAIN\r\n");
	assert_said(w, "AUTH PLAIN AHgAAA0K/w==\r\n");
	assert_true(w->c.secured);
}

static void
what_it_can_do(void **state)
{
	struct world *w = *state;
	const struct client_caps *caps = &w->c.caps;

	greet(w,
	    "250-a\r\n250-Pipelining\r\n250-8bitmime \r\n250-SMTPUTF8\r\n"
	    "250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250-LIMITS RCPTMAX=0\r\n"
	    "250 SIZE 18446744073709551615\r\n");
	assert_true(caps->pipelining && caps->eightbit && caps->utf8 &&
		    caps->starttls && caps->auth_plain && caps->auth_login &&
		    caps->size);
	assert_true(caps->size_max == UINT64_MAX);
	assert_int_equal(caps->rcpt_max, 0);
	greet(w, "250-PIPELINING\r\n250-8BITMIMES\r\n250-AUTH=PLAIN\r\n"
		 "250-LIMITS RCPTMAX=4294967297 RCPTMAX\r\n250 \r\n");
	assert_false(caps->pipelining || caps->eightbit || caps->utf8 ||
		     caps->starttls || caps->auth_plain || caps->auth_login ||
		     caps->size || caps->size_max || caps->rcpt_max);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(each_wait_has_its_class),
	    TEST(ready_is_said_once),
	    TEST(done_and_then_ready),
	    TEST(each_message_begins_a_line),
	    TEST(half_a_reply_stops_no_body),
	    TEST(lost_before_the_dot),
	    TEST(lost_behind_the_dot),
	    TEST(nobody_was_there),
	    TEST(lost_without_a_transaction),
	    TEST(lost_when_all_is_decided),
	    TEST(the_first_reason_stays),
	    TEST(a_421_is_told_with_done),
	    TEST(quit_between_transactions),
	    TEST(no_quit_elsewhere),
	    TEST(quit_before_ready_was_told),
	    TEST(replies_outlive_the_input),
	    TEST(secrets_may_hold_anything),
	    TEST(what_it_can_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
