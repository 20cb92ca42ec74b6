/*
 * deliver: what the session asks of this room. Routes a recipient, takes a
 * message, says whether there is room.
 *
 * Who asks has a struct ask until it is answered. A message that is cancelled
 * with ASK_GO_ON is delivered all the same, unless it has to wait long for
 * memory: the client that sent its last dot and went away was promised
 * nothing and lost nothing. One that is abandoned is not, unless it is too
 * late to stop.
 */
#ifndef DELIVER_DELIVER_H
#define DELIVER_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/ask.h"
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
	const struct route *const *routes; /* by their numbers */
	unsigned nroutes;
	/* For those who logged in; NULL: nothing goes to other domains. */
	const struct destination *smarthost;

	bool journal;         /* or each message is placed synced before 250 */
	uint64_t segment;     /* octets of each file of the journal */
	uint64_t size;        /* octets of the journal, over all workers */
	uint64_t inline_size; /* octets of a body in it; more is a file */
	uint64_t checkpoint;  /* ms */
	uint64_t held;        /* octets of held mail */
	uint64_t expire;      /* ms that mail is held */
	const char *failed;   /* Maildir for what expires */

	/* for a trial: no message comes, no server is asked, nothing begun */
	bool dry;
};

struct deliver;
struct dest_services;
struct shared;

/*
 * Opens the spool and every Maildir root as the process is now. NULL with
 * errno, and *what names the path. The options must outlive it.
 */
struct deliver *deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what);
/* Opens the routes, if there are any, before the first RCPT. What s leads to
 * outlives d, whose own directory for files without a name is put into it. */
void deliver_carry(struct deliver *d, const struct dest_services *s);
/* After jobs_free(): jobs use its descriptors to their very end. */
void deliver_free(struct deliver **d);

/* Budgets are counted in this slot, together with all others. */
void deliver_share(struct deliver *d, struct shared *shared, unsigned slot);
/* Called when the journal cannot be written: no mail can be taken. */
void deliver_on_broken(struct deliver *d, void (*broken)(void *ctx), void *ctx);
/*
 * Called, once, when a root is another directory now, which the sandbox of this
 * process keeps it from: its mail is held, and a new process could place it.
 */
void deliver_on_outgrown(struct deliver *d, void (*outgrew)(void *ctx),
    void *ctx);

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
 * May mail go to path? To a domain of others' it may from who has logged in,
 * by the smarthost. On yes its targets are in e->targets. fn may be
 * called before the function returns, which is then NULL.
 */
struct ask *deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx);

/* The smallest message-size of the targets' domains; 0: none has one. */
uint64_t deliver_size_max(const struct envelope *e);

/* A spool for a body that will go to e->targets; e must outlive it. filtered:
 * by deliver_filtered(). */
struct spool *deliver_spool(struct deliver *d, const struct envelope *e,
    bool filtered);

/*
 * Takes *spool over (NULL afterwards), which is finished, and copies what it
 * needs of e, which must have targets. fn is called when it is on
 * disk - its record in the journal, or without one every copy in its mailbox
 * or held - and with whoever was to be asked, or with the reply that says why
 * not; then nothing was delivered, but without a journal what was placed before
 * that, and what others took before a disk failed. Never called before it
 * returns. answer_by: monotonic ms, when who sent it gives up; others are asked
 * until a while before.
 */
struct ask *deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, int64_t answer_by, deliver_fn *fn, void *ctx);

/*
 * What filters have made of a message. Edited: lines, each with its LF, and an
 * empty one behind them take the place of the first skip octets of its body,
 * which are its header and the empty line behind that, if there is one; and
 * lines stand above our Received. All of it is copied.
 */
struct deliver_edit {
	bool edited;
	struct span header;
	uint64_t skip;
	struct span above;
};

/* The same for such a spool, which nobody reads any more, edited or not: our
 * lines are not on top of it yet. */
struct ask *deliver_filtered(struct deliver *d, struct envelope *e,
    struct spool **spool, const struct deliver_edit *edit, int64_t answer_by,
    deliver_fn *fn, void *ctx);

/* Messages under way; not those that only their record in the journal is. */
unsigned deliver_pending(const struct deliver *d);
/* The worker is to leave: nothing more of what is held is sent, and what its
 * route has all of is waited for until the end, when this is called again. */
void deliver_drain(struct deliver *d, bool end);
/* None is, nor is what was held on its way, and the journal is as empty as it
 * can get. */
bool deliver_is_empty(const struct deliver *d);
/* Towards that, from a worker that leaves: now and then until it is so. */
void deliver_wind_up(struct deliver *d);

#endif
