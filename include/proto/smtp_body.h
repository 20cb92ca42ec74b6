/*
 * smtp_body: where a message ends, and which of its octets are content.
 *
 * Two automata over one state: DATA, ended by CRLF . CRLF and by nothing
 * else, with one leading dot removed (RFC 5321 4.5.2); and BDAT, ended by
 * its count (RFC 3030). Both note what the whole message must not contain.
 * The result never depends on how the bytes were cut.
 */
#ifndef PROTO_SMTP_BODY_H
#define PROTO_SMTP_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct smtp_body {
	uint8_t state;
	bool bare;         /* a CR without LF, or an LF without CR, was seen */
	bool long_line;    /* a line longer than RFC 5321 allows (1,000) */
	bool overlong;     /* a line longer than our own limit */
	uint64_t line_len; /* octets of this line so far */
	uint64_t line_max; /* octets a line may have, without its CRLF */
	uint64_t chunk;    /* octets of this BDAT chunk still to come */
};

enum smtp_body_step {
	SMTP_BODY_MORE, /* all input read, nothing more to give */
	SMTP_BODY_SPAN, /* *out is content; call again */
	SMTP_BODY_END,  /* the end, and all of it read; *out is empty */
};

/* line_max: octets without CRLF; 0 means no limit. */
void smtp_body_init(struct smtp_body *b, uint64_t line_max);

/*
 * Takes octets from the front of *in and gives content in *out, which
 * aliases the input (or a constant). After SMTP_BODY_END whatever is left in
 * *in belongs to the next command.
 */
enum smtp_body_step smtp_body_dot(struct smtp_body *b, struct span *in,
    struct span *out);

/* The same for b->chunk octets of a BDAT chunk; lines may span chunks. */
enum smtp_body_step smtp_body_bdat(struct smtp_body *b, struct span *in,
    struct span *out);

/* The last BDAT chunk is over: a CR that waits for its LF is a bare one. */
void smtp_body_finish(struct smtp_body *b);

#endif
