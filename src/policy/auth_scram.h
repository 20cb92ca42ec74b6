/*
 * auth_scram: one SCRAM-SHA-256 exchange on the server's side (RFC 5802 and
 * 7677), without channel or loop. policy/auth's own.
 */
#ifndef POLICY_AUTH_SCRAM_H
#define POLICY_AUTH_SCRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/auth_users.h"

struct auth_scram {
	struct scram_keys keys;
	bool fake;       /* no such user: it must fail at the end, not before */
	struct buf user; /* the login; the proof is over what was sent */
	struct buf binding;    /* what c= must decode to */
	struct buf first_bare; /* parts of AuthMessage */
	struct buf server_first;
	struct buf nonce; /* client's and ours */
};

enum scram_result { SCRAM_GOOD, SCRAM_WRONG, SCRAM_MALFORMED };

/*
 * client-first. plus: the -PLUS mechanism was chosen; offered: and we list
 * it on this channel, whose exporter this is. nonce: ours, printable. GOOD:
 * s->server_first is the challenge.
 */
enum scram_result auth_scram_first(struct auth_scram *s,
    const struct auth_users *u, struct span message, bool plus, bool offered,
    const uint8_t exporter[32], struct span nonce);

/* client-final. GOOD: the challenge is appended to out. */
enum scram_result auth_scram_final(struct auth_scram *s, struct span message,
    struct buf *out);

void auth_scram_free(struct auth_scram *s);

#endif
