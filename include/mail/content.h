/*
 * content: the octets of a message, piece by piece, for who sends it on. Some
 * lines on top, then the body from memory or from its file. Jobs read that,
 * one block ahead; the loop never does.
 */
#ifndef MAIL_CONTENT_H
#define MAIL_CONTENT_H

#include <stdint.h>

#include "base/buf.h"
#include "io/jobs.h"
#include "mail/spool.h"

#define CONTENT_BLOCK 65536

struct content;

enum content_step {
	CONTENT_DATA,   /* *out, until the next call */
	CONTENT_WAIT,   /* more() will be called */
	CONTENT_END,    /* that was all, and stays so */
	CONTENT_FAILED, /* the file cannot be read, and it stays so */
};

/*
 * top is copied. body: of message_ready(); what it has in memory must last
 * until content_free(), its file need not (it is dup()ed). Never NULL; a
 * descriptor that cannot be had is CONTENT_FAILED.
 */
struct content *content_new(struct jobs *jobs, struct span top,
    const struct spool_content *body, void (*more)(void *ctx), void *ctx);

/* At most CONTENT_BLOCK octets. more() is never called from in here. */
enum content_step content_next(struct content *c, struct span *out);
int content_error(const struct content *c);

/* From the beginning once more, also in the middle. */
void content_rewind(struct content *c);

/* Silence; *c is NULL. A read that is under way ends by itself. */
void content_free(struct content **c);

#endif
