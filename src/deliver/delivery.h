/*
 * delivery: one message, from its last octet until nothing is left to do.
 *
 * It is on exactly one list, that of its state, and one function moves it.
 */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

#include "deliver/asking.h"
#include "deliver/deliver.h"
#include "io/space.h"
#include "journal/journal.h"
#include "mail/message.h"

enum delivery_state {
	DELIVERY_EDITING, /* other lines come to its front */
	DELIVERY_SPOOLED, /* its body is complete */
	DELIVERY_SEALING, /* its body's file gets a name, on disk */
	DELIVERY_PARKED,  /* until less of others is in memory */
	DELIVERY_ASKING,  /* others, one after the other */
	DELIVERY_KEEPING, /* what they did not take, into held/ */
	DELIVERY_COMMITTING,
	DELIVERY_QUEUED,     /* with a journal its 250 was said */
	DELIVERY_PLACING,    /* in a lane */
	DELIVERY_HOLDING,    /* what a mailbox did not take, into held/ */
	DELIVERY_UNHELD,     /* not even that, yet: its record stays */
	DELIVERY_FORGETTING, /* what was kept, out of held/ again */
	DELIVERY_REFUSED,    /* nothing of it is kept: told in the next turn */
	DELIVERY_DROPPED,    /* it has no copies, and that is a yes: the same */
	DELIVERY_DONE,       /* told, if it was not, and freed */
	DELIVERY_STATES
};

struct delivery {
	struct ask ask;
	struct message message;
	struct journal_entry entry;
	struct deliver *d;
	enum delivery_state state;
	struct delivery *prev, *next; /* on the list of its state */
	deliver_fn *fn;               /* NULL: nobody waits for it any more */
	void *ctx;
	const struct smtp_reply *reply; /* constant, or the message's own; NULL:
					   yes */
	int error; /* behind it, for the log; 0: others said so */
	const struct message_copy *failed; /* where; NULL: at no mailbox */
	const char **discarded;            /* addresses that no copy is for */
	unsigned ndiscarded;
	unsigned nlocal; /* copies of the message, in front */
	struct asking asking;
	struct message_copy **kept; /* in held/, route by route */
	unsigned nkept;
	bool edited;            /* it has grown since RCPT */
	bool stays;             /* and cannot be had back, all of it */
	char *file;             /* of its body, owned, or NULL */
	uint64_t backlog;       /* its part of the deliver's */
	struct space_need need; /* and of the unplaced */
};

struct delivery_edit;

struct delivery_list {
	struct delivery *first;
	unsigned n;
};

/* As deliver_message(), and deliver_filtered(). edit: NULL, or what becomes of
 * the spool first. */
struct ask *delivery_start(struct deliver *d, const struct envelope *e,
    struct spool **spool, const struct delivery_edit *edit, int64_t answer_by,
    deliver_fn *fn, void *ctx);

/* From wherever it is; it may be freed when this returns. */
void delivery_become(struct delivery *v, enum delivery_state s);

/* Nobody has it from here; 0 and NULL: the error's own reply. */
void delivery_refuse(struct delivery *v, int error,
    const struct smtp_reply *reply);
/* Whoever was to be asked was asked: into the journal, or the mailboxes. */
void delivery_commit(struct delivery *v);
/* Octets of memory that it takes. */
uint64_t delivery_memory(const struct delivery *v);

/* What was parked and nobody waits for; or all of it. What has no time left to
 * ask anybody goes on. */
void delivery_refuse_parked(struct deliver *d, bool waited_for);
/* Those that could not even be held, once more. */
void delivery_hold_again(struct deliver *d);
/* What was refused or dropped is told, in a turn of the loop of its own. */
loop_fn delivery_tell;

/* For the lanes: what is queued, and what became of it. ctx: the deliver. */
unsigned delivery_queued(void *ctx);
struct lanes_item delivery_next_queued(void *ctx);
void delivery_placed(void *ctx, const struct lanes_item *i);

/* At the end: off its list, and silent. */
void delivery_free(struct delivery **v);

#endif
