/*
 * trace: the lines that we put on top of a message (RFC 5321 4.4), and the
 * count of those that others put there.
 */
#ifndef PROTO_TRACE_H
#define PROTO_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "proto/envelope.h"

/* Each appends whole lines that end in eol ("\n" or "\r\n"). */
void trace_return_path(struct buf *out, const struct envelope *e,
    const char *eol);
/* address: formatted already, see smtp_path_format. */
void trace_delivered_to(struct buf *out, const char *address, const char *eol);
/* when: seconds since 1970; written in UTC, so that it is pure. */
void trace_received(struct buf *out, const struct envelope *e,
    const char *hostname, int64_t when, const char *eol);

/* "Tue, 24 Nov 2026 08:11:56 +0000" */
void trace_date(struct buf *out, int64_t when);

/*
 * Counts the Received: lines of a message's header, fed in any pieces, up
 * to the empty line (CRLF CRLF; LF LF too where a bare LF is a line end). A
 * zeroed struct is a new count.
 */
struct trace_hops {
	uint8_t matched; /* octets of "received:" seen at a line's start */
	bool over;       /* the header has ended */
	unsigned count;
};
void trace_hops_feed(struct trace_hops *h, struct span s);

#endif
