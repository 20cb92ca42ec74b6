/*
 * What the RFC of each extension that we offer asks of a server, a row for
 * each parameter, command and MUST. Columns: the section, where it is said,
 * what is said, and how the last line of the answer begins; "+" or "-" and
 * text: all that was said has it or has it not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drive.h"

enum where {
	MX,         /* port 25 in clear, behind EHLO */
	MX_TLS,     /* the same behind STARTTLS, and EHLO again */
	SUBMISSION, /* 587 in TLS, nobody has logged in */
	LOGGED_IN,
};

#define EHLO  "EHLO c.example.com\r\n"
#define MAIL  "MAIL FROM:<alice@example.org>"
#define BEGIN MAIL "\r\nRCPT TO:<bob@example.org>\r\n"
#define UMAIL "MAIL FROM:<j\xc3\xbcrgen@example.com>"
#define URCPT "RCPT TO:<j\xc3\xbcrgen@example.org>\r\n"
#define Z100                                                                   \
	"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"                   \
	"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"

static const struct row {
	const char *section;
	enum where where;
	const char *say;
	const char *want;
} rows[] = {
    /* SIZE */
    {"1870 3", MX, EHLO, "+250-SIZE 1000\r\n"},
    {"1870 3", MX, MAIL " SIZE=1000\r\n", "250 2.1.0"},
    {"1870 6.1", MX, MAIL " SIZE=1001\r\n", "552 5.3.4"},
    {"1870 5", MX, MAIL " SIZE=99999999999999999999\r\n", "552 5.3.4"},
    {"1870 5", MX, MAIL " SIZE=100000000000000000000\r\n", "501 5.5.4"},
    {"1870 3", MX, MAIL " SIZE=\r\n", "501 5.5.4"},
    {"1870 6.3", MX, BEGIN "DATA\r\n" Z100 "\r\n.\r\n", "250 2.6.0"},
    /* 8BITMIME */
    {"6152 2", MX, EHLO, "+250-8BITMIME\r\n"},
    {"6152 2", MX, MAIL " BODY=8bitmime\r\n", "250 2.1.0"},
    {"6152 2", MX, MAIL " BODY=7BIT\r\n", "250 2.1.0"},
    {"6152 2", MX, MAIL " BODY=9BIT\r\n", "501 5.5.4"},
    {"6152 3", MX, BEGIN "DATA\r\n\xff\r\n.\r\n", "250 2.6.0"},
    /* SMTPUTF8: never without 8BITMIME, above */
    {"6531 3.1", MX, EHLO, "+250-SMTPUTF8\r\n"},
    {"6531 3.4", MX, UMAIL " SMTPUTF8\r\n", "250 2.1.0"},
    {"6531 3.4", MX, UMAIL " SMTPUTF8=1\r\n", "501 5.5.4"},
    {"6531 3.5", MX, UMAIL "\r\n", "553 5.6.7"},
    {"6531 3.5", MX, MAIL "\r\n" URCPT, "553 5.6.7"},
    {"6531 3.4", MX, MAIL " SMTPUTF8\r\n" URCPT, "250 2.1.5"},
    {"6531 3.4", MX, MAIL " BODY=8BITMIME SMTPUTF8\r\n", "250 2.1.0"},
    {"6531 3.7.4.2", MX, "VRFY j\xc3\xbcrgen SMTPUTF8\r\n", "252 2.0.0"},
    {"6531 3.7.4.2", MX, "VRFY j\xc3\xbcrgen smtputf8\r\n", "252 2.0.0"},
    {"6531 3.7.4.2", MX, "VRFY j\xc3\xbcrgen\r\n", "501 5.5.4"},
    {"6531 3.7.4.2", MX, "VRFY alice SMTPUTF8\r\n", "252 2.0.0"},
    {"6531 3.7.4.2", MX, "EXPN j\xc3\xbcrgen SMTPUTF8\r\n", "502 5.5.1"},
    /* CHUNKING, without BINARYMIME */
    {"3030 2", MX, EHLO, "+250-CHUNKING\r\n"},
    {"3030 3", MX, EHLO, "-BINARYMIME"},
    {"3030 3", MX, MAIL " BODY=BINARYMIME\r\n", "501 5.5.4"},
    {"3030 2", MX, BEGIN "BDAT 2\r\nx\n", "250 2.0.0"},
    {"3030 2", MX, BEGIN "BDAT 3\r\nx\r\nBDAT 0 LAST\r\n", "250 2.6.0"},
    {"3030 2", MX, BEGIN "BDAT 0 LAST\r\nBDAT 1 LAST\r\nx", "503 5.5.1"},
    {"3030 2", MX, BEGIN "BDAT 3\r\nx\r\nDATA\r\n", "503 5.5.1"},
    {"3030 2", MX, MAIL "\r\nBDAT 4 LAST\r\nRSETNOOP\r\n", "250 2.0.0"},
    {"3030 2", MX, BEGIN "BDAT 3\r\nx\r\nRSET\r\n" BEGIN "DATA\r\n", "354"},
    {"3030 2", MX, BEGIN "BDAT x\r\n", "501 5.5.4"},
    /* PIPELINING */
    {"2920 3", MX, EHLO, "+250-PIPELINING\r\n"},
    {"2920 3.2", MX, MAIL "\r\nRCPT TO:<@>\r\nDATA\r\nNOOP\r\n", "250 2.0.0"},
    {"2920 3.2", MX, BEGIN "DATA\r\nx\r\n.\r\nNOOP\r\nQUIT\r\n", "221 2.0.0"},
    /* ENHANCEDSTATUSCODES: drive_check.c looks at every reply */
    {"2034 3", MX, EHLO, "+250-ENHANCEDSTATUSCODES\r\n"},
    /* LIMITS: one to six digits, never 0; a client may ask again */
    {"9422 3", MX, EHLO, "+250 LIMITS RCPTMAX=2\r\n"},
    {"9422 4.2", MX, BEGIN "RCPT TO:<b@d>\r\nRCPT TO:<c@d>\r\n", "452 4.5.3"},
    /* STARTTLS */
    {"3207 2", MX, EHLO, "+250-STARTTLS\r\n"},
    {"3207 4", MX, "STARTTLS now\r\n", "501 5.5.4"},
    {"3207 4.2", MX_TLS, EHLO, "-STARTTLS"},
    {"3207 4.2", MX_TLS, "STARTTLS\r\n", "503 5.5.1"},
    {"3207 4", MX, "STARTTLS\r\n", "220 2.0.0"},
    {"3207 4", MX, MAIL "\r\n", "250 2.1.0"}, /* never demanded on 25 */
    /* AUTH: the exchanges are in proto_smtp_auth.c */
    {"4954 3", MX_TLS, EHLO, "-AUTH"},
    {"4954 3", SUBMISSION, EHLO, "+250-AUTH PLAIN\r\n"},
    {"4954 4", SUBMISSION, "AUTH\r\n", "501 5.5.4"},
    {"4954 4", SUBMISSION, "AUTH PLAIN *\r\n", "501 5.5.2"},
    {"4954 4", LOGGED_IN, "AUTH PLAIN\r\n", "503 5.5.1"},
    {"4954 4", LOGGED_IN, MAIL "\r\nAUTH PLAIN\r\n", "503 5.5.1"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=<>\r\n", "250 2.1.0"},
    {"4954 5", LOGGED_IN, MAIL " auth=e+3Dmc2@example.com\r\n", "250 2.1.0"},
    {"4954 5", LOGGED_IN, MAIL " SIZE=9 AUTH=a BODY=7BIT\r\n", "250 2.1.0"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=+40\r\n", "250 2.1.0"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=" Z100 Z100 Z100 Z100 Z100 "\r\n",
	"250 2.1.0"}, /* MAIL's line may be 500 octets longer for it */
    {"4954 5", LOGGED_IN, MAIL " AUTH=\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=a=b\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=a+3\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=a+\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=a+3d\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=a+G0\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=\xc3\xa9\r\n", "501 5.5.4"},
    {"4954 5", LOGGED_IN, MAIL " AUTH=<> AUTH=<>\r\n", "501 5.5.4"},
    {"4954 5", MX, MAIL " AUTH=<>\r\n", "555 5.5.4"},
    {"4954 5", MX_TLS, MAIL " AUTH=<>\r\n", "555 5.5.4"},
    {"4954 6", SUBMISSION, MAIL " AUTH=<>\r\n", "530 5.7.0"},
    /* submission; what its table of extensions keeps out */
    {"6409 4.3", SUBMISSION, MAIL "\r\n", "530 5.7.0"},
    {"6409 4.3", SUBMISSION, "VRFY alice\r\n", "252 2.0.0"},
    {"6409 7", LOGGED_IN, "ETRN example.org\r\n", "502 5.5.1"},
    {"6409 7", LOGGED_IN, "EXPN all\r\n", "502 5.5.1"},
    {"6409 6.4", LOGGED_IN, "RCPT TO:<bob>\r\n", "503 5.5.1"},
    {"6409 5.1", LOGGED_IN, MAIL "\r\nRCPT TO:<bob>\r\n", "501 5.1.3"},
    /* DSN is not offered */
    {"3461 4", MX, EHLO, "-DSN"},
    {"3461 4", MX, MAIL " RET=HDRS\r\n", "555 5.5.4"},
    {"3461 4", LOGGED_IN, MAIL " ENVID=x\r\n", "555 5.5.4"},
    {"3461 4", MX, MAIL "\r\nRCPT TO:<b@d> NOTIFY=NEVER\r\n", "555 5.5.4"},
};

static const struct smtp_reply *
yes(struct drive *d)
{
	(void)d;
	return NULL;
}

static void
begin(struct drive *d, struct smtp_config *conf, enum where where)
{
	*conf = (struct smtp_config){.hostname = "mx.example.org",
	    .greeting = "ESMTP ready",
	    .message_size = 1000,
	    .line = 1000,
	    .recipients = 2,
	    .errors = 20,
	    .submission = where >= SUBMISSION,
	    .starttls = true};
	*d = (struct drive){.answer = yes};
	drive_init(d, conf);
	d->smtp.auth = "PLAIN";
	drive_feed(d, span_str(EHLO));
	if (where != MX) {
		drive_feed(d, span_str("STARTTLS\r\n"));
		drive_feed(d, span_str(EHLO));
	}
	if (where == LOGGED_IN)
		envelope_set_login(&d->env, "alice");
}

static bool
holds(struct span said, const char *want)
{
	const char *last;

	if (*want == '+' || *want == '-')
		return (memmem(said.ptr, said.len, want + 1,
			    strlen(want + 1)) != NULL) == (*want == '+');
	last = said.len > 2 ? memrchr(said.ptr, '\n', said.len - 1) : NULL;
	if (last)
		span_skip(&said, (size_t)(last + 1 - said.ptr));
	return said.len > strlen(want) &&
	       memcmp(said.ptr, want, strlen(want)) == 0;
}

/* FAULT C1: AUTH= of MAIL was missing, and SMTPUTF8 of VRFY. */
static void
each_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct smtp_config conf;
		struct drive d;
		struct span said;

		begin(&d, &conf, r->where);
		said.len = d.said.len;
		drive_feed(&d, span_str(r->say));
		drive_settle(&d);
		said.ptr = d.said.data + said.len;
		said.len = d.said.len - said.len;
		if (d.fault || !holds(said, r->want))
			fail_msg("RFC %s: %s: %s: %.*s", r->section, r->say,
			    d.fault ? d.fault : "not what it asks",
			    (int)said.len, said.ptr);
		smtp_free(&d.smtp);
		drive_free(&d);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
