/*
 * digest: OpenSSL's one-shot functions under names of our own. None of them
 * fails on good arguments; if one does, nothing that follows can be trusted.
 */
#include "io/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>

static const unsigned char *
octets(struct span s)
{
	return (const unsigned char *)(s.len ? s.ptr : "");
}

void
digest_sha256(struct span in, uint8_t out[DIGEST_LEN])
{
	if (!SHA256(octets(in), in.len, out))
		abort();
}

void
digest_hmac(struct span key, struct span in, uint8_t out[DIGEST_LEN])
{
	unsigned n = DIGEST_LEN;

	if (!HMAC(EVP_sha256(), octets(key), (int)key.len, octets(in), in.len,
		out, &n))
		abort();
}

void
digest_pbkdf2(struct span password, struct span salt, unsigned iterations,
    uint8_t out[DIGEST_LEN])
{
	if (!PKCS5_PBKDF2_HMAC((const char *)octets(password),
		(int)password.len, octets(salt), (int)salt.len, (int)iterations,
		EVP_sha256(), DIGEST_LEN, out))
		abort();
}

void
digest_random(void *out, size_t n)
{
	if (RAND_bytes(out, (int)n) != 1)
		abort();
}

bool
digest_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
digest_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
