/*
 * http_multi: an event for each of libcurl's sockets, and one timer.
 *
 * What libcurl calls only notes: it is called by us, from an event. Whatever
 * is kept for the next transfer goes when there was none for a while, since
 * nobody listens to idle connections.
 */
#include "dest/http_multi.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define IDLE 10000 /* ms */

struct http_socket {
	struct http_multi *m;
	struct loop_event *io;
	curl_socket_t fd;
};

static void
act(struct http_multi *m, curl_socket_t fd, int what)
{
	CURLMsg *msg;
	void *private;
	int n;

	curl_multi_socket_action(m->multi, fd, what, &n);
	while ((msg = curl_multi_info_read(m->multi, &n)))
		if (msg->msg == CURLMSG_DONE) {
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE,
			    (char **)&private);
			m->ended(private);
		}
}

static void
on_timer(void *ctx)
{
	struct http_multi *m = ctx;

	if (m->multi)
		act(m, CURL_SOCKET_TIMEOUT, 0);
}

/* The socket may be gone when this returns. */
static void
on_io(void *ctx, bool readable, bool writable)
{
	struct http_socket *s = ctx;

	act(s->m, s->fd,
	    (readable ? CURL_CSELECT_IN : 0) |
		(writable ? CURL_CSELECT_OUT : 0));
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sock)
{
	struct http_multi *m = ctx;
	struct http_socket *s = sock;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		/* libcurl closes it next */
		if (s)
			loop_event_free(&s->io);
		free(s);
		return 0;
	}
	if (!s) {
		s = mem_new(sizeof(*s));
		*s = (struct http_socket){.m = m, .fd = fd};
		s->io = loop_io(m->loop, fd, on_io, s);
		if (!s->io)
			abort();
		curl_multi_assign(m->multi, fd, s);
	}
	loop_io_want(s->io, what & CURL_POLL_IN, what & CURL_POLL_OUT);
	return 0;
}

/* One that comes although it is not wanted any more is harmless. */
static int
on_timeout(CURLM *multi, long ms, void *ctx)
{
	struct http_multi *m = ctx;

	(void)multi;
	if (ms >= 0)
		loop_timer_set(m->timer, (uint64_t)ms);
	return 0;
}

static void
drop(struct http_multi *m)
{
	curl_multi_cleanup(m->multi);
	m->multi = NULL;
}

static void
on_idle(void *ctx)
{
	struct http_multi *m = ctx;

	if (m->multi && !m->running)
		drop(m);
}

void
http_multi_init(struct http_multi *m, struct loop *l, http_ended_fn *ended)
{
	*m = (struct http_multi){.loop = l, .ended = ended};
	m->timer = loop_timer(l, on_timer, m);
	m->idle = loop_timer(l, on_idle, m);
	if (!m->timer || !m->idle)
		abort();
}

void
http_multi_free(struct http_multi *m)
{
	if (m->multi)
		drop(m);
	loop_event_free(&m->timer);
	loop_event_free(&m->idle);
}

static void
begin(struct http_multi *m)
{
	m->multi = curl_multi_init();
	if (!m->multi)
		abort();
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
	curl_multi_setopt(m->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(m->multi, CURLMOPT_MAXCONNECTS, (long)m->connections);
}

/* As many as there are, and more while the sum allows it; one for each. */
static void
limit(struct http_multi *m)
{
	unsigned sum = m->place ? neighbour_in_use(m->place) : m->open;
	long most = (long)m->open;

	if (sum < m->connections)
		most += m->connections - sum;
	curl_multi_setopt(m->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    most ? most : 1);
}

static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct http_multi *m = ctx;
	int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    a->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	m->open++;
	neighbour_use(m->place, m->slot, 1);
	return fd;
}

static int
close_socket(void *ctx, curl_socket_t fd)
{
	struct http_multi *m = ctx;

	m->open--;
	neighbour_use(m->place, m->slot, -1);
	return close(fd);
}

void
http_multi_add(struct http_multi *m, CURL *easy)
{
	if (!m->multi)
		begin(m);
	limit(m);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, m);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
	m->running++;
	if (curl_multi_add_handle(m->multi, easy) != CURLM_OK)
		abort();
}

void
http_multi_remove(struct http_multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->multi, easy);
	if (!--m->running)
		loop_timer_set(m->idle, IDLE);
}
