/*
 * The engine's answers to answers: what a no to each of its questions does,
 * and what its caller may ask it. What needs no refusal from outside is in
 * the dialogues.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drive.h"

#define ID       " [0123456789ABCDEF]\r\n"
#define GREETING "220 mx.example.org ESMTP ready\r\n"
#define HELO     "HELO client.example.com\r\n"
#define HELLO    "250 mx.example.org\r\n"
#define BEGIN    "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n"
#define BEGUN    "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n"
#define GO       "354 Go ahead, end with CRLF.CRLF\r\n"

static const struct smtp_config conf = {
    .hostname = "mx.example.org",
    .greeting = "ESMTP ready",
    .message_size = 1000,
    .line = 1000,
    .recipients = 10,
    .errors = 20,
};

/* What is answered to each question, once; NULL is yes. */
static const struct smtp_reply *no[SMTP_ASK_MESSAGE + 1];

static const struct smtp_reply *
say_once(struct drive *d)
{
	const struct smtp_reply *r = no[d->smtp.ask];

	no[d->smtp.ask] = NULL;
	return r;
}

static void
start(struct drive *d)
{
	*d = (struct drive){.answer = say_once};
	drive_init(d, &conf);
}

/* Sends text; said is all that is said to it. */
static void
talk(struct drive *d, const char *text, const char *said)
{
	size_t from = d->said.len;

	drive_feed(d, span_str(text));
	drive_settle(d);
	if (d->fault)
		fail_msg("does not hold: %s", d->fault);
	buf_append(&d->said, "", 1);
	assert_string_equal(d->said.data + from, said);
	d->said.len--;
}

static void
greet(struct drive *d)
{
	start(d);
	talk(d, HELO, GREETING HELLO);
}

/* WIRE 2: nothing but QUIT is served behind a 554 greeting. */
static void
test_connect_refused(void **state)
{
	struct drive d;

	(void)state;
	start(&d);
	no[SMTP_ASK_CONNECT] = SMTP_REPLY(554, "5.7.1", "Not you");
	talk(&d, "", "554 Not you" ID);
	talk(&d, HELO, "503 5.5.1 You may only QUIT" ID);
	talk(&d, "FOO\r\n", "503 5.5.1 You may only QUIT" ID);
	talk(&d, "BDAT 6 LAST\r\n", "503 5.5.1 You may only QUIT" ID);
	talk(&d, "QUIT\r\n", "221 2.0.0 Bye\r\n");
	assert_true(d.closed);
	drive_free(&d);
}

static void
test_connect_full(void **state)
{
	struct drive d;

	(void)state;
	start(&d);
	no[SMTP_ASK_CONNECT] = SMTP_REPLY(421, "4.3.2", "Full");
	talk(&d, HELO, "421 4.3.2 Full" ID);
	assert_true(d.closed);
	drive_free(&d);
}

static void
test_mail_refused(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	no[SMTP_ASK_MAIL] = SMTP_REPLY(452, "4.3.1", "Full");
	talk(&d, "MAIL FROM:<a@example.com>\r\n", "452 4.3.1 Full" ID);
	assert_false(smtp_in_transaction(&d.smtp));
	assert_null(d.env.sender.local);
	talk(&d, "RCPT TO:<b@example.org>\r\n", "503 5.5.1 Say MAIL first" ID);
	talk(&d, BEGIN, BEGUN);
	assert_int_equal(d.env.serial, 2);
	drive_free(&d);
}

static void
test_rcpt_refused(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	no[SMTP_ASK_RCPT] = SMTP_REPLY(452, "4.2.2", "Full");
	talk(&d, BEGIN, "250 2.1.0 Sender ok\r\n452 4.2.2 Full" ID);
	assert_int_equal(d.env.nrcpts, 0);
	assert_string_equal(d.smtp.rcpt.local, "b"); /* for the log */
	talk(&d, "RCPT TO:<c@example.org>\r\n", "250 2.1.5 Recipient ok\r\n");
	assert_int_equal(d.env.nrcpts, 1);
	assert_string_equal(d.env.rcpts->path.local, "c");
	assert_string_equal(d.env.sender.local, "a");
	drive_free(&d);
}

static void
test_data_refused(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	talk(&d, BEGIN, BEGUN);
	no[SMTP_ASK_DATA] = SMTP_REPLY(451, "4.3.0", "Not now");
	talk(&d, "DATA\r\nNOOP\r\n", "451 4.3.0 Not now" ID "250 2.0.0 Ok\r\n");
	talk(&d, "DATA\r\nx\r\n.\r\n",
	    GO "250 2.6.0 0123456789ABCDEF.1 accepted\r\n");
	drive_free(&d);
}

/* Every chunk is read and gets the same no, to its end or to RSET. */
static void
test_chunks_refused(void **state)
{
	char text[] = "Not now";
	struct smtp_reply reply = {451, "4.3.0", text};
	struct drive d;

	(void)state;
	greet(&d);
	talk(&d, BEGIN, BEGUN);
	no[SMTP_ASK_DATA] = &reply;
	talk(&d, "BDAT 6\r\n", "");
	memset(text, 'x', 3); /* it was copied */
	talk(&d, "QUIT\r\n", "451 4.3.0 Not now" ID);
	talk(&d, "BDAT 6\r\nQUIT\r\n", "451 4.3.0 Not now" ID);
	talk(&d, "BDAT 6 LAST\r\nQUIT\r\n", "451 4.3.0 Not now" ID);
	assert_false(smtp_in_transaction(&d.smtp));
	assert_int_equal(d.ends.len, 0);
	talk(&d, BEGIN, BEGUN);
	talk(&d, "BDAT 3 LAST\r\nx\r\n",
	    "250 2.6.0 0123456789ABCDEF.2 accepted\r\n");
	drive_free(&d);
}

static void
test_message_refused(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	talk(&d, BEGIN, BEGUN);
	no[SMTP_ASK_MESSAGE] = SMTP_REPLY(451, "4.4.1", "Too slow");
	talk(&d, "DATA\r\nx\r\n.\r\n", GO "451 4.4.1 Too slow" ID);
	assert_false(smtp_in_transaction(&d.smtp));
	assert_int_equal(d.ends.len, 0);
	talk(&d, BEGIN "DATA\r\nx\r\n.\r\n",
	    BEGUN GO "250 2.6.0 0123456789ABCDEF.2 accepted\r\n");
	drive_free(&d);
}

/* 421 to any question ends the session, and nothing behind it is read. */
static void
test_421_closes(void **state)
{
	static const char last[] = "421 4.3.0 Enough" ID;
	const size_t n = sizeof(last) - 1;
	struct drive d;

	(void)state;
	for (int ask = SMTP_ASK_MAIL; ask <= SMTP_ASK_MESSAGE; ask++) {
		greet(&d);
		no[ask] = SMTP_REPLY(421, "4.3.0", "Enough");
		drive_feed(&d, span_str(BEGIN "DATA\r\nx\r\n.\r\nNOOP\r\n"));
		drive_settle(&d);
		assert_null(d.fault);
		assert_true(d.closed);
		assert_null(no[ask]);
		assert_memory_equal(d.said.data + d.said.len - n, last, n);
		assert_null(d.env.arena.chunks);
		drive_free(&d);
	}
}

/* A question is void behind a hangup. */
static void
test_hangup(void **state)
{
	struct drive d;

	(void)state;
	for (int questions = 0; questions < 4; questions++) {
		struct buf in = {0};
		struct span rest;

		greet(&d);
		buf_append_str(&in, BEGIN "DATA\r\nx\r\n.\r\nNOOP\r\n");
		rest = buf_span(&in);
		for (int i = 0; i < questions; i++) {
			while (smtp_step(&d.smtp, &rest, &d.out) !=
			       SMTP_NEED_VERDICT)
				continue;
			smtp_answer(&d.smtp, NULL, &d.out);
		}
		while (smtp_step(&d.smtp, &rest, &d.out) != SMTP_NEED_VERDICT)
			continue;
		buf_consume(&d.out, d.out.len);
		smtp_hangup(&d.smtp, SMTP_REPLY(421, "4.4.2", "Bye"), &d.out);
		assert_int_equal(d.smtp.ask, SMTP_ASK_NONE);
		assert_int_equal(smtp_step(&d.smtp, &rest, &d.out),
		    SMTP_REFUSED);
		assert_int_equal(smtp_step(&d.smtp, &rest, &d.out), SMTP_CLOSE);
		assert_int_equal(smtp_step(&d.smtp, &rest, &d.out), SMTP_CLOSE);
		assert_true(
		    span_equal(buf_span(&d.out), SPAN_LIT("421 4.4.2 Bye" ID)));
		assert_null(d.env.arena.chunks);
		buf_free(&in);
		drive_free(&d);
	}
}

static void
test_drain(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	talk(&d, BEGIN "DATA\r\n", BEGUN GO);
	smtp_drain(&d.smtp);
	talk(&d, "x\r\n.\r\nNOOP\r\nMAIL FROM:<\r\n",
	    "250 2.6.0 0123456789ABCDEF.1 accepted\r\n250 2.0.0 Ok\r\n"
	    "421 4.3.2 Going down, come back soon" ID);
	assert_true(d.closed);
	drive_free(&d);
}

/* The smallest limit holds, and only for this message. */
static void
test_limit_size(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	talk(&d, BEGIN, BEGUN);
	smtp_limit_size(&d.smtp, 5);
	smtp_limit_size(&d.smtp, 900);
	talk(&d, "DATA\r\nxxx\r\n.\r\n" BEGIN,
	    GO "250 2.6.0 0123456789ABCDEF.1 accepted\r\n" BEGUN);
	smtp_limit_size(&d.smtp, 5);
	talk(&d, "DATA\r\nxxxx\r\n.\r\n" BEGIN,
	    GO "552 5.3.4 Message too big" ID BEGUN);
	smtp_limit_size(&d.smtp, 5);
	talk(&d, "BDAT 6\r\nxxxxxxRSET\r\n" BEGIN,
	    "552 5.3.4 Message too big" ID "250 2.0.0 Forgotten\r\n" BEGUN);
	talk(&d, "DATA\r\nxxxx\r\n.\r\n",
	    GO "250 2.6.0 0123456789ABCDEF.4 accepted\r\n");
	drive_free(&d);
}

static void
test_where_we_are(void **state)
{
	static const struct {
		const char *text;
		bool transaction, receiving, body;
	} steps[] = {
	    {HELO, false, false, false},
	    {"MAIL FROM:<>\r\n", true, false, false},
	    {"RCPT TO:<b@example.org>\r\n", true, false, false},
	    {"BDAT 4\r\n", true, true, true},
	    {"xxxx", true, true, false},
	    {"BDAT 3 LAST\r\n", true, true, true},
	    {"x\r\n", false, false, false},
	    {BEGIN "DATA\r\n", true, true, true},
	    {".\r\n", false, false, false},
	    {BEGIN "RSET\r\n", false, false, false},
	};
	struct drive d;

	(void)state;
	start(&d);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		drive_feed(&d, span_str(steps[i].text));
		assert_int_equal(smtp_in_transaction(&d.smtp),
		    steps[i].transaction);
		assert_int_equal(smtp_receiving(&d.smtp), steps[i].receiving);
		assert_int_equal(smtp_in_body(&d.smtp), steps[i].body);
	}
	drive_settle(&d);
	assert_null(d.fault);
	drive_free(&d);
}

static void
test_quirks(void **state)
{
	struct drive d;

	(void)state;
	greet(&d);
	drive_feed(&d, span_str("MAIL FROM: <a@example.com>\r\n"));
	assert_int_equal(d.smtp.quirks, SMTP_QUIRK_SPACE);
	drive_feed(&d, span_str("RSET\r\nMAIL FROM:<>\r\n"));
	assert_int_equal(d.smtp.quirks, 0);
	drive_feed(&d, span_str("RCPT TO: <b@example.org>\r\n"));
	assert_int_equal(d.smtp.quirks, SMTP_QUIRK_SPACE);
	d.smtp.normalize = true;
	drive_feed(&d, span_str("DATA\r\nx\ny\r\n.\r\n"));
	assert_int_equal(d.smtp.quirks, SMTP_QUIRK_SPACE | SMTP_QUIRK_BARE);
	drive_free(&d);
}

/* FAULT C5, C8: what was taken all the same is counted and mended. */
static void
test_odd_names(void **state)
{
	static const struct {
		const char *said, *helo;
		bool submission, odd;
	} names[] = {
	    {"host.lan", "host.lan", false, false},
	    {"host.lan.", "host.lan", false, true},
	    {"-host-.lan", "-host-.lan", false, true},
	    {"[192.0.2.7]", "[192.0.2.7]", false, false},
	    {"[2001:db8::19]", "[IPv6:2001:db8::19]", false, true},
	    {"[IPv6:fe80::1%eth0]", "[IPv6:fe80::1]", false, true},
	    {"host.lan.", "host.lan", true, true},
	    {"[fe80::1%a b]", "[IPv6:fe80::1]", true, true},
	    {"My (old) PC", "[IPv6:2001:db8::1]", true, true},
	    {"<script>", "[IPv6:2001:db8::1]", true, true},
	    {"host..", "[IPv6:2001:db8::1]", true, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct smtp_config c = conf;
		struct drive d = {.answer = say_once};
		char text[80];

		c.submission = names[i].submission;
		drive_init(&d, &c);
		ipaddr_parse(SPAN_LIT("2001:db8::1"), &d.env.client);
		snprintf(text, sizeof(text), "HELO %s\r\n", names[i].said);
		talk(&d, text, GREETING HELLO);
		assert_string_equal(d.env.helo, names[i].helo);
		envelope_set_login(&d.env, "alice");
		drive_feed(&d, span_str("MAIL FROM:<a@example.com>\r\n"));
		assert_int_equal(d.smtp.quirks,
		    names[i].odd ? SMTP_QUIRK_NAME : 0);
		drive_feed(&d, span_str("RSET\r\nMAIL FROM:<a.@b-.com>\r\n"));
		assert_int_equal(d.smtp.quirks,
		    SMTP_QUIRK_SENDER | (names[i].odd ? SMTP_QUIRK_NAME : 0));
		drive_free(&d);
	}
}

/* All in one batch; what the engine still knows at each refusal. */
static void
tell_all(const char *text, bool hangup, struct buf *told)
{
	struct span in = span_str(text);
	struct envelope env = {.session = "0123456789ABCDEF"};
	const struct envelope_rcpt *r;
	struct buf out = {0};
	struct smtp s;
	enum smtp_step step;

	smtp_init(&s, &conf, &env);
	while ((step = smtp_step(&s, &in, &out)) != SMTP_CLOSE) {
		if (step == SMTP_NEED_VERDICT)
			smtp_answer(&s, no[s.ask], &out);
		if (step == SMTP_NEED_INPUT && !hangup)
			break;
		if (step == SMTP_NEED_INPUT)
			smtp_hangup(&s, SMTP_REPLY(421, "4.4.2", "Slow"), &out);
		if (step != SMTP_REFUSED)
			continue;
		r = env.rcpts;
		buf_printf(told, "%.3s %s>%s %u %u/%u;", out.data + s.reply_at,
		    env.sender.local ? env.sender.local : "none",
		    r ? r->path.local : "none", env.nrcpts, (unsigned)env.size,
		    (unsigned)s.received);
	}
	assert_null(env.sender.local);
	assert_null(env.rcpts);
	envelope_free(&env);
	buf_free(&out);
	buf_append(told, "", 1);
}

/* FAULT D1: a refusal is told before its transaction is forgotten. */
static void
test_refusals_know_their_transaction(void **state)
{
	static const struct {
		const char *text, *told;
		bool hangup;
	} rows[] = {
	    {BEGIN "DATA\r\nbare\nLF\r\n.\r\n", "550 a>b 1 0/9;", false},
	    {BEGIN "BDAT 3 LAST\r\na\nb", "550 a>b 1 0/3;", false},
	    {BEGIN "MAIL FROM:<>\r\nRSET\r\n", "503 a>b 1 0/0;", false},
	    {BEGIN "RCPT TO:<x\r\nRSET\r\n", "501 a>b 1 0/0;", false},
	    {"MAIL FROM:<a@b> SIZE=1001\r\n", "552 a>none 0 1001/0;", false},
	    {"MAIL FROM:<> SIZE=2\r\n", "421 >none 0 2/0;", true},
	    {BEGIN "DATA\r\nslow\r\n", "421 a>b 1 0/6;", true},
	    {BEGIN "BDAT 2\r\nabBDAT 3\r\n", "421 a>b 1 0/2;", true},
	    {"QUIT x\r\n", "501 none>none 0 0/0;", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf text = {0}, told = {0};

		buf_append_str(&text, HELO);
		buf_append(&text, rows[i].text, strlen(rows[i].text) + 1);
		tell_all(text.data, rows[i].hangup, &told);
		assert_string_equal(told.data, rows[i].told);
		buf_free(&text);
		buf_free(&told);
	}
}

/* FAULT D1: and so is what the caller says no to. */
static void
test_answers_know_their_transaction(void **state)
{
	static const struct {
		enum smtp_ask ask;
		const char *text, *told;
	} rows[] = {
	    {SMTP_ASK_MAIL, "MAIL FROM:<> SIZE=5\r\n", "451 >none 0 5/0;"},
	    {SMTP_ASK_MESSAGE, BEGIN "DATA\r\nx\r\n.\r\n", "451 a>b 1 0/3;"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf text = {0}, told = {0};

		no[rows[i].ask] = SMTP_REPLY(451, "4.3.0", "Not now");
		buf_append_str(&text, HELO);
		buf_append(&text, rows[i].text, strlen(rows[i].text) + 1);
		tell_all(text.data, false, &told);
		no[rows[i].ask] = NULL;
		assert_string_equal(told.data, rows[i].told);
		buf_free(&text);
		buf_free(&told);
	}
}

/* More replies than are held at once: it says so, and loses none. */
static void
test_flush(void **state)
{
	struct buf in = {0};
	struct drive d;
	size_t lines = 0;

	(void)state;
	greet(&d);
	for (int i = 0; i < 3000; i++)
		buf_append_str(&in, "NOOP\r\n");
	drive_feed(&d, buf_span(&in));
	drive_settle(&d);
	assert_null(d.fault);
	for (size_t i = 0; i < d.said.len; i++)
		lines += d.said.data[i] == '\n';
	assert_int_equal(lines, 3002);
	buf_free(&in);
	drive_free(&d);
}

/*
 * FAULT C3: what is said to a ClientHello depends on what can be had here; in
 * TLS the session begins anew, so there too the first input is looked at.
 */
static void
test_foreign(void **state)
{
	static const char http[] = "554 5.5.0 This is SMTP, not HTTP" ID;
	struct smtp_config c = conf;
	struct drive d;

	(void)state;
	c.starttls = true;
	d = (struct drive){.answer = say_once};
	drive_init(&d, &c);
	talk(&d, "\x16\x03",
	    GREETING "554 5.5.0 TLS begins with STARTTLS here" ID);
	assert_true(d.closed);
	assert_string_equal(smtp_foreign_name(d.smtp.foreign), "TLS");
	drive_free(&d);

	d = (struct drive){.answer = say_once};
	drive_init(&d, &c);
	d.env.tls = true;
	talk(&d, "\x16\x03\x01", GREETING "554 5.5.0 This is SMTP, not TLS" ID);
	drive_free(&d);

	greet(&d);
	talk(&d, "GET / HTTP/1.0\r\n", "500 5.5.1 Unknown command" ID);
	assert_null(smtp_foreign_name(d.smtp.foreign));
	smtp_tls_started(&d.smtp);
	talk(&d, "\r\n", "500 5.5.1 Unknown command" ID);
	talk(&d, "get / http/1.0\n", http);
	assert_true(d.closed);
	assert_string_equal(smtp_foreign_name(d.smtp.foreign), "HTTP");
	drive_free(&d);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_connect_refused),
	    cmocka_unit_test(test_connect_full),
	    cmocka_unit_test(test_mail_refused),
	    cmocka_unit_test(test_rcpt_refused),
	    cmocka_unit_test(test_data_refused),
	    cmocka_unit_test(test_chunks_refused),
	    cmocka_unit_test(test_message_refused),
	    cmocka_unit_test(test_421_closes),
	    cmocka_unit_test(test_hangup),
	    cmocka_unit_test(test_drain),
	    cmocka_unit_test(test_limit_size),
	    cmocka_unit_test(test_where_we_are),
	    cmocka_unit_test(test_quirks),
	    cmocka_unit_test(test_odd_names),
	    cmocka_unit_test(test_refusals_know_their_transaction),
	    cmocka_unit_test(test_answers_know_their_transaction),
	    cmocka_unit_test(test_flush),
	    cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
