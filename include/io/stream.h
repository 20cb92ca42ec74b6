/*
 * stream: bytes over a connected socket, with one deadline and with
 * back-pressure. Raw events; the reading happens into the loop's shared
 * buffer, so an idle stream owns no memory but its struct.
 *
 * The stream tells its owner only that something happened; the owner pulls.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/loop.h"
#include "io/tls.h"

/* What one read takes at most, and what may wait behind a question. */
#define STREAM_READ_MAX 65536
/* What may be kept while more is read: a partial line. */
#define STREAM_KEEP_MAX 16384

struct tls_client;

enum stream_event {
	STREAM_READABLE, /* pull with stream_read() */
	STREAM_WRITABLE, /* all output is out */
	STREAM_DEADLINE, /* the time of stream_deadline() has come */
	STREAM_CLOSED,   /* after stream_shutdown(): the descriptor is closed */
	STREAM_FAILED,   /* a write failed: the peer is gone */
	STREAM_SECURED,  /* the handshake is done */
	STREAM_PLAIN,    /* the peer speaks, but no TLS; the stream is plain */
	STREAM_INSECURE, /* the handshake failed: stream_tls_reason() */
};

enum stream_read {
	STREAM_DATA,
	STREAM_AGAIN, /* nothing there now */
	STREAM_EOF,   /* closed or reset by the peer */
	STREAM_ABUSE, /* TLS that brings no data: stream_tls_reason() */
};

typedef void stream_fn(void *owner, enum stream_event what);

struct stream;

/* One per loop: where all its streams read to, and when they are due. */
struct stream_pool {
	struct loop *loop;
	char *data;          /* STREAM_KEEP_MAX + STREAM_READ_MAX */
	struct stream **due; /* a heap of those that are armed */
	uint32_t ndue, due_max;
	struct loop_event *timer;
	int64_t timer_at; /* when it fires; 0: not set */
};

int stream_pool_init(struct stream_pool *p, struct loop *l);
void stream_pool_free(struct stream_pool *p);

struct stream {
	struct stream_pool *pool;
	stream_fn *fn;
	void *owner;
	struct event io;
	struct buf in;      /* kept input: see stream_keep() */
	struct buf out;     /* what the socket did not take */
	int64_t deadline;   /* monotonic ms, 0: none */
	int64_t armed;      /* when the pool's timer looks at it; 0: never */
	struct ssl_st *ssl; /* NULL: in clear */
	const char *reason; /* why TLS failed or must end; constant */
	int error;          /* a read or write failed, and so will all others */
	uint32_t place;   /* among those of the pool that are armed; 0: none */
	uint32_t dropped; /* octets read and dropped while lingering */
	uint16_t turn;    /* what TLS has read from the socket now */
	uint16_t records; /* of TLS, since the last that brought data */
	int fd;
	bool reading : 1;
	bool lingering : 1;
	bool handshaking : 1;
	bool last : 1;      /* see stream_last() */
	bool peeked : 1;    /* the first octet of the handshake was looked at */
	bool tls_write : 1; /* TLS must write before it can go on reading */
};

/* Takes the descriptor over: non-blocking, close-on-exec. */
void stream_init(struct stream *s, struct stream_pool *p, int fd, stream_fn *fn,
    void *owner);

/*
 * Reads once. On STREAM_DATA *in is the kept input with the new octets
 * behind it, in the pool's buffer: whatever must stay is given back with
 * stream_keep() before the next stream reads.
 */
enum stream_read stream_read(struct stream *s, struct span *in);

/*
 * Before anything is read: what has come and stays in the socket, some octets
 * of it, and takes so many of these. Whoever does not take at least one of them
 * is told of the same again at once. Never STREAM_ABUSE.
 */
enum stream_read stream_peek(struct stream *s, struct span *in);
void stream_take(struct stream *s, size_t n);

/* The kept input alone, valid until stream_keep(). */
struct span stream_kept(struct stream *s);
/* Keeps exactly these octets for later; empty frees the memory. */
void stream_keep(struct stream *s, struct span in);

/* Stops and starts reading; back-pressure for the peer. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/*
 * Sends now what the socket takes and keeps the rest for later. False: the
 * peer is gone, now or before. out is empty afterwards.
 */
bool stream_write(struct stream *s, struct buf *out);
/*
 * What is written from now on is the last, and goes out together with the
 * end: stream_shutdown() must follow.
 */
void stream_last(struct stream *s);
/* Octets not yet taken by the socket. */
size_t stream_unsent(const struct stream *s);

/* When STREAM_DEADLINE is wanted; 0 for never. Cheap to move later. */
void stream_deadline(struct stream *s, int64_t when);

/*
 * From the next octet on TLS; nothing may be kept or unsent. The owner hears
 * STREAM_SECURED, STREAM_PLAIN or STREAM_INSECURE, and sets the deadline.
 * False: no memory.
 */
bool stream_start_tls(struct stream *s, const struct tls *t);

/*
 * The same as a client; we speak first. name: whom we want to speak to, a host
 * (SNI) or an address; it is what a context that verifies checks, for others
 * it may be NULL.
 * STREAM_PLAIN: the octets of a server that speaks in clear are still to be
 * read. It has got a ClientHello: no last word would be understood.
 */
bool stream_start_tls_client(struct stream *s, const struct tls_client *c,
    const char *name);

/* Before it is secured: back to clear, for a last word. Idempotent. */
void stream_give_up_tls(struct stream *s);
/* And no octet of TLS has come. */
bool stream_in_clear(const struct stream *s);

/* When it is secured: "TLSv1.3" and the cipher's name, constants. */
const char *stream_tls_version(const struct stream *s);
const char *stream_tls_cipher(const struct stream *s);
/* Why it is not, or cannot go on. */
const char *stream_tls_reason(const struct stream *s);
/* tls-exporter of RFC 9266; false below TLS 1.3. */
bool stream_tls_exporter(const struct stream *s, uint8_t out[32]);

/* Overwrites what was read last: it held a secret. */
void stream_wipe(struct stream *s);

/*
 * Ends politely: flush, shutdown, read and drop up to 64 KiB or 2 s, close,
 * STREAM_CLOSED. Without it the client's unread octets would turn our last
 * reply into a reset.
 */
void stream_shutdown(struct stream *s);

/* Ends at once, without a word to the owner. Safe when closed already. */
void stream_close(struct stream *s);

#endif
