/*
 * auth_password: is this the password? On a job thread. policy/auth's own.
 */
#ifndef POLICY_AUTH_PASSWORD_H
#define POLICY_AUTH_PASSWORD_H

#include <stdbool.h>

#include "base/buf.h"
#include "io/jobs.h"
#include "policy/auth_users.h"

struct auth_check {
	struct job job;
	bool good; /* the answer, when it has run */
	void *x;   /* the loop's; NULL: nobody waits any more */

	bool known; /* the user is one */
	const char *hash;
	struct scram_keys keys;
	struct buf password; /* a NUL behind it; wiped with the job */
};

/*
 * Is this the password of the user of this name? Copies all; for one that is
 * none the dummy is checked, and the answer is no. The users must outlive
 * the job. For jobs_submit().
 */
struct auth_check *auth_check_new(const struct auth_users *u, struct span name,
    struct span password, void *x);

#endif
