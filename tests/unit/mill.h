/*
 * mill: a milter on loopback that answers as it is told, on the loop of who
 * talks to it. It reads what it is told whether or not that is asked for.
 */
#ifndef TESTS_MILL_H
#define TESTS_MILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/loop.h"

/* What it says to a command: whole packets, or what looks like them. */
struct mill_turn {
	char hear; /* the command; 0: it is the last turn */
	struct span say;
	bool close;     /* behind that, */
	uint64_t after; /* and so many ms before */
	unsigned nth; /* of these, from 1; 0: of all that have no other turn */
};

#define MILL_AGREE(actions, protocol)                                          \
	SPAN_LIT("\0\0\0\x0dO\0\0\0\6\0\0\0" actions protocol)
/* Both edits; and it answers to everything, or to nothing before the end. */
#define MILL_ALL   MILL_AGREE("\x11", "\0\0\0\0")
#define MILL_QUICK MILL_AGREE("\x11", "\0\x0f\xf0\x80")

#define MILL_CONTINUE "\0\0\0\1c"

struct mill;

/*
 * turns must last. To a command without one it says that it may go on, unless
 * it has agreed not to answer (quick); to options MILL_ALL or MILL_QUICK.
 */
struct mill *mill_new(struct loop *l, const struct mill_turn *turns,
    bool quick);
void mill_free(struct mill **m);

uint16_t mill_port(const struct mill *m);
unsigned mill_connections(const struct mill *m);
/* All that it was told, a line for each packet, with | for a NUL. */
const char *mill_heard(struct mill *m);
/* All of what it heard of the body. */
struct span mill_body(const struct mill *m);

#endif
