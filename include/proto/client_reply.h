/*
 * client_reply: what a server answers, which may have several lines (RFC 5321
 * 4.2 and 4.2.1). Where a line ends and what breaks a reply is a matter of the
 * octets, however they come in.
 *
 *	while ((step = client_reply_step(&r, &in)) == CLIENT_REPLY_LINE)
 *		take(r.line);
 */
#ifndef PROTO_CLIENT_REPLY_H
#define PROTO_CLIENT_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CLIENT_REPLY_TEXT_MAX  200
#define CLIENT_REPLY_LINE_MAX  2048 /* with its end; a longer one is cut */
#define CLIENT_REPLY_LINES_MAX 100
#define CLIENT_REPLY_MAX       65536

enum client_reply_step {
	CLIENT_REPLY_NEED_INPUT, /* what is left of it stays, and more */
	CLIENT_REPLY_LINE,       /* line is the text of another one */
	CLIENT_REPLY_END,        /* and that was the last */
	CLIENT_REPLY_BROKEN,     /* broken says why; it stays so */
};

/* Zeroed before each reply. */
struct client_reply {
	unsigned code;      /* 200 to 599; 0: no line yet */
	struct span line;   /* in the input, without code and line end */
	const char *broken; /* constant */
	uint32_t octets;    /* taken from the input */
	uint32_t longest;   /* octets of a line with its end */
	uint32_t length;    /* of this line, up to now */
	uint8_t lines;
	uint8_t text_len;
	bool bare_lf;                     /* a line ended without a CR */
	bool last;                        /* this line is the last */
	bool skipping;                    /* to the end of a line that is cut */
	bool cr;                          /* the octet before was a CR */
	char text[CLIENT_REPLY_TEXT_MAX]; /* the first line's */
};

/*
 * in: what has come and was not taken yet. A line that is no reply's stays in
 * it, and is not judged before 8 octets or its end are there.
 */
enum client_reply_step client_reply_step(struct client_reply *r,
    struct span *in);

#endif
