/*
 * sessions_rig: see sessions_rig.h. Clients are sockets in this process: what
 * they say is with the server at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "certify.h"
#include "rcpt/recipients.h"
#include "scratch.h"
#include "sessions_rig.h"

#define CLIENTS 256

struct sessions sessions;
unsigned emptied;

static struct config *conf;
static struct doors doors;
static struct stream_pool pool;
static struct client clients[CLIENTS];
static unsigned nclients;
static SSL_CTX *tls;

/* --- the worker --- */

static const char base[] =
    "hostname = \"mx.example.org\"\n"
    "spool = \"%s/spool\"\n"
    "listen \"127.0.0.1:25\" { }\n"
    "listen \"127.0.0.1:587\" { role = submission }\n"
    "listen \"127.0.0.1:465\" { role = submission  tls = implicit }\n"
    "certificate \"mx.example.org\" { chain = \"%s\"  key = \"%s\" }\n"
    "auth { password-file = \"%s\" }\n"
    "domain \"example.org\" {\n"
    "	users = { \"alice\", \"bob\" }\n"
    "	users-from = \"%s\"\n"
    "	aliases = { \"postmaster: alice\", \"abuse: alice\" }\n"
    "	deliver = \"maildir:%s/%%d/%%u\"\n"
    "}\n"
    "failed = \"%s\"\n"
    "journal { segment = 1M  checkpoint = 1h }\n"
    "%s";

/* A cheap hash, to be quick; and keys, so that SCRAM is offered. */
static const char passwords[] =
    "alice:$5$rounds=1000$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7\n"
    "bob:$5$rounds=1000$salt$x:SCRAM-SHA-256$4096:c2FsdA==$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

static void
write_file(const char *name, struct span s)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(s.ptr, 1, s.len, f), s.len);
	assert_int_equal(fclose(f), 0);
}

static void
on_fault(void *ctx, bool warn, const char *file, unsigned line,
    const char *text)
{
	(void)ctx;
	(void)warn;
	print_error("%s:%u: %s\n", file, line, text);
}

static void
load(const char *more)
{
	struct buf text = {0};

	buf_printf(&text, base, scratch_path(""), scratch_path("mx.pem"),
	    scratch_path("mx.key"), scratch_path("passwords"),
	    scratch_path("live"), scratch_path("mail"), scratch_path("failed"),
	    more);
	write_file("smtpd.conf", buf_span(&text));
	buf_free(&text);
	config_load(scratch_path("smtpd.conf"), NULL, on_fault, NULL, &conf);
	assert_non_null(conf);
}

static bool
owns(const void *recipients, const char *login, const struct smtp_path *from)
{
	return recipients_owns(recipients, login, from);
}

static void
on_empty(void *ctx)
{
	(void)ctx;
	emptied++;
}

void
sessions_open(const char *more)
{
	load(more);
	rig_open(&conf->deliver);
	assert_int_equal(stream_pool_init(&pool, &rig.loop), 0);
	emptied = 0;
	sessions = (struct sessions){.conf = conf,
	    .loop = &rig.loop,
	    .pool = &pool,
	    .deliver = rig.deliver,
	    .auth = auth_new(&conf->auth, &rig.loop, rig.jobs, rig.shared),
	    .policy = {.senders = conf->senders,
		.owns = owns,
		.owns_ctx = conf->deliver.recipients,
		.limits = {.conf = &conf->limits,
		    .shared = rig.shared,
		    .slot = RIG_SLOT}},
	    .shared = rig.shared,
	    .slot = RIG_SLOT,
	    .on_empty = on_empty};
	doors = (struct doors){.conf = &conf->door,
	    .loop = &rig.loop,
	    .shared = rig.shared,
	    .slot = RIG_SLOT};
	if (door_config_is_on(&conf->door))
		sessions.doors = &doors;
	rig_pass(0);
}

int
sessions_setup(void **state)
{
	static struct certify c; /* made once */

	if (scratch_setup(state))
		return -1;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	if (!c.cert)
		certify(&c, "EC", "mx.example.org", NULL);
	write_file("mx.pem", buf_span(&c.chain));
	write_file("mx.key", buf_span(&c.key));
	write_file("passwords", span_str(passwords));
	scratch_mkdir("spool");
	scratch_mkdir("mail");
	scratch_mkdir("live");
	scratch_mkdir("failed");
	return 0;
}

int
sessions_teardown(void **state)
{
	sessions_free(&sessions);
	rig_stop();
	auth_free(&sessions.auth);
	stream_pool_free(&pool);
	rig_close();
	config_free(&conf);
	while (nclients) {
		struct client *c = &clients[--nclients];

		client_leave(c);
		buf_free(&c->heard);
	}
	SSL_CTX_free(tls);
	tls = NULL;
	return scratch_teardown(state);
}

int64_t
reserved(void)
{
	/* to ask brings the count up to date */
	assert_null(deliver_reserve(rig.deliver, 0));
	return counted(SHARED_JOURNAL);
}

/* --- clients --- */

struct client *
client_over(enum client_port port, const char *address, int ours, int theirs)
{
	struct client *c = &clients[nclients++];
	struct ipaddr ip;

	assert_true(nclients < CLIENTS);
	assert_int_equal(ipaddr_parse(span_str(address), &ip), 0);
	*c = (struct client){.fd = theirs};
	sessions_accept(&sessions, port, ours, &ip, 54321);
	return c;
}

struct client *
client_new(enum client_port port, const char *address)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
			     fds),
	    0);
	return client_over(port, address, fds[0], fds[1]);
}

void
client_leave(struct client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Octets that its socket took; -1: none. */
static ssize_t
put(struct client *c, struct span s)
{
	if (c->ssl)
		return SSL_write(c->ssl, s.ptr, (int)s.len);
	return send(c->fd, s.ptr, s.len, MSG_NOSIGNAL);
}

void
client_say(struct client *c, const char *text)
{
	assert_int_equal(put(c, span_str(text)), strlen(text));
}

size_t
client_pour(struct client *c, struct span octets)
{
	size_t all = octets.len;
	ssize_t n = 1;

	while (octets.len && n > 0) {
		rig_pass(0);
		n = put(c, octets);
		span_skip(&octets, n > 0 ? (size_t)n : 0);
	}
	rig_pass(0);
	return all - octets.len;
}

struct span
lines(size_t n)
{
	static char text[LINES_MAX];

	for (size_t i = 0; i < n; i++)
		text[i] = i % 50 == 48   ? '\r'
			  : i % 50 == 49 ? '\n'
					 : (char)('a' + i * 7 % 26);
	return (struct span){text, n};
}

bool
client_secure(struct client *c)
{
	int r = -1, error = SSL_ERROR_WANT_READ;

	if (!tls)
		tls = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(tls);
	SSL_set_fd(c->ssl, c->fd);
	/* whoever has nothing to say in so many turns never will */
	for (int i = 0; i < 10 && error == SSL_ERROR_WANT_READ; i++) {
		r = SSL_connect(c->ssl);
		error = SSL_get_error(c->ssl, r);
		rig_pass(0);
	}
	return r == 1;
}

/* --- what they hear --- */

bool
client_listen(struct client *c)
{
	ssize_t n;

	rig_pass(0);
	do {
		char *to = buf_reserve(&c->heard, 65536);

		n = c->ssl ? SSL_read(c->ssl, to, 65536)
			   : recv(c->fd, to, 65536, 0);
		if (n > 0)
			c->heard.len += (size_t)n;
	} while (n > 0);
	if (c->ssl)
		return SSL_get_error(c->ssl, (int)n) != SSL_ERROR_WANT_READ;
	return n == 0 || errno != EAGAIN;
}

/* The next line, with its CRLF; empty: it is not whole. */
static struct span
next_line(const struct client *c)
{
	const char *end =
	    c->heard.len ? memchr(c->heard.data, '\n', c->heard.len) : NULL;

	return (struct span){c->heard.data,
	    end ? (size_t)(end - c->heard.data) + 1 : 0};
}

void
client_hears(struct client *c, const char *text, const char *file, int line)
{
	struct span s;
	bool last, right;

	client_listen(c);
	do {
		s = next_line(c);
		last = s.len < 5 || s.ptr[3] != '-';
		right =
		    s.len >= strlen(text) && !memcmp(s.ptr, text, strlen(text));
		if (last && !right)
			print_error("not \"%s\": \"%.*s\"\n", text,
			    (int)c->heard.len,
			    c->heard.len ? c->heard.data : "");
		buf_consume(&c->heard, s.len);
	} while (!last);
	_assert_true(right, "the reply", file, line);
}

static void
is_silent(const struct client *c, const char *file, int line)
{
	if (c->heard.len)
		print_error("heard \"%.*s\"\n", (int)c->heard.len,
		    c->heard.data);
	_assert_true(!c->heard.len, "silence", file, line);
}

void
client_hears_nothing(struct client *c, const char *file, int line)
{
	bool ended = client_listen(c);

	is_silent(c, file, line);
	_assert_true(!ended, "it goes on", file, line);
}

void
client_hears_end(struct client *c, const char *file, int line)
{
	bool ended = client_listen(c);

	is_silent(c, file, line);
	_assert_true(ended, "the end", file, line);
}

void
client_hello(struct client *c)
{
	hears(c, "220 mx.example.org ");
	asks(c, "EHLO client.example.com", "250 LIMITS ");
}

struct client *
client_in_tls(const char *address)
{
	struct client *c = client_new(PORT_SUBMISSION, address);

	client_hello(c);
	asks(c, "STARTTLS", "220 2.0.0 Go ahead");
	assert_true(client_secure(c));
	asks(c, "EHLO client.example.com", "250 LIMITS ");
	return c;
}

void
client_rcpt(struct client *c)
{
	client_hello(c);
	asks(c, "MAIL FROM:<s@example.com>", "250 2.1.0 ");
	asks(c, "RCPT TO:<alice@example.org>", "250 2.1.5 ");
}

void
client_data(struct client *c)
{
	client_rcpt(c);
	asks(c, "DATA", "354 ");
}
