/*
 * tls: server contexts, one certificate or several chosen by SNI and, where
 * one name has several, by the type of their keys.
 *
 * Built by the master before privileges fall, constant afterwards, inherited
 * by the workers. TLS 1.2 and 1.3; ECDHE only; the server's preference;
 * no session cache, no tickets, no early data, no renegotiation, no
 * compression. A client that asks for protocols (ALPN) must ask for "smtp" or
 * "esmtp".
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
	TLS_BAD_CHAIN,  /* is no PEM chain */
	TLS_BAD_KEY,    /* is no key in PEM, or has a passphrase */
	TLS_MISMATCH,   /* the key is not the certificate's */
	TLS_WRONG_NAME, /* it does not cover the block's own name */
	TLS_EXPIRED,    /* warnings from here on: it is used */
	TLS_NOT_YET,
	TLS_EXPIRING, /* within 14 days */
};

/*
 * chain and key are PEM, copied; name must last as long as t. The first name
 * added is the default for one that no certificate covers. now: seconds since
 * 1970. On an error nothing is added; detail_r is OpenSSL's reason, constant
 * or "".
 */
enum tls_fault tls_add(struct tls *t, const char *name, struct span chain,
    struct span key, int64_t now, const char **detail_r);

/* Of the one added last: its key, "EC" or "RSA"; constant. */
const char *tls_key_type(const struct tls *t);
/*
 * And does its chain end before the certificate of whoever issued it? Then
 * that name is appended, as "CN=R3,O=Let's Encrypt,C=US" (RFC 4514). Further up
 * nobody can tell a root, which may be left out, from what is missing.
 */
bool tls_lacks_issuer(const struct tls *t, struct buf *issuer);

/*
 * SHA-256 of a public key, as TLSA records of 3 1 1 have it (RFC 6698 2.1): of
 * the nth certificate, from 0, that covers this name, and of the first one of a
 * chain in PEM. False: there is none.
 */
bool tls_spki(const struct tls *t, const char *name, unsigned nth,
    uint8_t spki[32]);
bool tls_chain_spki(struct span chain, uint8_t spki[32]);

/* When certificate i, by the order in which they were added, is no good any
 * more: seconds since 1970. False: there are not so many. */
struct tls_end {
	const char *name;
	int64_t at;
	uint8_t spki[32]; /* SHA-256 of its public key: TLSA 3 1 1 */
};
bool tls_end(const struct tls *t, unsigned i, struct tls_end *r);

/* Does any certificate cover this host name? */
bool tls_covers(const struct tls *t, const char *hostname);
/* The default is what covers this name, if anything does; it must last. */
void tls_prefer(struct tls *t, const char *hostname);

#endif
