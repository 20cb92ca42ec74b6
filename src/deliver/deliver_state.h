/*
 * deliver_state: what the files of this room's front share. For them alone.
 */
#ifndef DELIVER_DELIVER_STATE_H
#define DELIVER_DELIVER_STATE_H

#include "deliver/carriers.h"
#include "deliver/deliver.h"
#include "deliver/delivery.h"
#include "deliver/held.h"
#include "deliver/held_send.h"
#include "deliver/lanes.h"
#include "deliver/lookup.h"
#include "io/shared.h"
#include "io/space.h"
#include "journal/journal.h"

/* Of bodies on their way into mailboxes, in memory. */
#define BACKLOG_MAX (16u << 20)

struct deliver {
	const struct deliver_options *options;
	struct loop *loop;
	struct jobs *jobs;
	struct space space;
	struct lookups lookups;
	struct delivery_list lists[DELIVERY_STATES];
	int spool; /* the directory */
	dev_t spool_dev;
	int tmp;                    /* the spool's tmp directory */
	struct loop_event *refusal; /* the next turn, for what ends at once */

	struct jobs *aside; /* checkpoints, segments, recovery, held mail */
	struct journal_options journal_options;
	struct journal *journal;   /* NULL: there is none */
	struct loop_event *ticker; /* without a journal */
	struct lanes *lanes;
	uint64_t backlog;     /* octets of bodies not yet placed, in memory */
	struct redo *redo;    /* of its own journal */
	struct redo *adopted; /* and of those that it reads back */
	struct recovery *recovery;
	struct held *held;
	struct dest_services services;
	struct carriers carriers;
	struct held_send *sends;          /* what is held, to routes */
	const struct destination *failed; /* NULL: there are no routes */

	/* budgets, over all workers */
	struct shared_slot counts; /* without shared: this one alone */
	uint64_t reserved, published;
	struct space_need unplaced; /* this one's own */

	/* what is open, and where it should be */
	int64_t looked;  /* ms, of clock_now() */
	bool spool_lost; /* no mail is taken */

	void (*broken)(void *ctx);
	void *broken_ctx;
	void (*outgrew)(void *ctx);
	void *outgrew_ctx;
	bool outgrown; /* that was called */
};

/* Octets of a record with its body: what begins a segment fits into it, and
 * the next one behind it. */
static inline uint64_t
deliver_record_max(const struct deliver *d)
{
	return d->options->segment / 2;
}

#endif
