/*
 * smtp_reply: what we say, as a value, and how it is written on the wire
 * (RFC 5321 4.2, enhanced codes RFC 2034 and 3463).
 */
#ifndef PROTO_SMTP_REPLY_H
#define PROTO_SMTP_REPLY_H

#include "base/buf.h"

struct smtp_reply {
	unsigned code;      /* 200 to 599 */
	const char *status; /* "5.1.1", or NULL where none belongs */
	const char *text;   /* one line; control octets are written as '?' */
};

/* A constant reply as a pointer that is good for ever. */
#define SMTP_REPLY(code, status, text)                                         \
	({                                                                     \
		static const struct smtp_reply smtp_reply_ = {(code),          \
		    (status), (text)};                                         \
		&smtp_reply_;                                                  \
	})

/*
 * Appends "550 5.1.1 text [id]\r\n". The session's id is added to 4xx and
 * 5xx replies only, so that a person can quote it; NULL leaves it out.
 */
void smtp_reply_write(struct buf *out, const struct smtp_reply *r,
    const char *id);

/* The octets of "5.1.1" that s begins with, a word of its own; or 0. */
size_t smtp_reply_status_len(struct span s);

#endif
