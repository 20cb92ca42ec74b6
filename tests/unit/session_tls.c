/*
 * Into TLS, by STARTTLS and from the first octet, and what becomes of those
 * who do not get there.
 */
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "log_catch.h"
#include "scratch.h"
#include "sessions_rig.h"

#define HANDSHAKE 30000 /* ms */
#define NEW       "mail/example.org/alice/new"

static bool no_memory; /* for the next connection's TLS */

/* Before the library's. */
SSL *
SSL_new(SSL_CTX *ctx)
{
	SSL *(*make)(SSL_CTX *);

	*(void **)&make = dlsym(RTLD_NEXT, "SSL_new");
	return no_memory ? NULL : make(ctx);
}

static int
setup(void **state)
{
	log_forget();
	if (sessions_setup(state))
		return -1;
	no_memory = false;
	sessions_open("");
	return 0;
}

static struct client *
starttls(void)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	client_hello(c);
	asks(c, "STARTTLS", "220 2.0.0 Go ahead");
	return c;
}

/* It is over, without a word; and why. */
static void
insecure(struct client *c, const char *reason)
{
	char part[64];

	hears_end(c);
	snprintf(part, sizeof(part), "reason=%s", reason);
	assert_int_equal(logged("insecure", "client=192.0.2.1 "), 1);
	assert_int_equal(logged("insecure", part), 1);
	assert_int_equal(logged("secured", ""), 0);
	assert_int_equal(logged("left", ""), 1);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

/* --- good --- */

static void
a_message_behind_starttls(void **state)
{
	struct client *c = starttls();
	struct buf file;

	(void)state;
	assert_true(client_secure(c));
	assert_int_equal(logged("secured", "version=TLSv1.3 cipher=TLS_"), 1);
	asks(c, "MAIL FROM:<s@example.com>", "503 ");
	assert_int_equal(logged("refused", ""), 1);
	assert_int_equal(logged("refused", "helo="), 0);
	client_say(c,
	    "EHLO again.example.com\r\nMAIL FROM:<s@example.com>\r\n"
	    "RCPT TO:<alice@example.org>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n");
	client_listen(c);
	buf_append(&c->heard, "", 1);
	c->heard.len--;
	assert_null(strstr(c->heard.data, "STARTTLS"));
	hears(c, "250 LIMITS ");
	hears(c, "250 2.1.0 ");
	hears(c, "250 2.1.5 ");
	hears(c, "354 ");
	hears(c, "250 2.6.0 ");
	hears(c, "221 ");
	hears_end(c);
	rig_pass(1000);
	file = scratch_read(scratch_only(NEW));
	buf_append(&file, "", 1);
	assert_non_null(strstr(file.data, "from again.example.com "));
	assert_non_null(strstr(file.data, "with ESMTPS "));
	assert_non_null(strstr(file.data, "TLSv1.3"));
	buf_free(&file);
}

static void
from_the_first_octet(void **state)
{
	struct client *c = client_new(PORT_SMTPS, "192.0.2.1");

	(void)state;
	hears_nothing(c);
	assert_true(client_secure(c));
	hears(c, "220 mx.example.org ");
	client_say(c, "EHLO x.example\r\n");
	client_listen(c);
	buf_append(&c->heard, "", 1);
	c->heard.len--;
	assert_non_null(strstr(c->heard.data,
	    "250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"));
	assert_null(strstr(c->heard.data, "STARTTLS"));
	buf_free(&c->heard);
	/* the handshake's time is over */
	rig_pass(HANDSHAKE);
	asks(c, "STARTTLS", "503 ");
	asks(c, "MAIL FROM:<>", "530 ");
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
}

static void
nobody_logs_in_in_clear(void **state)
{
	struct client *c = client_new(PORT_SUBMISSION, "192.0.2.1");

	(void)state;
	hears(c, "220 ");
	client_say(c, "EHLO x.example\r\n");
	client_listen(c);
	buf_append(&c->heard, "", 1);
	assert_non_null(strstr(c->heard.data, "250-STARTTLS\r\n"));
	assert_null(strstr(c->heard.data, "AUTH"));
	buf_free(&c->heard);
	asks(c, "AUTH PLAIN", "530 5.7.0 Say STARTTLS first");
}

/* --- not in time --- */

/* Whoever says nothing may be waiting for a greeting: he reads why. */
static void
silent_from_the_first_octet(void **state)
{
	struct client *c = client_new(PORT_SMTPS, "192.0.2.1");

	(void)state;
	rig_pass(HANDSHAKE - 1);
	hears_nothing(c);
	rig_pass(1);
	hears(c, "554 5.7.0 This port speaks TLS only");
	insecure(c, "too slow\n");
}

static void
silent_behind_starttls(void **state)
{
	struct client *c = starttls();

	(void)state;
	rig_pass(HANDSHAKE - 1);
	hears_nothing(c);
	rig_pass(1);
	insecure(c, "too slow\n");
}

/* In all, not since the last octet; and nothing in clear. */
static void
half_a_hello(void **state)
{
	struct client *c = client_new(PORT_SMTPS, "192.0.2.1");

	(void)state;
	client_say(c, "\x16\x03");
	rig_pass(HANDSHAKE / 2);
	client_say(c, "\x01");
	rig_pass(HANDSHAKE / 2 - 1);
	hears_nothing(c);
	rig_pass(1);
	insecure(c, "too slow\n");
}

/* --- not at all --- */

static void
in_clear(void **state)
{
	struct client *c = client_new(PORT_SMTPS, "192.0.2.1");

	(void)state;
	client_say(c, "EHLO x.example\r\n");
	hears(c, "554 5.7.0 This port speaks TLS only");
	insecure(c, "no TLS\n");
}

static void
in_clear_behind_starttls(void **state)
{
	struct client *c = starttls();

	(void)state;
	client_say(c, "EHLO x.example\r\n");
	insecure(c, "no TLS\n");
}

static void
in_one_go_with_starttls(void **state)
{
	struct client *c = client_new(PORT_MX, "192.0.2.1");

	(void)state;
	client_hello(c);
	asks(c, "STARTTLS\r\nEHLO x.example",
	    "554 5.5.0 Octets behind STARTTLS");
	hears_end(c);
	assert_int_equal(logged("insecure", ""), 0);
}

static void
an_old_client(void **state)
{
	static const char hello[] = "\x16\x03\x00\x00\x04\x01\x00\x00\x00";
	struct client *c = starttls();

	(void)state;
	client_pour(c, (struct span){hello, sizeof(hello) - 1});
	client_listen(c);
	assert_int_equal(c->heard.data[0], 0x15); /* an alert */
	buf_free(&c->heard);
	insecure(c, ""); /* in the words of the library */
}

static void
without_memory(void **state)
{
	struct client *c = starttls();

	(void)state;
	client_leave(c);
	no_memory = true;
	hears_end(client_new(PORT_SMTPS, "192.0.2.1"));
	assert_int_equal(sessions.count, 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

/* --- leaving --- */

static void
leaving_at_once(void **state)
{
	struct client *c = client_new(PORT_SMTPS, "192.0.2.1");

	(void)state;
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("insecure", "reason=closed"), 1);
	assert_int_equal(logged("left", "phase=handshake"), 1);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

static void
leaving_behind_starttls(void **state)
{
	struct client *c = starttls();

	(void)state;
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("insecure",
			     "helo=client.example.com reason=closed"),
	    1);
}

static void
leaving_in_the_middle(void **state)
{
	struct client *c = starttls();

	(void)state;
	client_say(c, "\x16\x03\x01");
	rig_pass(0);
	client_leave(c);
	rig_pass(0);
	assert_int_equal(sessions.count, 0);
	assert_int_equal(logged("insecure", "reason="), 1);
	assert_int_equal(logged("lost", ""), 0);
	assert_int_equal(counted(SHARED_SESSIONS), 0);
}

/* --- what is no data --- */

static void
new_keys_forever(void **state)
{
	struct client *c = starttls();

	(void)state;
	assert_true(client_secure(c));
	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(SSL_key_update(c->ssl,
				     SSL_KEY_UPDATE_NOT_REQUESTED),
		    1);
		assert_int_equal(SSL_do_handshake(c->ssl), 1);
	}
	hears(c, "421 4.7.0 Too many TLS records without data");
	hears_end(c);
	assert_int_equal(logged("refused", "reply=421 4.7.0 Too many TLS"), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, sessions_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_message_behind_starttls),
	    T(from_the_first_octet),
	    T(nobody_logs_in_in_clear),
	    T(silent_from_the_first_octet),
	    T(silent_behind_starttls),
	    T(half_a_hello),
	    T(in_clear),
	    T(in_clear_behind_starttls),
	    T(in_one_go_with_starttls),
	    T(an_old_client),
	    T(without_memory),
	    T(leaving_at_once),
	    T(leaving_behind_starttls),
	    T(leaving_in_the_middle),
	    T(new_keys_forever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
