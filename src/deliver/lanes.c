/*
 * lanes: committed messages into their mailboxes, behind the client's back.
 *
 * What is committed gathers for a moment, since waking a thread for each
 * message costs more than the message. Whatever a mailbox does not take is
 * held; a message is finished when each copy is in its mailbox or held.
 */
#include <stddef.h>

#include "deliver/deliver_state.h"

#define TAKE_MAX  1024 /* messages at once */
#define TAKE_SIZE (BACKLOG_MAX / 4)
#define GATHER    32 /* worth waking a thread for; fewer wait GATHER_MS */
#define GATHER_MS 5
#define SLOW_MS   100 /* at it for so long: another goes on with the rest */

/* --- placing --- */

static bool
any_changed(const struct lane *l)
{
	const struct maildir_root *last = NULL;

	for (const struct delivery *v = l->first; v; v = v->queued)
		for (unsigned i = 0; i < v->message.ncopies; i++) {
			const struct maildir_root *r =
			    v->message.copies[i].root;

			if (r != last && maildir_root_changed(r))
				return true;
			last = r;
		}
	return false;
}

static void
lane_run(struct job *job)
{
	struct lane *l = (struct lane *)job;

	l->stale = !l->looked && any_changed(l);
	if (l->stale)
		return;
	for (struct delivery *v = l->first; v; v = v->queued)
		place_message(l->boxes, &v->message,
		    v->at_risk ? PLACE_SYNCED : PLACE_NEW);
}

static void
lane_free(struct job *job)
{
	(void)job;
}

static void
finish(struct delivery *v)
{
	journal_finish(v->d->journal, &v->entry);
	delivery_free(v);
}

static void pump(struct deliver *d);
static void submit(struct lane *l);

static void
lane_done(struct job *job, void *ctx)
{
	struct lane *l = (struct lane *)job;
	struct delivery *v, *next;

	(void)ctx;
	if (l->stale) {
		deliver_look(l->d);
		l->looked = true;
		submit(l);
		return;
	}
	for (v = l->first; v; v = next) {
		next = v->queued;
		if (delivery_log(&v->message))
			finish(v);
		else
			hold_put(v);
	}
	l->first = NULL;
	pump(l->d);
	delivery_unpark(l->d);
}

static void
submit(struct lane *l)
{
	l->job.run = lane_run;
	l->job.free = lane_free;
	jobs_submit(l->d->jobs, &l->job, lane_done, l);
}

static void
take(struct deliver *d, struct lane *l)
{
	struct delivery **end = &l->first;
	uint64_t size = 0;
	unsigned n = 0;

	while (d->queue && n++ < TAKE_MAX && size < TAKE_SIZE) {
		struct delivery *v = *end = d->queue;

		d->queue = v->queued;
		d->nqueued--;
		size += v->backlog;
		v->queued = NULL;
		v->at_risk = journal_entry_at_risk(&v->entry);
		end = &v->queued;
	}
	if (!d->queue)
		d->queue_end = &d->queue;
	l->since = loop_now(d->loop);
	l->looked = false;
	submit(l);
}

/*
 * One at a time, since two threads in one directory only wait for each other;
 * but a lane that takes so long has met something slow, and must not keep the
 * mail of others: then the next one goes on.
 */
static struct lane *
next_lane(struct deliver *d)
{
	int64_t now = loop_now(d->loop);
	struct lane *idle = NULL;

	for (unsigned i = 0; i < LANES; i++) {
		struct lane *l = &d->lanes[i];

		if (!l->first)
			idle = l;
		else if (now - l->since < SLOW_MS)
			return NULL;
	}
	return idle;
}

static void
wait_for(struct deliver *d, uint64_t ms)
{
	d->gathering = true;
	loop_timer_set(d->gathered, ms);
}

static void
pump(struct deliver *d)
{
	struct lane *l = d->queue ? next_lane(d) : NULL;

	if (l)
		take(d, l);
	if (d->queue && !d->gathering)
		wait_for(d, SLOW_MS);
}

static void
on_gathered(void *ctx)
{
	struct deliver *d = ctx;

	d->gathering = false;
	pump(d);
}

void
lanes_put(struct delivery *v)
{
	struct deliver *d = v->d;

	v->queued = NULL;
	*d->queue_end = v;
	d->queue_end = &v->queued;
	if (++d->nqueued >= GATHER)
		pump(d);
	else if (d->nqueued == 1)
		wait_for(d, GATHER_MS);
}

int
lanes_init(struct deliver *d)
{
	d->queue_end = &d->queue;
	d->parked_end = &d->parked;
	d->gathered = loop_timer(d->loop, on_gathered, d);
	for (unsigned i = 0; i < LANES; i++) {
		d->lanes[i].d = d;
		d->lanes[i].boxes = place_boxes_new();
		place_reserve(d->lanes[i].boxes, d->options->reserve);
	}
	return d->gathered ? 0 : -1;
}

void
lanes_free(struct deliver *d)
{
	loop_event_free(&d->gathered);
	for (unsigned i = 0; i < LANES; i++)
		place_boxes_free(&d->lanes[i].boxes);
}
