/*
 * http_answer: what an answer, or none, means for the copies of a POST. Pure.
 */
#ifndef DEST_HTTP_ANSWER_H
#define DEST_HTTP_ANSWER_H

#include <stdbool.h>

#include "base/arena.h"
#include "proto/fate.h"
#include "proto/smtp_reply.h"

struct http_answer {
	unsigned status; /* the final one; 0: none came */
	bool reached;    /* there was a connection, secured if need be */
	bool whole; /* our body was out when the status came, or it ended */
	bool text;  /* Content-Type: text/... */
	struct span body; /* how it begins */
};

/* *reply: constant or in the arena; NULL: taken. */
enum fate http_verdict(const struct http_answer *a, struct arena *arena,
    const struct smtp_reply **reply);

/* Somebody has to look at the configuration, there or here. */
bool http_is_misconfigured(const struct http_answer *a);

/* While it is not asked at all. */
const struct smtp_reply *http_reply_down(void);
/* There was no time for it, or no answer that says anything. */
const struct smtp_reply *http_reply_again(void);

#endif
