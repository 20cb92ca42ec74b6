/*
 * tls_session: what stream needs of tls. Inside io only.
 */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include <openssl/types.h>

#include "io/tls.h"

/* A server's side on this descriptor, which stays the caller's. Or NULL. */
SSL *tls_accept(const struct tls *t, int fd);

#endif
