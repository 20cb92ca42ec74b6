/*
 * policy: may this go on? Asked at each stage of a session before anything is
 * done, and before delivery is asked. All who have a say stand in one table,
 * in the order in which they are heard; the first no is the answer.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>

#include "policy/limits.h"
#include "proto/envelope.h"
#include "proto/smtp_reply.h"

enum policy_stage {
	POLICY_CONNECT, /* before the greeting */
	POLICY_MAIL,    /* env has the sender */
	POLICY_RCPT,
	POLICY_DATA,
	POLICY_MESSAGE, /* the body is complete, and not yet delivery's */
};

struct senders;

/* A worker's. */
struct policy {
	struct limits limits;
	const struct senders *senders;
	/* for a login that senders has no line of: is this address its own? */
	bool (*owns)(const void *ctx, const char *login,
	    const struct smtp_path *from);
	const void *owns_ctx;
};

struct policy_subject {
	const struct envelope *env;
	struct limits_ask *ask;
	struct limits_place *place; /* from limits_enter(), at POLICY_CONNECT */
};

/* NULL is yes. */
const struct smtp_reply *policy_ask(const struct policy *p,
    enum policy_stage stage, const struct policy_subject *s);

#endif
