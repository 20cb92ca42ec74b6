/*
 * verdict: what a check says, why, and the line of the configuration behind
 * it.
 */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include <stdbool.h>

#include "base/where.h"
#include "proto/smtp_reply.h"

/* What a check is to do when it finds something; in the order of the words. */
enum action { ACTION_OFF, ACTION_OBSERVE, ACTION_DEFER, ACTION_REJECT };

enum verdict_kind {
	VERDICT_PASS,
	VERDICT_ALLOW,
	VERDICT_DEFER,
	VERDICT_REJECT,
};

#define VERDICT_VALUE 72
#define VERDICT_TEXT  200

/* Zeroed: pass. */
struct verdict {
	enum verdict_kind kind;
	bool observed;      /* it is only told, and the flow goes on */
	unsigned code;      /* with DEFER or REJECT */
	const char *status; /* constant, or the configuration's */
	const char *text;   /* the same; NULL: said */
	char said[VERDICT_TEXT];
	struct where at;
	char value[VERDICT_VALUE]; /* printable, cut; "": none */
};

#endif
