/*
 * line_socket: a Unix socket to a service that speaks in lines, opened again
 * whenever it was lost.
 *
 * All calls back come from the loop, never from within a function here. What
 * is sent may be secret: it is wiped when it is out.
 */
#ifndef IO_LINE_SOCKET_H
#define IO_LINE_SOCKET_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/loop.h"

/* A line of the service, with its LF: longer is no service of this kind. */
#define LINE_SOCKET_LINE_MAX 16384
/* What may wait for a service that does not read. */
#define LINE_SOCKET_OUT_MAX (4 * 1024 * 1024)

struct line_socket;

struct line_socket_calls {
	void (*up)(void *ctx);
	/* Without its LF, and a CR in front of that; valid during the call. */
	void (*line)(void *ctx, struct span line);
	/* Lost, or not to be opened: err is an errno, 0 at end of file. The
	 * next try comes by itself, after 250 ms to 8 s. */
	void (*down)(void *ctx, int err);
};

/* NULL with errno: ENAMETOOLONG. calls is constant. */
struct line_socket *line_socket_new(struct loop *l, const char *path,
    const struct line_socket_calls *calls, void *ctx);
/* Silence; from a call back too. */
void line_socket_free(struct line_socket **s);

/* Takes what out holds, whatever comes of it; false: it is not up. */
bool line_socket_write(struct line_socket *s, struct buf *out);

/* Octets that it has not taken yet; 0 when it is down. */
size_t line_socket_unsent(const struct line_socket *s);

/* What it says makes no sense: it is down, with err, and tried again. */
void line_socket_drop(struct line_socket *s, int err);

#endif
