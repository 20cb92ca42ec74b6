/*
 * deliver: requests of sessions, answered by jobs.
 *
 * Everything here runs on the loop and never blocks; what waits for a disk is
 * a job. A message goes on in delivery.c.
 */
#include "deliver/deliver.h"

#include "deliver/deliver_state.h"
#include "deliver/delivery_edit.h"
#include "io/clock.h"

struct ask *
deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx)
{
	return lookup_start(&d->lookups, e, path, fn, ctx);
}

uint64_t
deliver_size_max(const struct envelope *e)
{
	return e->targets ? e->targets->size : 0;
}

static bool
spool_room(void *ctx, size_t n)
{
	struct deliver *d = ctx;
	const struct space_need need = {n, 1};

	return space_room_on(&d->space, clock_now(), d->spool_dev, d->tmp,
	    &need);
}

/* spool_head_fn: of the first copy, if there will be any. */
static void
head(struct buf *out, const struct envelope *e, const char *hostname,
    int64_t when)
{
	const struct target *t = e->targets->first;

	while (t && !t->dest->kind->place)
		t = t->next;
	if (t)
		message_head(out, e, t->address, hostname, when);
}

struct spool *
deliver_spool(struct deliver *d, const struct envelope *e, bool filtered)
{
	const struct deliver_options *o = d->options;
	const struct spool_options s = {.jobs = d->jobs,
	    .dirfd = d->journal ? journal_dirfd(d->journal) : d->tmp,
	    .room = spool_room,
	    .room_ctx = d,
	    .memory = (size_t)o->inline_size,
	    .when = clock_wall() / 1000,
	    .head = filtered ? NULL : head,
	    .env = e,
	    .hostname = o->hostname,
	    .edited = filtered};

	return spool_new(&s);
}

struct ask *
deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, int64_t answer_by, deliver_fn *fn, void *ctx)
{
	return delivery_start(d, e, spool, NULL, answer_by, fn, ctx);
}

struct ask *
deliver_filtered(struct deliver *d, struct envelope *e, struct spool **spool,
    const struct deliver_edit *edit, int64_t answer_by, deliver_fn *fn,
    void *ctx)
{
	struct delivery_edit how = {.skip = 0};
	struct buf ours = {0}, front = {0};
	struct ask *a;

	if (edit->edited) {
		/* it ends there, whatever follows */
		buf_append_span(&front, edit->header);
		buf_append_str(&front, "\n");
		how.skip = edit->skip;
		e->above = (struct span){arena_dup(&e->arena, edit->above),
		    edit->above.len};
	}
	head(&ours, e, d->options->hostname, spool_when(*spool));
	how.ours = buf_span(&ours);
	how.front = buf_span(&front);
	a = delivery_start(d, e, spool, &how, answer_by, fn, ctx);
	buf_free(&ours);
	buf_free(&front);
	return a;
}

/* --- at the end --- */

unsigned
deliver_pending(const struct deliver *d)
{
	unsigned n = 0;

	for (unsigned s = 0; s < DELIVERY_STATES; s++)
		if (s != DELIVERY_UNHELD) /* who adopts its journal goes on */
			n += d->lists[s].n;
	return n;
}

bool
deliver_is_empty(const struct deliver *d)
{
	return !deliver_pending(d) && held_send_is_idle(d->sends) &&
	       (!d->journal || journal_settled(d->journal));
}

void
deliver_drain(struct deliver *d, bool end)
{
	held_send_drain(d->sends, end);
}

void
deliver_wind_up(struct deliver *d)
{
	/* what somebody waits for, when nothing makes room for it any more */
	if (deliver_pending(d) == d->lists[DELIVERY_PARKED].n)
		delivery_refuse_parked(d, true);
	if (d->journal)
		journal_wind_up(d->journal);
}
