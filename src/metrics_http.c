/*
 * metrics_http: reads up to the empty line, looks at the first one, answers,
 * closes. Owns its clients.
 */
#include "metrics_http.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "io/clock.h"
#include "metrics.h"

#define CLIENTS_MAX 8
#define REQUEST_MAX 4096
#define PATIENCE_MS 5000

struct metrics_client {
	struct stream stream;
	struct metrics_http *all;
	struct metrics_client *prev, *next;
};

static void
end(struct metrics_client *c)
{
	struct metrics_http *m = c->all;

	stream_close(&c->stream);
	DL_DELETE(m->clients, c);
	m->n--;
	loop_defer(m->loop, free, c);
}

/* Whether it begins like this; then that is gone. */
static bool
take(struct span *in, const char *text)
{
	size_t n = strlen(text);

	if (in->len < n || memcmp(in->ptr, text, n) != 0)
		return false;
	span_skip(in, n);
	return true;
}

static const char *
judge(struct span request)
{
	if (!take(&request, "GET "))
		return "405 Method Not Allowed\r\nAllow: GET";
	if (!take(&request, "/metrics"))
		return "404 Not Found";
	return take(&request, " HTTP/1.") || take(&request, "?")
		   ? "200 OK"
		   : "404 Not Found";
}

static void
answer(struct metrics_client *c, const char *status)
{
	struct buf body = {0}, out = {0};

	if (memcmp(status, "200", 3) == 0)
		metrics_render(&body, &c->all->source);
	buf_printf(&out,
	    "HTTP/1.1 %s\r\n"
	    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	    "Content-Length: %zu\r\n"
	    "Connection: close\r\n\r\n",
	    status, body.len);
	buf_append_span(&out, buf_span(&body));
	stream_last(&c->stream);
	if (stream_write(&c->stream, &out))
		stream_shutdown(&c->stream);
	else
		end(c);
	buf_free(&body);
	buf_free(&out);
}

static void
on_data(struct metrics_client *c, struct span in)
{
	if (memmem(in.ptr, in.len, "\r\n\r\n", 4))
		answer(c, judge(in));
	else if (in.len > REQUEST_MAX)
		answer(c, "431 Request Header Fields Too Large");
	else
		stream_keep(&c->stream, in);
}

static void
on_stream(void *owner, enum stream_event what)
{
	struct metrics_client *c = owner;
	struct span in;

	if (what != STREAM_READABLE) {
		end(c);
		return;
	}
	switch (stream_read(&c->stream, &in)) {
	case STREAM_DATA:
		on_data(c, in);
		break;
	case STREAM_AGAIN:
		break;
	default:
		end(c);
	}
}

void
metrics_accept(struct metrics_http *m, int fd)
{
	struct metrics_client *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	if (m->n == CLIENTS_MAX)
		end(m->clients);
	c->all = m;
	DL_APPEND(m->clients, c);
	m->n++;
	stream_init(&c->stream, m->pool, fd, on_stream, c);
	stream_deadline(&c->stream, clock_now() + PATIENCE_MS);
}

void
metrics_free(struct metrics_http *m)
{
	while (m->clients)
		end(m->clients);
}
