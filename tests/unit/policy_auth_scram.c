/*
 * SCRAM against whoever tampers with it: messages cut at every octet, every
 * octet changed, headers and channels exchanged. The server's part is given
 * the nonce of RFC 7677's example.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "base/base64.h"
#include "io/digest.h"
#include "policy/auth_scram.h"

#define FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FINAL                                                                  \
	"c=biws,r=rOprNGfwEbeRWgbNEkqO" NONCE                                  \
	",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

/* --- what is wiped and compared: these stand before the library's --- */

static uint8_t wiped[16][DIGEST_LEN]; /* what was there */
static unsigned nwiped, compared;

void
OPENSSL_cleanse(void *p, size_t n)
{
	if (n == DIGEST_LEN && nwiped < 16)
		memcpy(wiped[nwiped++], p, n);
	explicit_bzero(p, n);
}

int
CRYPTO_memcmp(const void *a, const void *b, size_t n)
{
	compared += n == DIGEST_LEN;
	return memcmp(a, b, n);
}

static struct auth_users *users;
static const uint8_t exporter[32] = "what both ends of this TLS know";

static int
open_users(void **state)
{
	(void)state;
	users = auth_users_new();
	assert_null(auth_users_add(users,
	    SPAN_LIT("user::SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
		     "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
		     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=")));
	assert_null(auth_users_add(users, SPAN_LIT("hash:$5$salt$hash")));
	return 0;
}

static int
close_users(void **state)
{
	(void)state;
	auth_users_free(&users);
	return 0;
}

/* From memory of exactly its size. */
static enum scram_result
first(struct auth_scram *s, const char *m, size_t n, bool plus, bool offered)
{
	char *exact = malloc(n ? n : 1);
	enum scram_result r;

	memset(s, 0, sizeof(*s));
	memcpy(exact, m, n);
	r = auth_scram_first(s, users, (struct span){exact, n}, plus, offered,
	    exporter, SPAN_LIT(NONCE));
	free(exact);
	return r;
}

static enum scram_result
final(struct auth_scram *s, const char *m, size_t n, struct buf *out)
{
	char *exact = malloc(n ? n : 1);
	enum scram_result r;

	memcpy(exact, m, n);
	r = auth_scram_final(s, (struct span){exact, n}, out);
	free(exact);
	return r;
}

/* The whole of it with this client-final. */
static enum scram_result
exchange(const char *m, size_t n)
{
	struct auth_scram s;
	struct buf out = {0};
	enum scram_result r;

	assert_int_equal(first(&s, FIRST, sizeof(FIRST) - 1, false, false),
	    SCRAM_GOOD);
	r = final(&s, m, n, &out);
	if (r == SCRAM_GOOD)
		assert_true(span_equal(buf_span(&out), SPAN_LIT(SERVER)));
	else
		assert_int_equal(out.len, 0);
	buf_free(&out);
	auth_scram_free(&s);
	return r;
}

static void
the_example(void **state)
{
	(void)state;
	assert_int_equal(exchange(FINAL, sizeof(FINAL) - 1), SCRAM_GOOD);
}

/* FAULT F14: the proof and the key that it gives are wiped, and what is
 * compared is compared in the same time whatever it is. */
static void
nothing_is_left(void **state)
{
	static const uint8_t proof[] = {0x74, 0x7c, 0xdb, 0x65};
	static const uint8_t stored[] = {0x58, 0x6e, 0x5d, 0xf2};
	bool wiped_proof = false, wiped_key = false;
	uint8_t key[DIGEST_LEN];

	(void)state;
	nwiped = compared = 0;
	assert_int_equal(exchange(FINAL, sizeof(FINAL) - 1), SCRAM_GOOD);
	assert_int_equal(compared, 1);
	for (unsigned i = 0; i < nwiped; i++) {
		digest_sha256((struct span){(const char *)wiped[i], DIGEST_LEN},
		    key);
		wiped_proof |= !memcmp(wiped[i], proof, sizeof(proof));
		wiped_key |= !memcmp(key, stored, sizeof(stored));
	}
	assert_true(wiped_proof && wiped_key);
}

static void
client_first_cut(void **state)
{
	struct auth_scram s;

	(void)state;
	/* the shortest good one ends with the first octet of the nonce */
	for (size_t n = 0; n < sizeof(FIRST); n++) {
		enum scram_result r = first(&s, FIRST, n, false, false);

		assert_int_equal(r,
		    n > sizeof("n,,n=user,r=") - 1 && n < sizeof(FIRST)
			? SCRAM_GOOD
			: SCRAM_MALFORMED);
		auth_scram_free(&s);
	}
}

static void
client_final_cut(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(FINAL) - 1; n++)
		assert_int_equal(exchange(FINAL, n), SCRAM_MALFORMED);
	assert_int_equal(exchange(FINAL "\n", sizeof(FINAL)), SCRAM_MALFORMED);
	assert_int_equal(exchange(FINAL, sizeof(FINAL)), SCRAM_MALFORMED);
}

/* Any octet changed in any way: nobody gets in. */
static void
client_final_changed(void **state)
{
	char m[sizeof(FINAL)];

	(void)state;
	for (size_t i = 0; i < sizeof(FINAL) - 1; i++)
		for (int c = 0; c < 256; c++) {
			memcpy(m, FINAL, sizeof(FINAL));
			if (m[i] == (char)c)
				continue;
			m[i] = (char)c;
			assert_int_not_equal(exchange(m, sizeof(FINAL) - 1),
			    SCRAM_GOOD);
		}
}

/* The right proof for what was said, but something else was said before. */
static void
client_first_changed(void **state)
{
	static const char *const others[] = {"n,,n=user,r=rOprNGfwEbeRWgbNEkqP",
	    "n,,n=user,r=rOprNGfwEbeRWgbNEkq",
	    "y,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "n,a=user,n=user,r=rOprNGfwEbeRWgbNEkqO",
	    "n,,n=User,r=rOprNGfwEbeRWgbNEkqO",
	    "n,,n=hash,r=rOprNGfwEbeRWgbNEkqO",
	    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO,x=y"};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct auth_scram s;
		struct buf out = {0};

		assert_int_equal(first(&s, others[i], strlen(others[i]), false,
				     false),
		    SCRAM_GOOD);
		assert_int_equal(final(&s, FINAL, sizeof(FINAL) - 1, &out),
		    SCRAM_WRONG);
		assert_int_equal(out.len, 0);
		auth_scram_free(&s);
	}
}

/* RFC 5802 section 6, row by row. */
static void
bindings(void **state)
{
	static const struct {
		const char *gs2;
		bool plus, offered;
		enum scram_result want;
	} rows[] = {
	    {"n,,", false, false, SCRAM_GOOD},
	    {"n,,", false, true, SCRAM_GOOD},
	    {"y,,", false, false, SCRAM_GOOD},
	    {"y,,", false, true, SCRAM_WRONG}, /* it was taken off our list */
	    {"p=tls-exporter,,", false, false, SCRAM_WRONG},
	    {"p=tls-exporter,,", false, true, SCRAM_WRONG},
	    {"p=tls-exporter,,", true, true, SCRAM_GOOD},
	    {"p=tls-exporter,,", true, false, SCRAM_WRONG},
	    {"n,,", true, true, SCRAM_WRONG},
	    {"y,,", true, true, SCRAM_WRONG},
	    {"p=tls-unique,,", true, true, SCRAM_MALFORMED},
	    {"p=tls-server-end-point,,", true, true, SCRAM_MALFORMED},
	    {"p=tls-exporter,a=user,", true, true, SCRAM_GOOD},
	    {"n,a=us=2Cer,", false, false, SCRAM_WRONG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf m = {0};
		struct auth_scram s;

		buf_printf(&m, "%sn=user,r=abc", rows[i].gs2);
		if (first(&s, m.data, m.len, rows[i].plus, rows[i].offered) !=
		    rows[i].want)
			fail_msg("row %zu", i);
		buf_free(&m);
		auth_scram_free(&s);
	}
}

/* client-final for "pencil" over this binding; NUL-terminated. */
static void
prove(const struct auth_scram *s, struct span binding, struct buf *out)
{
	const struct auth_user *u = auth_users_find(users, SPAN_LIT("user"));
	uint8_t salted[32], key[32], signature[32];
	struct span salt = {(const char *)u->scram.salt, u->scram.salt_len};
	struct buf text = {0};

	digest_pbkdf2(SPAN_LIT("pencil"), salt, 4096, salted);
	digest_hmac((struct span){(char *)salted, 32}, SPAN_LIT("Client Key"),
	    key);
	buf_append_str(out, "c=");
	base64_encode(binding, out);
	buf_append_str(out, ",r=");
	buf_append_span(out, buf_span(&s->nonce));
	buf_append_span(&text, buf_span(&s->first_bare));
	buf_append_str(&text, ",");
	buf_append_span(&text, buf_span(&s->server_first));
	buf_append_str(&text, ",");
	buf_append_span(&text, buf_span(out));
	digest_hmac((struct span){(const char *)u->scram.stored, 32},
	    buf_span(&text), signature);
	for (int i = 0; i < 32; i++)
		key[i] ^= signature[i];
	buf_append_str(out, ",p=");
	base64_encode((struct span){(char *)key, 32}, out);
	buf_free(&text);
}

/* Somebody between the two has two channels: their keys differ. */
static void
another_channel(void **state)
{
	static const char header[] = "p=tls-exporter,,";
	static const char m[] = "p=tls-exporter,,n=user,r=abc";

	(void)state;
	for (int i = -1; i < 34; i++) {
		struct buf binding = {0}, message = {0}, out = {0};
		enum scram_result want = i < 0 ? SCRAM_GOOD : SCRAM_WRONG;
		struct auth_scram s;

		first(&s, m, sizeof(m) - 1, true, true);
		buf_append_str(&binding, header);
		buf_append(&binding, exporter, i == 32 ? 31 : 32);
		if (i >= 0 && i < 32)
			binding.data[sizeof(header) - 1 + (size_t)i] ^= 1;
		if (i == 33) /* the header alone: as if it were not bound */
			binding.len = sizeof(header) - 1;
		prove(&s, buf_span(&binding), &message);
		assert_int_equal(final(&s, message.data, message.len, &out),
		    want);
		buf_free(&binding);
		buf_free(&message);
		buf_free(&out);
		auth_scram_free(&s);
	}
}

/* The proof is good and the header is not the one that came first. */
static void
another_header(void **state)
{
	static const char *const headers[] = {"y,,", "n,a=x,", "n,", "n",
	    "n,,x", "p=tls-exporter,,"};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct buf message = {0}, out = {0};
		struct auth_scram s;

		first(&s, FIRST, sizeof(FIRST) - 1, false, false);
		prove(&s, span_str(headers[i]), &message);
		assert_int_equal(final(&s, message.data, message.len, &out),
		    SCRAM_WRONG);
		buf_free(&message);
		buf_free(&out);
		auth_scram_free(&s);
	}
}

/* The proof is good for a nonce that is not ours: an older one, say. */
static void
another_nonce(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof("rOprNGfwEbeRWgbNEkqO" NONCE) - 1; i++) {
		struct buf message = {0}, out = {0};
		struct auth_scram s;

		first(&s, FIRST, sizeof(FIRST) - 1, false, false);
		s.nonce.data[i]++;
		prove(&s, SPAN_LIT("n,,"), &message);
		s.nonce.data[i]--;
		assert_int_equal(final(&s, message.data, message.len, &out),
		    SCRAM_WRONG);
		buf_free(&message);
		auth_scram_free(&s);
	}
}

/* Not even one who proves to know the keys that were made up for him. */
static void
a_stranger_with_a_proof(void **state)
{
	static const char m[] = "n,,n=hash,r=rOprNGfwEbeRWgbNEkqO";
	struct buf message = {0}, out = {0};
	struct auth_scram s;

	(void)state;
	first(&s, m, sizeof(m) - 1, false, false);
	s.keys = auth_users_find(users, SPAN_LIT("user"))->scram;
	prove(&s, SPAN_LIT("n,,"), &message);
	assert_int_equal(final(&s, message.data, message.len, &out),
	    SCRAM_WRONG);
	s.fake = false;
	assert_int_equal(final(&s, message.data, message.len, &out),
	    SCRAM_GOOD);
	buf_free(&message);
	buf_free(&out);
	auth_scram_free(&s);
}

/* What a stranger sees is in every part like what a user sees. */
static void
strangers(void **state)
{
	static const char *const names[] = {"nobody", "hash", "USER"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf m = {0}, out = {0};
		struct auth_scram s, again, known;

		buf_printf(&m, "n,,n=%s,r=rOprNGfwEbeRWgbNEkqO", names[i]);
		assert_int_equal(first(&s, m.data, m.len, false, false),
		    SCRAM_GOOD);
		first(&again, m.data, m.len, false, false);
		first(&known, FIRST, sizeof(FIRST) - 1, false, false);
		assert_true(s.fake);
		assert_true(span_equal(buf_span(&s.server_first),
		    buf_span(&again.server_first)));
		assert_int_equal(s.server_first.len, known.server_first.len);
		assert_int_equal(final(&s, FINAL, sizeof(FINAL) - 1, &out),
		    SCRAM_WRONG);
		assert_int_equal(final(&again, "c=biws", 6, &out),
		    SCRAM_MALFORMED);
		auth_scram_free(&s);
		auth_scram_free(&again);
		auth_scram_free(&known);
		buf_free(&m);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_example),
	    cmocka_unit_test(nothing_is_left),
	    cmocka_unit_test(client_first_cut),
	    cmocka_unit_test(client_final_cut),
	    cmocka_unit_test(client_final_changed),
	    cmocka_unit_test(client_first_changed),
	    cmocka_unit_test(bindings),
	    cmocka_unit_test(another_channel),
	    cmocka_unit_test(another_header),
	    cmocka_unit_test(another_nonce),
	    cmocka_unit_test(a_stranger_with_a_proof),
	    cmocka_unit_test(strangers),
	};

	return cmocka_run_group_tests(tests, open_users, close_users);
}
