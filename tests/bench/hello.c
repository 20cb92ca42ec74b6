/*
 * hello: clients that say hello and leave, for a number of seconds. Each of
 * them connects, reads the greeting, says EHLO, with -t then STARTTLS and a
 * full handshake, says QUIT (without -t) and waits for the end. Prints how
 * often that was done, by all of them; whatever else happens is an error. With
 * -r not more often than so often a second, by all of them.
 *
 *	hello [-t] [-r RATE] [-a ADDRESS] SECONDS CLIENTS PORT
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
#define NS_PER_S    1000000000

static SSL_CTX *tls;
static long end_ms;
static long pause_ns; /* between the visits of one client; 0: none */
static struct sockaddr_in to = {.sin_family = AF_INET};

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
	struct timespec next;
	long *n = visits;

	clock_gettime(CLOCK_MONOTONIC, &next);
	while (now_ms() < end_ms) {
		visit();
		++*n;
		next.tv_nsec += pause_ns % NS_PER_S;
		next.tv_sec += pause_ns / NS_PER_S + next.tv_nsec / NS_PER_S;
		next.tv_nsec %= NS_PER_S;
		if (pause_ns)
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next,
			    NULL);
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

static double
seconds(const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (*end || !(s > 0))
		fail("not a number", text);
	return s;
}

static int
usage(void)
{
	fprintf(stderr, "usage: hello [-t] [-r rate] [-a address] seconds "
			"clients port\n");
	return 64;
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	pthread_t threads[CLIENTS_MAX];
	long visits[CLIENTS_MAX] = {0};
	long clients, rate = 0, total = 0;
	int c;

	while ((c = getopt(argc, argv, "tr:a:")) != -1) {
		if (c == 't' && !(tls = SSL_CTX_new(TLS_client_method())))
			fail("SSL_CTX_new", NULL);
		if (c == 'r')
			rate = number(optarg);
		if (c == 'a')
			address = optarg;
		if (c == '?')
			return usage();
	}
	argv += optind;
	if (argc - optind != 3 || (clients = number(argv[1])) > CLIENTS_MAX ||
	    inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return usage();
	to.sin_port = htons((uint16_t)number(argv[2]));
	if (rate)
		pause_ns = clients * NS_PER_S / rate;
	end_ms = now_ms() + (long)(seconds(argv[0]) * MS_PER_S);
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
