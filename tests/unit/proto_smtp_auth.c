/*
 * STARTTLS and AUTH in the engine (WIRE 35, 36, 37): what is offered when,
 * what each answer does, and that no cutting of the input changes a word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/smtp.h"

#define ID        "0123456789ABCDEF"
#define NO(reply) reply " [" ID "]\r\n"
#define GREETING  "220 mx.example.org ESMTP ready\r\n"
#define EHLO      "EHLO c.example.com\r\n"
#define HELO      "HELO c.example.com\r\n"
#define HELLO     "250 mx.example.org\r\n"

static struct smtp_config conf;

/* A session, and a backend: one challenge, then yes to "secret". */
struct talk {
	struct smtp smtp;
	struct envelope env;
	struct buf in, out;
	bool down;       /* the backend */
	bool wiped;      /* no message was left behind an answer */
	char seen[256];  /* mechanism:message, one for each question */
	char shown[256]; /* of each refused line, or (its length) */
};

static void
begin(struct talk *t, bool submission, bool starttls, const char *auth)
{
	memset(t, 0, sizeof(*t));
	conf = (struct smtp_config){.hostname = "mx.example.org",
	    .greeting = "ESMTP ready",
	    .message_size = 1000000,
	    .line = 65536,
	    .recipients = 100,
	    .errors = 20,
	    .submission = submission,
	    .starttls = starttls};
	memcpy(t->env.session, ID, sizeof(ID));
	smtp_init(&t->smtp, &conf, &t->env);
	t->smtp.auth = auth;
	t->wiped = true;
}

static void
end(struct talk *t)
{
	smtp_free(&t->smtp);
	envelope_free(&t->env);
	buf_free(&t->in);
	buf_free(&t->out);
}

static void
answer_auth(struct talk *t)
{
	struct smtp *s = &t->smtp;
	size_t n = strlen(t->seen);
	bool last = span_equal(buf_span(&s->sasl), SPAN_LIT("secret"));

	snprintf(t->seen + n, sizeof(t->seen) - n, "%.*s:%.*s%s;",
	    (int)s->mechanism.len, s->mechanism.len ? s->mechanism.ptr : "",
	    (int)s->sasl.len, s->sasl.len ? s->sasl.data : "",
	    s->has_sasl ? "" : "(none)");
	if (t->down) {
		smtp_answer(s, SMTP_REPLY(454, "4.7.0", "Down"), &t->out);
	} else if (last) {
		envelope_set_login(&t->env, "alice");
		smtp_answer(s, NULL, &t->out);
	} else if (span_equal(buf_span(&s->sasl), SPAN_LIT("wrong"))) {
		smtp_answer(s, SMTP_REPLY(535, "5.7.8", "Wrong"), &t->out);
	} else {
		smtp_challenge(s, SPAN_LIT("more?"), &t->out);
	}
	t->wiped = t->wiped && s->sasl.data == NULL;
}

static void
note_shown(struct talk *t)
{
	size_t n = strlen(t->shown);
	struct span line = t->smtp.line;

	if (line.ptr)
		snprintf(t->shown + n, sizeof(t->shown) - n, "%.*s;",
		    (int)line.len, line.ptr);
	else
		snprintf(t->shown + n, sizeof(t->shown) - n, "(%zu);",
		    line.len);
}

static void
step(struct talk *t)
{
	struct span in = buf_span(&t->in);
	enum smtp_step step;

	while ((step = smtp_step(&t->smtp, &in, &t->out)) != SMTP_NEED_INPUT &&
	       step != SMTP_CLOSE) {
		if (step == SMTP_NEED_VERDICT && t->smtp.ask == SMTP_ASK_AUTH) {
			answer_auth(t);
		} else if (step == SMTP_REFUSED) {
			note_shown(t);
		} else if (step == SMTP_NEED_VERDICT) {
			smtp_answer(&t->smtp, NULL, &t->out);
		} else if (step == SMTP_START_TLS) {
			assert_int_equal(in.len, 0);
			buf_append_str(&t->out, "(TLS)\r\n");
			t->env.tls = true;
			t->env.tls_version = "TLSv1.3";
			t->env.tls_cipher = "TLS_X";
			smtp_tls_started(&t->smtp);
		}
	}
	buf_consume(&t->in, t->in.len - in.len);
}

/* In pieces; the reply stream so far is exactly `want`. */
static void
say(struct talk *t, const char *text, size_t piece, const char *want)
{
	size_t n = strlen(text);

	t->out.len = 0;
	step(t);
	for (size_t i = 0; i < n; i += piece) {
		buf_append(&t->in, text + i, n - i < piece ? n - i : piece);
		step(t);
	}
	buf_append(&t->out, "", 1);
	assert_string_equal(t->out.data, want);
}

static void
into_tls(struct talk *t)
{
	t->env.tls = true;
	say(t, HELO, 1, GREETING HELLO);
}

static void
offers(void **state)
{
	static const struct {
		bool submission, starttls, tls;
		const char *auth, *lines;
	} rows[] = {
	    {false, false, false, NULL, ""},
	    {false, true, false, NULL, "250-STARTTLS\r\n"},
	    {false, true, true, NULL, ""},
	    {false, true, true, "PLAIN", ""}, /* on an mx nobody logs in */
	    {true, true, false, "PLAIN", "250-STARTTLS\r\n"},
	    {true, true, true, "PLAIN LOGIN", "250-AUTH PLAIN LOGIN\r\n"},
	    {true, true, true, "", ""},
	    {true, false, true, NULL, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[512];
		struct talk t;

		begin(&t, rows[i].submission, rows[i].starttls, rows[i].auth);
		t.env.tls = rows[i].tls;
		snprintf(want, sizeof(want),
		    GREETING "250-mx.example.org at your service\r\n"
			     "250-PIPELINING\r\n250-SIZE 1000000\r\n"
			     "250-8BITMIME\r\n250-SMTPUTF8\r\n"
			     "250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
			     "%s250 LIMITS RCPTMAX=100\r\n",
		    rows[i].lines);
		say(&t, EHLO, 1, want);
		end(&t);
	}
}

static void
starttls(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, false, true, NULL);
	say(&t, "STARTTLS x\r\n" HELO "MAIL FROM:<a@b.example>\r\n", 1,
	    GREETING NO("501 5.5.4 No argument belongs here") HELLO
	    "250 2.1.0 Sender ok\r\n");
	say(&t, "STARTTLS\r\n", 1, "220 2.0.0 Go ahead\r\n(TLS)\r\n");
	assert_null(t.env.helo); /* all of it is forgotten */
	assert_null(t.env.sender.local);
	say(&t, "MAIL FROM:<a@b.example>\r\nSTARTTLS\r\n", 1,
	    NO("503 5.5.1 Say EHLO first, and one MAIL at a time")
		NO("503 5.5.1 TLS is there"));
	end(&t);

	begin(&t, false, false, NULL);
	say(&t, "STARTTLS\r\n", 1, GREETING NO("502 5.5.1 Not offered here"));
	end(&t);
}

/* The one thing that depends on the cutting, and must. */
static void
starttls_injection(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, false, true, NULL);
	say(&t, "STARTTLS\r\nN", 100,
	    GREETING NO("554 5.5.0 Octets behind STARTTLS"));
	assert_int_equal(t.smtp.state, SMTP_STATE_CLOSED);
	end(&t);
}

static void
auth_needs(void **state)
{
	static const struct {
		bool submission, tls;
		const char *auth, *want;
	} rows[] = {
	    {false, true, "PLAIN", NO("502 5.5.1 Not offered here")},
	    {true, false, "PLAIN", NO("530 5.7.0 Say STARTTLS first")},
	    {true, true, NULL, NO("502 5.5.1 Not offered here")},
	    {true, true, "", NO("454 4.7.0 Nobody can log in now")},
	    {true, true, "X", NO("501 5.5.4 Say AUTH and a mechanism")},
	};
	struct talk t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&t, rows[i].submission, true, rows[i].auth);
		t.env.tls = rows[i].tls;
		say(&t, "AUTH PLAIN\r\n" HELO, 1,
		    rows[i].submission && rows[i].auth
			? GREETING NO("503 5.5.1 Say EHLO first, MAIL later")
			      HELLO
			: GREETING NO("502 5.5.1 Not offered here") HELLO);
		say(&t, i == 4 ? "AUTH\r\n" : "AUTH PLAIN c2VjcmV0\r\n", 1,
		    rows[i].want);
		assert_string_equal(t.seen, "");
		end(&t);
	}
}

/* In every cutting: a login with an initial response, and what follows. */
static void
auth_yes(void **state)
{
	struct talk t;

	(void)state;
	for (size_t piece = 1; piece < 40; piece++) {
		begin(&t, true, true, "PLAIN");
		into_tls(&t);
		say(&t, "MAIL FROM:<a@b.example>\r\n", piece,
		    NO("530 5.7.0 Log in first"));
		say(&t, "AUTH PLAIN c2VjcmV0\r\n", piece,
		    "235 2.7.0 Welcome\r\n");
		assert_string_equal(t.seen, "PLAIN:secret;");
		assert_true(t.wiped);
		assert_true(t.smtp.secret);
		say(&t,
		    "AUTH PLAIN c2VjcmV0\r\nMAIL FROM:<a@b.example>\r\n"
		    "AUTH PLAIN\r\n",
		    piece,
		    NO("503 5.5.1 You are logged in") "250 2.1.0 Sender "
						      "ok\r\n" NO(
							  "503 5.5.1 Say EHLO "
							  "first, MAIL later"));
		end(&t);
	}
}

static void
auth_challenges(void **state)
{
	struct talk t;

	(void)state;
	for (size_t piece = 1; piece < 40; piece++) {
		begin(&t, true, true, "LOGIN");
		into_tls(&t);
		say(&t, "auth login\r\n", piece, "334 bW9yZT8=\r\n");
		assert_true(smtp_in_auth(&t.smtp));
		say(&t, "YWxpY2U=\r\n", piece, "334 bW9yZT8=\r\n");
		say(&t, "\r\n", piece, "334 bW9yZT8=\r\n");
		say(&t, "d3Jvbmc=\r\n", piece, NO("535 5.7.8 Wrong"));
		assert_false(smtp_in_auth(&t.smtp));
		say(&t, "AUTH LOGIN =\r\n", piece, "334 bW9yZT8=\r\n");
		say(&t, "c2VjcmV0\r\n", piece, "235 2.7.0 Welcome\r\n");
		assert_string_equal(t.seen,
		    "login:(none);:alice;:;:wrong;LOGIN:;:secret;");
		end(&t);
	}
}

static void
auth_faults(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, true, true, "LOGIN");
	into_tls(&t);
	say(&t, "AUTH LOGIN\r\n*\r\nNOOP\r\n", 1,
	    "334 bW9yZT8=\r\n" NO("501 5.7.0 Given up") "250 2.0.0 Ok\r\n");
	say(&t, "AUTH LOGIN\r\nno base64\r\nNOOP\r\n", 1,
	    "334 bW9yZT8=\r\n" NO(
		"501 5.5.2 That is no base64") "250 2.0.0 Ok\r\n");
	say(&t, "AUTH  LOGIN\r\n", 1, NO("501 5.5.4 Say AUTH and a mechanism"));
	say(&t, "AUTH LOGIN ====\r\n", 1, NO("501 5.5.2 That is no base64"));
	say(&t, "AUTH LOGIN\r\na\nb\r\nNOOP\r\n", 1,
	    "334 bW9yZT8=\r\n" NO(
		"500 5.5.2 Bare LF: lines end in CRLF") "250 2.0.0 Ok\r\n");
	t.down = true;
	say(&t, "AUTH LOGIN\r\n", 1, NO("454 4.7.0 Down"));
	assert_true(t.wiped);
	end(&t);
}

/* RFC 4954: 12,288 octets, as a command and as an answer. */
static void
auth_line_lengths(void **state)
{
	static const char *const prefixes[] = {"AUTH LOGIN ", ""};
	char line[SMTP_AUTH_LINE_MAX + 8];

	(void)state;
	for (size_t p = 0; p < 2; p++) {
		for (int over = 0; over < 2; over++) {
			size_t n = SMTP_AUTH_LINE_MAX - 2;
			size_t head = strlen(prefixes[p]);
			struct talk t;

			memset(line, 'A', n + 4);
			memcpy(line, prefixes[p], head);
			n = head + (n - head) / 4 * 4 + (over ? 4 : 0);
			memcpy(line + n, "\r\n", 3);
			begin(&t, true, true, "LOGIN");
			into_tls(&t);
			if (!head)
				say(&t, "AUTH LOGIN\r\n", 1,
				    "334 bW9yZT8=\r\n");
			say(&t, line, 1000,
			    over ? NO("500 5.5.6 Line too long")
				 : "334 bW9yZT8=\r\n");
			if (over)
				say(&t, "NOOP\r\n", 1, "250 2.0.0 Ok\r\n");
			end(&t);
		}
	}
}

/* What the client sent as a secret is not in what the log may show. */
static void
secrets_are_not_shown(void **state)
{
	struct talk t;

	(void)state;
	begin(&t, true, true, "LOGIN");
	into_tls(&t);
	say(&t, "AUTH LOGIN d3Jvbmc=\r\n", 100, NO("535 5.7.8 Wrong"));
	assert_true(span_equal(t.smtp.line, SPAN_LIT("AUTH")));
	say(&t, "AUTH LOGIN !\r\n", 100, NO("501 5.5.2 That is no base64"));
	assert_true(span_equal(t.smtp.line, SPAN_LIT("AUTH")));
	end(&t);
}

/* FAULT D4: however AUTH is spelt, and whatever comes behind it. */
static void
misspelt_secrets_are_not_shown(void **state)
{
	static const struct {
		const char *text, *shown;
		bool secret;
	} rows[] = {
	    {"AUTH PLAIN AGEAYg==\r\n", "AUTH;", true},
	    {"auth\r\n", "auth;", false},
	    {"AUTH LOGIN\r\nYQ==\r\nYg==\r\nRSET x\r\n", "AUTH;(4);(4);RSET x;",
		true},
	    {" AUTH PLAIN AGEAYg==\r\n", "(20);", false},
	    {"AUTH\tPLAIN AGEAYg==\r\n", "(19);", false},
	    {"AUTHPLAIN AGEAYg==\r\n", "(18);", false},
	    {"AUTH=PLAIN AGEAYg==\r\n", "(19);", false},
	    {" AUTH PLAIN AGEAYg==\n\r\n", "(20);", false},
	    {"AGEAYg==\rx\r\n", "(8);", false},
	    {"RSET x\n\r\n", "RSET x;", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;

		begin(&t, true, true, "LOGIN PLAIN");
		say(&t, HELO, 100, GREETING HELLO);
		buf_append_str(&t.in, rows[i].text);
		step(&t);
		assert_string_equal(t.shown, rows[i].shown);
		assert_int_equal(t.smtp.secret, rows[i].secret);
		end(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(offers),
	    cmocka_unit_test(starttls),
	    cmocka_unit_test(starttls_injection),
	    cmocka_unit_test(auth_needs),
	    cmocka_unit_test(auth_yes),
	    cmocka_unit_test(auth_challenges),
	    cmocka_unit_test(auth_faults),
	    cmocka_unit_test(auth_line_lengths),
	    cmocka_unit_test(secrets_are_not_shown),
	    cmocka_unit_test(misspelt_secrets_are_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
