/*
 * deadline: when a session has waited long enough, and what is said then.
 * Pure: the time is an argument.
 */
#ifndef POLICY_DEADLINE_H
#define POLICY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/smtp_reply.h"

/* An open question to whoever may answer it: somewhat before it is given up. */
#define DEADLINE_ANSWER_MS 115000

/* From the limits section. */
struct deadline_config {
	uint64_t idle;      /* ms between commands, and between octets */
	uint64_t session;   /* ms in all */
	uint64_t handshake; /* ms for the whole of TLS's, or a proxy's header */
	uint64_t data_rate; /* octets a second, after a minute; 0: any */
};

enum phase {
	PHASE_COMMAND,   /* the client's turn to complete a command */
	PHASE_REFUSED,   /* the client's turn to say QUIT, and nothing else */
	PHASE_BODY,      /* the client's turn to send content */
	PHASE_VERDICT,   /* our turn: a question is open */
	PHASE_DISK,      /* our turn: the spool is full */
	PHASE_PROXY,     /* a proxy's turn: who its client is */
	PHASE_HANDSHAKE, /* the client's turn: TLS */
	PHASE_FLUSH,     /* the client's turn to read our replies */
};

/* All in monotonic ms. */
struct deadline {
	enum phase phase;
	bool drain;      /* leaving: patience ends sooner */
	bool pressure;   /* nearly full: patience is a tenth */
	int64_t begun;   /* the session */
	int64_t since;   /* the phase, or the last complete command in it */
	int64_t octet;   /* the last octet that came */
	uint64_t octets; /* of this body */
};

/*
 * The moment at which this session is over if nothing happens. A session
 * limit waits for an open question: whoever sent a message gets an answer.
 */
int64_t deadline_next(const struct deadline *d, const struct deadline_config *c,
    bool in_transaction);

/* What to say when it has come: 421, or 451 to an open question. */
const struct smtp_reply *deadline_reply(const struct deadline *d,
    const struct deadline_config *c, int64_t now);

#endif
