/*
 * tls: one SSL_CTX per certificate; the first one answers for names that no
 * other covers. Nothing is remembered between sessions: no cache, and no
 * tickets, which some large senders trip over.
 */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "io/tls_session.h"

#define EXPIRING_DAYS 14

/* TLS 1.2: forward secrecy and AEAD first, then what old mailers know. */
static const char ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:"
    "!aNULL:!eNULL:!PSK:!SRP:!DSS:!3DES:!RC4:!MD5:!kRSA";

struct tls {
	SSL_CTX **ctx;
	unsigned count;
	unsigned preferred;
};

struct tls *
tls_new(void)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	return t;
}

void
tls_free(struct tls **p)
{
	struct tls *t = *p;

	*p = NULL;
	if (!t)
		return;
	for (unsigned i = 0; i < t->count; i++)
		SSL_CTX_free(t->ctx[i]);
	free(t->ctx);
	free(t);
}

static bool
ctx_covers(SSL_CTX *ctx, const char *name)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx);

	return cert && X509_check_host(cert, name, 0, 0, NULL) == 1;
}

/* By SNI. A name that nobody covers gets the default, never an alert. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls *t = arg;

	(void)alert;
	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned i = 0; i < t->count; i++) {
		if (!ctx_covers(t->ctx[i], name))
			continue;
		SSL_set_SSL_CTX(ssl, t->ctx[i]);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *
new_ctx(struct tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, ciphers) ||
	    !SSL_CTX_set_num_tickets(ctx, 0))
		abort();
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CIPHER_SERVER_PREFERENCE |
		/* mail has ends of its own; a lost alert is no news */
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_dh_auto(ctx, 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	return ctx;
}

static enum tls_fault
load(SSL_CTX *ctx, const char *name, const char *chain, const char *key)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, chain) != 1)
		return TLS_BAD_CHAIN;
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		/* a key that is read, and is another one's, is refused here */
		return ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509
			   ? TLS_MISMATCH
			   : TLS_BAD_KEY;
	if (SSL_CTX_check_private_key(ctx) != 1)
		return TLS_MISMATCH;
	return ctx_covers(ctx, name) ? TLS_GOOD : TLS_WRONG_NAME;
}

static enum tls_fault
check_dates(SSL_CTX *ctx, int64_t now)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx);
	time_t at = (time_t)now;
	time_t soon = at + EXPIRING_DAYS * 86400;

	if (X509_cmp_time(X509_get0_notBefore(cert), &at) > 0)
		return TLS_NOT_YET;
	if (X509_cmp_time(X509_get0_notAfter(cert), &at) < 0)
		return TLS_EXPIRED;
	if (X509_cmp_time(X509_get0_notAfter(cert), &soon) < 0)
		return TLS_EXPIRING;
	return TLS_GOOD;
}

enum tls_fault
tls_add(struct tls *t, const char *name, const char *chain, const char *key,
    int64_t now, const char **detail_r)
{
	SSL_CTX *ctx = new_ctx(t);
	enum tls_fault fault;
	const char *why;

	*detail_r = "";
	ERR_clear_error();
	fault = load(ctx, name, chain, key);
	if (fault != TLS_GOOD) {
		why = ERR_reason_error_string(ERR_peek_error());
		*detail_r = why ? why : "";
		ERR_clear_error();
		SSL_CTX_free(ctx);
		return fault;
	}
	t->ctx = realloc(t->ctx, (t->count + 1) * sizeof(SSL_CTX *));
	if (!t->ctx)
		abort();
	t->ctx[t->count++] = ctx;
	return check_dates(ctx, now);
}

unsigned
tls_count(const struct tls *t)
{
	return t->count;
}

bool
tls_covers(const struct tls *t, const char *hostname)
{
	for (unsigned i = 0; i < t->count; i++)
		if (ctx_covers(t->ctx[i], hostname))
			return true;
	return false;
}

void
tls_prefer(struct tls *t, const char *hostname)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (!ctx_covers(t->ctx[i], hostname))
			continue;
		t->preferred = i;
		return;
	}
}

SSL *
tls_accept(const struct tls *t, int fd)
{
	SSL *ssl = SSL_new(t->ctx[t->preferred]);

	if (ssl && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	if (ssl)
		SSL_set_accept_state(ssl);
	return ssl;
}
