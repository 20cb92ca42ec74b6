/*
 * crowd: connections of many addresses, each named by a PROXY header, spread
 * evenly over some seconds. Some of the addresses come many times as often as
 * the rest. Whoever is greeted says QUIT and waits for the end.
 *
 *	crowd [-q] [-m] SECONDS CONNECTIONS ADDRESSES ABUSERS TIMES PORT
 *
 * Prints a line for the rest and one for the abusers: connections, refused
 * (421), failed (anything else), and the greetings' p50, p99 and longest, in
 * microseconds from connect() to the first line's end; and how many heard 550.
 * -q: the abusers stay at home, and the rest come when they would have. -m:
 *each has a recipient for its mail before it leaves.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS     1000000000ll
#define GIVEUP (30 * NS)    /* behind the last one */
#define GOLDEN 0.6180339887 /* each phase in the widest gap */

struct visit {
	int64_t due, begun; /* ns */
	uint32_t address;
	int fd;
	char said[3];
	uint8_t have;
	bool greeted; /* or refused: its first line is whole */
};

struct group {
	unsigned n, refused, failed, denied, ngreetings;
	uint32_t *greetings; /* us */
};

#define LEAVE "QUIT\r\n"
#define MAIL                                                                   \
	"EHLO crowd.example.com\r\nMAIL FROM:<a@example.com>\r\n"              \
	"RCPT TO:<postmaster>\r\n" LEAVE

static const char *says = LEAVE;
static unsigned abusers;
static struct group groups[2]; /* the rest, the abusers */
static struct sockaddr_in to = {.sin_family = AF_INET};

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

static struct group *
group(const struct visit *v)
{
	return &groups[v->address < abusers];
}

static int
by_due(const void *a, const void *b)
{
	int64_t x = ((const struct visit *)a)->due;
	int64_t y = ((const struct visit *)b)->due;

	return (x > y) - (x < y);
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Every address in a /24 of its own. Each comes evenly, and so do all together.
 */
static unsigned
plan(struct visit *v, unsigned connections, unsigned addresses, unsigned times,
    int64_t ns)
{
	double shares = (double)abusers * times + (addresses - abusers);
	double owed = 0, phase = 0;
	unsigned n = 0;

	for (unsigned a = 0; a < addresses; a++) {
		double share = connections / shares * (a < abusers ? times : 1);
		unsigned mine;

		owed += share;
		mine = (unsigned)(owed + 0.5) - n;
		for (unsigned i = 0; i < mine; i++)
			v[n++] = (struct visit){.address = a,
			    .fd = -1,
			    .due = (int64_t)((double)ns / mine * (i + phase))};
		phase += GOLDEN;
		phase -= phase >= 1;
	}
	qsort(v, n, sizeof(*v), by_due);
	for (unsigned i = 0; i < n; i++)
		v[i].due = ns / n * i;
	return n;
}

static void
leave(struct visit *v, bool failed)
{
	close(v->fd);
	v->fd = -1;
	group(v)->failed += failed;
}

static void
begin(struct visit *v, int epoll)
{
	uint8_t header[28] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
	uint8_t client[4] = {20, (uint8_t)(v->address >> 8),
	    (uint8_t)v->address, 1};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = v};

	memcpy(header + 16, client, 4);
	header[25] = 25;
	group(v)->n++;
	v->begun = now();
	v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (v->fd < 0 ||
	    connect(v->fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    send(v->fd, header, sizeof(header), MSG_NOSIGNAL) < 0) {
		leave(v, true);
		return;
	}
	fcntl(v->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(epoll, EPOLL_CTL_ADD, v->fd, &e);
}

static void
first_line(struct visit *v)
{
	struct group *g = group(v);

	v->greeted = true;
	if (memcmp(v->said, "421", 3) == 0)
		g->refused++;
	else if (memcmp(v->said, "220", 3) != 0)
		g->failed++;
	else {
		g->greetings[g->ngreetings++] =
		    (uint32_t)((now() - v->begun) / 1000);
		send(v->fd, says, strlen(says), MSG_NOSIGNAL);
	}
}

static void
hear(struct visit *v)
{
	char text[512];
	ssize_t n = recv(v->fd, text, sizeof(text), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		leave(v, !v->greeted);
		return;
	}
	for (ssize_t i = 0; i < n && v->have < 3; i++)
		v->said[v->have++] = text[i];
	if (memmem(text, (size_t)n, "550 5.7.1 ", 10))
		group(v)->denied++;
	if (!v->greeted && memchr(text, '\n', (size_t)n))
		first_line(v);
}

static void
run(struct visit *v, unsigned n)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t start = now();
	unsigned next = 0;

	for (;;) {
		struct epoll_event e[64];
		struct pollfd heard = {.fd = epoll, .events = POLLIN};
		struct timespec wait = {0, NS / 10};
		int64_t t = now() - start;
		int got;

		while (next < n && v[next].due <= t)
			begin(&v[next++], epoll);
		if (next < n) {
			wait.tv_sec = (v[next].due - t) / NS;
			wait.tv_nsec = (v[next].due - t) % NS;
		}
		/* to the microsecond, and asleep: who spins is in the way */
		ppoll(&heard, 1, &wait, NULL);
		got = epoll_wait(epoll, e, 64, 0);
		for (int i = 0; i < got; i++)
			hear(e[i].data.ptr);
		if (next == n && (!got || t > v[n - 1].due + GIVEUP))
			break;
	}
	for (unsigned i = 0; i < n; i++)
		if (v[i].fd >= 0)
			leave(&v[i], !v[i].greeted);
}

static unsigned
number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || !*text || n > 10000000) {
		fprintf(stderr, "crowd: %s: a number\n", text);
		exit(64);
	}
	return (unsigned)n;
}

static void
show(const char *name, struct group *g)
{
	uint32_t *r = g->greetings;
	unsigned n = g->ngreetings;

	qsort(r, n, sizeof(*r), by_size);
	printf("%s %u %u %u %u %u %u %u\n", name, g->n, g->refused, g->failed,
	    n ? r[n / 2] : 0, n ? r[n * 99 / 100] : 0, n ? r[n - 1] : 0,
	    g->denied);
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	unsigned a[6], n, kept = 0;
	bool quiet = false;
	struct visit *v;
	int opt;

	while ((opt = getopt(argc, argv, "qm")) != -1) {
		quiet |= opt == 'q';
		says = opt == 'm' ? MAIL : says;
	}
	if (argc - optind != 6) {
		fprintf(stderr, "crowd [-q] [-m] SECONDS CONNECTIONS ADDRESSES "
				"ABUSERS TIMES PORT\n");
		return 64;
	}
	for (int i = 0; i < 6; i++)
		a[i] = number(argv[optind + i]);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	abusers = a[3];
	to.sin_port = htons((uint16_t)a[5]);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v = calloc(a[1] + a[2] + 1, sizeof(*v));
	n = plan(v, a[1], a[2], a[4], a[0] * NS);
	for (unsigned i = 0; i < n; i++)
		if (!quiet || v[i].address >= abusers)
			v[kept++] = v[i];
	for (unsigned i = 0; i < 2; i++)
		groups[i].greetings = calloc(n + 1, sizeof(uint32_t));
	run(v, kept);
	show("rest", &groups[0]);
	show("abusers", &groups[1]);
	return 0;
}
