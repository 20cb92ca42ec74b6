/*
 * The messages of PLAIN and SCRAM, good ones and all that are none; each
 * lies in memory of exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/sasl.h"

static char *exact;

static struct span
message(const char *text, size_t n)
{
	free(exact);
	exact = malloc(n ? n : 1);
	memcpy(exact, text, n);
	return (struct span){exact, n};
}

#define MESSAGE(s) message((s), sizeof(s) - 1)

static void
plain(void **state)
{
	struct sasl_plain p;

	(void)state;
	assert_null(sasl_plain_parse(MESSAGE("\0tim\0tan"), &p));
	assert_int_equal(p.authzid.len, 0);
	assert_true(span_equal(p.user, SPAN_LIT("tim")));
	assert_true(span_equal(p.password, SPAN_LIT("tan")));
	assert_null(sasl_plain_parse(MESSAGE("a\0b\0c d"), &p));
	assert_true(span_equal(p.authzid, SPAN_LIT("a")));
	assert_true(span_equal(p.password, SPAN_LIT("c d")));
}

static void
plain_malformed(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} bad[] = {{"", 0}, {"\0", 1}, {"\0\0", 2}, {"\0u\0", 3}, {"\0\0p", 3},
	    {"u\0p", 3}, {"\0u\0p\0", 5}, {"\0u\0p\0q", 6}, {"\0u\xff\0p", 5}};
	struct sasl_plain p;
	char large[2048];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(
		    sasl_plain_parse(message(bad[i].text, bad[i].n), &p));
	memset(large, 'x', sizeof(large));
	large[0] = '\0';
	large[SASL_USER_MAX + 1] = '\0';
	assert_null(sasl_plain_parse(message(large, 300), &p));
	large[SASL_USER_MAX + 1] = 'x';
	large[SASL_USER_MAX + 2] = '\0';
	assert_non_null(sasl_plain_parse(message(large, 300), &p));
}

/* FAULT C12: what is missing is named. */
static void
plain_says_what_is_wrong(void **state)
{
	struct sasl_plain p;

	(void)state;
	assert_string_equal(sasl_plain_parse(MESSAGE(""), &p),
	    "User and password are missing");
	assert_string_equal(sasl_plain_parse(MESSAGE("\0\0p"), &p),
	    "The user is missing");
	assert_string_equal(sasl_plain_parse(MESSAGE("\0u\0"), &p),
	    "The password is missing");
	assert_string_equal(sasl_plain_parse(MESSAGE("u\0p"), &p),
	    "PLAIN wants a NUL before the user and another one before the "
	    "password");
}

static void
first(void **state)
{
	struct scram_first f;

	(void)state;
	assert_int_equal(scram_first_parse(MESSAGE("n,,n=us=2Cer=3D,r=abc"),
			     &f),
	    0);
	assert_int_equal(f.binding, SCRAM_NONE);
	assert_true(span_equal(buf_span(&f.user), SPAN_LIT("us,er=")));
	assert_true(span_equal(f.gs2, SPAN_LIT("n,,")));
	assert_true(span_equal(f.bare, SPAN_LIT("n=us=2Cer=3D,r=abc")));
	assert_true(span_equal(f.nonce, SPAN_LIT("abc")));
	buf_free(&f.user);

	assert_int_equal(scram_first_parse(MESSAGE("p=tls-exporter,a=z,n=u,r=a,"
						   "x=y"),
			     &f),
	    0);
	assert_int_equal(f.binding, SCRAM_BOUND);
	assert_true(span_equal(buf_span(&f.authzid), SPAN_LIT("z")));
	assert_true(span_equal(f.gs2, SPAN_LIT("p=tls-exporter,a=z,")));
	buf_free(&f.user);
	buf_free(&f.authzid);

	assert_int_equal(scram_first_parse(MESSAGE("n,a=,n=u,r=a"), &f), 0);
	assert_int_equal(f.authzid.len, 0);
	assert_true(span_equal(f.gs2, SPAN_LIT("n,a=,")));
	buf_free(&f.user);
}

static void
first_malformed(void **state)
{
	static const char *const bad[] = {"", "n", "n,", "n,,", "n,,n=u",
	    "n,,n=u,", "n,,n=u,r=", "n,,r=a,n=u", "x,,n=u,r=a",
	    "p=tls-unique,,n=u,r=a", "p=,,n=u,r=a", "N,,n=u,r=a",
	    "n,b=z,n=u,r=a", "n,,m=x,n=u,r=a", "n,,n=,r=a", "n,,n=u=2D,r=a",
	    "n,,n=u=,r=a", "n,,n=u=2,r=a", "n,,n=u,r=a b", "n,,n=\xff,r=a",
	    "n,,n=u,r=\x7f"};
	struct scram_first f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scram_first_parse(message(bad[i], strlen(bad[i])), &f) !=
		    -1)
			fail_msg("\"%s\" was taken", bad[i]);
}

#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void
final(void **state)
{
	static const char good[] = "c=biws,r=abc,x=y,p=" PROOF;
	struct scram_final f;

	(void)state;
	assert_int_equal(scram_final_parse(MESSAGE(good), &f), 0);
	assert_true(span_equal(buf_span(&f.binding), SPAN_LIT("n,,")));
	assert_true(span_equal(f.nonce, SPAN_LIT("abc")));
	assert_true(span_equal(f.without_proof, SPAN_LIT("c=biws,r=abc,x=y")));
	assert_int_equal(f.proof[0], 0x74);
	assert_int_equal(f.proof[31], 0x54);
	buf_free(&f.binding);
	/* every part of it is none */
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_int_equal(scram_final_parse(message(good, n), &f), -1);
}

static void
final_malformed(void **state)
{
	static const char *const bad[] = {"r=abc,c=biws,p=" PROOF,
	    "c=!,r=abc,p=" PROOF, "c=biws,r=,p=" PROOF, "c=biws,p=" PROOF,
	    "c=biws,r=abc,p=" PROOF ",x=y", "c=biws,r=abc,q=" PROOF,
	    "c=biws,r=abc,p=AAAA", ",p=" PROOF};
	struct scram_final f;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scram_final_parse(message(bad[i], strlen(bad[i])), &f) !=
		    -1)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void
server_messages(void **state)
{
	uint8_t signature[32];
	struct buf out = {0};

	(void)state;
	scram_server_first(SPAN_LIT("abc"), SPAN_LIT("XYZ"), SPAN_LIT("salt"),
	    4096, &out);
	assert_true(
	    span_equal(buf_span(&out), SPAN_LIT("r=abcXYZ,s=c2FsdA==,i=4096")));
	out.len = 0;
	memset(signature, 0xff, sizeof(signature));
	scram_server_final(signature, &out);
	assert_true(span_equal(buf_span(&out),
	    SPAN_LIT("v=//////////////////////////////////////////8=")));
	buf_free(&out);
}

/* Behind what we know stand "letter=value" parts, or nothing. */
static void
extensions(void **state)
{
	static const struct {
		const char *text;
		int result;
	} rows[] = {{"n,,n=u,r=a,x=y", 0}, {"n,,n=u,r=a,x=y,Z=1", 0},
	    {"n,,n=u,r=a,", -1}, {"n,,n=u,r=a,x", -1}, {"n,,n=u,r=a,x=", -1},
	    {"n,,n=u,r=a,1=y", -1}, {"n,,n=u,r=a,,x=y", -1}};
	struct scram_first f;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span m = message(rows[i].text, strlen(rows[i].text));

		if (scram_first_parse(m, &f) != rows[i].result)
			fail_msg("\"%s\"", rows[i].text);
		if (rows[i].result == 0)
			buf_free(&f.user);
	}
}

static int
end(void **state)
{
	(void)state;
	free(exact);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain),
	    cmocka_unit_test(plain_malformed),
	    cmocka_unit_test(plain_says_what_is_wrong),
	    cmocka_unit_test(first),
	    cmocka_unit_test(first_malformed),
	    cmocka_unit_test(final),
	    cmocka_unit_test(final_malformed),
	    cmocka_unit_test(server_messages),
	    cmocka_unit_test(extensions),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
