/*
 * verify: at RCPT, what servers say of a recipient that is theirs, one after
 * the other. Whoever is known to be down is not asked: it is 451 at once, or
 * a yes where mail is held for it and that has room.
 */
#ifndef DELIVER_VERIFY_H
#define DELIVER_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/carriers.h"
#include "deliver/held.h"
#include "io/ask.h"
#include "rcpt/recipients.h"

/* For all servers of a recipient together. */
#define VERIFY_MS 20000

struct verify {
	/* for verify_begin(): */
	const struct carriers *carriers;
	const struct held *held; /* NULL: nothing can be held */
	const struct recipients *recipients;
	struct targets *found; /* and what is found instead of them */
	struct arena *arena;   /* theirs */
	const char *sender;    /* for what is relayed: it may be asked for */
	const char *session;   /* for the log */
	/* Postmaster or abuse, of whom no server of ours may say that there is
	 * none: the top-level postmaster is there instead. */
	bool needed;
	int64_t deadline; /* monotonic ms */
	void (*told)(void *ctx);
	void *ctx;

	const struct smtp_reply *reply; /* NULL is yes */
	const struct target *at;        /* NULL: all said yes */
	struct ask *ask;                /* NULL: nothing is under way */
};

/* Is any of them to be asked, or down? For all others it is a yes. */
bool verify_is_due(const struct targets *t);

/* True: the reply is there, for as long as nothing else is asked. False: told()
 * is called when it is, and it is of that call. */
bool verify_begin(struct verify *v);
/* Silence. Idempotent. */
void verify_stop(struct verify *v);

/* What became of a message for it: what was said at RCPT may be wrong now, or
 * is good for longer. What is not known stays so: it may be relayed. */
void verify_settled(const struct carriers *c, const struct route *r,
    const char *to, enum fate fate, int64_t now);

#endif
