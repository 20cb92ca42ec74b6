/*
 * auth_users: the password file in memory. policy/auth's own.
 */
#ifndef POLICY_AUTH_USERS_H
#define POLICY_AUTH_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "policy/auth.h"

#define SCRAM_SALT_MAX       64
#define SCRAM_ITERATIONS_MIN 4096   /* RFC 7677 section 4 */
#define SCRAM_ITERATIONS     100000 /* of new keys */

struct scram_keys {
	unsigned iterations;
	uint8_t salt[SCRAM_SALT_MAX];
	uint8_t salt_len;
	uint8_t stored[32], server[32];
};

struct auth_user {
	const char *name;
	const char *hash; /* of crypt(3); NULL: only SCRAM keys */
	bool has_scram;
	struct scram_keys scram;
};

/* The login that such a name means, the front of it or all: before it is
 * looked up, counted or shown. */
struct span auth_users_login(const struct auth_users *u, struct span name);

/* Could this be the name of a user? */
bool auth_users_name_valid(struct span name);

/* NULL: no such user. */
const struct auth_user *auth_users_find(const struct auth_users *u,
    struct span name);

/*
 * Who stands in for a user that is none, so that the check costs what a real
 * one costs: one of the file, always the same for the same name, so that in
 * a file with hashes of several kinds strangers are spread as users are. A
 * built-in one for an empty file; never NULL.
 */
const struct auth_user *auth_users_dummy(const struct auth_users *u,
    struct span name);

/* The SCRAM salt and iterations of a user without keys, as if it had some. */
void auth_users_fake(const struct auth_users *u, struct span name,
    struct scram_keys *r);

bool auth_users_have_scram(const struct auth_users *u);

#endif
