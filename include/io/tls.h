/*
 * tls: server contexts, one certificate or several chosen by SNI.
 *
 * Built by the master before privileges fall, constant afterwards, inherited
 * by the workers. TLS 1.2 and 1.3; the server's preference; no session cache,
 * no tickets, no early data, no renegotiation, no compression.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct tls;

struct tls *tls_new(void);
void tls_free(struct tls **t);

/* How a certificate block turned out. */
enum tls_fault {
	TLS_GOOD,
	TLS_BAD_CHAIN,  /* cannot be read or is no PEM chain */
	TLS_BAD_KEY,    /* likewise, the key */
	TLS_MISMATCH,   /* the key is not the certificate's */
	TLS_WRONG_NAME, /* it does not cover the block's own name */
	TLS_EXPIRED,    /* warnings from here on: it is used */
	TLS_NOT_YET,
	TLS_EXPIRING, /* within 14 days */
};

/*
 * Reads chain and key (PEM). The first certificate added is the default for
 * a name that none covers. now: seconds since 1970. On an error nothing is
 * added; detail_r is OpenSSL's reason, constant or "".
 */
enum tls_fault tls_add(struct tls *t, const char *name, const char *chain,
    const char *key, int64_t now, const char **detail_r);

unsigned tls_count(const struct tls *t);
/* Does any certificate cover this host name? */
bool tls_covers(const struct tls *t, const char *hostname);
/* The default for this listener's name: the one that covers it, if any. */
void tls_prefer(struct tls *t, const char *hostname);

#endif
