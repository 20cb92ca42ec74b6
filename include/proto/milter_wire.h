/*
 * milter_wire: the packets between a mail server and a milter, in sendmail's
 * protocol of version 6: a length of 32 bits, a command, its data. We are the
 * server. No I/O: encoders append to a buf, what comes is cut from a span.
 */
#ifndef PROTO_MILTER_WIRE_H
#define PROTO_MILTER_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ipaddr.h"

#define MILTER_PACKET_MAX (1024 * 1024) /* octets that a milter may say */
#define MILTER_BODY_MAX   65535         /* octets of one MILTER_BODY */
#define MILTER_TEXT_MAX   440           /* of a reply, as of our own */

/* What we say, in the order of a message. */
enum milter_command {
	MILTER_OPTIONS = 'O',
	MILTER_CONNECT = 'C',
	MILTER_HELO = 'H',
	MILTER_MAIL = 'M',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_HEADER = 'L',
	MILTER_HEADER_END = 'N',
	MILTER_BODY = 'B',
	MILTER_BODY_END = 'E',
	MILTER_QUIT = 'Q',
};

/* What it says. Anything else makes no sense. */
enum milter_reply {
	MILTER_ACCEPT = 'a',
	MILTER_CONTINUE = 'c',
	MILTER_REJECT = 'r',
	MILTER_TEMPFAIL = 't',
	MILTER_DISCARD = 'd',
	MILTER_SHUTDOWN = '4',
	MILTER_FAIL = 'f', /* the connection */
	MILTER_REPLYCODE = 'y',
	MILTER_SKIP = 's', /* no more of the body */
	MILTER_PROGRESS = 'p',
	MILTER_ADD = 'h',
	MILTER_INSERT = 'i',
	MILTER_CHANGE = 'm',
};

/* --- what we say --- */

struct milter_macro {
	const char *name, *value; /* value NULL: it is not set */
};

/* Version 6, header edits, quarantine in name, and all that a milter may want
 * to do without. */
void milter_wire_options(struct buf *out);
/* Before the command that they are for. Nothing when none of them is set. */
void milter_wire_macros(struct buf *out, enum milter_command for_command,
    const struct milter_macro *m, unsigned n);
/* name: NULL is "unknown". */
void milter_wire_connect(struct buf *out, const char *name,
    const struct ipaddr *client, uint16_t port);
void milter_wire_helo(struct buf *out, const char *name);
/* MAIL or RCPT; address without brackets. args: each, NUL or not at all. */
void milter_wire_path(struct buf *out, enum milter_command command,
    struct span address, const char *const *args, unsigned n);
/*
 * value: all behind the colon but its last line end. LF goes as it is, CR and
 * NUL as blanks. space: the blank in front goes too (it was agreed on).
 */
void milter_wire_header(struct buf *out, struct span name, struct span value,
    bool space);
/* At most MILTER_BODY_MAX octets. */
void milter_wire_body(struct buf *out, struct span octets);
/* One without data. */
void milter_wire_command(struct buf *out, enum milter_command command);

/* --- what it says --- */

enum milter_cut {
	MILTER_CUT_MORE, /* it is not whole yet */
	MILTER_CUT_PACKET,
	MILTER_CUT_BAD, /* empty, or longer than it may be */
};

struct milter_packet {
	char command;
	struct span data; /* in what it was cut from */
};

/* Takes one packet off the front of *in. */
enum milter_cut milter_wire_cut(struct span *in, struct milter_packet *p);

/* What was agreed on; all but the version is masked with what we offer. */
struct milter_options {
	unsigned version;
	uint32_t actions;
	uint32_t protocol;
};

/* False: it makes no sense. */
bool milter_wire_read_options(struct span data, struct milter_options *o);

/* It wants to hear of this; and then it answers to it. */
bool milter_wants(const struct milter_options *o, enum milter_command c);
bool milter_answers(const struct milter_options *o, enum milter_command c);
bool milter_may_skip(const struct milter_options *o);
bool milter_keeps_space(const struct milter_options *o);
/* One of these was offered and agreed on: MILTER_ADD, INSERT, CHANGE. */
bool milter_may_edit(const struct milter_options *o, char reply);

struct milter_edit {
	char command;            /* MILTER_ADD, INSERT, CHANGE */
	uint32_t n;              /* of the last two, else 0 */
	struct span name, value; /* in the packet */
};
bool milter_wire_read_edit(const struct milter_packet *p,
    struct milter_edit *e);

struct milter_text {
	unsigned code;                  /* 400 to 599 */
	char status[12];                /* of the same class; "": none */
	char text[MILTER_TEXT_MAX + 1]; /* one line, printable ASCII */
};
/* MILTER_REPLYCODE: several lines become one, with blanks between. */
bool milter_wire_read_text(struct span data, struct milter_text *t);

#endif
