/*
 * digest: SHA-256, HMAC, PBKDF2, random octets, and a comparison whose time
 * says nothing. OpenSSL's, behind names of our own.
 */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DIGEST_LEN 32

/* Reads OpenSSL's own configuration, which later would happen by itself. */
void digest_init(void);
void digest_sha256(struct span in, uint8_t out[DIGEST_LEN]);
void digest_hmac(struct span key, struct span in, uint8_t out[DIGEST_LEN]);

/* The same piece by piece. Ended or not, *h is NULL afterwards. */
struct evp_mac_ctx_st;
struct evp_mac_ctx_st *digest_hmac_begin(struct span key);
void digest_hmac_add(struct evp_mac_ctx_st *h, struct span in);
/* out NULL: nobody wants it any more. */
void digest_hmac_end(struct evp_mac_ctx_st **h, uint8_t out[DIGEST_LEN]);

/* Slow by design: on a job thread, or at the command line. */
void digest_pbkdf2(struct span password, struct span salt, unsigned iterations,
    uint8_t out[DIGEST_LEN]);
void digest_random(void *out, size_t n);
bool digest_equal(const void *a, const void *b, size_t n);
/* Wipes; the compiler cannot leave it out. */
void digest_wipe(void *p, size_t n);

#endif
