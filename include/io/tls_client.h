/*
 * tls_client: TLS towards a server, and who that server says it is.
 *
 * Nothing is opened during a handshake: authorities are read when the context
 * is made. TLS 1.2 and 1.3, SNI, no session cache, no tickets, no
 * renegotiation. stream_start_tls_client() uses it.
 */
#ifndef IO_TLS_CLIENT_H
#define IO_TLS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "io/stream.h"

struct tls_client;

struct tls_client_options {
	/*
	 * The handshake fails unless the chain leads to a certificate that is
	 * trusted (it need be no root) and the name is covered. Without it
	 * whoever is there is spoken to, whatever keys and signatures it has:
	 * tls_client_look() judges afterwards.
	 */
	bool verify;
	bool old; /* TLS 1.0 and 1.1 as well */
	/* Whom to trust; nothing of these: nobody. */
	bool system;      /* as SSL_CERT_FILE and SSL_CERT_DIR, or OpenSSL's */
	const char *file; /* PEM */
	const char *dir;  /* as "openssl rehash" leaves it */
};

/*
 * Reads files, some hundreds for the system's: before the sandbox. NULL:
 * fault_r is why, constant. What the system lacks is no fault.
 */
struct tls_client *tls_client_new(const struct tls_client_options *o,
    const char **fault_r);
void tls_client_free(struct tls_client **c);

/* Another library's context trusts from now on whom this one trusts; nothing
 * is read or copied. Names are that library's to check. */
struct ssl_ctx_st;
void tls_client_lend(const struct tls_client *c, struct ssl_ctx_st *to);

#define TLS_PEER_NAMES_MAX 100

enum tls_peer_fault {
	TLS_PEER_UNTRUSTED = 1,   /* no authority of ours */
	TLS_PEER_INCOMPLETE = 2,  /* nor can one be looked for: the chain ends
				     before it */
	TLS_PEER_SELF_SIGNED = 4, /* its own issuer, and no authority of ours */
	TLS_PEER_EXPIRED = 8,     /* it, or another of the chain */
	TLS_PEER_NOT_YET = 16,    /* the same */
	TLS_PEER_WRONG_NAME = 32,
	TLS_PEER_WEAK = 64, /* RSA or DSA < 2048 bits, EC < 256, or signed with
			       SHA-1, MD5 or older, unless by itself */
};

/* Spans are octets as they came, in the arena: whoever prints them quotes. */
struct tls_peer {
	unsigned faults; /* of enum tls_peer_fault; 0: good in every way */
	const char *why; /* the first fault of its chain in OpenSSL's words,
			    constant; "" */
	/* SANs that are hosts or addresses; the CN if there are none. */
	const struct span *names;
	unsigned nnames;
	struct span issuer;            /* "CN=R3,O=Let's Encrypt,C=US" */
	int64_t not_before, not_after; /* seconds since 1970; 0: unreadable */
	const char *key;               /* "RSA", "EC", "ED25519"; "": unknown */
	unsigned bits;
	const char *digest;       /* of its signature: "SHA256"; "": none */
	uint8_t spki[32];         /* SHA-256 of its public key: TLSA 3 1 1 */
	const struct span *chain; /* DER, as sent; its own one first */
	unsigned nchain;
};

/*
 * Of a stream that is secured as a client. name: what the certificate should
 * cover, a host or an address; NULL: that is no matter. now: seconds since
 * 1970. False: it showed no certificate.
 */
bool tls_client_look(const struct stream *s, const char *name, int64_t now,
    struct arena *a, struct tls_peer *r);

/*
 * Does a TLSA record (RFC 6698 2.1) fit a mail server that is this peer (RFC
 * 7672 3.1)? 3 is about its own certificate, whatever else is wrong with it; 2
 * about another one of its chain, which must lead there (now: in seconds), and
 * only together with its name; 0 and 1 never fit.
 */
bool tls_peer_matches(const struct tls_peer *p, int64_t now, uint8_t usage,
    uint8_t selector, uint8_t matching, struct span data);

#endif
