/*
 * certify: certificates and their keys, made for one test.
 */
#ifndef TESTS_CERTIFY_H
#define TESTS_CERTIFY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/buf.h"

struct certify {
	X509 *cert;
	EVP_PKEY *private;
	struct buf chain; /* in PEM: the certificate alone */
	struct buf key;
};

/*
 * type: "EC" or "RSA". names: "a.example.org,b.example.org"; the first one is
 * the subject's CN too. issuer: who signs it; NULL: itself, as an authority.
 */
void certify(struct certify *c, const char *type, const char *names,
    const struct certify *issuer);
/* Valid in so many days from now until then; signed by itself. */
void certify_days(struct certify *c, long from, long to);
void certify_free(struct certify *c);

#endif
