/*
 * deliver_open: everything that a worker delivers to, opened once; and how
 * much room there is.
 *
 * Blocks nowhere but at the start, and for statvfs, once a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "deliver/budget.h"
#include "deliver/deliver_state.h"
#include "io/log.h"
#include "journal/journal_dir.h"
#include "journal/recovery.h"

/* Checkpoints, segments, recovery and held mail: one each. */
#define ASIDE 4

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
	hold_again(d);
	budget_tick(d);
	if (d->journal) {
		(void)journal_total(d); /* also when no MAIL comes here */
		delivery_refuse_parked(d, false);
	}
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
	    .failed = o->failed};

	d->aside = jobs_new(d->loop, ASIDE);
	if (!d->aside)
		return -1;
	d->recovery = recovery_new(d->spool, o->reserve, d->aside);
	if (!d->recovery)
		return -1;
	d->held = held_new(&held, d->spool, d->aside);
	return d->held ? 0 : -1;
}

static int
count_name(void *ctx, const char *name)
{
	(void)name;
	++*(unsigned *)ctx;
	return 0;
}

/* Entries of a directory in the spool; 0 when there is none. */
static unsigned
count_in(const struct deliver *d, const char *name)
{
	int fd = openat(d->spool, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned n = 0;

	if (fd < 0)
		return 0;
	(void)journal_dir_each(fd, count_name, &n);
	close(fd);
	return n;
}

/* The journal was switched off: what it had accepted is still delivered. */
static int
open_leftovers(struct deliver *d)
{
	if (!count_in(d, "journal") && !count_in(d, "held"))
		return 0;
	if (open_aside(d) < 0)
		return -1;
	d->ticker = loop_timer(d->loop, on_tick, d);
	if (!d->ticker)
		return -1;
	loop_timer_set(d->ticker, 0);
	return 0;
}

/* Every part of it below the spool; -1 with errno. */
static int
open_journal(struct deliver *d)
{
	const struct deliver_options *o = d->options;

	d->journal_options = (struct journal_options){.spool = o->spool,
	    .segment = o->segment,
	    .checkpoint = o->checkpoint,
	    .reserve = o->reserve,
	    .recipients = o->recipients,
	    .broken = on_broken,
	    .look = look_again,
	    .tick = on_tick,
	    .ctx = d};
	if (lanes_init(d) < 0 || open_aside(d) < 0)
		return -1;
	d->journal =
	    journal_new(&d->journal_options, d->spool, d->loop, d->aside);
	return d->journal ? 0 : -1;
}

/* Opens all there is; -1 with errno, and *what is where it stopped. */
static int
open_all(struct deliver *d, const char **what)
{
	struct recipients *r = d->options->recipients;
	struct maildir_root *root;

	*what = d->options->spool;
	d->refusal = loop_timer(d->loop, delivery_refuse_all, d);
	if (!d->refusal || open_tmp(d) < 0 || space_add(&d->space, d->tmp) < 0)
		return -1;
	for (unsigned i = 0; (root = recipients_root(r, i)); i++) {
		*what = root->path;
		if (maildir_root_open(root) < 0 ||
		    space_add(&d->space, root->fd) < 0)
			return -1;
	}
	*what = "journal";
	if ((d->options->journal ? open_journal : open_leftovers)(d) < 0)
		return -1;
	*what = NULL;
	return 0;
}

struct deliver *
deliver_new(const struct deliver_options *o, struct loop *loop,
    struct jobs *jobs, const char **what)
{
	struct deliver *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		abort();
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
	struct delivery *v, *next;

	*p = NULL;
	if (!d)
		return;
	if (d->shared)
		shared_add(d->shared, d->slot, SHARED_JOURNAL,
		    -(int64_t)d->published);
	d->shared =
	    NULL; /* what is not placed now, its journal's reader does */
	if (d->recovery)
		recovery_stop(d->recovery);
	jobs_free(&d->aside);
	loop_event_free(&d->refusal);
	loop_event_free(&d->ticker);
	journal_free(&d->journal);
	recovery_free(&d->recovery);
	held_free(&d->held);
	/* no job ever took these: their bodies were still being written */
	DL_FOREACH_SAFE (d->deliveries, v, next)
		delivery_free(v);
	lanes_free(d);
	space_free(&d->space);
	if (d->tmp >= 0)
		close(d->tmp);
	if (d->spool >= 0)
		close(d->spool);
	free(d);
}

void
deliver_share(struct deliver *d, struct shared *shared, unsigned slot)
{
	d->shared = shared;
	d->slot = slot;
	if (d->journal)
		shared_set_journal(shared, slot, journal_name(d->journal));
}

void
deliver_on_broken(struct deliver *d, void (*broken)(void *ctx), void *ctx)
{
	d->broken = broken;
	d->broken_ctx = ctx;
}

/* --- room --- */

/* What all workers have in their journals, or reserved there. */
static uint64_t
journal_total(struct deliver *d)
{
	uint64_t mine = d->reserved + journal_size(d->journal);
	int64_t total;

	if (!d->shared)
		return mine;
	shared_add(d->shared, d->slot, SHARED_JOURNAL,
	    (int64_t)(mine - d->published));
	d->published = mine;
	total = shared_total(d->shared, SHARED_JOURNAL);
	return total > 0 ? (uint64_t)total : mine;
}

uint64_t
deliver_size_unknown(const struct deliver *d)
{
	return d->journal ? d->options->inline_size : SPOOL_MEMORY;
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

	if (loop_now(d->loop) - d->looked >= LOOK_AGE)
		deliver_look(d);
	if (d->spool_lost || !space_room(&d->space, loop_now(d->loop), &need))
		return full;
	if (!d->journal)
		return NULL;
	if (held_full(d->held))
		return SMTP_REPLY(452, "4.3.1",
		    "No room for held mail, which waits for mailboxes that "
		    "take none");
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
