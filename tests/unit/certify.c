/*
 * certify: valid for 90 days, P-256 or RSA with 2048 bits, SHA-256.
 */
#include "certify.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whatever fails here is no finding. */
static void
must(bool good)
{
	if (!good)
		abort();
}

static void
add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void
add_names(X509 *cert, const char *names)
{
	struct buf alt = {0};
	char *list = strdup(names), *rest = list, *n;

	must(list != NULL);
	while ((n = strsep(&rest, ","))) {
		if (!alt.len)
			must(X509_NAME_add_entry_by_txt(X509_get_subject_name(
							    cert),
				 "CN", MBSTRING_UTF8, (const unsigned char *)n,
				 -1, -1, 0) == 1);
		buf_printf(&alt, "%sDNS:%s", alt.len ? "," : "", n);
	}
	buf_append(&alt, "", 1);
	add_extension(cert, NID_subject_alt_name, alt.data);
	buf_free(&alt);
	free(list);
}

static void
take(BIO *bio, struct buf *out)
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);

	buf_append(out, data, (size_t)n);
	BIO_free(bio);
}

static void
write_pem(struct certify *c)
{
	BIO *chain = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509(chain, c->cert) == 1);
	must(PEM_write_bio_PrivateKey(key, c->private, NULL, NULL, 0, NULL,
		 NULL) == 1);
	take(chain, &c->chain);
	take(key, &c->key);
}

void
certify(struct certify *c, const char *type, const char *names,
    const struct certify *issuer)
{
	static long serial;

	*c = (struct certify){.cert = X509_new(),
	    .private = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048)
						: EVP_EC_gen("P-256")};
	must(c->cert && c->private);
	must(X509_set_version(c->cert, 2) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(c->cert), ++serial) == 1);
	X509_gmtime_adj(X509_getm_notBefore(c->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c->cert), 90l * 86400);
	must(X509_set_pubkey(c->cert, c->private) == 1);
	add_names(c->cert, names);
	if (!issuer) {
		add_extension(c->cert, NID_basic_constraints, "CA:TRUE");
		issuer = c;
	}
	must(X509_set_issuer_name(c->cert,
		 X509_get_subject_name(issuer->cert)) == 1);
	must(X509_sign(c->cert, issuer->private, EVP_sha256()) > 0);
	write_pem(c);
}

void
certify_days(struct certify *c, long from, long to)
{
	X509_gmtime_adj(X509_getm_notBefore(c->cert), from * 86400);
	X509_gmtime_adj(X509_getm_notAfter(c->cert), to * 86400);
	must(X509_sign(c->cert, c->private, EVP_sha256()) > 0);
	c->chain.len = c->key.len = 0;
	write_pem(c);
}

void
certify_free(struct certify *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->private);
	buf_free(&c->chain);
	buf_free(&c->key);
}
