/*
 * deliver: what the session asks of this room. Routes a recipient, takes a
 * message, says whether there is room.
 *
 * Requests have ids. A cancelled request is silent; a message that was
 * handed over is delivered all the same, because the client that sent its
 * last dot and went away was promised nothing and lost nothing.
 */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/jobs.h"
#include "mail/spool.h"
#include "proto/envelope.h"
#include "proto/smtp_reply.h"
#include "rcpt/recipients.h"

struct deliver_options {
	const char *hostname;
	const char *spool; /* directory; its tmp/ holds bodies */
	unsigned reserve;  /* percent of bytes and inodes kept free */
	struct recipients *recipients;

	bool journal;         /* or each message is fsynced in its Maildir */
	uint64_t segment;     /* octets of each file of the journal */
	uint64_t size;        /* octets of the journal, over all workers */
	uint64_t inline_size; /* octets of a body in it; more is a file */
	uint64_t checkpoint;  /* ms */
	uint64_t held;        /* octets of held mail */
	uint64_t expire;      /* ms that mail is held */
	const char *failed;   /* Maildir for what expires */
};

struct deliver;
struct shared;

/*
 * Opens the spool and every Maildir root as the process is now. NULL with
 * errno, and *what names the path. The options must outlive it.
 */
struct deliver *deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what);
/* After jobs_free(): jobs use its descriptors to their very end. */
void deliver_free(struct deliver **d);

/* Budgets are counted in this slot, together with all others. */
void deliver_share(struct deliver *d, struct shared *shared, unsigned slot);
/* Called when the journal cannot be written: no mail can be taken. */
void deliver_on_broken(struct deliver *d, void (*broken)(void *ctx), void *ctx);

/*
 * Room for n octets above the reserve, on the spool and every root, for held
 * mail, and in the journal, where they are reserved until they are given back.
 * NULL is yes; else nothing is reserved.
 */
const struct smtp_reply *deliver_reserve(struct deliver *d, uint64_t n);
void deliver_release(struct deliver *d, uint64_t n);
/* What to reserve for a message that does not say how large it is. */
uint64_t deliver_size_unknown(const struct deliver *d);

/*
 * NULL is yes. The reply is valid during the call. error: for the log, why a
 * mailbox or the disk did not take it, or NULL.
 */
typedef void deliver_fn(void *ctx, const struct smtp_reply *reply,
    const char *error);

/*
 * May mail go to path? On yes its targets are in e->targets. fn may be
 * called before the function returns, which is then 0.
 */
uint64_t deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx);

/* recipients_owns(), for a session. */
bool deliver_owns(const struct deliver *d, const char *login,
    const struct smtp_path *from);

/* The smallest message-size of the targets' domains; 0: none has one. */
uint64_t deliver_size_max(const struct envelope *e);

/* A spool for a body that will go to e->targets; e must outlive it. */
struct spool *deliver_spool(struct deliver *d, const struct envelope *e);

/*
 * Takes *spool over (NULL afterwards), finishes it, and copies what it needs
 * of e, which must have targets. fn is called when it is on disk - its record
 * in the journal, or without one every file and directory - or with the reply
 * that says why not; then nothing was delivered. Never called before it
 * returns.
 */
uint64_t deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, deliver_fn *fn, void *ctx);

/*
 * Silence; *id is 0 afterwards. The message is still delivered, unless it has
 * to wait long for memory.
 */
void deliver_cancel(struct deliver *d, uint64_t *id);
/* Silence, and not delivered unless it is too late to stop. */
void deliver_abandon(struct deliver *d, uint64_t *id);

/* Messages under way. */
unsigned deliver_pending(const struct deliver *d);
/*
 * Nothing is under way, and the journal is as empty as it can get. A worker
 * that leaves asks now and then until it is so.
 */
bool deliver_settled(struct deliver *d);

#endif
