/*
 * tls_session: what stream needs of tls. Inside io only.
 */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include <openssl/types.h>

#include "base/buf.h"
#include "io/tls.h"

struct tls_client;

/* A server's side on this descriptor, which stays the caller's. Or NULL. */
SSL *tls_accept(const struct tls *t, int fd);
/* The same for a client's; name may be NULL, and is copied. */
SSL *tls_connect(const struct tls_client *c, int fd, const char *name);

/* What contexts of both sides have in common; versions and ciphers are not. */
void tls_prepare(SSL_CTX *ctx);

/* Appends "CN=R3,O=Let's Encrypt,C=US" (RFC 4514), in UTF-8. */
void tls_print_name(const X509_NAME *name, struct buf *out);

#endif
