/*
 * sockets: one listening socket per address and worker slot, opened once and
 * kept by the master, so that a worker that takes over a slot inherits the
 * clients who wait there. Sockets handed over by a service manager are
 * matched to the listen blocks by their address.
 */
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/listen.h"
#include "io/log.h"
#include "notify.h"
#include "setup.h"

#define LET_GO_MS 3000

int
sockets_fd(const struct sockets *s, unsigned slot, unsigned listen)
{
	if (s->places[listen].inherited)
		slot = 0;
	return s->fds[slot * s->nlistens + listen];
}

void
sockets_keep(const struct sockets *s, unsigned slot)
{
	for (unsigned other = 0; other < s->nslots; other++)
		for (unsigned i = 0; i < s->nlistens; i++)
			if (other != slot && !s->places[i].inherited)
				close(sockets_fd(s, other, i));
}

static const char *
help_for(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "another program listens there: ss -ltnp names it";
	case EACCES:
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "no interface of this machine has that address";
	default:
		return NULL;
	}
}

static void
log_listen(enum log_level level, const char *event,
    const struct config_listen *l, const char *help, int err)
{
	static const char *const roles[] = {
	    [ROLE_MX] = "mx",
	    [ROLE_SUBMISSION] = "submission",
	    [ROLE_METRICS] = "metrics",
	};

	log_event(level, event, LOG_IP("address", &l->addr),
	    LOG_UINT("port", l->port), LOG_STR("role", roles[l->role]),
	    LOG_STR("error", err ? strerror(err) : NULL),
	    LOG_STR("help", help));
}

static int
adopt(const struct config *c, struct sockets *s, int fd)
{
	struct ipaddr addr;
	uint16_t port;

	if (listen_address(fd, &addr, &port) < 0) {
		log_event(LOG_ERROR, "inherited-socket", LOG_INT("fd", fd),
		    LOG_STR("why", "it is no listening TCP socket"));
		return EXIT_CONFIG;
	}
	/* shared by all workers: who comes second must not wait in accept */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return EXIT_FAILED;
	for (unsigned i = 0; i < c->nlistens; i++) {
		const struct config_listen *l = &c->listens[i];

		if (l->port != port || !ipaddr_equal(&l->addr, &addr) ||
		    s->places[i].inherited)
			continue;
		s->places[i].inherited = true;
		s->fds[i] = fd;
		log_listen(LOG_INFO, "inherited", l, NULL, 0);
		return 0;
	}
	log_event(LOG_ERROR, "inherited-socket", LOG_IP("address", &addr),
	    LOG_UINT("port", port),
	    LOG_STR("why", "no listen block has this address"));
	return EXIT_CONFIG;
}

/* A machine without IPv6 is no reason not to serve "*" on IPv4. */
static bool
may_be_missing(const struct config_listen *l, int err)
{
	return l->text[0] == '*' && l->addr.family == IP_V6 &&
	       (err == EAFNOSUPPORT || err == EADDRNOTAVAIL);
}

/* Whether it still is once the workers of a master that was killed have had
 * the time to find out and let go. */
static bool
stays_taken(const struct config_listen *l)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	int64_t end = clock_now() + LET_GO_MS;

	while (listen_taken(&l->addr, l->port)) {
		if (clock_now() >= end)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* SO_REUSEPORT would let a second instance in: half of the clients each. */
static int
find_taken(const struct config *c, const struct sockets *s)
{
	for (unsigned i = 0; i < c->nlistens; i++) {
		const struct config_listen *l = &c->listens[i];

		if (s->places[i].inherited || !stays_taken(l))
			continue;
		log_listen(LOG_ERROR, "listen", l, help_for(EADDRINUSE),
		    EADDRINUSE);
		return EXIT_FAILED;
	}
	return 0;
}

static int
open_slot(const struct config *c, struct sockets *s, unsigned slot)
{
	for (unsigned i = 0; i < c->nlistens; i++) {
		const struct config_listen *l = &c->listens[i];
		int *fd = &s->fds[slot * s->nlistens + i];

		if (s->places[i].inherited || *fd >= 0)
			continue;
		*fd = listen_open(&l->addr, l->port);
		if (*fd >= 0) {
			if (slot == 0)
				log_listen(LOG_INFO, "listening", l, NULL, 0);
			continue;
		}
		if (may_be_missing(l, errno)) {
			if (slot == 0)
				log_listen(LOG_WARN, "not-listening", l, NULL,
				    errno);
			continue;
		}
		log_listen(LOG_ERROR, "listen", l, help_for(errno), errno);
		return EXIT_FAILED;
	}
	return 0;
}

/* The same address keeps its sockets, and with them who waits there. */
static void
keep_old(struct sockets *s, const struct sockets *old)
{
	for (unsigned i = 0; i < s->nlistens; i++) {
		struct sockets_place *p = &s->places[i];
		unsigned j = 0;

		while (j < old->nlistens &&
		       (old->places[j].port != p->port ||
			   !ipaddr_equal(&old->places[j].addr, &p->addr)))
			j++;
		if (j == old->nlistens)
			continue;
		p->inherited = old->places[j].inherited;
		for (unsigned slot = 0; slot < old->nslots; slot++)
			s->fds[slot * s->nlistens + i] =
			    old->fds[slot * old->nlistens + j];
	}
}

static bool
has(const struct sockets *s, int fd)
{
	for (unsigned i = 0; s && s->fds && i < s->nlistens * s->nslots; i++)
		if (s->fds[i] == fd)
			return true;
	return false;
}

void
sockets_init(struct sockets *s, unsigned nlistens, unsigned nslots)
{
	size_t n = (size_t)nlistens * nslots;

	*s = (struct sockets){.nlistens = nlistens, .nslots = nslots};
	s->fds = calloc(n, sizeof(*s->fds));
	s->places = calloc(nlistens, sizeof(*s->places));
	if (!s->fds || !s->places)
		abort();
	memset(s->fds, -1, n * sizeof(*s->fds));
}

int
sockets_open(const struct config *c, const struct sockets *old,
    struct sockets *s)
{
	int handed = old ? 0 : notify_listen_fds();
	int status = 0;

	sockets_init(s, c->nlistens,
	    old && old->nslots > c->workers ? old->nslots : c->workers);
	for (unsigned i = 0; i < c->nlistens; i++) {
		s->places[i].addr = c->listens[i].addr;
		s->places[i].port = c->listens[i].port;
	}
	if (old)
		keep_old(s, old);
	for (int i = 0; i < handed && !status; i++)
		status = adopt(c, s, NOTIFY_FIRST_FD + i);
	if (!old && !status)
		status = find_taken(c, s);
	for (unsigned slot = 0; slot < s->nslots && !status; slot++)
		status = open_slot(c, s, slot);
	return status;
}

void
sockets_release(struct sockets *s, const struct sockets *keep)
{
	for (unsigned i = 0; s->fds && i < s->nlistens * s->nslots; i++)
		if (s->fds[i] >= 0 && !has(keep, s->fds[i]))
			close(s->fds[i]);
	free(s->fds);
	free(s->places);
	s->fds = NULL;
	s->places = NULL;
}
