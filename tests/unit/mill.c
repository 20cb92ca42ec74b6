/*
 * mill: connections on a list that never shrinks; what it says is so little
 * that a socket takes it, or so much that nobody waits for all of it.
 */
#include "mill.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64

struct connection {
	struct mill *mill;
	struct loop_event *io, *timer;
	int fd; /* -1: closed */
	struct buf in;
	const struct mill_turn *turn; /* that waits for its time */
	unsigned counts[128];         /* of each command */
};

struct mill {
	struct loop *loop;
	struct loop_event *io;
	int fd;
	const struct mill_turn *turns;
	bool quick;
	struct connection all[CONNECTIONS];
	unsigned n;
	struct buf heard, body;
};

static void
must(bool good)
{
	if (!good)
		abort();
}

static void
hang_up(struct connection *c)
{
	if (c->fd < 0)
		return;
	loop_event_free(&c->io);
	loop_event_free(&c->timer);
	buf_free(&c->in);
	close(c->fd);
	c->fd = -1;
}

static void
say(struct connection *c, struct span s)
{
	while (s.len) {
		ssize_t n = send(c->fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		span_skip(&s, (size_t)n);
	}
}

static void
on_timer(void *ctx)
{
	struct connection *c = ctx;
	const struct mill_turn *t = c->turn;

	c->turn = NULL;
	say(c, t->say);
	if (t->close)
		hang_up(c);
}

static const struct mill_turn *
find(const struct connection *c, char command)
{
	const struct mill_turn *found = NULL;

	for (const struct mill_turn *t = c->mill->turns; t && t->hear; t++)
		if (t->hear == command &&
		    (!t->nth || t->nth == c->counts[(uint8_t)command % 128]))
			if (!found || t->nth)
				found = t;
	return found;
}

static void
hear(struct connection *c, char command, struct span data)
{
	struct mill *m = c->mill;
	const struct mill_turn *t;

	c->counts[(uint8_t)command % 128]++;
	buf_append(&m->heard, &command, 1);
	for (size_t i = 0; command != 'B' && i < data.len; i++)
		buf_append(&m->heard, data.ptr[i] ? data.ptr + i : "|", 1);
	buf_append(&m->heard, "\n", 1);
	if (command == 'B')
		buf_append_span(&m->body, data);
	t = find(c, command);
	if (t && t->after) {
		c->turn = t;
		loop_timer_set(c->timer, t->after);
	} else if (t) {
		c->turn = t;
		on_timer(c);
	} else if (command == 'O') {
		say(c, m->quick ? MILL_QUICK : MILL_ALL);
	} else if (command == 'E' ||
		   (!m->quick && command != 'D' && command != 'Q')) {
		say(c, SPAN_LIT(MILL_CONTINUE));
	}
}

static void
take(struct connection *c)
{
	while (c->fd >= 0 && c->in.len >= 5) {
		const uint8_t *p = (const uint8_t *)c->in.data;
		size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
			   (size_t)p[2] << 8 | p[3];
		struct span data = {c->in.data + 5, n - 1};

		must(n > 0);
		if (c->in.len < n + 4)
			return;
		hear(c, c->in.data[4], data);
		if (c->fd >= 0)
			buf_consume(&c->in, n + 4);
	}
}

static void
on_io(void *ctx)
{
	struct connection *c = ctx;
	char data[65536];
	ssize_t n = recv(c->fd, data, sizeof(data), 0);

	if (n <= 0) {
		hang_up(c);
		return;
	}
	buf_append(&c->in, data, (size_t)n);
	take(c);
}

static void
on_accept(void *ctx)
{
	struct mill *m = ctx;
	struct connection *c = &m->all[m->n];

	must(m->n++ < CONNECTIONS);
	*c = (struct connection){.mill = m};
	c->fd = accept4(m->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	must(c->fd >= 0);
	c->io = loop_readable(m->loop, c->fd, on_io, c);
	c->timer = loop_timer(m->loop, on_timer, c);
	must(c->io && c->timer);
}

struct mill *
mill_new(struct loop *l, const struct mill_turn *turns, bool quick)
{
	struct mill *m = calloc(1, sizeof(*m));
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	must(m != NULL);
	m->loop = l;
	m->turns = turns;
	m->quick = quick;
	m->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(bind(m->fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	     listen(m->fd, CONNECTIONS) == 0);
	m->io = loop_readable(l, m->fd, on_accept, m);
	must(m->io != NULL);
	return m;
}

void
mill_free(struct mill **p)
{
	struct mill *m = *p;

	*p = NULL;
	if (!m)
		return;
	for (unsigned i = 0; i < m->n; i++)
		hang_up(&m->all[i]);
	loop_event_free(&m->io);
	close(m->fd);
	buf_free(&m->heard);
	buf_free(&m->body);
	free(m);
}

uint16_t
mill_port(const struct mill *m)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	must(getsockname(m->fd, (struct sockaddr *)&a, &len) == 0);
	return ntohs(a.sin_port);
}

unsigned
mill_connections(const struct mill *m)
{
	return m->n;
}

const char *
mill_heard(struct mill *m)
{
	*buf_reserve(&m->heard, 1) = '\0';
	return m->heard.data;
}

struct span
mill_body(const struct mill *m)
{
	return buf_span(&m->body);
}
