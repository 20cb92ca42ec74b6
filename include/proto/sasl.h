/*
 * sasl: the messages of PLAIN (RFC 4616) and SCRAM (RFC 5802, 7677), parsed
 * and formatted. Nothing is computed here but their form; proofs are
 * policy/auth's. LOGIN has no messages worth a parser.
 *
 * Spans alias the message. 0, or -1 for a message that is not well-formed;
 * of PLAIN NULL, or what is wrong, for the client to read.
 */
#ifndef PROTO_SASL_H
#define PROTO_SASL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* All that SMTP's command line can carry (RFC 4954 section 4). */
#define SASL_USER_MAX     255
#define SASL_PASSWORD_MAX 1024

struct sasl_plain {
	struct span authzid; /* whom to act as; empty: the user */
	struct span user;
	struct span password;
};
/* NULs separate; each part is UTF-8; user and password are not empty. */
const char *sasl_plain_parse(struct span message, struct sasl_plain *r);

enum scram_binding {
	SCRAM_NONE,   /* "n": the client cannot bind */
	SCRAM_UNUSED, /* "y": it could, and thinks that we cannot */
	SCRAM_BOUND,  /* "p=tls-exporter" */
};

struct scram_first {
	enum scram_binding binding;
	struct span gs2;  /* the header with its commas, as sent */
	struct span bare; /* what follows it: part of AuthMessage */
	struct span nonce;
	struct buf user; /* =2C and =3D undone; the caller frees it */
	struct buf authzid;
};
/* Another binding than tls-exporter, or an "m=" extension, is refused. */
int scram_first_parse(struct span message, struct scram_first *r);

/* "r=<client nonce><server nonce>,s=<base64 salt>,i=<iterations>" */
void scram_server_first(struct span client_nonce, struct span server_nonce,
    struct span salt, unsigned iterations, struct buf *out);

struct scram_final {
	struct buf binding; /* decoded c=; the caller frees it */
	struct span nonce;
	struct span without_proof; /* part of AuthMessage */
	uint8_t proof[32];
};
int scram_final_parse(struct span message, struct scram_final *r);

/* "v=<base64 signature>" */
void scram_server_final(const uint8_t signature[32], struct buf *out);

#endif
