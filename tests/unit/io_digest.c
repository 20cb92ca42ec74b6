/*
 * The vectors of FIPS 180-4, RFC 4231 and RFC 7914, and what is promised
 * beside them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/digest.h"

static void
assert_hex(const uint8_t got[DIGEST_LEN], const char *want)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * DIGEST_LEN + 1];

	for (int i = 0; i < DIGEST_LEN; i++) {
		text[2 * i] = digits[got[i] >> 4];
		text[2 * i + 1] = digits[got[i] & 15];
	}
	text[2 * DIGEST_LEN] = '\0';
	assert_string_equal(text, want);
}

/* n times c. */
static struct span
repeat(struct buf *b, char c, size_t n)
{
	b->len = 0;
	memset(buf_reserve(b, n), c, n);
	b->len = n;
	return buf_span(b);
}

static void
sha256(void **state)
{
	uint8_t out[DIGEST_LEN];
	struct buf million = {0};

	(void)state;
	digest_sha256((struct span){NULL, 0}, out);
	assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb924"
			"27ae41e4649b934ca495991b7852b855");
	digest_sha256(SPAN_LIT("abc"), out);
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223"
			"b00361a396177a9cb410ff61f20015ad");
	digest_sha256(repeat(&million, 'a', 1000000), out);
	assert_hex(out, "cdc76e5c9914fb9281a1c7e284d73e67"
			"f1809a48a497200e046d39ccc7112cd0");
	buf_free(&million);
}

/* RFC 4231: cases 1, 2, 3, 6, and an empty key. */
static void
hmac(void **state)
{
	uint8_t out[DIGEST_LEN];
	struct buf key = {0}, data = {0};

	(void)state;
	digest_hmac(repeat(&key, 0x0b, 20), SPAN_LIT("Hi There"), out);
	assert_hex(out, "b0344c61d8db38535ca8afceaf0bf12b"
			"881dc200c9833da726e9376c2e32cff7");
	digest_hmac(SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"),
	    out);
	assert_hex(out, "5bdcc146bf60754e6a042426089575c7"
			"5a003f089d2739839dec58b964ec3843");
	digest_hmac(repeat(&key, (char)0xaa, 20), repeat(&data, (char)0xdd, 50),
	    out);
	assert_hex(out, "773ea91e36800e46854db8ebd09181a7"
			"2959098b3ef8c122d9635514ced565fe");
	/* longer than a block: it is hashed first */
	digest_hmac(repeat(&key, (char)0xaa, 131),
	    SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
	    out);
	assert_hex(out, "60e431591ee0b67f0d8a26aacbf5b77f"
			"8e0bc6213728c5140546040f0ee37f54");
	digest_hmac((struct span){NULL, 0}, (struct span){NULL, 0}, out);
	assert_hex(out, "b613679a0814d9ec772f95d778c35fc5"
			"ff1697c493715653c6c712144292c5ad");
	buf_free(&key);
	buf_free(&data);
}

/* The first 32 octets of RFC 7914 section 11. */
/* Cut anywhere it is the same, with any key. */
static void
hmac_in_pieces(void **state)
{
	static const char data[] = "what do ya want for nothing?";
	const struct span keys[] = {{NULL, 0}, SPAN_LIT("Jefe"),
	    {(char[200]){0}, 200}};
	uint8_t out[DIGEST_LEN], want[DIGEST_LEN];
	struct evp_mac_ctx_st *h = NULL;

	(void)state;
	digest_hmac_end(&h, NULL);
	for (size_t k = 0; k < 3; k++) {
		digest_hmac(keys[k], SPAN_LIT(data), want);
		for (size_t i = 0; i < sizeof(data); i++) {
			h = digest_hmac_begin(keys[k]);
			digest_hmac_add(h, (struct span){data, i});
			digest_hmac_add(h, (struct span){NULL, 0});
			digest_hmac_add(h,
			    (struct span){data + i, sizeof(data) - 1 - i});
			digest_hmac_end(&h, out);
			assert_null(h);
			assert_memory_equal(out, want, DIGEST_LEN);
		}
	}
	h = digest_hmac_begin(keys[1]);
	digest_hmac_end(&h, NULL);
	assert_null(h);
}

static void
pbkdf2(void **state)
{
	uint8_t out[DIGEST_LEN];

	(void)state;
	digest_pbkdf2(SPAN_LIT("passwd"), SPAN_LIT("salt"), 1, out);
	assert_hex(out, "55ac046e56e3089fec1691c22544b605"
			"f94185216dde0465e68b9d57c20dacbc");
	digest_pbkdf2(SPAN_LIT("Password"), SPAN_LIT("NaCl"), 80000, out);
	assert_hex(out, "4ddcd8f60b98be21830cee5ef22701f9"
			"641a4418d04c0414aeff08876b34ab56");
}

static void
equal(void **state)
{
	uint8_t a[DIGEST_LEN], b[DIGEST_LEN];

	(void)state;
	memset(a, 7, sizeof(a));
	memset(b, 7, sizeof(b));
	assert_true(digest_equal(a, b, sizeof(a)));
	for (size_t i = 0; i < sizeof(a); i++) {
		b[i] ^= 0x80;
		assert_false(digest_equal(a, b, sizeof(a)));
		assert_true(digest_equal(a, b, i));
		b[i] ^= 0x80;
	}
	assert_true(digest_equal(a, b, 0));
}

/* All of it is drawn, and nothing behind it. */
static void
random_octets(void **state)
{
	uint8_t seen[33] = {0}, once[33];

	(void)state;
	for (int i = 0; i < 100; i++) {
		memset(once, 0x5a, sizeof(once));
		digest_random(once, 32);
		assert_int_equal(once[32], 0x5a);
		for (int k = 0; k < 32; k++)
			seen[k] |= once[k];
	}
	for (int k = 0; k < 32; k++)
		assert_int_equal(seen[k], 0xff);
}

static void
wipe(void **state)
{
	uint8_t a[8] = "secret!", zero[8] = {0};

	(void)state;
	digest_wipe(a, 7);
	assert_memory_equal(a, zero, 8);
	a[0] = 1;
	digest_wipe(a, 0);
	assert_int_equal(a[0], 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256),
	    cmocka_unit_test(hmac),
	    cmocka_unit_test(hmac_in_pieces),
	    cmocka_unit_test(pbkdf2),
	    cmocka_unit_test(equal),
	    cmocka_unit_test(random_octets),
	    cmocka_unit_test(wipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
