/*
 * lanes: messages into mailboxes, mostly behind the client's back.
 *
 * What nobody waits for gathers for a moment, since waking a thread for each
 * message costs more than the message. Owns its threads' mailboxes and the
 * batches, never a message.
 */
#include "deliver/lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "dest/destination.h"
#include "io/clock.h"

#define BATCH_MEM (4u << 20)
#define GATHER    32 /* worth waking a thread for; fewer wait GATHER_MS */
#define GATHER_MS 5
#define SLOW_MS   100 /* at it for so long: another goes on with the rest */

struct lane {
	struct job job;
	struct lanes *all;
	struct place_boxes *boxes;
	struct lanes_item *items; /* being placed */
	unsigned n;               /* 0: idle */
	atomic_uint placed;       /* of them, by the thread */
	unsigned told;            /* and the owner knows */
	int64_t since;            /* ms, of clock_now() */
	bool stale;  /* a root has changed, and nothing is placed yet */
	bool looked; /* so the loop has looked */
};

struct lanes {
	struct lanes_options o;
	struct loop *loop;
	struct jobs *jobs;
	struct loop_event *gathered; /* a timer */
	bool gathering;              /* it is set */
	int fd;                      /* by which threads wake the loop */
	struct loop_event *progress; /* of which it is told here */
	struct lane lanes[];
};

/* --- placing --- */

static bool
any_changed(const struct lane *l)
{
	const struct maildir_root *last = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		const struct message *m = l->items[i].message;

		for (unsigned k = 0; k < m->ncopies; k++) {
			const struct maildir_root *r = &m->copies[k].dest->root;

			if (r != last && maildir_root_changed(r))
				return true;
			last = r;
		}
	}
	return false;
}

static void
fail_copies(struct message *m, int error)
{
	for (unsigned i = 0; i < m->ncopies; i++)
		m->copies[i].error = error;
}

static unsigned
renewals(const struct message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->ncopies; i++)
		n += m->copies[i].dest->root.renewals;
	return n;
}

/* What went where nobody looks any more is as good as not placed. */
static void
check_roots(struct message *m, unsigned before)
{
	bool renewed = renewals(m) != before;

	for (unsigned i = 0; i < m->ncopies; i++) {
		struct message_copy *c = &m->copies[i];
		const struct maildir_root *r = &c->dest->root;

		if (!c->error &&
		    (renewed || r->gone || maildir_root_changed(r)))
			c->error = ESTALE;
	}
}

static void
place(struct lane *l, const struct lanes_item *i)
{
	bool waited_for = l->all->o.waited_for;
	struct message *m = i->message;
	unsigned before = renewals(m);

	if (waited_for && atomic_load(&m->abandoned)) {
		fail_copies(m, ECANCELED);
		return;
	}
	place_message(l->boxes, m, i->synced ? PLACE_SYNCED : PLACE_NEW);
	if (waited_for)
		check_roots(m, before);
}

static void
lane_run(struct job *job)
{
	const uint64_t one = 1;
	struct lane *l = (struct lane *)job;

	int64_t last, now;

	l->stale = !l->looked && any_changed(l);
	if (l->stale)
		return;
	last = clock_ns();
	for (unsigned i = 0; i < l->n; i++) {
		place(l, &l->items[i]);
		now = clock_ns();
		l->items[i].ns = now - last;
		last = now;
		/* the message is the owner's from here on */
		atomic_store(&l->placed, i + 1);
		if (l->all->o.waited_for && i + 1 < l->n)
			(void)!write(l->all->fd, &one, sizeof(one));
	}
}

static void
tell(struct lane *l)
{
	const struct lanes_options *o = &l->all->o;
	unsigned n = atomic_load(&l->placed);

	while (l->told < n)
		o->placed(o->ctx, &l->items[l->told++]);
}

static void
on_progress(void *ctx)
{
	struct lanes *all = ctx;
	uint64_t n;

	(void)!read(all->fd, &n, sizeof(n));
	for (unsigned i = 0; i < all->o.lanes; i++)
		tell(&all->lanes[i]);
}

static void
lane_free(struct job *job)
{
	(void)job;
}

static void pump(struct lanes *all);
static void submit(struct lane *l);

static void
lane_done(struct job *job, void *ctx)
{
	struct lane *l = (struct lane *)job;
	struct lanes *all = ctx;

	if (l->stale) {
		all->o.look(all->o.ctx);
		l->looked = true;
		submit(l);
		return;
	}
	tell(l);
	l->placed = 0;
	l->n = l->told = 0;
	pump(all);
}

static void
submit(struct lane *l)
{
	l->job.run = lane_run;
	l->job.free = lane_free;
	jobs_submit(l->all->jobs, &l->job, lane_done, l->all);
}

/* --- whose turn it is --- */

/* Where somebody waits for each, other lanes are to have theirs at once. */
static unsigned
batch(const struct lanes_options *o)
{
	unsigned n = o->waiting(o->ctx);

	if (o->waited_for)
		n = (n + o->lanes - 1) / o->lanes;
	return n < o->batch ? n : o->batch;
}

static void
take(struct lane *l)
{
	const struct lanes_options *o = &l->all->o;
	unsigned n = batch(o);
	uint64_t size = 0;

	while (l->n < n && size < BATCH_MEM) {
		l->items[l->n] = o->next(o->ctx);
		size += l->items[l->n++].size;
	}
	l->since = clock_now();
	l->looked = false;
	submit(l);
}

/*
 * One at a time, since two threads in one directory only wait for each other;
 * but a lane that takes so long has met something slow, and must not keep the
 * mail of others: then the next one goes on.
 */
static struct lane *
next_lane(struct lanes *all)
{
	int64_t now = clock_now();
	struct lane *idle = NULL;

	for (unsigned i = 0; i < all->o.lanes; i++) {
		struct lane *l = &all->lanes[i];

		if (!l->n)
			idle = l;
		else if (!all->o.waited_for && now - l->since < SLOW_MS)
			return NULL;
	}
	return idle;
}

static void
wait_for(struct lanes *all, uint64_t ms)
{
	all->gathering = true;
	loop_timer_set(all->gathered, ms);
}

static void
pump(struct lanes *all)
{
	struct lane *l = all->o.waiting(all->o.ctx) ? next_lane(all) : NULL;

	if (l)
		take(l);
	if (!all->gathering && all->o.waiting(all->o.ctx))
		wait_for(all, SLOW_MS);
}

static void
on_gathered(void *ctx)
{
	struct lanes *all = ctx;

	all->gathering = false;
	pump(all);
}

void
lanes_wake(struct lanes *all)
{
	unsigned n = all->o.waiting(all->o.ctx);

	if (all->o.waited_for || n >= GATHER)
		pump(all);
	else if (n == 1)
		wait_for(all, GATHER_MS);
}

/* --- life --- */

static void
lane_init(struct lane *l, struct lanes *all)
{
	l->all = all;
	l->items = mem_new(all->o.batch * sizeof(l->items[0]));
	l->boxes = place_boxes_new();
	place_reserve(l->boxes, all->o.reserve);
}

struct lanes *
lanes_new(const struct lanes_options *o, struct loop *loop, struct jobs *jobs)
{
	struct lanes *all =
	    mem_new(sizeof(*all) + o->lanes * sizeof(all->lanes[0]));

	all->o = *o;
	all->loop = loop;
	all->jobs = jobs;
	for (unsigned i = 0; i < all->o.lanes; i++)
		lane_init(&all->lanes[i], all);
	all->gathered = loop_timer(loop, on_gathered, all);
	all->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (all->fd >= 0)
		all->progress = loop_readable(loop, all->fd, on_progress, all);
	if (!all->gathered || !all->progress)
		lanes_free(&all);
	return all;
}

void
lanes_free(struct lanes **p)
{
	struct lanes *all = *p;

	*p = NULL;
	if (!all)
		return;
	loop_event_free(&all->gathered);
	loop_event_free(&all->progress);
	if (all->fd >= 0)
		close(all->fd);
	for (unsigned i = 0; i < all->o.lanes; i++) {
		place_boxes_free(&all->lanes[i].boxes);
		free(all->lanes[i].items);
	}
	free(all);
}
