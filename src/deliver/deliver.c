/*
 * deliver: requests of sessions, answered by jobs.
 *
 * Owns the list of messages under way. Everything here runs on the loop and
 * never blocks; what waits for a disk is a job. With a journal a message goes
 * on in delivery.c, and without one in message_deliver.c, on a thread.
 */
#include "deliver/deliver.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "deliver/budget.h"
#include "deliver/deliver_state.h"
#include "deliver/lookup.h"
#include "io/log.h"

uint64_t
deliver_rcpt(struct deliver *d, struct envelope *e,
    const struct smtp_path *path, deliver_fn *fn, void *ctx)
{
	return lookup_start(d->options->recipients, d->held, d->jobs, e, path,
	    fn, ctx);
}

bool
deliver_owns(const struct deliver *d, const char *login,
    const struct smtp_path *from)
{
	return recipients_owns(d->options->recipients, login, from);
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

	return space_room_on(&d->space, loop_now(d->loop), d->spool_dev, d->tmp,
	    &need);
}

struct spool *
deliver_spool(struct deliver *d, const struct envelope *e)
{
	const struct deliver_options *o = d->options;
	struct spool_options s = {.jobs = d->jobs,
	    .dirfd = d->tmp,
	    .room = spool_room,
	    .room_ctx = d,
	    .memory = SPOOL_MEMORY,
	    .when = loop_wall(d->loop) / 1000,
	    .env = e,
	    .hostname = o->hostname};

	if (d->journal) {
		s.dirfd = journal_dirfd(d->journal);
		s.memory = (size_t)o->inline_size;
		s.head = message_head;
	}
	return spool_new(&s);
}

/* What the client hears about an error. */
static const struct smtp_reply *
reply_to(int error)
{
	switch (error) {
	case 0:
		return NULL;
	case ENOSPC:
		return SMTP_REPLY(452, "4.3.1", "Insufficient system storage");
	case EDQUOT:
		return SMTP_REPLY(452, "4.2.2", "Mailbox full");
	default:
		return SMTP_REPLY(451, "4.3.0",
		    "Cannot store the message now, try again later");
	}
}

bool
delivery_log(const struct message *m)
{
	bool all = true;

	for (unsigned i = 0; i < m->ncopies; i++) {
		const struct message_copy *c = &m->copies[i];

		all &= !c->error;
		if (!c->error)
			log_event(LOG_INFO, "delivered",
			    LOG_STR("message", m->id),
			    LOG_STR("rcpt", c->address),
			    LOG_STR("mailbox", c->path),
			    LOG_UINT("size", c->size));
	}
	return all;
}

void
delivery_log_failure(const struct message *m, const char *spool)
{
	const struct message_copy *c = m->failed;
	bool full = m->error == ENOSPC || m->error == EDQUOT;

	log_event(full ? LOG_WARN : LOG_ERROR, "undelivered",
	    LOG_STR("message", m->id),
	    LOG_STR("root", c ? c->root->path : NULL),
	    LOG_STR("mailbox", c ? c->path : NULL),
	    LOG_STR("spool", c ? NULL : spool),
	    LOG_STR("error", maildir_error(m->error)));
}

static void
log_result(const struct message *m, const char *spool)
{
	if (m->error == ECANCELED) {
		log_event(LOG_INFO, "abandoned", LOG_STR("message", m->id));
		return;
	}
	if (m->error) {
		delivery_log_failure(m, spool);
		return;
	}
	delivery_log(m);
}

void
delivery_free(struct delivery *v)
{
	if (v->listed) {
		DL_DELETE(v->d->deliveries, v);
		v->d->pending--;
	}
	v->d->backlog -= v->backlog;
	budget_return(v);
	buf_free(&v->entry.record);
	message_free(&v->message);
	free(v->file);
	free(v);
}

void
delivery_answer(struct delivery *v, int error)
{
	deliver_fn *fn = v->fn;

	v->fn = NULL;
	if (fn)
		fn(v->ctx, v->held ? held_reply(error) : reply_to(error),
		    maildir_error(error));
}

/* --- without a journal --- */

static void
delivery_run(struct job *job)
{
	message_deliver(&((struct delivery *)job)->message);
}

static void
delivery_done(struct job *job, void *ctx)
{
	struct delivery *v = (struct delivery *)job;
	struct deliver *d = ctx;

	if (v->message.error == ESTALE && !v->again) {
		deliver_look(d);
		v->again = v->kept = true;
		v->message.error = 0;
		delivery_direct(v);
		return;
	}
	log_result(&v->message, d->options->spool);
	/* whoever hears of it may ask how many are under way */
	DL_DELETE(d->deliveries, v);
	d->pending--;
	v->listed = false;
	delivery_answer(v, v->message.error);
}

static void
job_free(struct job *job)
{
	struct delivery *v = (struct delivery *)job;

	if (v->kept)
		v->kept = false;
	else
		delivery_free(v);
}

void
delivery_direct(struct delivery *v)
{
	v->job.run = delivery_run;
	v->job.free = job_free;
	jobs_submit(v->d->jobs, &v->job, delivery_done, v->d);
}

/* Nothing of the body is still being written. */
static void
on_spooled(void *ctx)
{
	struct delivery *v = ctx;

	if (v->d->journal) {
		delivery_commit(v);
		return;
	}
	message_ready(&v->message);
	if (spool_error(v->message.spool) || budget_take(v))
		delivery_direct(v);
	else
		delivery_refuse(v, ENOSPC);
}

uint64_t
deliver_message(struct deliver *d, const struct envelope *e,
    struct spool **spool, deliver_fn *fn, void *ctx)
{
	struct delivery *v = calloc(1, sizeof(*v));
	uint64_t id;

	if (!v)
		abort();
	message_init(&v->message, e, spool, d->options->hostname);
	v->d = d;
	v->id = id = MESSAGE_IDS | ++d->last_id;
	v->fn = fn;
	v->ctx = ctx;
	v->listed = true;
	DL_APPEND(d->deliveries, v);
	d->pending++;
	spool_finish(v->message.spool, on_spooled, v);
	return id;
}

/* A message is silenced here; it goes on. Anything else is only a job. */
static void
silence(struct deliver *d, uint64_t *id, bool abandon)
{
	struct delivery *v;

	DL_SEARCH_SCALAR(d->deliveries, v, id, *id);
	if (v) {
		v->fn = NULL;
		if (abandon)
			atomic_store(&v->message.abandoned, true);
		*id = 0;
	} else if (*id) {
		jobs_cancel(d->jobs, id);
	}
}

void
deliver_cancel(struct deliver *d, uint64_t *id)
{
	silence(d, id, false);
}

void
deliver_abandon(struct deliver *d, uint64_t *id)
{
	silence(d, id, true);
}

unsigned
deliver_pending(const struct deliver *d)
{
	return d->pending;
}

bool
deliver_settled(struct deliver *d)
{
	if (!d->journal)
		return true;
	if (!d->queue && !jobs_pending(d->jobs))
		delivery_refuse_parked(d, true);
	return journal_settled(d->journal) && !d->queue && !d->parked &&
	       !d->refused;
}
