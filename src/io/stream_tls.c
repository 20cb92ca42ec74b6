/*
 * stream_tls: OpenSSL over the stream's own events.
 *
 * SSL_read and SSL_write say what they wait for; that becomes what the
 * stream registers. A read always offers room for a whole record, so that
 * nothing decrypted stays behind in the library where no event would tell of
 * it. The error queue is the thread's, not the connection's: it is cleared
 * before each call.
 *
 * The library would read for as long as the peer sends what is no data:
 * pieces of a handshake, new keys, alerts. So a turn may read so much, and a
 * peer may send so many such records in a row.
 */
#include "io/stream_tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "io/tls_session.h"

#define RECORD_MAX       16384
#define HANDSHAKE_RECORD 0x16 /* the first octet of a hello */
#define ALERT_RECORD     0x15
#define TURN_READS       64 /* a record takes two: its header, the rest */
#define NO_DATA_MAX      32 /* records in a row */

enum stream_handshake {
	STREAM_HANDSHAKE_WAITS,
	STREAM_HANDSHAKE_DONE,
	STREAM_HANDSHAKE_PLAIN,  /* nothing read: a reply can be sent */
	STREAM_HANDSHAKE_FAILED, /* s->reason says why */
};

void
stream_tls_free(struct stream *s)
{
	if (!s->ssl)
		return;
	stream_tls_close_notify(s);
	SSL_free(s->ssl);
	s->ssl = NULL;
	s->handshaking = false;
	s->tls_write = false;
}

/*
 * Before each read of the library: no more in this turn, and nothing that
 * peek() has not seen; an answer may be there as soon as a ClientHello is out.
 */
static long
on_bio(BIO *bio, int what, const char *data, size_t len, int argi, long argl,
    int result, size_t *done)
{
	struct stream *s = (struct stream *)(void *)BIO_get_callback_arg(bio);

	(void)data;
	(void)len;
	(void)argi;
	(void)argl;
	(void)done;
	if (what != BIO_CB_READ || (s->peeked && s->turn++ < TURN_READS))
		return result;
	BIO_clear_retry_flags(bio);
	BIO_set_retry_read(bio);
	return -1;
}

/* Behind the handshake: counts records, and TLS 1.2 may not begin anew. */
static void
on_record(int out, int version, int type, const void *data, size_t len,
    SSL *ssl, void *arg)
{
	const unsigned char *octets = data;
	struct stream *s = arg;

	(void)version;
	(void)ssl;
	if (out || s->handshaking)
		return;
	if (type == SSL3_RT_HEADER)
		s->records++;
	else if (type == SSL3_RT_HANDSHAKE && len &&
		 octets[0] == SSL3_MT_CLIENT_HELLO)
		s->reason = "No second handshake";
}

static bool
begin(struct stream *s, SSL *ssl)
{
	s->ssl = ssl;
	s->handshaking = ssl != NULL;
	s->peeked = false;
	if (!ssl)
		return false;
	BIO_set_callback_ex(SSL_get_rbio(ssl), on_bio);
	BIO_set_callback_arg(SSL_get_rbio(ssl), (char *)s);
	SSL_set_msg_callback(ssl, on_record);
	SSL_set_msg_callback_arg(ssl, s);
	return true;
}

bool
stream_start_tls(struct stream *s, const struct tls *t)
{
	return begin(s, s->fd >= 0 ? tls_accept(t, s->fd) : NULL);
}

bool
stream_start_tls_client(struct stream *s, const struct tls_client *c,
    const char *name)
{
	if (!begin(s, s->fd >= 0 ? tls_connect(c, s->fd, name) : NULL))
		return false;
	s->tls_write = true; /* the loop's turn to send the ClientHello */
	stream_update_io(s);
	return true;
}

static const char *
reason(const SSL *ssl)
{
	const char *r = ERR_reason_error_string(ERR_peek_error());
	long verdict = SSL_get_verify_result(ssl);

	if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
		return X509_verify_cert_error_string(verdict);
	return r ? r : "closed";
}

/* What a call that did not finish waits for; -1: it failed. */
static int
wait_for(struct stream *s, int result)
{
	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		s->tls_write = false;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		s->tls_write = true;
		return 0;
	default:
		return -1;
	}
}

/*
 * Who speaks in clear is told from the first octet, before the library answers
 * it with an alert. DONE: nothing is against going on.
 */
static enum stream_handshake
peek(struct stream *s)
{
	bool server = SSL_is_server(s->ssl);
	unsigned char first;
	ssize_t n = recv(s->fd, &first, 1, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return server ? STREAM_HANDSHAKE_WAITS : STREAM_HANDSHAKE_DONE;
	s->peeked = n == 1 && (first == HANDSHAKE_RECORD ||
				  (!server && first == ALERT_RECORD));
	if (s->peeked)
		return STREAM_HANDSHAKE_DONE;
	s->reason = n == 1 ? "no TLS" : "closed";
	return n == 1 ? STREAM_HANDSHAKE_PLAIN : STREAM_HANDSHAKE_FAILED;
}

static enum stream_handshake
handshake(struct stream *s)
{
	int result;

	if (!s->peeked) {
		enum stream_handshake first = peek(s);

		if (first != STREAM_HANDSHAKE_DONE)
			return first;
	}
	ERR_clear_error();
	s->turn = 0;
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->handshaking = false;
		s->tls_write = false;
		return STREAM_HANDSHAKE_DONE;
	}
	if (wait_for(s, result) == 0)
		return STREAM_HANDSHAKE_WAITS;
	s->reason = reason(s->ssl);
	return STREAM_HANDSHAKE_FAILED;
}

ssize_t
stream_tls_read(struct stream *s, char *to, size_t n)
{
	size_t got = 0;
	int r = 1;

	s->turn = 0;
	while (r > 0 && n - got >= RECORD_MAX) {
		ERR_clear_error();
		r = SSL_read(s->ssl, to + got, (int)(n - got));
		if (r <= 0)
			break;
		got += (size_t)r;
		s->records = 0;
	}
	if (!s->reason && s->records >= NO_DATA_MAX)
		s->reason = "Too many TLS records without data";
	if (s->reason) {
		errno = EPROTO;
		return -1;
	}
	if (got) /* what ended it will be said again */
		return (ssize_t)got;
	if (wait_for(s, r) < 0)
		return 0;
	errno = EAGAIN;
	return -1;
}

ssize_t
stream_tls_write(struct stream *s, struct span data)
{
	int n = data.len > RECORD_MAX ? RECORD_MAX : (int)data.len;
	int r;

	ERR_clear_error();
	r = SSL_write(s->ssl, data.ptr, n);
	if (r > 0)
		return r;
	/* a read is wanted in the middle of a message that is no data: nobody
	 * honest leaves one unfinished, and the socket would stay writable */
	errno =
	    SSL_get_error(s->ssl, r) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	return -1;
}

void
stream_tls_close_notify(struct stream *s)
{
	ERR_clear_error();
	if (!s->handshaking && !(SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN))
		SSL_shutdown(s->ssl);
}

const char *
stream_tls_version(const struct stream *s)
{
	return SSL_get_version(s->ssl);
}

const char *
stream_tls_cipher(const struct stream *s)
{
	return SSL_CIPHER_get_name(SSL_get_current_cipher(s->ssl));
}

bool
stream_tls_exporter(const struct stream *s, uint8_t out[32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	return s->ssl && SSL_version(s->ssl) == TLS1_3_VERSION &&
	       SSL_export_keying_material(s->ssl, out, 32, label,
		   sizeof(label) - 1, NULL, 0, 0) == 1;
}

const char *
stream_tls_reason(const struct stream *s)
{
	return s->reason ? s->reason : "";
}

void
stream_give_up_tls(struct stream *s)
{
	if (s->fd < 0 || !s->ssl)
		return;
	stream_tls_free(s);
	stream_update_io(s);
}

bool
stream_in_clear(const struct stream *s)
{
	return !s->peeked;
}

static void
give_up_tls(struct stream *s, enum stream_event what)
{
	stream_give_up_tls(s);
	s->fn(s->owner, what);
}

void
stream_tls_on_io(struct stream *s)
{
	bool wrote = s->tls_write;

	switch (handshake(s)) {
	case STREAM_HANDSHAKE_WAITS:
		if (s->tls_write != wrote)
			stream_update_io(s);
		break;
	case STREAM_HANDSHAKE_DONE:
		if (wrote)
			stream_update_io(s);
		s->fn(s->owner, STREAM_SECURED);
		break;
	case STREAM_HANDSHAKE_PLAIN:
		give_up_tls(s, STREAM_PLAIN);
		break;
	case STREAM_HANDSHAKE_FAILED:
		give_up_tls(s, STREAM_INSECURE);
		break;
	}
}
