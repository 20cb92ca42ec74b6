/*
 * deliver_open: everything that a worker delivers to, opened once; and how
 * much room there is.
 *
 * Blocks nowhere but at the start, and for statvfs, once a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "deliver/budget.h"
#include "deliver/deliver_state.h"
#include "deliver/held_claim.h"
#include "deliver/look.h"
#include "deliver/redo.h"
#include "deliver/roots.h"
#include "io/clock.h"
#include "io/full_io.h"
#include "io/log.h"
#include "journal/journal_dir.h"
#include "journal/recovery.h"

/* Checkpoints, segments, recovery and rounds: one each. The last is for what
 * is short: what is to be held, and looks at what waits for routes. */
#define ASIDE 5

/* Threads that write behind the journal at once, and what one takes. */
#define LANES            2
#define BATCH            1024
#define BATCH_WAITED_FOR 16 /* before 250 */

#define LINES_MAX 65536 /* of a message, all that are ours */
/* Of a record, for each recipient: five lengths, and the name of a file but for
 * the hostname in it. */
#define RECORD_EACH (20 + 80)

#define LOOK_AGE 1000 /* ms for which a look at spool and roots is good */

static int
open_tmp(struct deliver *d)
{
	struct stat st;

	d->spool = open(d->options->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->spool < 0)
		return -1;
	d->tmp = journal_dir_open(d->spool, "tmp");
	if (d->tmp < 0 || fstat(d->tmp, &st) < 0)
		return -1;
	d->spool_dev = st.st_dev;
	return faccessat(d->tmp, ".", W_OK | X_OK, AT_EACCESS);
}

static uint64_t journal_total(struct deliver *d);

static void
on_broken(void *ctx)
{
	struct deliver *d = ctx;

	log_event(LOG_ERROR, "journal-broken",
	    LOG_STR("spool", d->options->spool),
	    LOG_STR("help", "two commits in a row failed: look at the disk"));
	if (d->broken)
		d->broken(d->broken_ctx);
}

static int
sync_live(void *ctx)
{
	const struct deliver *d = ctx;

	return roots_sync_live(d->options->recipients);
}

static void
look_again(void *ctx)
{
	deliver_look(ctx);
}

static void
on_tick(void *ctx)
{
	struct deliver *d = ctx;

	deliver_look(d);
	delivery_hold_again(d);
	budget_tick(d);
	delivery_refuse_parked(d, false);
	if (d->journal)
		(void)journal_total(d); /* also when no MAIL comes here */
	held_tick(d->held);
	recovery_tick(d->recovery);
	if (d->ticker)
		loop_timer_set(d->ticker, d->options->checkpoint);
}

/* What is done on the side, for mail of now or of earlier. */
static int
open_aside(struct deliver *d)
{
	const struct deliver_options *o = d->options;
	const struct held_options held = {.limit = o->held,
	    .expire = o->expire,
	    .reserve = o->reserve,
	    .failed = o->failed,
	    .counts = &d->counts};
	struct journal_owner owner;

	d->aside = jobs_new(d->loop, ASIDE);
	if (!d->aside)
		return -1;
	d->held = held_new(&held, d->spool, d->aside);
	if (!d->held)
		return -1;
	d->adopted = redo_new(held_dirfd(d->held), o->reserve);
	owner = redo_owner(d->adopted);
	d->recovery = recovery_new(d->spool, &owner, d->aside);
	return d->recovery ? 0 : -1;
}

/* With a journal nobody waits any more, and one thread at a time is enough. */
static int
open_lanes(struct deliver *d)
{
	const struct deliver_options *o = d->options;
	const struct lanes_options lanes = {.lanes = o->journal ? LANES
								: jobs_threads(
								      d->jobs),
	    .batch = o->journal ? BATCH : BATCH_WAITED_FOR,
	    .waited_for = !o->journal,
	    .reserve = o->reserve,
	    .waiting = delivery_queued,
	    .next = delivery_next_queued,
	    .placed = delivery_placed,
	    .look = look_again,
	    .ctx = d};

	d->lanes = lanes_new(&lanes, d->loop, d->jobs);
	return d->lanes ? 0 : -1;
}

/* Every part of it below the spool; -1 with errno. */
static int
open_journal(struct deliver *d)
{
	const struct deliver_options *o = d->options;

	d->redo = redo_new(held_dirfd(d->held), o->reserve);
	d->journal_options = (struct journal_options){.spool = o->spool,
	    .segment = o->segment,
	    .checkpoint = o->checkpoint,
	    .owner = redo_owner(d->redo),
	    .counts = &d->counts,
	    .sync = sync_live,
	    .broken = on_broken,
	    .look = look_again,
	    .tick = on_tick,
	    .ctx = d};
	d->journal =
	    journal_new(&d->journal_options, d->spool, d->loop, d->aside);
	return d->journal ? 0 : -1;
}

/* In place of the journal's. */
static int
open_ticker(struct deliver *d)
{
	d->ticker = loop_timer(d->loop, on_tick, d);
	if (d->ticker)
		loop_timer_set(d->ticker, 0);
	return d->ticker ? 0 : -1;
}

/*
 * A record has room for its recipients beside the largest body that is put
 * into it and the lines above that.
 */
static void
init_lookups(struct deliver *d)
{
	const struct deliver_options *o = d->options;
	/* one that is refused late has why not, and goes to failed */
	size_t late = o->nroutes ? HELD_WHY_MAX + strlen(o->failed) : 0;

	d->lookups = (struct lookups){.recipients = o->recipients,
	    .held = d->held,
	    .carriers = &d->carriers,
	    .smarthost = o->smarthost,
	    .jobs = d->jobs,
	    .dry = o->dry,
	    .room = UINT64_MAX,
	    .each = RECORD_EACH + (unsigned)(strlen(o->hostname) + late)};
	if (d->journal)
		d->lookups.room =
		    deliver_record_max(d) - o->inline_size - LINES_MAX;
}

/* Opens all there is; -1 with errno, and *what is where it stopped. */
static int
open_all(struct deliver *d, const char **what)
{
	struct recipients *r = d->options->recipients;
	struct destination *place;

	if (d->options->nroutes)
		d->failed = recipients_maildir(r, d->options->failed);
	*what = d->options->spool;
	d->refusal = loop_timer(d->loop, delivery_tell, d);
	if (!d->refusal || open_tmp(d) < 0 || space_add(&d->space, d->tmp) < 0)
		return -1;
	for (unsigned i = 0; (place = recipients_place(r, i)); i++) {
		*what = place->root.path;
		if (maildir_root_open(&place->root) < 0 ||
		    space_add(&d->space, place->root.fd) < 0)
			return -1;
	}
	*what = "journal";
	/* one of a newer version would keep the older one out */
	if (!d->options->dry &&
	    (open_lanes(d) < 0 || open_aside(d) < 0 ||
		(d->options->journal ? open_journal : open_ticker)(d) < 0))
		return -1;
	*what = NULL;
	init_lookups(d);
	return 0;
}

struct deliver *
deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what)
{
	struct deliver *d = mem_new(sizeof(*d));
	int err;

	d->options = o;
	d->loop = loop;
	d->jobs = jobs;
	d->space.reserve = o->reserve;
	d->spool = d->tmp = -1;
	if (open_all(d, what) < 0) {
		err = errno;
		deliver_free(&d);
		errno = err;
	}
	return d;
}

void
deliver_free(struct deliver **p)
{
	struct deliver *d = *p;
	struct delivery *v;

	*p = NULL;
	if (!d)
		return;
	shared_add(d->counts.shared, d->counts.slot, SHARED_JOURNAL,
	    -(int64_t)d->published);
	d->counts.shared =
	    NULL; /* what is not placed now, its journal's reader does */
	if (d->recovery)
		recovery_stop(d->recovery);
	carriers_free(&d->carriers); /* they have messages of ours */
	jobs_free(&d->aside);
	held_send_free(&d->sends);
	loop_event_free(&d->refusal);
	loop_event_free(&d->ticker);
	journal_free(&d->journal);
	recovery_free(&d->recovery);
	redo_free(&d->redo);
	redo_free(&d->adopted);
	held_free(&d->held);
	/* wherever they are: no job has them any more */
	for (unsigned s = 0; s < DELIVERY_STATES; s++)
		while ((v = d->lists[s].first))
			delivery_free(&v);
	lanes_free(&d->lanes);
	space_free(&d->space);
	full_close(&d->tmp);
	full_close(&d->spool);
	free(d);
}

void
deliver_carry(struct deliver *d, const struct dest_services *s)
{
	d->services = *s;
	d->services.tmp = d->tmp;
	carriers_open(&d->carriers, d->options->routes, d->options->nroutes,
	    &d->services);
	if (d->held)
		d->sends = held_send_new(d);
}

void
deliver_share(struct deliver *d, struct shared *shared, unsigned slot)
{
	d->counts = (struct shared_slot){shared, slot};
	if (d->journal)
		shared_set_journal(shared, slot, journal_name(d->journal));
}

void
deliver_on_broken(struct deliver *d, void (*broken)(void *ctx), void *ctx)
{
	d->broken = broken;
	d->broken_ctx = ctx;
}

void
deliver_on_outgrown(struct deliver *d, void (*outgrew)(void *ctx), void *ctx)
{
	d->outgrew = outgrew;
	d->outgrew_ctx = ctx;
}

/* --- room --- */

/* What all workers have in their journals, or reserved there. */
static uint64_t
journal_total(struct deliver *d)
{
	uint64_t mine = d->reserved + journal_size(d->journal);
	int64_t total;

	if (!d->counts.shared)
		return mine;
	shared_add(d->counts.shared, d->counts.slot, SHARED_JOURNAL,
	    (int64_t)(mine - d->published));
	d->published = mine;
	total = shared_total(d->counts.shared, SHARED_JOURNAL);
	return total > 0 ? (uint64_t)total : mine;
}

uint64_t
deliver_size_unknown(const struct deliver *d)
{
	return d->options->inline_size;
}

/*
 * A larger body is not in the journal but beside it: the disk's room is asked
 * for it, and whoever announces much and sends nothing keeps nobody out.
 */
static uint64_t
in_journal(const struct deliver *d, uint64_t n)
{
	return n < d->options->inline_size ? n : d->options->inline_size;
}

const struct smtp_reply *
deliver_reserve(struct deliver *d, uint64_t n)
{
	const struct smtp_reply *full =
	    SMTP_REPLY(452, "4.3.1", "No room on the disk");
	const struct space_need need = {n, 1};

	if (clock_now() - d->looked >= LOOK_AGE)
		deliver_look(d);
	if (d->options->dry || d->spool_lost ||
	    !space_room(&d->space, clock_now(), &need))
		return full;
	if (held_full(d->held))
		return SMTP_REPLY(452, "4.3.1",
		    "No room for held mail, which waits for mailboxes that "
		    "take none");
	if (!d->journal)
		return NULL;
	n = in_journal(d, n);
	if (journal_total(d) + n > d->options->size)
		return full;
	d->reserved += n;
	return NULL;
}

void
deliver_release(struct deliver *d, uint64_t n)
{
	if (d->journal)
		d->reserved -= in_journal(d, n);
}
