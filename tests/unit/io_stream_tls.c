/*
 * TLS over real loopback connections: what a peer can send that is no data,
 * and what it can ask for. Both sides share this process and one thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "certify.h"
#include "io/stream.h"

struct world {
	struct loop loop;
	struct stream_pool pool;
	struct stream s;
	struct tls *tls;
	SSL_CTX *ctx;
	SSL *client;
	int ours, peer;
	unsigned seen[STREAM_INSECURE + 1];
};

static void
on_stream(void *owner, enum stream_event what)
{
	struct world *w = owner;

	w->seen[what]++;
}

/* A connected TCP pair, both sides non-blocking, that keeps little of what
 * we say. */
static void
connect_pair(int *ours, int *peer)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1, small = 4096;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	*peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(*peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(connect(*peer, (struct sockaddr *)&a, len), 0);
	fcntl(*peer, F_SETFL, O_NONBLOCK);
	setsockopt(*peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*ours = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	setsockopt(*ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	close(l);
}

/* Made once: RSA takes its time. */
static const struct certify *
certified(const char *type, const char *names)
{
	static struct {
		struct certify c;
		const char *type, *names;
	} known[8];
	unsigned i = 0;

	while (known[i].type && (strcmp(known[i].type, type) != 0 ||
				    strcmp(known[i].names, names) != 0))
		i++;
	assert_true(i < 7);
	if (!known[i].type)
		certify(&known[i].c, type, names, NULL);
	known[i].type = type;
	known[i].names = names;
	return &known[i].c;
}

static void
add(struct tls *t, const char *type, const char *names)
{
	const struct certify *c = certified(type, names);
	const char *detail;

	assert_int_equal(tls_add(t, "mx.example.org", buf_span(&c->chain),
			     buf_span(&c->key), time(NULL), &detail),
	    TLS_GOOD);
}

static void
open_world(struct world *w, int version)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(loop_init(&w->loop), 0);
	assert_int_equal(stream_pool_init(&w->pool, &w->loop), 0);
	connect_pair(&w->ours, &w->peer);
	stream_init(&w->s, &w->pool, w->ours, on_stream, w);
	w->tls = tls_new();
	add(w->tls, "EC", "mx.example.org");
	w->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_min_proto_version(w->ctx, version);
	SSL_CTX_set_max_proto_version(w->ctx, version);
	w->client = SSL_new(w->ctx);
	SSL_set_fd(w->client, w->peer);
	SSL_set_connect_state(w->client);
}

static void
close_world(struct world *w)
{
	stream_close(&w->s);
	SSL_free(w->client);
	SSL_CTX_free(w->ctx);
	tls_free(&w->tls);
	close(w->peer);
	stream_pool_free(&w->pool);
	loop_free(&w->loop);
	ERR_clear_error();
}

/* What others leave in the library's queue of errors, before each turn. */
static bool others_fail;

static void
turn(struct world *w)
{
	if (others_fail)
		ERR_raise(ERR_LIB_USER, 1);
	event_base_loop(w->loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static bool
shake(struct world *w)
{
	assert_true(stream_start_tls(&w->s, w->tls));
	for (int i = 0; i < 100000 && !w->seen[STREAM_INSECURE]; i++) {
		SSL_do_handshake(w->client);
		turn(w);
		if (w->seen[STREAM_SECURED] && SSL_is_init_finished(w->client))
			return true;
	}
	return false;
}

static void
secure(struct world *w, int version)
{
	open_world(w, version);
	assert_true(shake(w));
}

static int
unread(const struct world *w)
{
	int n = -1;

	assert_int_equal(ioctl(w->ours, FIONREAD, &n), 0);
	return n;
}

/* All that was sent is in our socket's queue, and nothing else. */
static void
arrive(const struct world *w, int octets)
{
	for (int i = 0; i < 10000 && unread(w) < octets; i++)
		usleep(500);
	assert_int_equal(unread(w), octets);
}

static void
new_keys(struct world *w, int times)
{
	for (int i = 0; i < times; i++) {
		assert_int_equal(SSL_key_update(w->client,
				     SSL_KEY_UPDATE_NOT_REQUESTED),
		    1);
		assert_int_equal(SSL_do_handshake(w->client), 1);
	}
}

/* FAULT F18: the end of one session is not that of the next. */
static void
errors_of_others(void **state)
{
	struct buf out = {0};
	struct world w;
	struct span in;

	(void)state;
	others_fail = true;
	secure(&w, TLS1_3_VERSION);
	turn(&w);
	assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
	for (int i = 0; i < 1000 && !stream_unsent(&w.s); i++) {
		memset(buf_reserve(&out, 16384), 'x', 16384);
		out.len = 16384;
		turn(&w);
		assert_true(stream_write(&w.s, &out));
	}
	assert_true(stream_unsent(&w.s) > 0);
	others_fail = false;
	buf_free(&out);
	close_world(&w);
}

#define KEYS   27 /* octets of a record with new keys: 5 + 5 + 1 + 16 */
#define LETTER 23 /* and with one octet of data */

/* FAULT A1: each record that is no data gives control back; 32 are the end. */
static void
keys_instead_of_data(void **state)
{
	struct world w;
	struct span in;

	(void)state;
	secure(&w, TLS1_3_VERSION);
	new_keys(&w, 31);
	assert_int_equal(SSL_write(w.client, "x", 1), 1);
	arrive(&w, 31 * KEYS + LETTER);
	for (int i = 1; i <= 31; i++) {
		assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
		assert_int_equal(unread(&w), (31 - i) * KEYS + LETTER);
	}
	assert_int_equal(stream_read(&w.s, &in), STREAM_DATA); /* from one on */
	assert_int_equal(in.len, 1);
	new_keys(&w, 40);
	arrive(&w, 40 * KEYS);
	for (int i = 1; i <= 31; i++)
		assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
	assert_int_equal(stream_read(&w.s, &in), STREAM_ABUSE);
	assert_int_equal(unread(&w), 8 * KEYS);
	assert_string_equal(stream_tls_reason(&w.s),
	    "Too many TLS records without data");
	assert_int_equal(stream_read(&w.s, &in), STREAM_ABUSE);
	close_world(&w);
}

/* FAULT A1: a second ClientHello is the end, at once. */
static void
hello_again(void **state)
{
	struct world w;
	struct span in;

	(void)state;
	secure(&w, TLS1_2_VERSION);
	assert_int_equal(SSL_renegotiate(w.client), 1);
	SSL_do_handshake(w.client);
	for (int i = 0; i < 10000 && !unread(&w); i++)
		usleep(500);
	assert_int_equal(stream_read(&w.s, &in), STREAM_ABUSE);
	assert_string_equal(stream_tls_reason(&w.s), "No second handshake");
	close_world(&w);
}

/* FAULT A1: nor does one turn read all that comes in the smallest pieces. */
static void
letter_by_letter(void **state)
{
	struct world w;
	struct span in;
	size_t got = 0;

	(void)state;
	secure(&w, TLS1_3_VERSION);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(SSL_write(w.client, "x", 1), 1);
	arrive(&w, 1000 * LETTER);
	while (got < 1000) {
		assert_int_equal(stream_read(&w.s, &in), STREAM_DATA);
		assert_true(in.len <= 32);
		got += in.len;
	}
	assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
	close_world(&w);
}

/* FAULT A1: the same before there are keys: a ClientHello in pieces. */
static void
hello_in_pieces(void **state)
{
	static const char piece[] = {0x16, 3, 1, 0, 1, 0};
	static const char head[] = {0x16, 3, 1, 0, 4, 1, 1, 0, 0};
	struct world w;
	int before;

	(void)state;
	open_world(&w, TLS1_3_VERSION);
	assert_true(stream_start_tls(&w.s, w.tls));
	assert_int_equal(send(w.peer, head, sizeof(head), 0), sizeof(head));
	for (int i = 0; i < 2000; i++)
		assert_int_equal(send(w.peer, piece, sizeof(piece), 0),
		    sizeof(piece));
	before = (int)(sizeof(head) + 2000 * sizeof(piece));
	arrive(&w, before);
	while (unread(&w)) {
		turn(&w);
		assert_true(before - unread(&w) <= 32 * 9);
		before = unread(&w);
	}
	assert_int_equal(w.seen[STREAM_INSECURE], 0); /* it may yet go on */
	close_world(&w);
}

/* The octets that the client's library wants to send, by record. */
static size_t
record_length(const unsigned char *record)
{
	return 5 + 256u * record[3] + record[4];
}

/*
 * FAULT A1: a write must not wait for the rest of a handshake message: the
 * socket is writable all the time, and the loop would spin.
 */
static void
words_in_the_middle(void **state)
{
	BIO *out = BIO_new(BIO_s_mem());
	struct buf reply = {0};
	char name[251] = "";
	struct world w;
	struct span in;
	char *data;
	long n;

	(void)state;
	open_world(&w, TLS1_2_VERSION);
	SSL_set_max_send_fragment(w.client, 512);
	memset(name, 'a',
	    sizeof(name) - 1); /* more than fits into one record */
	SSL_set_tlsext_host_name(w.client, name);
	SSL_set_cipher_list(w.client, "ALL:@SECLEVEL=0");
	assert_true(shake(&w));
	SSL_set0_wbio(w.client, out);
	assert_int_equal(SSL_renegotiate(w.client), 1);
	SSL_do_handshake(w.client);
	n = BIO_get_mem_data(out, &data);
	assert_true((size_t)n > record_length((unsigned char *)data));
	n = (long)record_length((unsigned char *)data); /* the first alone */
	assert_int_equal(send(w.peer, data, (size_t)n, 0), n);
	arrive(&w, (int)n);
	assert_int_equal(stream_read(&w.s, &in), STREAM_AGAIN);
	buf_append_str(&reply, "250 Ok\r\n");
	assert_false(stream_write(&w.s, &reply));
	buf_free(&reply);
	close_world(&w);
}

/* FAULT A1: who asks for keys and reads none of them does not spin us. */
static void
deaf_to_keys(void **state)
{
	struct world w;
	struct span in;
	unsigned heard;

	(void)state;
	secure(&w, TLS1_3_VERSION);
	for (int i = 0; !w.s.tls_write; i++) {
		assert_true(i < 100000);
		SSL_key_update(w.client, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(w.client);
		SSL_write(w.client, "x", 1);
		turn(&w);
		while (!w.s.tls_write && stream_read(&w.s, &in) == STREAM_DATA)
			;
	}
	SSL_write(w.client, "x", 1);
	while (!unread(&w))
		usleep(500);
	heard = w.seen[STREAM_READABLE];
	for (int i = 0; i < 100; i++)
		turn(&w);
	assert_int_equal(w.seen[STREAM_READABLE], heard);
	assert_true(unread(&w) > 0);
	close_world(&w);
}

/* FAULT A11: what costs us most is not to be had; TLS 1.2 by its ciphers. */
static void
no_finite_fields(void **state)
{
	static const struct {
		int version;
		const char *ciphers, *groups;
		bool good;
	} all[] = {
	    {TLS1_2_VERSION, "DHE", "P-256", false},
	    {TLS1_2_VERSION, "ECDHE", "P-256", true},
	    {TLS1_3_VERSION, "ECDHE", "ffdhe2048", false},
	    {TLS1_3_VERSION, "ECDHE", "ffdhe2048:P-384", true},
	    {TLS1_3_VERSION, "ECDHE", "X25519", true},
	};
	char list[64];
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		open_world(&w, all[i].version);
		add(w.tls, "RSA", "mx.example.org");
		assert_true(SSL_set_cipher_list(w.client, all[i].ciphers));
		snprintf(list, sizeof(list), "%s", all[i].groups);
		assert_true(SSL_set1_groups_list(w.client, list));
		assert_int_equal(shake(&w), all[i].good);
		close_world(&w);
	}
}

/* "EC alt.example.org": the type of its key, and its last name. */
static const char *
shown(SSL *client)
{
	static char text[128];
	X509 *cert = SSL_get0_peer_certificate(client);
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAME *last =
	    sk_GENERAL_NAME_value(names, sk_GENERAL_NAME_num(names) - 1);

	snprintf(text, sizeof(text), "%s %s",
	    EVP_PKEY_get0_type_name(X509_get0_pubkey(cert)),
	    (const char *)ASN1_STRING_get0_data(last->d.dNSName));
	GENERAL_NAMES_free(names);
	return text;
}

/*
 * FAULT C11: by the name that is asked for and, of its certificates, by what
 * the client can verify. (The world has its own for mx.example.org.)
 */
static void
names_and_types(void **state)
{
	static char only_rsa[] = "RSA-PSS+SHA256:RSA+SHA256";
	static char only_ec[] = "ECDSA+SHA256";
	static const struct {
		const char *name;
		char *algorithms;
		const char *shown; /* NULL: refused */
	} all[] = {
	    {NULL, NULL, "EC mx.example.org"},
	    {NULL, only_rsa, "RSA mail.example.org"},
	    {"mx.example.org", NULL, "EC mx.example.org"},
	    {"mx.example.org", only_rsa, "RSA mail.example.org"},
	    {"mail.example.org", only_ec, NULL},
	    {"mail.example.org", NULL, "RSA mail.example.org"},
	    {"a.example.net", NULL, "EC b.example.net"},
	    {"a.example.net", only_rsa, "RSA a.example.net"},
	    {"b.example.net", NULL, "EC b.example.net"},
	    {"b.example.net", only_rsa, NULL},
	    {"stranger.example", NULL, "EC mx.example.org"},
	    {"stranger.example", only_rsa, "RSA mail.example.org"},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(all) / sizeof(all[0]); i++) {
		char name[32];

		open_world(&w, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
		add(w.tls, "RSA", "mx.example.org,mail.example.org");
		add(w.tls, "RSA", "mx.example.org,a.example.net");
		add(w.tls, "EC", "mx.example.org,a.example.net,b.example.net");
		snprintf(name, sizeof(name), "%s",
		    all[i / 2].name ? all[i / 2].name : "");
		if (name[0])
			SSL_set_tlsext_host_name(w.client, name);
		if (all[i / 2].algorithms)
			assert_true(SSL_set1_sigalgs_list(w.client,
			    all[i / 2].algorithms));
		assert_int_equal(shake(&w), all[i / 2].shown != NULL);
		if (all[i / 2].shown)
			assert_string_equal(shown(w.client), all[i / 2].shown);
		close_world(&w);
	}
}

/* FAULT C3: a client that names protocols must name ours. */
static void
protocols(void **state)
{
	static const struct {
		const char *offered;
		const char *chosen; /* NULL: refused */
	} all[] = {
	    {"", ""},
	    {"\4smtp", "smtp"},
	    {"\2h2\5esmtp", "esmtp"},
	    {"\2h2\10http/1.1", NULL},
	    {"\3smt", NULL},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const unsigned char *chosen = NULL;
		unsigned n = 0;

		open_world(&w, TLS1_3_VERSION);
		SSL_set_alpn_protos(w.client,
		    (const unsigned char *)all[i].offered,
		    (unsigned)strlen(all[i].offered));
		assert_int_equal(shake(&w), all[i].chosen != NULL);
		SSL_get0_alpn_selected(w.client, &chosen, &n);
		if (all[i].chosen)
			assert_true(
			    span_equal((struct span){(const char *)chosen, n},
				span_str(all[i].chosen)));
		else
			assert_string_equal(stream_tls_reason(&w.s),
			    "no application protocol");
		close_world(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(errors_of_others),
	    cmocka_unit_test(keys_instead_of_data),
	    cmocka_unit_test(hello_again),
	    cmocka_unit_test(letter_by_letter),
	    cmocka_unit_test(hello_in_pieces),
	    cmocka_unit_test(words_in_the_middle),
	    cmocka_unit_test(deaf_to_keys),
	    cmocka_unit_test(no_finite_fields),
	    cmocka_unit_test(names_and_types),
	    cmocka_unit_test(protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
