/*
 * hello: clients that say hello and leave, for a number of seconds. Each of
 * them connects, reads the greeting, says EHLO, with -t then STARTTLS and a
 * full handshake, says QUIT (without -t) and waits for the end. Prints how
 * often that was done, by all of them; whatever else happens is an error.
 *
 *	hello [-t] SECONDS CLIENTS PORT
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define MS_PER_S    1000
#define NS_PER_MS   1000000

static SSL_CTX *tls;
static long end_ms;
static uint16_t port;

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * MS_PER_S + t.tv_nsec / NS_PER_MS;
}

static void
fail(const char *what, const char *reply)
{
	fprintf(stderr, "hello: %s: %s%s%s\n", what, reply ? reply : "",
	    reply ? " " : "", errno ? strerror(errno) : "");
	exit(1);
}

/* The last line of a reply, which has a space behind its code. */
static bool
whole(const char *text, size_t len)
{
	const char *line = text + len;

	if (len < 5 || line[-1] != '\n')
		return false;
	for (line--; line > text && line[-1] != '\n'; line--)
		;
	return text + len - line > 3 && line[3] == ' ';
}

static void
expect(int fd, const char *code)
{
	char text[4096];
	size_t len = 0;

	while (!whole(text, len)) {
		ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);

		if (n <= 0)
			fail("no reply", code);
		len += (size_t)n;
	}
	text[len] = 0;
	if (strncmp(text, code, 3) != 0)
		fail(code, text);
}

static void
ask(int fd, const char *line, const char *code)
{
	size_t len = strlen(line);

	if (send(fd, line, len, MSG_NOSIGNAL) != (ssize_t)len)
		fail("send", line);
	expect(fd, code);
}

static void
handshake(int fd)
{
	SSL *ssl = SSL_new(tls);

	ask(fd, "STARTTLS\r\n", "220");
	if (!ssl || !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1) {
		ERR_print_errors_fp(stderr);
		fail("handshake", NULL);
	}
	SSL_shutdown(ssl);
	SSL_free(ssl);
}

static void
visit(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char rest[256];

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
		fail("connect", NULL);
	expect(fd, "220");
	ask(fd, "EHLO client.example.com\r\n", "250");
	if (tls) {
		handshake(fd);
	} else {
		ask(fd, "QUIT\r\n", "221");
		while (recv(fd, rest, sizeof rest, 0) > 0)
			;
	}
	close(fd);
}

static void *
client(void *visits)
{
	long *n = visits;

	while (now_ms() < end_ms) {
		visit();
		++*n;
	}
	return NULL;
}

static long
number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n <= 0)
		fail("not a number", text);
	return n;
}

int
main(int argc, char **argv)
{
	bool with_tls = argc > 1 && strcmp(argv[1], "-t") == 0;
	pthread_t threads[CLIENTS_MAX];
	long visits[CLIENTS_MAX] = {0};
	long clients, total = 0;
	char **arg = argv + with_tls;

	if (argc - with_tls != 4 || (clients = number(arg[2])) > CLIENTS_MAX) {
		fprintf(stderr, "usage: hello [-t] seconds clients port\n");
		return 64;
	}
	if (with_tls && !(tls = SSL_CTX_new(TLS_client_method())))
		fail("SSL_CTX_new", NULL);
	port = (uint16_t)number(arg[3]);
	end_ms = now_ms() + number(arg[1]) * MS_PER_S;
	for (long i = 0; i < clients; i++)
		if (pthread_create(&threads[i], NULL, client, &visits[i]) != 0)
			fail("pthread_create", NULL);
	for (long i = 0; i < clients; i++) {
		pthread_join(threads[i], NULL);
		total += visits[i];
	}
	printf("%ld\n", total);
	return 0;
}
