/*
 * tls_client: one SSL_CTX, and a connection that begins with it. A context
 * that verifies lets OpenSSL judge in the handshake. One that does not judges
 * nothing there: no time is spent on chains that nobody asks about.
 */
#include "io/tls_client.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ipaddr.h"
#include "base/mem.h"
#include "io/tls_session.h"

struct tls_client {
	SSL_CTX *ctx;
	bool verify;
};

/* --- whom to trust --- */

/* false: *fault_r says why. */
static bool
add_file(SSL_CTX *ctx, const char *path, const char **fault_r)
{
	const char *why;

	ERR_clear_error();
	if (SSL_CTX_load_verify_file(ctx, path) == 1)
		return true;
	why = ERR_reason_error_string(ERR_peek_last_error());
	*fault_r = why ? why : "cannot be read";
	ERR_clear_error();
	return false;
}

/* "5ed36f99.0", a link that OpenSSL would look for; "….r0" are CRLs. */
static bool
is_hashed(const char *name)
{
	size_t n = strspn(name, "0123456789abcdef");

	return n == 8 && name[8] == '.' && name[9] &&
	       !name[9 + strspn(name + 9, "0123456789")];
}

/* All of it now, since a look-up would open files in each handshake. One
 * that cannot be read is passed over, as a look-up would. */
static bool
add_dir(SSL_CTX *ctx, const char *path, const char **fault_r)
{
	DIR *dir = opendir(path);
	const struct dirent *e;
	const char *ignored;
	char file[4096];

	if (!dir) {
		*fault_r = strerrordesc_np(errno);
		return false;
	}
	while ((e = readdir(dir))) {
		int n = snprintf(file, sizeof(file), "%s/%s", path, e->d_name);

		if (is_hashed(e->d_name) && n < (int)sizeof(file))
			add_file(ctx, file, &ignored);
	}
	closedir(dir);
	return true;
}

static const char *
default_of(const char *variable, const char *otherwise)
{
	const char *value = secure_getenv(variable);

	return value ? value : otherwise;
}

static bool
add_trust(SSL_CTX *ctx, const struct tls_client_options *o,
    const char **fault_r)
{
	const char *ignored;

	if (o->system) {
		add_file(ctx,
		    default_of(X509_get_default_cert_file_env(),
			X509_get_default_cert_file()),
		    &ignored);
		add_dir(ctx,
		    default_of(X509_get_default_cert_dir_env(),
			X509_get_default_cert_dir()),
		    &ignored);
	}
	return (!o->file || add_file(ctx, o->file, fault_r)) &&
	       (!o->dir || add_dir(ctx, o->dir, fault_r));
}

/* --- the context --- */

/* For those who do not verify; see tls_client_look(). */
static int
not_now(X509_STORE_CTX *ctx, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

static void
set_mode(SSL_CTX *ctx, const struct tls_client_options *o)
{
	if (!SSL_CTX_set_min_proto_version(ctx,
		o->old ? TLS1_VERSION : TLS1_2_VERSION))
		abort();
	X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx),
	    X509_V_FLAG_PARTIAL_CHAIN);
	if (o->verify) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		return;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, not_now, NULL);
	if (!SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0"))
		abort();
}

struct tls_client *
tls_client_new(const struct tls_client_options *o, const char **fault_r)
{
	struct tls_client *c = mem_new(sizeof(*c));

	*c = (struct tls_client){SSL_CTX_new(TLS_client_method()), o->verify};
	if (!c->ctx)
		abort();
	tls_prepare(c->ctx);
	set_mode(c->ctx, o);
	if (!add_trust(c->ctx, o, fault_r))
		tls_client_free(&c);
	ERR_clear_error();
	return c;
}

void
tls_client_free(struct tls_client **p)
{
	struct tls_client *c = *p;

	*p = NULL;
	if (!c)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

void
tls_client_lend(const struct tls_client *c, struct ssl_ctx_st *to)
{
	SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(c->ctx));
}

/* --- a connection --- */

static bool
set_name(const struct tls_client *c, SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	size_t n = strlen(name);
	char host[256]; /* not constant, for the sake of a macro */
	struct ipaddr a;

	if (ipaddr_parse(span_str(name), &a) == 0)
		return !c->verify ||
		       X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (n >= sizeof(host))
		return false;
	memcpy(host, name, n + 1);
	return SSL_set_tlsext_host_name(ssl, host) == 1 &&
	       (!c->verify || SSL_set1_host(ssl, name) == 1);
}

SSL *
tls_connect(const struct tls_client *c, int fd, const char *name)
{
	SSL *ssl = SSL_new(c->ctx);

	if (ssl && SSL_set_fd(ssl, fd) == 1 &&
	    (name ? set_name(c, ssl, name) : !c->verify)) {
		SSL_set_connect_state(ssl);
		return ssl;
	}
	SSL_free(ssl);
	return NULL;
}
