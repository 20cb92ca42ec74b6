/*
 * The lines of a POST: JSON in ASCII whatever a client said, as many
 * recipients as fit, an id that says which, and keys as the libraries of
 * Standard Webhooks read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "dest/http_head.h"
#include "io/digest.h"

static struct message m;
static struct message_copy copies[100];
static struct message_copy *all[100];
static char names[100][128];
static struct buf json, id;

static int
start(void **state)
{
	(void)state;
	m = (struct message){.id = "06H0PK0E2J2OMQPA.1",
	    .sender = "a@b",
	    .client = "192.0.2.1",
	    .helo = "x",
	    .login = "",
	    .when = 1764111212};
	for (unsigned i = 0; i < 100; i++) {
		snprintf(names[i], sizeof(names[i]),
		    "somebody-with-a-name-%03u@a-domain-whose-name-is-long."
		    "example.org",
		    i);
		copies[i] = (struct message_copy){.to = names[i]};
		all[i] = &copies[i];
	}
	json.len = id.len = 0;
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	buf_free(&json);
	buf_free(&id);
	return 0;
}

static void
assert_buf(struct buf *b, const char *want)
{
	buf_append(b, "", 1);
	assert_string_equal(b->data, want);
}

static void
an_envelope(void **state)
{
	(void)state;
	copies[0].to = "c@d";
	assert_int_equal(http_envelope(&m, all, 1, &json, &id), 1);
	assert_buf(&json,
	    "{\"id\":\"06H0PK0E2J2OMQPA.1\",\"from\":\"a@b\",\"to\":[\"c@d\"],"
	    "\"client\":\"192.0.2.1\",\"helo\":\"x\",\"login\":null,"
	    "\"received\":1764111212}");
	/* sha256 of ["c@d"] */
	assert_buf(&id, "06H0PK0E2J2OMQPA.1-d14c5ac8");
}

static void
whatever_is_said_is_ascii_in_one_line(void **state)
{
	(void)state;
	m.sender = "\xc3\xa9@b";
	m.helo = "\"\\\r\nx: y\xff";
	m.login = "bob\n";
	copies[0].to = "\xf0\x9f\x93\xac@d";
	http_envelope(&m, all, 1, &json, &id);
	assert_buf(&json,
	    "{\"id\":\"06H0PK0E2J2OMQPA.1\",\"from\":\"\\u00e9@b\","
	    "\"to\":[\"\\ud83d\\udcec@d\"],\"client\":\"192.0.2.1\","
	    "\"helo\":\"\\\"\\\\\\u000d\\u000ax: y\\ufffd\","
	    "\"login\":\"bob\\u000a\",\"received\":1764111212}");
}

/* All are told once, no line is longer than it may be, and all ids differ. */
static void
recipients_are_cut_into_lines(void **state)
{
	unsigned done = 0, lines = 0;
	char ids[10][64];

	(void)state;
	while (done < 100) {
		unsigned n;

		json.len = id.len = 0;
		n = http_envelope(&m, all + done, 100 - done, &json, &id);
		assert_in_range(n, 1, 100 - done);
		assert_in_range(json.len, 1, HTTP_ENVELOPE_MAX);
		/* one more would not fit */
		if (done + n < 100)
			assert_true(json.len + strlen(names[0]) + 3 >
				    HTTP_ENVELOPE_MAX);
		for (unsigned i = 0; i < 100; i++)
			assert_int_equal(i >= done && i < done + n,
			    memmem(json.data, json.len, names[i],
				strlen(names[i])) != NULL);
		snprintf(ids[lines], sizeof(ids[0]), "%.*s", (int)id.len,
		    id.data);
		for (unsigned i = 0; i < lines; i++)
			assert_string_not_equal(ids[i], ids[lines]);
		done += n;
		lines++;
	}
	assert_in_range(lines, 2, 9);
}

static void
one_alone_always_fits(void **state)
{
	static char helo[5000];

	(void)state;
	memset(helo, 'x', sizeof(helo) - 1);
	m.helo = helo;
	assert_int_equal(http_envelope(&m, all, 2, &json, &id), 1);
	assert_in_range(json.len, 5000, 5500);
}

/* What its libraries test themselves with. */
static void
standard_webhooks(void **state)
{
	uint8_t digest[DIGEST_LEN];
	struct buf key = {0}, text = {0};

	(void)state;
	http_key(SPAN_LIT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &key);
	digest_hmac(buf_span(&key),
	    SPAN_LIT("msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."
		     "{\"test\": 2432232314}"),
	    digest);
	base64_encode((struct span){(char *)digest, DIGEST_LEN}, &text);
	assert_buf(&text, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	buf_free(&key);
	buf_free(&text);
}

static void
a_key_of_another_form_is_its_octets(void **state)
{
	static const char *const keys[] = {"secret", "whsec_", "whsec_!", "w"};
	struct buf key = {0};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		key.len = 0;
		http_key(span_str(keys[i]), &key);
		assert_buf(&key, keys[i]);
	}
	buf_free(&key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(an_envelope, start),
	    cmocka_unit_test_setup(whatever_is_said_is_ascii_in_one_line,
		start),
	    cmocka_unit_test_setup(recipients_are_cut_into_lines, start),
	    cmocka_unit_test_setup(one_alone_always_fits, start),
	    cmocka_unit_test(standard_webhooks),
	    cmocka_unit_test(a_key_of_another_form_is_its_octets),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
