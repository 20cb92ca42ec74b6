/*
 * digest: OpenSSL's one-shot functions under names of our own. None of them
 * fails on good arguments; if one does, nothing that follows can be trusted.
 */
#include "io/digest.h"

#include <openssl/core_names.h>
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
digest_init(void)
{
	if (OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
		abort();
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

struct evp_mac_ctx_st *
digest_hmac_begin(struct span key)
{
	static char sha256[] = "SHA256";
	const OSSL_PARAM params[] =
	    {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
	EVP_MAC_CTX *h = EVP_MAC_CTX_new(mac);

	if (!h || EVP_MAC_init(h, octets(key), key.len, params) != 1)
		abort();
	EVP_MAC_free(mac);
	return h;
}

void
digest_hmac_add(struct evp_mac_ctx_st *h, struct span in)
{
	if (EVP_MAC_update(h, octets(in), in.len) != 1)
		abort();
}

void
digest_hmac_end(struct evp_mac_ctx_st **h, uint8_t out[DIGEST_LEN])
{
	size_t n;

	if (*h && out && EVP_MAC_final(*h, out, &n, DIGEST_LEN) != 1)
		abort();
	EVP_MAC_CTX_free(*h);
	*h = NULL;
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
