/*
 * header: the header of a message as fields, what a filter changes in them,
 * and the text again. What is not touched stays octet for octet (RFC 5322 2.2).
 */
#ifndef PROTO_HEADER_H
#define PROTO_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"

#define HEADER_MAX        (256 * 1024) /* octets of a message's header */
#define HEADER_FIELDS_MAX 8192         /* in it: each has a struct */
#define HEADER_EDITS_MAX  1000         /* of one message */
#define HEADER_TEXT_MAX   (256 * 1024) /* octets that edits bring */
#define HEADER_ABOVE_MAX  (64 * 1024)  /* of these above our lines */

/* A field as it stands: a line that is none has no name. */
struct header_field {
	struct span name;
	struct span value; /* behind the colon, with folding and line ends; but
			      the last one */
	struct span raw;   /* the whole of it, with its line ends */
	struct header_field *next;
};

/* Zeroed: empty. Lines end in LF. */
struct header {
	struct arena arena;
	struct header_field *fields;
	struct header_field *above; /* our Received's place is below these */
	unsigned edits;             /* so far */
	size_t added;               /* octets of them */
	size_t added_above;
};

/*
 * Octets of a header at the front of s, without the empty line that ends it;
 * -1: it does not end in here, so that all of s is header if nothing follows
 * and its last line has its end.
 * The first line that is no field ends it as well, so that whoever sees the
 * fields and the rest has seen all; whoever puts the message together again
 * sets an empty line there, or others would find more fields. A body without
 * a header has none: 0.
 */
ssize_t header_length(struct span s);

/* Cuts it. block is copied. False: too many fields, and *h is empty. */
bool header_init(struct header *h, struct span block);
void header_free(struct header *h);

/*
 * Edits, in the order in which they come. Name and value are as a milter sends
 * them: line ends in the value may be CRLF or LF, one that no blank follows
 * gets one, and so does a value without a blank in front; lines of blanks are
 * left out. False: it is not possible (a bad name, a NUL, a bare CR, a bound),
 * and nothing was changed.
 */
/* At the end. */
bool header_add(struct header *h, struct span name, struct span value);
/* n 0: above our lines, and what is there; 1: first below them; n: behind
 * n - 1 fields, or all of them. */
bool header_insert(struct header *h, unsigned n, struct span name,
    struct span value);
/* The k-th of this name, from 1, and 0 is 1; those above ours count first.
 * None: added. An empty value deletes it. */
bool header_change(struct header *h, unsigned k, struct span name,
    struct span value);
/* Without counting as an edit. */
void header_delete(struct header *h, const struct header_field *f);

/* All below our lines, and what is above them; each line ends in LF. */
void header_render(const struct header *h, struct buf *out);
void header_render_above(const struct header *h, struct buf *out);

#endif
