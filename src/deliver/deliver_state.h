/*
 * deliver_state: what the files of this room's front share. For them alone.
 */
#ifndef DELIVER_DELIVER_STATE_H
#define DELIVER_DELIVER_STATE_H

#include "deliver/deliver.h"
#include "deliver/held.h"
#include "dest/place.h"
#include "io/shared.h"
#include "io/space.h"
#include "journal/journal.h"
#include "mail/message.h"

/* Threads that write behind the journal at once, each with its mailboxes. */
#define LANES 2

/* Of bodies that are committed and not yet placed, in memory. */
#define BACKLOG_MAX (16u << 20)

/* Ids of messages, apart from those of jobs. */
#define MESSAGE_IDS (UINT64_C(1) << 63)

/* A message under way; fn NULL: nobody waits for it any more. */
struct delivery {
	struct job job;
	struct message message;
	struct journal_entry entry;
	struct deliver *d;
	bool listed; /* on its list */
	uint64_t id;
	deliver_fn *fn;
	void *ctx;
	struct delivery *prev, *next; /* all of them */
	struct delivery *queued;      /* the next one in its lane */
	char *file;                   /* of its body, owned, or NULL */
	uint64_t backlog;             /* its part of the deliver's */
	struct space_need need;       /* and of the unplaced */
	bool at_risk;                 /* its segment is bad: sync it now */
	bool again;                   /* a root had changed the first time */
	bool kept;                    /* so its job is one once more */
	bool held; /* refused: mail is held for message.failed */
};

struct lane {
	struct job job;
	struct deliver *d;
	struct place_boxes *boxes;
	struct delivery *first; /* being placed; NULL: idle */
	int64_t since;          /* ms, of loop_now() */
	bool stale;  /* a root has changed, and nothing is placed yet */
	bool looked; /* so the loop has looked */
};

struct deliver {
	const struct deliver_options *options;
	struct loop *loop;
	struct jobs *jobs;
	struct space space;
	struct delivery *deliveries;
	unsigned pending;
	uint64_t last_id;
	int spool; /* the directory */
	dev_t spool_dev;
	int tmp; /* the spool's tmp directory */

	/* with a journal */
	struct jobs *aside; /* checkpoints, segments, recovery, held mail */
	struct journal_options journal_options;
	struct journal *journal; /* NULL: there is none */
	struct lane lanes[LANES];
	struct delivery *queue, **queue_end; /* committed, not yet placed */
	unsigned nqueued;
	uint64_t backlog; /* octets of bodies committed and still in memory */
	struct delivery *parked, **parked_end; /* until there are less */
	bool gathering;                        /* the timer is set */
	struct loop_event *gathered;           /* that timer */
	struct delivery *stuck;                /* not even held, yet */
	struct delivery *refused;              /* to be told in the next turn */
	struct loop_event *refusal;            /* which is then */
	struct loop_event *ticker;             /* without a journal */
	struct recovery *recovery;
	struct held *held;

	/* budgets, over all workers */
	struct shared *shared; /* NULL: this one alone */
	unsigned slot;
	uint64_t reserved, published;
	struct space_need unplaced; /* this one's own */

	/* what is open, and where it should be */
	int64_t looked;  /* ms, of loop_now() */
	bool spool_lost; /* no mail is taken */

	void (*broken)(void *ctx);
	void *broken_ctx;
};

/* Once: tells whoever waits. */
void delivery_answer(struct delivery *v, int error);
/* Those of m that arrived are logged; true: all did. */
bool delivery_log(const struct message *m);
/* That it did not, and where. */
void delivery_log_failure(const struct message *m, const char *spool);
/* Off the list, and freed. */
void delivery_free(struct delivery *v);

/* A finished spool, on its way through the journal... */
void delivery_commit(struct delivery *v);
/* Nothing of it is kept; the client hears it after the call in which it
 * asked. */
void delivery_refuse(struct delivery *v, int error);
/* Those that failed on the way, in a turn of the loop of their own. */
loop_fn delivery_refuse_all;
/* ... or straight into its mailboxes, fsynced. */
void delivery_direct(struct delivery *v);
int lanes_init(struct deliver *d);
void lanes_free(struct deliver *d);
/* What was parked and nobody waits for; and what somebody waits for, when
 * nothing makes room for it any more. */
void delivery_refuse_parked(struct deliver *d, bool waited_for);
/* What was parked, as far as the backlog allows. */
void delivery_unpark(struct deliver *d);
/* Are spool and roots still what their paths lead to? Opens anew what is
 * not, and says so. */
void deliver_look(struct deliver *d);
/* Committed: into its mailboxes. */
void lanes_put(struct delivery *v);
/* Not taken by a mailbox: into held/. */
void hold_put(struct delivery *v);
/* Those that could not even be held, once more. */
void hold_again(struct deliver *d);

#endif
