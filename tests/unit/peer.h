/*
 * peer: a server on loopback that says what its script says, on the loop of
 * the client that it is for. It knows nothing of SMTP.
 */
#ifndef TESTS_PEER_H
#define TESTS_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/loop.h"

struct certify;

enum peer_then { PEER_STAY, PEER_CLOSE, PEER_RESET, PEER_TLS };

/* The last of a script is zeroed: from then on it is silent. */
struct peer_turn {
	const char *hear; /* how the line begins that is waited for; NULL: none,
			     it is this turn's turn at once */
	const char *say;  /* NULL: nothing */
	enum peer_then then;
	uint64_t after; /* ms before it is said */
};

struct peer;

/*
 * A script for each connection, the last one for all that come later. They
 * must last. tls: shown in a handshake; NULL: there is none. version: the
 * newest that it speaks, OpenSSL's; 0: all.
 */
struct peer *peer_new(struct loop *l, const struct peer_turn *const *scripts,
    unsigned n, const struct certify *tls, int version);
void peer_free(struct peer **p);

uint16_t peer_port(const struct peer *p);
/* All lines of all connections, each with its LF, without CR. */
const char *peer_heard(struct peer *p);
unsigned peer_connections(const struct peer *p);

#endif
