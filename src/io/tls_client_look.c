/*
 * tls_client_look: what a server showed, judged when the handshake is over.
 * All that is wrong is noted, not the first alone, so OpenSSL is told to go on
 * after each fault.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/ipaddr.h"
#include "io/digest.h"
#include "io/tls_client.h"
#include "io/tls_session.h"

/* --- its chain --- */

static unsigned
fault_of(int error)
{
	switch (error) {
	case X509_V_OK:
		return 0;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLS_PEER_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return TLS_PEER_NOT_YET;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return TLS_PEER_SELF_SIGNED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return TLS_PEER_INCOMPLETE;
	default:
		return TLS_PEER_UNTRUSTED;
	}
}

static void
note(struct tls_peer *r, int error)
{
	if (error != X509_V_OK && !r->why[0])
		r->why = X509_verify_cert_error_string(error);
	r->faults |= fault_of(error);
}

static int
on_verify(int good, X509_STORE_CTX *ctx)
{
	if (!good)
		note(X509_STORE_CTX_get_app_data(ctx),
		    X509_STORE_CTX_get_error(ctx));
	return 1;
}

static void
verify(X509_STORE *store, STACK_OF(X509) * chain, int64_t now,
    struct tls_peer *r)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!ctx ||
	    !X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) ||
	    !X509_STORE_CTX_set_default(ctx, "ssl_server"))
		abort();
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
	X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	X509_STORE_CTX_set_app_data(ctx, r);
	if (X509_verify_cert(ctx) <= 0) /* not everything calls back */
		note(r, X509_STORE_CTX_get_error(ctx));
	X509_STORE_CTX_free(ctx);
	if (r->faults & TLS_PEER_SELF_SIGNED)
		r->faults &=
		    ~(unsigned)(TLS_PEER_UNTRUSTED | TLS_PEER_INCOMPLETE);
}

/* --- its names --- */

static bool
covers(X509 *cert, const char *name)
{
	struct ipaddr a;

	if (ipaddr_parse(span_str(name), &a) == 0)
		return X509_check_ip_asc(cert, name, 0) == 1;
	return X509_check_host(cert, name, 0,
		   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

static struct span
copy(struct arena *a, const void *data, size_t n)
{
	return (struct span){arena_dup(a, (struct span){data, n}), n};
}

static struct span
copy_string(struct arena *a, const ASN1_STRING *s)
{
	return copy(a, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* .ptr NULL: it is no host and no address. */
static struct span
alt_name(struct arena *a, const GENERAL_NAME *g)
{
	char text[IPADDR_STRLEN];
	struct ipaddr addr;
	const unsigned char *octets;

	if (g->type == GEN_DNS)
		return copy_string(a, g->d.dNSName);
	if (g->type != GEN_IPADD)
		return (struct span){0};
	octets = ASN1_STRING_get0_data(g->d.iPAddress);
	switch (ASN1_STRING_length(g->d.iPAddress)) {
	case 4:
		addr = ipaddr_v4(octets);
		break;
	case 16:
		addr = ipaddr_v6(octets);
		break;
	default:
		return (struct span){0};
	}
	ipaddr_format(&addr, text);
	return copy(a, text, strlen(text));
}

static void
read_names(X509 *cert, struct arena *a, struct tls_peer *r)
{
	GENERAL_NAMES *all =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(cert);
	int n = sk_GENERAL_NAME_num(all);
	int cn = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	struct span *names =
	    arena_alloc(a, TLS_PEER_NAMES_MAX * sizeof(*names));

	for (int i = 0; i < n && r->nnames < TLS_PEER_NAMES_MAX; i++) {
		names[r->nnames] = alt_name(a, sk_GENERAL_NAME_value(all, i));
		r->nnames += names[r->nnames].ptr != NULL;
	}
	GENERAL_NAMES_free(all);
	if (!r->nnames && cn >= 0)
		names[r->nnames++] = copy_string(a,
		    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, cn)));
	r->names = names;
}

/* --- its key, signature and dates --- */

static bool
is_weak_key(EVP_PKEY *key, unsigned bits)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
	case EVP_PKEY_DSA:
		return bits < 2048;
	case EVP_PKEY_EC:
		return bits < 256;
	default:
		return false;
	}
}

static bool
is_weak_digest(int nid)
{
	return nid == NID_sha1 || nid == NID_md5 || nid == NID_md5_sha1 ||
	       nid == NID_md4 || nid == NID_md2;
}

static void
read_key(X509 *cert, struct arena *a, struct tls_peer *r)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
	int digest = NID_undef;

	r->key = type ? arena_dup(a, span_str(type)) : "";
	r->bits = key ? (unsigned)EVP_PKEY_get_bits(key) : 0;
	X509_get_signature_info(cert, &digest, NULL, NULL, NULL);
	r->digest = digest == NID_undef ? "" : OBJ_nid2sn(digest);
	if ((key && is_weak_key(key, r->bits)) ||
	    (is_weak_digest(digest) &&
		!(X509_get_extension_flags(cert) & EXFLAG_SS)))
		r->faults |= TLS_PEER_WEAK;
}

static int64_t
seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void
read_issuer(X509 *cert, struct arena *a, struct tls_peer *r)
{
	struct buf text = {0};

	tls_print_name(X509_get_issuer_name(cert), &text);
	r->issuer = copy(a, text.data, text.len);
	buf_free(&text);
}

/* --- what TLSA is about --- */

/* Appends DER: of the whole, or of its key (selector 1). */
static void
put_der(X509 *cert, uint8_t selector, struct buf *out)
{
	unsigned char *der = NULL;
	int n = selector ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der)
			 : i2d_X509(cert, &der);

	if (n < 0)
		abort();
	buf_append(out, der, (size_t)n);
	OPENSSL_free(der);
}

static void
read_chain(STACK_OF(X509) * chain, struct arena *a, struct tls_peer *r)
{
	unsigned n = (unsigned)sk_X509_num(chain);
	struct span *der = arena_alloc(a, n * sizeof(*der));
	struct buf one = {0};

	for (unsigned i = 0; i < n; i++) {
		one.len = 0;
		put_der(sk_X509_value(chain, (int)i), 0, &one);
		der[i] = copy(a, one.data, one.len);
	}
	one.len = 0;
	put_der(sk_X509_value(chain, 0), 1, &one);
	digest_sha256(buf_span(&one), r->spki);
	buf_free(&one);
	r->chain = der;
	r->nchain = n;
}

bool
tls_client_look(const struct stream *s, const char *name, int64_t now,
    struct arena *a, struct tls_peer *r)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(s->ssl);
	X509 *cert;

	*r = (struct tls_peer){.why = ""};
	if (sk_X509_num(chain) <= 0)
		return false;
	cert = sk_X509_value(chain, 0);
	verify(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(s->ssl)), chain, now, r);
	if (name && !covers(cert, name))
		r->faults |= TLS_PEER_WRONG_NAME;
	read_names(cert, a, r);
	read_issuer(cert, a, r);
	read_key(cert, a, r);
	r->not_before = seconds(X509_get0_notBefore(cert));
	r->not_after = seconds(X509_get0_notAfter(cert));
	read_chain(chain, a, r);
	ERR_clear_error();
	return true;
}

static bool
matches(X509 *cert, uint8_t selector, uint8_t matching, struct span data)
{
	const EVP_MD *md = matching == 1 ? EVP_sha256() : EVP_sha512();
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf der = {0};
	struct span have;
	unsigned n = 0;
	bool r;

	put_der(cert, selector, &der);
	have = buf_span(&der);
	if (matching) {
		if (!EVP_Digest(der.data, der.len, digest, &n, md, NULL))
			abort();
		have = (struct span){(const char *)digest, n};
	}
	r = span_equal(have, data);
	buf_free(&der);
	return r;
}

/* With the i-th as the only one that is trusted. */
static bool
leads_to(STACK_OF(X509) * chain, int i, int64_t now)
{
	X509_STORE *store = X509_STORE_new();
	struct tls_peer r = {.why = ""};

	if (!store || !X509_STORE_add_cert(store, sk_X509_value(chain, i)))
		abort();
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	verify(store, chain, now, &r);
	X509_STORE_free(store);
	return !r.faults;
}

bool
tls_peer_matches(const struct tls_peer *p, int64_t now, uint8_t usage,
    uint8_t selector, uint8_t matching, struct span data)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	bool r = false;

	for (unsigned i = 0; i < p->nchain; i++) {
		const unsigned char *der = (const void *)p->chain[i].ptr;
		X509 *cert = d2i_X509(NULL, &der, (long)p->chain[i].len);

		if (!cert || !sk_X509_push(chain, cert))
			abort();
	}
	if (selector > 1 || matching > 2)
		; /* private use, or not known yet */
	else if (usage == 3 && p->nchain)
		r = matches(sk_X509_value(chain, 0), selector, matching, data);
	else if (usage == 2)
		for (int i = 1; !r && i < sk_X509_num(chain); i++)
			r = matches(sk_X509_value(chain, i), selector, matching,
				data) &&
			    leads_to(chain, i, now);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return r;
}
