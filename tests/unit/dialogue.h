/*
 * dialogue: a transcript of an SMTP session, as tests/dialogues/ keeps it.
 *
 *	# WIRE 13, 34: what it shows     the numbers that it covers
 *	config: message-size=65536       also line, recipients, errors,
 *	                                 role=submission
 *	client: bare-newline=normalize
 *	client: proxy=local              it is a proxy, and names nobody
 *	client: greylisted               it comes for the first time
 *	C: text                          sent, with CRLF behind it
 *	S: 250 2.1.0 ...                 one reply line; ... is any rest
 *	S: 250-*                         any number of such lines
 *	S: \{9:250 2.1.5 ...}            nine such lines
 *	S: 250 2.6.0 <id> accepted       <id> is a message id
 *	S: close                         the server closes
 *	E: <a@example.com> <bob@example.org>  the next M: is from and to these
 *	M: text                          stored: one line, with its CRLF
 *
 * Several C: in a row are one batch, sent without waiting. In C: and M:
 * \r \n \t \0 \xHH \\ are octets, \{70000:x} is x 70,000 times (the x may hold
 * escapes), and a \ at the end of the line means that no CRLF follows.
 *
 * The M: lines between two others are one message; a dialogue must store
 * the messages that it shows, in that order, and no others. "M: \" is an
 * empty one. A 4xx or 5xx must end with the session's id in brackets, which
 * the S: line leaves out.
 *
 * Where E: says nothing, envelopes are not looked at. A mailbox must stand in
 * it only once: the daemon tells by the copies that it delivers.
 *
 * The world: we are mx.example.org at 127.0.0.1, with a postmaster and an
 * abuse there. example.org has the users alice, bob,
 * carol and "odd user", the aliases postmaster and abuse (alice) and team
 * (alice and bob), and details behind a '+'. example.net sends everything
 * to bob@example.org.
 */
#ifndef TESTS_DIALOGUE_H
#define TESTS_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "proto/smtp.h"

#define DIALOGUE_SESSION "0123456789ABCDEF"
#define DIALOGUE_MAX     512 /* of batches, lines, messages in a file */

struct dialogue_reply {
	char *pattern;
	size_t at; /* octets that the client has sent before it */
};

struct dialogue {
	struct smtp_config conf;
	bool normalize;
	bool nobody;
	bool greylisted;
	bool closes;
	struct buf sent;
	size_t lines[DIALOGUE_MAX]; /* where each C: line ends in sent */
	size_t nlines;
	struct dialogue_reply replies[DIALOGUE_MAX];
	size_t nreplies;
	struct buf bodies[DIALOGUE_MAX];
	char *envelopes[DIALOGUE_MAX]; /* of bodies; NULL: any */
	size_t nbodies;
};

/* NULL, or what is wrong with the file, with its line number in *line. */
const char *dialogue_load(const char *path, struct dialogue *d, unsigned *line);
void dialogue_free(struct dialogue *d);

/* Is a reply expected after exactly this many octets? Then it is due. */
bool dialogue_due(const struct dialogue *d, size_t sent);

/*
 * Is said exactly what the server has to have said after this many octets?
 * True, or false with the pattern (NULL: nothing more) and the line (empty:
 * nothing more) that differ.
 */
bool dialogue_match(const struct dialogue *d, size_t sent, struct span said,
    const char **pattern, struct span *line);

/* --- its own --- */

/*
 * The octets of a line: without its CRLF if an unescaped backslash ends it.
 * NULL, or what is wrong with it.
 */
const char *dialogue_decode(struct span s, struct buf *out);

/* Takes word from the front, if it is there. */
bool dialogue_skip(struct span *s, struct span word);

#endif
