/*
 * canned: the bound of the benchmark. It says what an SMTP server says, and
 * does nothing else: it looks at the first letter of a command, at line ends
 * and for the final dot, keeps nothing and stores nothing. One process, one
 * loop, bufferevents as libevent's manual shows them: who is as fast as this
 * costs what the network costs.
 *
 *	canned PORT
 */

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG 4096
#define END     "\r\n.\r\n"
#define END_LEN (sizeof END - 1)

static void
say(struct bufferevent *bev, const char *text)
{
	bufferevent_write(bev, text, strlen(text));
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	(void)arg;
	bufferevent_free(bev);
}

/* Everything is on its way: after 221 that is the end. */
static void
on_flushed(struct bufferevent *bev, void *arg)
{
	(void)arg;
	bufferevent_free(bev);
}

/* The body; true when its final dot was there. */
static bool
on_body(struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, END, END_LEN, NULL);
	size_t have = evbuffer_get_length(in);

	if (end.pos >= 0) {
		evbuffer_drain(in, (size_t)end.pos + END_LEN);
		return true;
	}
	if (have >= END_LEN)
		evbuffer_drain(in, have - (END_LEN - 1));
	return false;
}

static void on_data(struct bufferevent *bev, void *arg);

/* One command; false when there is no whole one. */
static bool
command(struct bufferevent *bev, struct evbuffer *in)
{
	size_t end_len;
	struct evbuffer_ptr end =
	    evbuffer_search_eol(in, NULL, &end_len, EVBUFFER_EOL_CRLF_STRICT);
	char verb = 0;

	if (end.pos < 0)
		return false;
	evbuffer_copyout(in, &verb, 1);
	if (verb == 'D') {
		/* Its line end stays: a body may begin with the dot. */
		evbuffer_drain(in, (size_t)end.pos);
		say(bev, "354 go on\r\n");
		bufferevent_setcb(bev, on_data, NULL, on_event, NULL);
		return false;
	}
	evbuffer_drain(in, (size_t)end.pos + end_len);
	if (verb == 'Q') {
		say(bev, "221 2.0.0 bye\r\n");
		bufferevent_setcb(bev, NULL, on_flushed, on_event, NULL);
		return false;
	}
	say(bev, "250 2.0.0 ok\r\n");
	return true;
}

static void
on_line(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	(void)arg;
	while (command(bev, in))
		;
}

static void
on_data(struct bufferevent *bev, void *arg)
{
	(void)arg;
	if (!on_body(bufferevent_get_input(bev)))
		return;
	say(bev, "250 2.6.0 accepted\r\n");
	bufferevent_setcb(bev, on_line, NULL, on_event, NULL);
	on_line(bev, NULL);
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *from, int from_len, void *base)
{
	struct bufferevent *bev =
	    bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)listener;
	(void)from;
	(void)from_len;
	if (!bev)
		abort();
	bufferevent_setcb(bev, on_line, NULL, on_event, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	say(bev, "220 canned ESMTP\r\n");
}

int
main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (argc != 2 || !config) {
		fprintf(stderr, "usage: canned port\n");
		return 64;
	}
	at.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	if (!base || !evconnlistener_new_bind(base, on_accept, base,
			 LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_FREE, BACKLOG,
			 (struct sockaddr *)&at, sizeof at)) {
		perror("canned");
		return 1;
	}
	return event_base_dispatch(base) < 0;
}
