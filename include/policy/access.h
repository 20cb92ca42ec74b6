/*
 * access: rules that somebody wrote of who may speak: "reject sender
 * @spam.example", "allow client 192.0.2.0/24". The order of the rules does not
 * matter: of those that fit the narrowest decides, and no two have the same
 * KIND and VALUE. Built once, constant afterwards.
 *
 *	ACTION KIND VALUE [: [CODE STATUS] TEXT]
 *
 * client: a network, the longest prefix wins. helo: a name, then the longest
 * ".suffix", which is all below it. sender, recipient: an address, "@domain",
 * the longest "@.suffix"; "<>" is the null sender. login: a name, then "*".
 * Case of names is ignored, and so is the spelling of domains; local parts are
 * compared as the configuration says.
 */
#ifndef POLICY_ACCESS_H
#define POLICY_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/siphash.h"
#include "base/where.h"

struct access;

enum access_kind {
	ACCESS_CLIENT,
	ACCESS_HELO,
	ACCESS_SENDER,
	ACCESS_RECIPIENT,
	ACCESS_LOGIN,
};
#define ACCESS_KINDS (ACCESS_LOGIN + 1)

struct access_options {
	uint8_t key[SIPHASH_KEY_LEN]; /* random */
	bool fold;                    /* local parts fold ASCII case */
};

struct access *access_new(const struct access_options *o);
void access_free(struct access **a);

#define ACCESS_WHY_MAX 320

/*
 * at.file outlives the rules. False, and nothing was added: why says what is
 * wrong and what to write, as a whole sentence.
 */
bool access_add(struct access *a, struct span rule, struct where at,
    char why[ACCESS_WHY_MAX]);

/* After the last one, and before the first question. */
void access_ready(struct access *a);

/* Is there a rule of this kind? a may be NULL. */
bool access_has(const struct access *a, enum access_kind kind);

#endif
