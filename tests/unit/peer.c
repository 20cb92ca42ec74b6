/*
 * peer: one event and one timer per connection. What it says is so little
 * that a socket takes it at once.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certify.h"

#define CONNECTIONS 8

struct connection {
	struct peer *peer;
	const struct peer_turn *turn;
	struct loop_event *io, *timer;
	SSL *ssl;
	bool shaking;
	bool waiting; /* for the time of its turn */
	int fd;       /* -1: closed */
	struct buf in;
};

struct peer {
	struct loop *loop;
	struct loop_event *io;
	const struct peer_turn *const *scripts;
	unsigned nscripts;
	SSL_CTX *ctx;
	struct connection all[CONNECTIONS];
	unsigned n;
	int fd;
	struct buf heard;
};

/* Whatever fails here is no finding. */
static void
must(bool good)
{
	if (!good)
		abort();
}

static void
hang_up(struct connection *c, bool reset)
{
	static const struct linger at_once = {1, 0};

	if (c->fd < 0)
		return;
	if (reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once,
		    sizeof(at_once));
	loop_event_free(&c->io);
	loop_event_free(&c->timer);
	SSL_free(c->ssl);
	c->ssl = NULL;
	buf_free(&c->in);
	close(c->fd);
	c->fd = -1;
}

static void
say(struct connection *c, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (n && c->ssl)
		SSL_write(c->ssl, text, (int)n);
	else if (n)
		send(c->fd, text, n, MSG_NOSIGNAL);
}

static void
start_tls(struct connection *c)
{
	c->ssl = SSL_new(c->peer->ctx);
	must(c->ssl && SSL_set_fd(c->ssl, c->fd) == 1);
	SSL_set_accept_state(c->ssl);
	c->shaking = true;
}

static void next_turn(struct connection *c);

/* It is this turn's time. */
static void
on_timer(void *ctx)
{
	struct connection *c = ctx;
	const struct peer_turn *t = c->turn++;

	c->waiting = false;
	say(c, t->say);
	switch (t->then) {
	case PEER_STAY:
		next_turn(c);
		break;
	case PEER_CLOSE:
	case PEER_RESET:
		hang_up(c, t->then == PEER_RESET);
		break;
	case PEER_TLS:
		start_tls(c);
		break;
	}
}

static void
wait_for_turn(struct connection *c)
{
	c->waiting = true;
	loop_timer_set(c->timer, c->turn->after);
}

static bool
is_last(const struct peer_turn *t)
{
	return !t->hear && !t->say && !t->then && !t->after;
}

static void
take_line(struct connection *c, const char *lf)
{
	size_t n = (size_t)(lf - c->in.data);
	const char *hear = c->turn->hear;

	buf_append(&c->peer->heard, c->in.data,
	    n && lf[-1] == '\r' ? n - 1 : n);
	buf_append(&c->peer->heard, "\n", 1);
	if (!is_last(c->turn) && strncmp(c->in.data, hear, strlen(hear)) == 0)
		wait_for_turn(c);
	buf_consume(&c->in, n + 1);
}

static void
next_turn(struct connection *c)
{
	const char *lf;

	while (!c->waiting) {
		if (!is_last(c->turn) && !c->turn->hear)
			wait_for_turn(c);
		else if (c->in.len &&
			 (lf = memchr(c->in.data, '\n', c->in.len)))
			take_line(c, lf);
		else
			break;
	}
}

static void
on_io(void *ctx)
{
	struct connection *c = ctx;
	char data[4096];
	int n;

	ERR_clear_error();
	if (c->shaking)
		n = SSL_do_handshake(c->ssl);
	else
		n = c->ssl ? SSL_read(c->ssl, data, sizeof(data))
			   : (int)recv(c->fd, data, sizeof(data), 0);
	if (n <= 0) {
		if (!c->ssl || SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ)
			hang_up(c, false);
		return;
	}
	if (!c->shaking)
		buf_append(&c->in, data, (size_t)n);
	c->shaking = false;
	next_turn(c);
}

static void
on_accept(void *ctx)
{
	struct peer *p = ctx;
	struct connection *c = &p->all[p->n];
	unsigned script = p->n < p->nscripts ? p->n : p->nscripts - 1;
	const int on = 1;

	must(p->n++ < CONNECTIONS);
	*c = (struct connection){.peer = p, .turn = p->scripts[script]};
	c->fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	must(c->fd >= 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->io = loop_readable(p->loop, c->fd, on_io, c);
	c->timer = loop_timer(p->loop, on_timer, c);
	must(c->io && c->timer);
	if (c->turn->then == PEER_TLS && !c->turn->hear) {
		c->turn++;
		start_tls(c); /* before its first octet */
	} else {
		next_turn(c);
	}
}

struct peer *
peer_new(struct loop *l, const struct peer_turn *const *scripts, unsigned n,
    const struct certify *tls, int version)
{
	struct peer *p = calloc(1, sizeof(*p));
	struct sockaddr_in a = {.sin_family = AF_INET};

	must(p != NULL);
	p->loop = l;
	p->scripts = scripts;
	p->nscripts = n;
	p->ctx = SSL_CTX_new(TLS_server_method());
	must(p->ctx && SSL_CTX_set_cipher_list(p->ctx, "ALL:@SECLEVEL=0") &&
	     SSL_CTX_set_min_proto_version(p->ctx, TLS1_VERSION) &&
	     SSL_CTX_set_max_proto_version(p->ctx, version));
	if (tls)
		must(SSL_CTX_use_certificate(p->ctx, tls->cert) == 1 &&
		     SSL_CTX_use_PrivateKey(p->ctx, tls->private) == 1);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(bind(p->fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	     listen(p->fd, CONNECTIONS) == 0);
	p->io = loop_readable(l, p->fd, on_accept, p);
	must(p->io != NULL);
	return p;
}

void
peer_free(struct peer **pp)
{
	struct peer *p = *pp;

	*pp = NULL;
	if (!p)
		return;
	for (unsigned i = 0; i < p->n; i++)
		hang_up(&p->all[i], false);
	loop_event_free(&p->io);
	close(p->fd);
	SSL_CTX_free(p->ctx);
	buf_free(&p->heard);
	free(p);
}

uint16_t
peer_port(const struct peer *p)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	must(getsockname(p->fd, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin_port);
}

const char *
peer_heard(struct peer *p)
{
	*buf_reserve(&p->heard, 1) = '\0';
	return p->heard.data;
}

unsigned
peer_connections(const struct peer *p)
{
	return p->n;
}
