/*
 * tls: one SSL_CTX per certificate. A name is answered with the first that
 * covers it, and beside that with the first of each other type of key; the
 * library chooses among these by what the client can verify. Nothing is
 * remembered between sessions: no cache, and no tickets, which some large
 * senders trip over.
 */
#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "io/digest.h"
#include "io/tls_session.h"

#define EXPIRING_DAYS 14

/* TLS 1.2: AEAD first, then what old mailers know. Nothing but ECDHE: finite
 * fields cost us most, and nothing who asks for them. */
static const char ciphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL:!PSK";
/* What a client may speak inside, longest name last. */
static const unsigned char protocols[] = "\4smtp\5esmtp";

struct tls {
	SSL_CTX **ctx;
	const char **names; /* of each */
	unsigned count;
	const char *fallback; /* the name that answers for all others */
};

struct tls *
tls_new(void)
{
	return mem_new(sizeof(struct tls));
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
	free(t->names);
	free(t);
}

static bool
ctx_covers(SSL_CTX *ctx, const char *name)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx);

	return cert && X509_check_host(cert, name, 0, 0, NULL) == 1;
}

/* The first certificate that covers name; t->count: none. */
static unsigned
find(const struct tls *t, const char *name)
{
	unsigned i = 0;

	while (i < t->count && !ctx_covers(t->ctx[i], name))
		i++;
	return i;
}

/* Beside the context's own one; a type of key that is there already stays. */
static void
add_other_types(const struct tls *t, SSL *ssl, unsigned first, const char *name)
{
	for (unsigned i = first + 1; i < t->count; i++) {
		STACK_OF(X509) *chain = NULL;

		if (!ctx_covers(t->ctx[i], name))
			continue;
		SSL_CTX_get0_chain_certs(t->ctx[i], &chain);
		SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(t->ctx[i]),
		    SSL_CTX_get0_privatekey(t->ctx[i]), chain, 0);
	}
	ERR_clear_error();
}

/* By SNI. A name that nobody covers gets the default, never an alert. */
static int
on_server_name(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls *t = arg;
	unsigned i = name ? find(t, name) : t->count;

	(void)alert;
	if (i == t->count)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_SSL_CTX(ssl, t->ctx[i]);
	add_other_types(t, ssl, i, name);
	return SSL_TLSEXT_ERR_OK;
}

/* Who names what it wants to speak must want mail: no browser's request may
 * be led here. */
static int
on_protocols(SSL *ssl, const unsigned char **out, unsigned char *len,
    const unsigned char *in, unsigned n, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, len, protocols,
		sizeof(protocols) - 1, in, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/*
 * Curves alone: finite fields cost too much, and with ML-KEM the library keeps
 * a client's key, 12 KiB, for as long as the session lasts.
 */
static void
set_groups(SSL_CTX *ctx)
{
	/* not constant, for the sake of a macro that sheds the const */
	char groups[] = "X25519:P-256:X448:P-521:P-384";

	if (!SSL_CTX_set1_groups_list(ctx, groups))
		abort();
}

void
tls_prepare(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		SSL_OP_CLEANSE_PLAINTEXT |
		/* mail has ends of its own; a lost alert is no news */
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/* else a read goes on until data comes, whatever comes instead */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static SSL_CTX *
new_ctx(struct tls *t)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) ||
	    !SSL_CTX_set_cipher_list(ctx, ciphers) ||
	    !SSL_CTX_set_num_tickets(ctx, 0))
		abort();
	tls_prepare(ctx);
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_max_early_data(ctx, 0);
	set_groups(ctx);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, t);
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
	return ctx;
}

/* pem_password_cb: nobody is there to be asked. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *
open_pem(struct span pem)
{
	BIO *in = BIO_new_mem_buf(pem.ptr, (int)pem.len);

	if (!in)
		abort();
	return in;
}

/* Our own certificate, then the others, up to the end. */
static bool
use_chain(SSL_CTX *ctx, struct span pem)
{
	BIO *in = open_pem(pem);
	X509 *c = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL);
	bool good = c && SSL_CTX_use_certificate(ctx, c) == 1;

	X509_free(c);
	while (good && (c = PEM_read_bio_X509(in, NULL, no_passphrase, NULL))) {
		good = SSL_CTX_add1_chain_cert(ctx, c) == 1;
		X509_free(c);
	}
	BIO_free(in);
	if (!good ||
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

static enum tls_fault
use_key(SSL_CTX *ctx, struct span pem)
{
	BIO *in = open_pem(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
	enum tls_fault r = TLS_BAD_KEY;

	BIO_free(in);
	if (key)
		r = SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
			    SSL_CTX_check_private_key(ctx) == 1
			? TLS_GOOD
			: TLS_MISMATCH;
	EVP_PKEY_free(key);
	return r;
}

static enum tls_fault
load(SSL_CTX *ctx, const char *name, struct span chain, struct span key)
{
	enum tls_fault r = TLS_BAD_CHAIN;

	if (use_chain(ctx, chain))
		r = use_key(ctx, key);
	if (r == TLS_GOOD && !ctx_covers(ctx, name))
		r = TLS_WRONG_NAME;
	return r;
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
tls_add(struct tls *t, const char *name, struct span chain, struct span key,
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
	t->names = realloc(t->names, (t->count + 1) * sizeof(t->names[0]));
	if (!t->ctx || !t->names)
		abort();
	t->names[t->count] = name;
	t->ctx[t->count++] = ctx;
	if (!t->fallback)
		t->fallback = name;
	return check_dates(ctx, now);
}

const char *
tls_key_type(const struct tls *t)
{
	return EVP_PKEY_get0_type_name(
	    SSL_CTX_get0_privatekey(t->ctx[t->count - 1]));
}

void
tls_print_name(const X509_NAME *name, struct buf *out)
{
	BIO *text = BIO_new(BIO_s_mem());
	char *data;
	long n;

	if (!text)
		abort();
	/* strangers' names as well: what is malformed ends early */
	X509_NAME_print_ex(text, name, 0,
	    XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	n = BIO_get_mem_data(text, &data);
	buf_append(out, data, (size_t)n);
	BIO_free(text);
}

static bool
is_issuer_there(X509 *cert, STACK_OF(X509) * chain)
{
	bool r = X509_check_issued(cert, cert) == X509_V_OK;

	for (int i = 0; !r && i < sk_X509_num(chain); i++)
		r = X509_check_issued(sk_X509_value(chain, i), cert) ==
		    X509_V_OK;
	return r;
}

bool
tls_lacks_issuer(const struct tls *t, struct buf *issuer)
{
	SSL_CTX *ctx = t->ctx[t->count - 1];
	X509 *cert = SSL_CTX_get0_certificate(ctx);
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_get0_chain_certs(ctx, &chain);
	if (is_issuer_there(cert, chain))
		return false;
	tls_print_name(X509_get_issuer_name(cert), issuer);
	return true;
}

static void
spki_of(const X509 *cert, uint8_t spki[32])
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);

	if (n < 0)
		abort();
	digest_sha256((struct span){(const char *)der, (size_t)n}, spki);
	OPENSSL_free(der);
}

bool
tls_spki(const struct tls *t, const char *name, unsigned nth, uint8_t spki[32])
{
	for (unsigned i = 0; i < t->count; i++) {
		if (!ctx_covers(t->ctx[i], name) || nth--)
			continue;
		spki_of(SSL_CTX_get0_certificate(t->ctx[i]), spki);
		return true;
	}
	return false;
}

bool
tls_chain_spki(struct span chain, uint8_t spki[32])
{
	BIO *in = open_pem(chain);
	X509 *cert = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL);

	BIO_free(in);
	if (cert)
		spki_of(cert, spki);
	else
		ERR_clear_error();
	X509_free(cert);
	return cert;
}

bool
tls_end(const struct tls *t, unsigned i, struct tls_end *r)
{
	const X509 *cert;
	struct tm tm = {0};

	if (i >= t->count)
		return false;
	cert = SSL_CTX_get0_certificate(t->ctx[i]);
	ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm);
	*r = (struct tls_end){.name = t->names[i], .at = timegm(&tm)};
	spki_of(cert, r->spki);
	return true;
}

bool
tls_covers(const struct tls *t, const char *hostname)
{
	return find(t, hostname) < t->count;
}

void
tls_prefer(struct tls *t, const char *hostname)
{
	if (tls_covers(t, hostname))
		t->fallback = hostname;
}

SSL *
tls_accept(const struct tls *t, int fd)
{
	unsigned i = find(t, t->fallback);
	SSL *ssl = SSL_new(t->ctx[i]);

	if (ssl && SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	if (ssl) {
		add_other_types(t, ssl, i, t->fallback);
		SSL_set_accept_state(ssl);
	}
	return ssl;
}
