/*
 * A client of a server in this same thread, over loopback: what it makes of
 * certificates, of versions, and of peers that speak something else or nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "certify.h"
#include "io/clock.h"
#include "io/digest.h"
#include "io/tls_client.h"
#include "scratch.h"

#define NAME "mx.example.org"

/* Made once. An authority, an intermediate, and who they vouch for. */
static struct certify root, middle, leaf, below;

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
sign(struct certify *c, const struct certify *issuer, const EVP_MD *md)
{
	must(X509_sign(c->cert, issuer->private, md) > 0);
}

static void
extend(struct certify *c, const struct certify *issuer, int nid,
    const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(e && X509_add_ext(c->cert, e, -1) == 1);
	X509_EXTENSION_free(e);
	sign(c, issuer, EVP_sha256());
}

static int
make_certificates(void **state)
{
	(void)state;
	certify(&root, "EC", "Root", NULL);
	certify(&middle, "EC", "Middle", &root);
	extend(&middle, &root, NID_basic_constraints, "CA:TRUE");
	certify(&leaf, "EC", NAME ",*.example.net", &root);
	certify(&below, "EC", NAME, &middle);
	return 0;
}

static int
free_certificates(void **state)
{
	(void)state;
	certify_free(&root);
	certify_free(&middle);
	certify_free(&leaf);
	certify_free(&below);
	return 0;
}

static void
write_file(const char *path, const struct certify *c)
{
	FILE *f = fopen(path, "w");

	must(f && PEM_write_X509(f, c->cert) == 1 && fclose(f) == 0);
}

/* --- the world --- */

struct world {
	struct loop loop;
	struct stream_pool pool;
	struct stream s;
	struct tls_client *c;
	SSL_CTX *ctx;
	SSL *server;
	int ours, peer;
	unsigned seen[STREAM_INSECURE + 1];
	struct arena arena;
	struct tls_peer got;
};

static void
on_stream(void *owner, enum stream_event what)
{
	struct world *w = owner;

	w->seen[what]++;
}

static void
connect_pair(int *ours, int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(l, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	     listen(l, 1) == 0 &&
	     getsockname(l, (struct sockaddr *)&a, &len) == 0);
	*ours = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(connect(*ours, (struct sockaddr *)&a, len) == 0);
	fcntl(*ours, F_SETFL, O_NONBLOCK);
	*peer = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	must(*peer >= 0);
	close(l);
}

static const struct tls_client_options looks = {.file = "root.pem"};
static const struct tls_client_options verifies = {.verify = true,
    .file = "root.pem"};

static void
open_world(struct world *w, const struct tls_client_options *o)
{
	const char *fault;

	memset(w, 0, sizeof(*w));
	assert_int_equal(loop_init(&w->loop), 0);
	assert_int_equal(stream_pool_init(&w->pool, &w->loop), 0);
	connect_pair(&w->ours, &w->peer);
	stream_init(&w->s, &w->pool, w->ours, on_stream, w);
	write_file("root.pem", &root);
	w->c = tls_client_new(o, &fault);
	assert_non_null(w->c);
	w->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_cipher_list(w->ctx, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(w->ctx, TLS1_VERSION);
}

/* It shows these, the last argument is NULL. */
static void
show(struct world *w, const struct certify *c, ...)
{
	const struct certify *other;
	va_list ap;

	must(SSL_CTX_use_certificate(w->ctx, c->cert) == 1 &&
	     SSL_CTX_use_PrivateKey(w->ctx, c->private) == 1);
	va_start(ap, c);
	while ((other = va_arg(ap, const struct certify *)))
		must(SSL_CTX_add1_chain_cert(w->ctx, other->cert) == 1);
	va_end(ap);
}

static void
close_world(struct world *w)
{
	stream_close(&w->s);
	SSL_free(w->server);
	SSL_CTX_free(w->ctx);
	tls_client_free(&w->c);
	tls_client_free(&w->c);
	if (w->peer >= 0)
		close(w->peer);
	arena_reset(&w->arena);
	stream_pool_free(&w->pool);
	loop_free(&w->loop);
	ERR_clear_error();
}

static void
turn(struct world *w)
{
	event_base_loop(w->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static void
start(struct world *w, const char *name)
{
	assert_true(stream_start_tls_client(&w->s, w->c, name));
	for (int i = 0; i <= STREAM_INSECURE; i++)
		assert_int_equal(w->seen[i], 0);
	w->server = SSL_new(w->ctx);
	SSL_set_fd(w->server, w->peer);
	SSL_set_accept_state(w->server);
}

static bool
over(const struct world *w)
{
	return w->seen[STREAM_SECURED] || w->seen[STREAM_PLAIN] ||
	       w->seen[STREAM_INSECURE] || w->seen[STREAM_DEADLINE];
}

static bool
shake(struct world *w, const char *name)
{
	start(w, name);
	while (!over(w) ||
	       (w->seen[STREAM_SECURED] && !SSL_is_init_finished(w->server))) {
		ERR_clear_error();
		SSL_do_handshake(w->server);
		turn(w);
	}
	return w->seen[STREAM_SECURED];
}

static unsigned
faults(struct world *w, const char *name)
{
	assert_true(shake(w, name));
	assert_true(
	    tls_client_look(&w->s, name, time(NULL), &w->arena, &w->got));
	assert_int_equal(w->got.why[0] != 0,
	    (w->got.faults &
		~(unsigned)(TLS_PEER_WRONG_NAME | TLS_PEER_WEAK)) != 0);
	return w->got.faults;
}

/* --- what it makes of a certificate, and that it speaks all the same --- */

static void
good_ones(void **state)
{
	static const char *const names[] = {NAME, "MX.example.ORG",
	    "a.example.net", NULL};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		open_world(&w, &looks);
		show(&w, &leaf, NULL);
		assert_int_equal(faults(&w, names[i]), 0);
		close_world(&w);
	}
	open_world(&w, &looks);
	show(&w, &below, &middle, NULL);
	assert_int_equal(faults(&w, NAME), 0);
	close_world(&w);
}

static void
wrong_names(void **state)
{
	static const char *const names[] = {"mail.example.org", "example.net",
	    "a.b.example.net", "127.0.0.1", "::1"};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		open_world(&w, &looks);
		show(&w, &leaf, NULL);
		assert_int_equal(faults(&w, names[i]), TLS_PEER_WRONG_NAME);
		close_world(&w);
	}
}

static void
whom_nobody_knows(void **state)
{
	struct tls_client_options none = {0};
	struct certify self;
	struct world w;

	(void)state;
	/* without the one between */
	open_world(&w, &looks);
	show(&w, &below, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_INCOMPLETE);
	assert_string_equal(w.got.why,
	    "unable to get local issuer certificate");
	close_world(&w);
	/* an authority of its own */
	open_world(&w, &none);
	show(&w, &leaf, &root, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_UNTRUSTED);
	close_world(&w);
	certify(&self, "EC", NAME, NULL);
	open_world(&w, &looks);
	show(&w, &self, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_SELF_SIGNED);
	close_world(&w);
	certify_free(&self);
}

/* All that is wrong, not the first of it. */
static void
dates(void **state)
{
	struct certify c;
	struct world w;

	(void)state;
	certify(&c, "EC", NAME, NULL);
	for (int late = 0; late < 2; late++) {
		certify_days(&c, late ? -30 : 10, late ? -1 : 30);
		open_world(&w, &looks);
		show(&w, &c, NULL);
		assert_int_equal(faults(&w, "other.example"),
		    TLS_PEER_SELF_SIGNED | TLS_PEER_WRONG_NAME |
			(late ? TLS_PEER_EXPIRED : TLS_PEER_NOT_YET));
		assert_int_equal((w.got.not_before - time(NULL) + 100) / 86400,
		    late ? -29 : 10); /* rounded towards 0 */
		assert_int_equal((w.got.not_after - w.got.not_before) / 86400,
		    late ? 29 : 20);
		close_world(&w);
	}
	certify_free(&c);
	/* the time is an argument */
	open_world(&w, &looks);
	show(&w, &leaf, NULL);
	assert_int_equal(faults(&w, NAME), 0);
	assert_true(tls_client_look(&w.s, NAME, time(NULL) + 100 * 86400,
	    &w.arena, &w.got));
	assert_int_equal(w.got.faults, TLS_PEER_EXPIRED);
	close_world(&w);
}

static void
weak_ones(void **state)
{
	EVP_PKEY *small = EVP_RSA_gen(1024);
	struct certify c, self;
	struct world w;

	(void)state;
	certify(&self, "EC", NAME, NULL);
	certify(&c, "RSA", NAME, &root);
	open_world(&w, &looks);
	show(&w, &c, NULL);
	assert_int_equal(faults(&w, NAME), 0);
	assert_string_equal(w.got.key, "RSA");
	assert_int_equal(w.got.bits, 2048);
	close_world(&w);
	sign(&c, &root, EVP_sha1());
	open_world(&w, &looks);
	show(&w, &c, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_WEAK);
	assert_string_equal(w.got.digest, "SHA1");
	close_world(&w);
	/* that nobody relies on */
	sign(&self, &self, EVP_sha1());
	open_world(&w, &looks);
	show(&w, &self, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_SELF_SIGNED);
	close_world(&w);
	must(X509_set_pubkey(c.cert, small) == 1);
	EVP_PKEY_free(c.private);
	c.private = small;
	sign(&c, &root, EVP_sha256());
	open_world(&w, &looks);
	show(&w, &c, NULL);
	assert_int_equal(faults(&w, NAME), TLS_PEER_WEAK);
	assert_int_equal(w.got.bits, 1024);
	close_world(&w);
	certify_free(&c);
	certify_free(&self);
}

static void
what_it_is(void **state)
{
	uint8_t digest[DIGEST_LEN];
	unsigned char *der = NULL;
	struct certify c;
	struct world w;
	int n;

	(void)state;
	certify(&c, "EC", NAME, &root);
	X509_EXTENSION_free(
	    X509_delete_ext(c.cert, 0)); /* its names: the CN is left */
	sign(&c, &root, EVP_sha256());
	for (int bare = 0; bare < 2; bare++) {
		open_world(&w, &looks);
		show(&w, bare ? &c : &leaf, &middle, NULL);
		assert_int_equal(faults(&w, NAME), 0);
		assert_int_equal(w.got.nnames, bare ? 1 : 2);
		assert_true(span_equal(w.got.names[0], span_str(NAME)));
		if (!bare)
			assert_true(span_equal(w.got.names[1],
			    span_str("*.example.net")));
		assert_true(span_equal(w.got.issuer, span_str("CN=Root")));
		assert_string_equal(w.got.key, "EC");
		assert_int_equal(w.got.bits, 256);
		assert_string_equal(w.got.digest, "SHA256");
		n = i2d_PUBKEY(bare ? c.private : leaf.private, &der);
		digest_sha256((struct span){(char *)der, (size_t)n}, digest);
		assert_memory_equal(w.got.spki, digest, sizeof(digest));
		OPENSSL_free(der);
		der = NULL;
		assert_int_equal(w.got.nchain, 2);
		n = i2d_X509(middle.cert, &der);
		assert_int_equal(w.got.chain[1].len, n);
		assert_memory_equal(w.got.chain[1].ptr, der, (size_t)n);
		OPENSSL_free(der);
		der = NULL;
		close_world(&w);
	}
	certify_free(&c);
}

/* Octets that are no text, addresses, and more than anybody shows. */
static void
odd_names(void **state)
{
	static const unsigned char odd[] = "a\0\x1b[2J\xff";
	struct certify c;
	struct world w;
	char list[4096] = "IP:192.0.2.1,IP:2001:db8::1,email:a@example.org";
	X509_NAME *name = X509_NAME_new();

	(void)state;
	for (unsigned i = 0; i < 110; i++)
		snprintf(list + strlen(list), 20, ",DNS:n%u.example", i);
	certify(&c, "EC", NAME, &root);
	X509_EXTENSION_free(X509_delete_ext(c.cert, 0));
	must(X509_NAME_add_entry_by_NID(name, NID_organizationName,
		 V_ASN1_T61STRING, odd, sizeof(odd) - 1, -1, 0) == 1);
	must(X509_set_issuer_name(c.cert, name) == 1);
	X509_NAME_free(name);
	extend(&c, &root, NID_subject_alt_name, list);
	open_world(&w, &looks);
	show(&w, &c, NULL);
	assert_int_equal(faults(&w, "192.0.2.1"), TLS_PEER_INCOMPLETE);
	assert_int_equal(w.got.nnames, TLS_PEER_NAMES_MAX);
	assert_true(span_equal(w.got.names[0], span_str("192.0.2.1")));
	assert_true(span_equal(w.got.names[1], span_str("2001:db8::1")));
	assert_true(span_equal(w.got.names[2], span_str("n0.example")));
	assert_non_null(memmem(w.got.issuer.ptr, w.got.issuer.len, "O=a", 3));
	close_world(&w);
	certify_free(&c);
}

/* --- TLSA --- */

static struct span
tlsa(const struct certify *c, uint8_t selector, uint8_t matching)
{
	static unsigned char data[4096];
	unsigned char *der = NULL;
	unsigned n = (unsigned)(selector ? i2d_PUBKEY(c->private, &der)
					 : i2d_X509(c->cert, &der));

	if (matching)
		must(EVP_Digest(der, n, data, &n,
		    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL));
	else
		memcpy(data, der, n);
	OPENSSL_free(der);
	return (struct span){(char *)data, n};
}

static void
records(void **state)
{
	const struct certify *all[] = {&below, &middle, &root, &leaf};
	const int64_t now = time(NULL);
	struct world w;

	(void)state;
	open_world(&w, &looks);
	/* leaf is sent, too, and leads nowhere */
	show(&w, &below, &middle, &root, &leaf, NULL);
	faults(&w, NAME);
	for (unsigned i = 0; i < 4 * 4 * 3 * 4; i++) {
		unsigned who = i % 4, usage = i / 4 % 4, selector = i / 16 % 3;
		uint8_t matching = (uint8_t)(i / 48);
		struct span data =
		    tlsa(all[who], selector == 1, matching > 2 ? 1 : matching);
		bool good = selector < 2 && matching < 3 &&
			    ((usage == 3 && who == 0) ||
				(usage == 2 && (who == 1 || who == 2)));

		assert_int_equal(tls_peer_matches(&w.got, now, (uint8_t)usage,
				     (uint8_t)selector, matching, data),
		    good);
		data.len--;
		assert_false(tls_peer_matches(&w.got, now, (uint8_t)usage,
		    (uint8_t)selector, matching, data));
	}
	/* 3 does not look at dates (RFC 7672 3.1.1), 2 does */
	assert_true(tls_peer_matches(&w.got, 0, 3, 1, 1, tlsa(&below, 1, 1)));
	assert_false(tls_peer_matches(&w.got, 0, 2, 1, 1, tlsa(&middle, 1, 1)));
	close_world(&w);
}

/* --- one that verifies --- */

static bool
verified(const struct tls_client_options *o, const struct certify *c,
    const char *name, const char *why)
{
	struct world w;
	bool good;

	open_world(&w, o);
	show(&w, c, NULL);
	good = shake(&w, name);
	if (!good)
		assert_string_equal(stream_tls_reason(&w.s), why);
	close_world(&w);
	return good;
}

static void
one_that_verifies(void **state)
{
	struct certify c;

	(void)state;
	assert_true(verified(&verifies, &leaf, NAME, ""));
	assert_false(
	    verified(&verifies, &leaf, "other.example", "hostname mismatch"));
	assert_false(
	    verified(&verifies, &leaf, "192.0.2.1", "IP address mismatch"));
	assert_false(verified(&verifies, &below, NAME,
	    "unable to get local issuer certificate"));
	certify(&c, "EC", NAME, &root);
	extend(&c, &root, NID_subject_alt_name, "IP:192.0.2.1,IP:2001:db8::1");
	X509_EXTENSION_free(X509_delete_ext(c.cert, 0));
	sign(&c, &root, EVP_sha256());
	assert_true(verified(&verifies, &c, "192.0.2.1", ""));
	assert_true(verified(&verifies, &c, "2001:DB8::0:1", ""));
	X509_gmtime_adj(X509_getm_notAfter(c.cert), -60);
	sign(&c, &root, EVP_sha256());
	assert_false(
	    verified(&verifies, &c, "192.0.2.1", "certificate has expired"));
	certify_free(&c);
}

static void
no_name_to_verify(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &verifies);
	assert_false(stream_start_tls_client(&w.s, w.c, NULL));
	close_world(&w);
}

/* The peer's certificate alone will do, with or without its issuer. */
static void
trust_in_one(void **state)
{
	struct tls_client_options o = {.verify = true, .file = "one.pem"};

	(void)state;
	write_file("one.pem", &below);
	assert_true(verified(&o, &below, NAME, ""));
	assert_false(verified(&o, &leaf, NAME,
	    "unable to get local issuer certificate"));
}

/* A directory is read at once: nothing is opened in a handshake. */
static void
directories(void **state)
{
	struct tls_client_options o = {.verify = true, .dir = "dir"};
	const char *fault;
	char path[64];
	struct world w;

	(void)state;
	scratch_mkdir("dir");
	snprintf(path, sizeof(path), "dir/%08lx.0",
	    X509_subject_name_hash(root.cert));
	write_file(path, &root);
	scratch_touch("dir/00000000.0");
	write_file("dir/other.pem", &middle);
	open_world(&w, &o);
	assert_int_equal(unlink(path), 0);
	show(&w, &leaf, NULL);
	assert_true(shake(&w, NAME));
	close_world(&w);
	assert_false(verified(&o, &leaf, NAME,
	    "unable to get local issuer certificate"));
	/* that has no such name */
	assert_false(verified(&o, &below, NAME,
	    "unable to get local issuer certificate"));
	o.dir = "none";
	assert_null(tls_client_new(&o, &fault));
	assert_string_equal(fault, "No such file or directory");
}

static void
bad_files(void **state)
{
	struct tls_client_options o = {.file = "none"};
	const char *fault = "";

	(void)state;
	assert_null(tls_client_new(&o, &fault));
	assert_string_not_equal(fault, "");
	o.file = "empty";
	scratch_touch("empty");
	fault = "";
	assert_null(tls_client_new(&o, &fault));
	assert_string_not_equal(fault, "");
}

static void
the_systems(void **state)
{
	struct tls_client_options o = {.verify = true, .system = true};
	char path[64];

	(void)state;
	scratch_mkdir("certs");
	setenv("SSL_CERT_DIR", "certs", 1);
	setenv("SSL_CERT_FILE", "root.pem", 1);
	write_file("root.pem", &root);
	assert_true(verified(&o, &leaf, NAME, ""));
	setenv("SSL_CERT_FILE", "none", 1); /* no fault, and no authority */
	assert_false(verified(&o, &leaf, NAME,
	    "unable to get local issuer certificate"));
	snprintf(path, sizeof(path), "certs/%08lx.0",
	    X509_subject_name_hash(root.cert));
	write_file(path, &root);
	assert_true(verified(&o, &leaf, NAME, ""));
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
}

/* --- names on the wire, versions --- */

static void
server_name(void **state)
{
	static const struct {
		const char *name, *sent;
	} all[] = {
	    {NAME, NAME},
	    {"192.0.2.1", NULL},
	    {"2001:db8::1", NULL},
	    {NULL, NULL},
	};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		const char *got;

		open_world(&w, &looks);
		show(&w, &leaf, NULL);
		assert_true(shake(&w, all[i].name));
		got = SSL_get_servername(w.server, TLSEXT_NAMETYPE_host_name);
		if (all[i].sent)
			assert_string_equal(got, all[i].sent);
		else
			assert_null(got);
		close_world(&w);
	}
}

static void
old_versions(void **state)
{
	static const struct tls_client_options old = {.old = true};
	struct world w;

	(void)state;
	for (int v = TLS1_VERSION; v <= TLS1_3_VERSION; v++) {
		for (int i = 0; i < 2; i++) {
			open_world(&w, i ? &old : &looks);
			show(&w, &leaf, NULL);
			SSL_CTX_set_max_proto_version(w.ctx, v);
			assert_int_equal(shake(&w, NAME),
			    i || v >= TLS1_2_VERSION);
			if (w.seen[STREAM_SECURED])
				assert_string_equal(stream_tls_version(&w.s),
				    SSL_get_version(w.server));
			else
				assert_string_equal(stream_tls_reason(&w.s),
				    "tlsv1 alert protocol version");
			close_world(&w);
		}
	}
}

/* --- peers that do something else --- */

static void
in_clear(void **state)
{
	static const char text[] = "220 mx.example.org ESMTP\r\n";
	struct world w;
	struct span in;

	(void)state;
	for (int late = 0; late < 2; late++) {
		open_world(&w, &looks);
		if (!late)
			must(send(w.peer, text, sizeof(text) - 1, 0) > 0);
		start(&w, NAME);
		turn(&w);
		if (late)
			must(send(w.peer, text, sizeof(text) - 1, 0) > 0);
		while (!over(&w))
			turn(&w);
		assert_int_equal(w.seen[STREAM_PLAIN], 1);
		assert_string_equal(stream_tls_reason(&w.s), "no TLS");
		while (!w.seen[STREAM_READABLE])
			turn(&w);
		assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
		assert_true(span_equal(in, span_str(text)));
		close_world(&w);
	}
}

static int answer_at_once = -1;

/* Stands before libc's. What the library has sent may be answered already. */
ssize_t
write(int fd, const void *data, size_t n)
{
	ssize_t r = syscall(SYS_write, fd, data, n);

	if (answer_at_once >= 0)
		must(send(answer_at_once, "220 Hi\r\n", 8, 0) == 8);
	answer_at_once = -1;
	return r;
}

static void
in_clear_at_once(void **state)
{
	struct world w;
	struct span in;

	(void)state;
	open_world(&w, &looks);
	start(&w, NAME);
	answer_at_once = w.peer;
	while (!over(&w))
		turn(&w);
	assert_int_equal(answer_at_once, -1);
	assert_int_equal(w.seen[STREAM_PLAIN], 1);
	while (!w.seen[STREAM_READABLE])
		turn(&w);
	assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
	assert_true(span_equal(in, SPAN_LIT("220 Hi\r\n")));
	close_world(&w);
}

/* Before anything, behind our hello, and with a reset. */
static void
closes(void **state)
{
	static const struct linger at_once = {1, 0};
	char hello[2048];
	struct world w;

	(void)state;
	for (int how = 0; how < 3; how++) {
		open_world(&w, &looks);
		start(&w, NAME);
		if (how) {
			turn(&w);
			must(recv(w.peer, hello, sizeof(hello), 0) > 0);
		}
		if (how == 2)
			setsockopt(w.peer, SOL_SOCKET, SO_LINGER, &at_once,
			    sizeof(at_once));
		close(w.peer);
		w.peer = -1;
		while (!over(&w))
			turn(&w);
		assert_int_equal(w.seen[STREAM_INSECURE], 1);
		assert_string_equal(stream_tls_reason(&w.s), "closed");
		close_world(&w);
	}
}

static void
says_nothing(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, &looks);
	start(&w, NAME);
	stream_deadline(&w.s, clock_now() + 20);
	while (!over(&w))
		event_base_loop(w.loop.base, EVLOOP_ONCE);
	assert_int_equal(w.seen[STREAM_DEADLINE], 1);
	assert_int_equal(w.seen[STREAM_INSECURE], 0);
	close_world(&w);
}

static void
alert_or_nonsense(void **state)
{
	static const struct {
		const char *octets;
		size_t n;
		const char *why;
	} all[] = {
	    {"\x15\3\3\0\2\2\x28", 7, "alert handshake failure"},
	    {"\x16\3\3\0\4\x0e\0\0\0", 9, "unexpected message"},
	};
	struct world w;

	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		open_world(&w, &looks);
		start(&w, NAME);
		turn(&w);
		must(send(w.peer, all[i].octets, all[i].n, 0) > 0);
		while (!over(&w))
			turn(&w);
		assert_int_equal(w.seen[STREAM_INSECURE], 1);
		/* before which OpenSSL says of which version */
		assert_non_null(strstr(stream_tls_reason(&w.s), all[i].why));
		close_world(&w);
	}
}

/* What the server says, an octet at a time; then data, both ways. */
static void
in_pieces(void **state)
{
	struct buf out = {0};
	struct world w;
	struct span in = {0};
	BIO *said;
	char *data, got[16];
	long n;

	(void)state;
	open_world(&w, &looks);
	show(&w, &below, &middle, NULL);
	start(&w, NAME);
	turn(&w);
	said = BIO_new(BIO_s_mem());
	SSL_set0_wbio(w.server, said);
	SSL_do_handshake(w.server);
	n = BIO_get_mem_data(said, &data);
	for (long i = 0; i < n; i++) {
		assert_int_equal(w.seen[STREAM_SECURED], 0);
		must(send(w.peer, data + i, 1, 0) == 1);
		turn(&w);
	}
	BIO_reset(said);
	while (!over(&w))
		turn(&w);
	assert_int_equal(w.seen[STREAM_SECURED], 1);
	assert_int_equal(SSL_do_handshake(w.server), 1);
	must(SSL_write(w.server, "220 Hi\r\n", 8) == 8);
	n = BIO_get_mem_data(said, &data); /* tickets, if any, before it */
	must(send(w.peer, data, (size_t)n, 0) == n);
	while (!in.len) {
		turn(&w);
		if (w.seen[STREAM_READABLE])
			stream_read(&w.s, &in);
	}
	assert_true(span_equal(in, span_str("220 Hi\r\n")));
	buf_append_str(&out, "QUIT\r\n");
	assert_true(stream_write(&w.s, &out));
	assert_int_equal(SSL_read(w.server, got, sizeof(got)), 6);
	buf_free(&out);
	close_world(&w);
}

int
main(void)
{
#define TEST(f)                                                                \
	cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(good_ones),
	    TEST(wrong_names),
	    TEST(whom_nobody_knows),
	    TEST(dates),
	    TEST(weak_ones),
	    TEST(what_it_is),
	    TEST(odd_names),
	    TEST(records),
	    TEST(one_that_verifies),
	    TEST(no_name_to_verify),
	    TEST(trust_in_one),
	    TEST(directories),
	    TEST(bad_files),
	    TEST(the_systems),
	    TEST(server_name),
	    TEST(old_versions),
	    TEST(in_clear),
	    TEST(in_clear_at_once),
	    TEST(closes),
	    TEST(says_nothing),
	    TEST(alert_or_nonsense),
	    TEST(in_pieces),
	};

	return cmocka_run_group_tests(tests, make_certificates,
	    free_certificates);
}
